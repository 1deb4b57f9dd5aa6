#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ds::node {

/// What this machine has to offer.
struct Machine {
  std::uint32_t cores = 1;  ///< that this process may run on
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> gpus;  ///< names; empty when built without CUDA or without a driver
};

Machine inspect_machine();

}  // namespace ds::node
