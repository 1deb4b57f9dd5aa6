#include "actors/serving/statistics.hpp"

#include <algorithm>
#include <numeric>

namespace ds::serving {

std::string_view to_string(Stage stage) {
  constexpr std::array<std::string_view, kStages> kNames{"parse", "route",  "queue",   "input",
                                                         "infer", "output", "respond", "rest"};
  return kNames.at(static_cast<std::size_t>(stage));
}

std::uint64_t StageTimes::total_ns() const {
  return std::accumulate(ns.begin(), ns.end(), std::uint64_t{0});
}

void ModelStatistics::record_success(std::uint32_t rows, const StageTimes& times, std::uint64_t now_ms) {
  last_inference_ms = std::max(last_inference_ms, now_ms);
  inference_count += rows;
  success.add(times.total_ns());
  queue.add(times[Stage::queue]);
  compute_input.add(times[Stage::input]);
  compute_infer.add(times[Stage::infer]);
  compute_output.add(times[Stage::output]);
}

void ModelStatistics::record_batch(std::uint32_t rows, std::uint64_t input_ns, std::uint64_t infer_ns,
                                   std::uint64_t output_ns) {
  ++execution_count;
  BatchStatistics& batch = batches[std::min(rows, kMostBatchSizes)];
  batch.compute_input.add(input_ns);
  batch.compute_infer.add(infer_ns);
  batch.compute_output.add(output_ns);
}

void ModelStatistics::add(const ModelStatistics& more) {
  last_inference_ms = std::max(last_inference_ms, more.last_inference_ms);
  inference_count += more.inference_count;
  execution_count += more.execution_count;
  success.add(more.success);
  fail.add(more.fail);
  queue.add(more.queue);
  compute_input.add(more.compute_input);
  compute_infer.add(more.compute_infer);
  compute_output.add(more.compute_output);
  for (const auto& [rows, theirs] : more.batches) {
    BatchStatistics& batch = batches[rows];
    batch.compute_input.add(theirs.compute_input);
    batch.compute_infer.add(theirs.compute_infer);
    batch.compute_output.add(theirs.compute_output);
  }
}

void ReplicaStatistics::report(std::uint64_t replica, const ModelStatistics& statistics) {
  ModelStatistics& known = live_[replica];
  const auto events = [](const ModelStatistics& of) {
    return of.success.count + of.fail.count + of.execution_count;
  };
  if (events(statistics) >= events(known)) known = statistics;
}

void ReplicaStatistics::retire(std::uint64_t replica) {
  const auto found = live_.find(replica);
  if (found == live_.end()) return;
  retired_.add(found->second);
  live_.erase(found);
}

ModelStatistics ReplicaStatistics::total() const {
  ModelStatistics total = retired_;
  for (const auto& [replica, statistics] : live_) total.add(statistics);
  return total;
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

void LatencyHistogram::add(const LatencyHistogram& more) {
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += more.counts[i];
  sum_ns += more.sum_ns;
}

void StageHistograms::record(StageTimes times, std::uint64_t whole_ns) {
  const std::uint64_t counted = times.total_ns();
  if (whole_ns > counted) times[Stage::rest] += whole_ns - counted;
  for (std::size_t i = 0; i < kStages; ++i) stages[i].record(times.ns[i]);
  whole.record(times.total_ns());
}

}  // namespace ds::serving
