#include "actors/serving/statistics.hpp"

#include <algorithm>
#include <numeric>

namespace ds::serving {

std::string_view to_string(Stage stage) {
  constexpr std::array<std::string_view, kStages> kNames{"parse",   "queue",     "batch_wait",
                                                         "compute", "serialize", "rest"};
  return kNames.at(static_cast<std::size_t>(stage));
}

std::string_view to_string(FailureCause cause) {
  constexpr std::array<std::string_view, kFailureCauses> kNames{"invalid", "overload",  "unavailable",
                                                                "timeout", "cancelled", "internal"};
  return kNames.at(static_cast<std::size_t>(cause));
}

FailureCause cause_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::resource_exhausted:
      return FailureCause::overload;
    case ErrorCode::unavailable:
      return FailureCause::unavailable;
    case ErrorCode::deadline_exceeded:
      return FailureCause::timeout;
    case ErrorCode::cancelled:
      return FailureCause::cancelled;
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      return FailureCause::internal;
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::already_exists:
    case ErrorCode::permission_denied:
    case ErrorCode::conflict:
    case ErrorCode::unsupported:
      break;
  }
  return FailureCause::invalid;
}

std::uint64_t StageTimes::total_ns() const {
  return std::accumulate(ns.begin(), ns.end(), std::uint64_t{0});
}

void ModelStatistics::record_success(std::uint32_t rows, const StageTimes& times, std::uint64_t now_ms) {
  last_inference_ms = std::max(last_inference_ms, now_ms);
  inference_count += rows;
  success.add(times.total_ns());
  queue.add(times[Stage::queue] + times[Stage::batch_wait]);
  compute_input.add(0);
  compute_infer.add(times[Stage::compute]);
  compute_output.add(0);
}

void ModelStatistics::record_batch(std::uint32_t rows, std::uint64_t compute_ns) {
  ++execution_count;
  BatchStatistics& batch = batches[std::min(rows, kMostBatchSizes)];
  batch.compute_input.add(0);
  batch.compute_infer.add(compute_ns);
  batch.compute_output.add(0);
}

void LatencyHistogram::record(std::uint64_t ns) {
  const auto bucket = std::ranges::lower_bound(kBoundsNs, ns) - kBoundsNs.begin();
  ++counts.at(static_cast<std::size_t>(bucket));
  sum_ns += ns;
}

std::uint64_t LatencyHistogram::count() const {
  return count_up_to(kBoundsNs.size());
}

std::uint64_t LatencyHistogram::count_up_to(std::size_t bucket) const {
  const auto end = counts.begin() + static_cast<std::ptrdiff_t>(std::min(bucket + 1, counts.size()));
  return std::accumulate(counts.begin(), end, std::uint64_t{0});
}

StageTimes StageHistograms::record(StageTimes times, std::uint64_t whole_ns) {
  const std::uint64_t counted = times.total_ns();
  if (whole_ns > counted) times[Stage::rest] += whole_ns - counted;
  for (std::size_t i = 0; i < kStages; ++i) stages[i].record(times.ns[i]);
  whole.record(times.total_ns());
  return times;
}

}  // namespace ds::serving
