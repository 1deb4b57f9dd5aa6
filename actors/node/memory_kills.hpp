#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ds::node {

/// The kernel's count of processes that it has killed because memory ran out, the machine's or that of a
/// control group, from the text of /proc/vmstat. Nothing where the kernel (before 4.13) doesn't count.
std::optional<std::uint64_t> parse_memory_kills(std::string_view vmstat);

/// The same of this machine, now.
std::optional<std::uint64_t> read_memory_kills();

/// Finds out which SIGKILL was the kernel's for lack of memory. The kernel tells everybody how many it has
/// sent but not to whom, so a worker that got a SIGKILL nobody else answers for takes one of those that were
/// counted lately. A machine's operator who kills a worker by hand just after the kernel killed a stranger is
/// taken for the kernel. Not thread-safe.
class MemoryKills {
 public:
  /// `count`: what is in the past when this begins.
  explicit MemoryKills(std::uint64_t count) : claimed_(count), last_(count) {}

  /// To be called at regular times: a kill can be claimed until the second call after it.
  void on_tick(std::uint64_t count);

  /// A worker was killed and `count` is the kernel's now. True: it was the kernel for lack of memory.
  bool claim(std::uint64_t count);

 private:
  std::uint64_t claimed_;  ///< kills that belong to somebody or are too old
  std::uint64_t last_;     ///< the count at the last tick
};

}  // namespace ds::node
