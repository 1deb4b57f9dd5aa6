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
  /// What a program's `CUDA_VISIBLE_DEVICES` calls each of them.
  std::vector<std::string> devices = {};
};

/// `visible`: the value of `CUDA_VISIBLE_DEVICES` of this process; null: it is not set.
Machine inspect_machine(const char* visible);

/// The names of GPUs as an operator states them: `H200:4`, or `0` for none.
Result<std::vector<std::string>> parse_gpus(std::string_view text);

/// The first of the visible GPUs, as the operator calls them in place of what was found. Fails when less are
/// visible (null: all are, from 0 on).
Result<void> offer_stated(Machine& machine, std::vector<std::string> names, const char* visible);

/// Fails when two GPUs are one: two jobs would be given it.
Result<void> check_devices(const Machine& machine);

/// GPUs of the machine, numbered as in its list (`0,3`), as a program that this process starts must be told
/// of them: what `CUDA_VISIBLE_DEVICES` of this process hides counts for nothing there. Those that the
/// machine doesn't have are left out.
std::string visible_to_programs(const Machine& machine, std::string_view numbers);

}  // namespace ds::node
