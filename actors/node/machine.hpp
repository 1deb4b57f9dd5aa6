#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"

namespace ds::node {

/// What this machine has to offer.
struct Machine {
  std::uint32_t cores = 1;  ///< that this process may run on
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> gpus;  ///< names; empty when built without CUDA or without a driver
  /// What `CUDA_VISIBLE_DEVICES` of this process calls them; empty: it is not set.
  std::vector<std::string> devices = {};
};

Machine inspect_machine();

/// The names of GPUs as an operator states them: `H200:4`, or `0` for none.
Result<std::vector<std::string>> parse_gpus(std::string_view text);

/// GPUs of the machine, numbered as in its list (`0,3`), as a program that this process starts must be told
/// of them: what `CUDA_VISIBLE_DEVICES` of this process hides counts for nothing there.
std::string visible_to_programs(const Machine& machine, std::string_view numbers);

}  // namespace ds::node
