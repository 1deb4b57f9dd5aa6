#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace ds::scheduler {

/// Whether a GPU that its driver calls `name` is of a kind that a job asks for: of any of `H200|A100`.
///
/// It is when each word of `wanted` is a word of the name, or some that follow each other in it, written
/// together; upper and lower case are the same, and words are parted by anything but letters and digits. So
/// `h200` is an `NVIDIA H200`, `A100-80GB` an `NVIDIA A100-SXM4-80GB`, `RTX4090` an `NVIDIA GeForce RTX
/// 4090`, and `V100` no `Tesla V100S`. An empty kind is any. Pure.
bool is_gpu_kind(std::string_view wanted, std::string_view name);

/// The `count` lowest of a node's GPUs (0 to `gpus` - 1) that nobody has; none when there are not so many.
/// Pure.
std::optional<std::vector<std::uint32_t>> choose_devices(std::size_t gpus,
                                                         const std::set<std::uint32_t>& taken,
                                                         std::uint32_t count);

}  // namespace ds::scheduler
