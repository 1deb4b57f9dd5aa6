#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "actors/serving/batching.hpp"
#include "actors/serving/padding.hpp"
#include "storage/result.hpp"

namespace ds::serving {

/// Parts of a request's time, in their order. They add up to the whole.
enum class Stage : std::uint8_t {
  parse,       ///< from the request's body to tensors, with the wait for a thread that reads it
  queue,       ///< in the router's line, while no replica took it
  batch_wait,  ///< in the replica, until its batch started
  compute,     ///< batch put together, the model, batch taken apart
  serialize,   ///< from tensors to the answer's body, with the wait for a thread that writes it
  rest,        ///< what no other stage has counted: retries, the fabric, no free core
};
inline constexpr std::size_t kStages = 6;
/// As a label's value.
std::string_view to_string(Stage stage);

/// One request's nanoseconds by `Stage`.
struct StageTimes {
  std::array<std::uint64_t, kStages> ns{};
  std::uint64_t& operator[](Stage stage) { return ns.at(static_cast<std::size_t>(stage)); }
  std::uint64_t operator[](Stage stage) const { return ns.at(static_cast<std::size_t>(stage)); }
  std::uint64_t total_ns() const;
  bool operator==(const StageTimes&) const = default;
};

struct TimeSum {
  std::uint64_t count = 0, ns = 0;
  void add(std::uint64_t more_ns) { ++count, ns += more_ns; }
  void add(const TimeSum& more) { count += more.count, ns += more.ns; }
  bool operator==(const TimeSum&) const = default;
};

/// Why a request has no answer, as who runs the cluster tells it apart.
enum class FailureCause : std::uint8_t {
  invalid,      ///< it was wrong: 4xx
  overload,     ///< a bound was met: 503
  unavailable,  ///< no replica was there for it: 503
  timeout,      ///< 504
  cancelled,    ///< its client went away
  internal,     ///< 500
};
inline constexpr std::size_t kFailureCauses = 6;
/// As a label's value.
std::string_view to_string(FailureCause cause);
FailureCause cause_of(ErrorCode code);

/// Batches of one size.
struct BatchStatistics {
  TimeSum compute_input, compute_infer, compute_output;
  bool operator==(const BatchStatistics&) const = default;
};

/// What the protocol's statistics say of one version of a model, in its terms: a request of n rows is n
/// inferences and one `success`; `queue` is all that it waited, with a replica or for one; each request is
/// accounted its whole batch's compute time, in which what the protocol calls input and output is contained.
/// Sums only, never means: clients subtract two samples.
struct ModelStatistics {
  static constexpr std::uint32_t kMostBatchSizes = 1'024;  ///< larger ones count as this size

  std::uint64_t last_inference_ms = 0;  ///< since 1970; the newest success
  std::uint64_t inference_count = 0, execution_count = 0;
  TimeSum success, fail, queue, compute_input, compute_infer, compute_output;
  std::map<std::uint32_t, BatchStatistics> batches;    ///< by rows
  std::array<std::uint64_t, kFailureCauses> failed{};  ///< by `FailureCause`: `fail.count` together

  void record_success(std::uint32_t rows, const StageTimes& times, std::uint64_t now_ms);
  void record_failure(std::uint64_t total_ns, FailureCause cause) {
    fail.add(total_ns);
    ++failed.at(static_cast<std::size_t>(cause));
  }
  void record_batch(std::uint32_t rows, std::uint64_t compute_ns);
  bool operator==(const ModelStatistics&) const = default;
};

/// A Prometheus histogram: bounds fixed, counts cumulative only when read.
struct LatencyHistogram {
  /// Upper bounds; one more bucket is unbounded.
  static constexpr std::array<std::uint64_t, 18> kBoundsNs{
      50'000,      100'000,       250'000,       500'000,       1'000'000,      2'500'000,
      5'000'000,   10'000'000,    25'000'000,    50'000'000,    100'000'000,    250'000'000,
      500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 30'000'000'000};

  std::array<std::uint64_t, kBoundsNs.size() + 1> counts{};
  std::uint64_t sum_ns = 0;

  void record(std::uint64_t ns);
  std::uint64_t count() const;
  /// Samples at most this bound, as `le` says; the one past the last: all.
  std::uint64_t count_up_to(std::size_t bucket) const;
  bool operator==(const LatencyHistogram&) const = default;
};

/// `ds_infer_stage_seconds` and `ds_infer_seconds` of one model version: the stages' sums are the whole's,
/// exactly.
struct StageHistograms {
  std::array<LatencyHistogram, kStages> stages;
  LatencyHistogram whole;

  /// What `whole_ns` has beyond the stages is added to `rest`; where stages were measured longer than the
  /// whole (by another clock), their sum is the whole. Returns the stages as they were counted.
  StageTimes record(StageTimes times, std::uint64_t whole_ns);
  bool operator==(const StageHistograms&) const = default;
};

/// All that is counted of one version of a model.
struct EndpointStatistics {
  ModelStatistics model;
  StageHistograms stages;                           ///< of requests that were answered
  std::array<std::uint64_t, kReleases> released{};  ///< batches by `Release`
  PaddedElements elements;                          ///< of inputs that are padded
};

}  // namespace ds::serving
