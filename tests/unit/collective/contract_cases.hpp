#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/collective/communicator.hpp"

namespace ds::collective {

/// Something that every communicator must do, seen by one member of the gang that runs it together. It
/// computes for itself what must come out and returns what was wrong; empty: nothing. Needs no test
/// framework, so that processes can run it too.
struct ContractCase {
  const char* name;
  std::function<std::string(Communicator&)> run;
};

/// All of them; the communicator is alive afterwards.
const std::vector<ContractCase>& contract_cases();

}  // namespace ds::collective
