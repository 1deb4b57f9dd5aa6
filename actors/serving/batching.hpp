#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Values of admission and batching. Times are microseconds of any one steady clock.
namespace ds::serving {

struct BatchingOptions {
  enum class Mode : std::uint8_t {
    adaptive,  ///< waits only while that pays
    fixed,     ///< until `max_size` rows or `max_delay_us`, whichever is first
    off,       ///< each ticket alone
  };
  Mode mode = Mode::adaptive;
  std::uint32_t max_size = 32;            ///< rows of a batch
  std::int64_t max_delay_us = 5'000;      ///< nobody is kept waiting longer than this beside an idle executor
  std::uint32_t max_depth = 1'000;        ///< tickets that wait
  std::uint64_t max_bytes = 256U << 20U;  ///< of tickets that wait
  std::int64_t p99_us = 0;                ///< of waiting and service together; 0: no objective
  std::uint32_t executors = 1;            ///< batches that run at once
};

/// Priorities below this count as this one.
inline constexpr std::uint32_t kLowestPriority = 16;
/// Of a request that names none.
inline constexpr std::uint32_t kDefaultPriority = 8;

struct Ticket {
  std::uint64_t id = 0;          ///< of no other ticket that waits
  std::uint32_t rows = 1;        ///< 0 counts as 1
  std::uint64_t bytes = 0;       ///< held in memory while it waits
  std::uint32_t priority = 1;    ///< 1 is the highest; 0 counts as 1
  std::int64_t deadline_us = 0;  ///< a moment, by when the batch must have run; 0: none
  std::uint64_t shape_key = 0;   ///< only equal ones share a batch
  std::string tenant;            ///< whose place in the queue it takes
  bool alone = false;            ///< it shares a batch with nobody
  bool operator==(const Ticket&) const = default;
};

/// Why a ticket is not, or no longer, let run.
enum class Refusal : std::uint8_t {
  queue_full,      ///< `max_depth`, or a place that another tenant has the better right to
  too_many_bytes,  ///< the same of `max_bytes`
  deadline,        ///< can't be met
  too_large,       ///< more rows than a batch may have, or more bytes than all may have: never fits
  draining,        ///< the replica is about to stop
};
inline constexpr std::size_t kRefusals = 5;

/// Why a batch was not kept waiting for more.
enum class Release : std::uint8_t {
  full,       ///< no more rows may join
  deadline,   ///< a ticket of it, or the objective, could not be met otherwise
  idle,       ///< an executor is idle and nothing is gained by waiting
  delay,      ///< `max_delay_us` is over
  drain,      ///< the replica is about to stop
  unbatched,  ///< mode `off`, or a ticket that shares a batch with nobody
};
inline constexpr std::size_t kReleases = 6;

/// As label values: `queue_full`, `idle`.
std::string_view to_string(Refusal refusal);
std::string_view to_string(Release release);

/// An admitted ticket that will not run.
struct Expired {
  std::uint64_t id = 0;
  Refusal why = Refusal::deadline;
  bool operator==(const Expired&) const = default;
};

struct Batch {
  std::uint64_t number = 0;             ///< of no other batch of the queue
  std::vector<std::uint64_t> ids;       ///< never empty
  std::vector<std::int64_t> waited_us;  ///< of each, since it was admitted
  std::uint32_t rows = 0;
  std::uint64_t shape_key = 0;
  Release reason = Release::idle;
};

/// Since the queue was made.
struct BatchCounters {
  std::uint64_t admitted = 0, batches = 0, tickets_run = 0, rows_run = 0, cancelled = 0;
  std::array<std::uint64_t, kRefusals> refused{};   ///< at admission, by `Refusal`
  std::array<std::uint64_t, kRefusals> expired{};   ///< after it
  std::array<std::uint64_t, kReleases> released{};  ///< batches by `Release`
};

}  // namespace ds::serving
