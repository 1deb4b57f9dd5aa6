#include "actors/collective/waiting.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace ds::collective {
namespace {

// How late a lost member or an abort is noticed by one who sleeps.
constexpr std::int64_t kSliceNanoseconds = 4'000'000;

std::uint32_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

std::uint32_t* futex_word(SharedCounter& counter) {
  static_assert(sizeof counter.value == sizeof(std::uint32_t));
  return reinterpret_cast<std::uint32_t*>(&counter.value);
}

}  // namespace

Waiting::Waiting(std::uint32_t members)
    : max_spins_(members <= usable_processors() ? kMaxSpins : kMinSpins), spins_(max_spins_ / 2) {}

void Waiting::advance(SharedCounter& counter, std::uint32_t by) {
  counter.value.fetch_add(by, std::memory_order_seq_cst);
  if (counter.sleepers.load(std::memory_order_seq_cst) == 0) return;
  syscall(SYS_futex, futex_word(counter), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

/// Moves an eighth of the way: one odd wait says little.
void Waiting::learn(std::uint32_t budget, std::uint32_t wanted) {
  const std::int64_t step = (std::int64_t{wanted} - budget) / 8;
  const std::int64_t next = std::clamp<std::int64_t>(budget + step, kMinSpins, max_spins_);
  spins_.store(static_cast<std::uint32_t>(next), std::memory_order_relaxed);
}

void Waiting::sleep(SharedCounter& counter, std::uint32_t seen) {
  timespec slice{};
  slice.tv_nsec = kSliceNanoseconds;
  syscall(SYS_futex, futex_word(counter), FUTEX_WAIT, seen, &slice, nullptr, 0);
}

}  // namespace ds::collective
