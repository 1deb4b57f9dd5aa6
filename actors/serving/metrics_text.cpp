#include "actors/serving/metrics_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "actors/serving/metrics_writer.hpp"

namespace ds::serving {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr std::uint32_t kLargestBound = 1'024;  // of a batch's rows

void write_latency(MetricsWriter& out, const std::string& labels, const LatencyHistogram& histogram) {
  for (std::size_t i = 0; i < LatencyHistogram::kBoundsNs.size(); ++i) {
    const double bound = static_cast<double>(LatencyHistogram::kBoundsNs[i]) / kNanoseconds;
    out.bucket(labels, fmt::format("{}", bound), histogram.count_up_to(i));
  }
  out.bucket(labels, "+Inf", histogram.count());
  out.add("_sum", labels, static_cast<double>(histogram.sum_ns) / kNanoseconds);
  out.add("_count", labels, histogram.count());
}

void write_batch_sizes(MetricsWriter& out, const std::string& labels, const ModelStatistics& model) {
  std::uint64_t rows = 0, seen = 0;
  auto batch = model.batches.begin();
  for (std::uint32_t bound = 1; bound <= kLargestBound; bound *= 2) {
    for (; batch != model.batches.end() && batch->first <= bound; ++batch) {
      seen += batch->second.compute_infer.count;
      rows += batch->first * batch->second.compute_infer.count;
    }
    out.bucket(labels, std::to_string(bound), seen);
  }
  out.bucket(labels, "+Inf", model.execution_count);
  out.add("_sum", labels, rows);
  out.add("_count", labels, model.execution_count);
}

std::string model_label(const ModelMetrics& model) {
  return fmt::format("model=\"{}\",version=\"{}\"", model.name, model.version);
}

}  // namespace

std::string metrics_text(std::span<const ModelMetrics> models) {
  MetricsWriter out;
  out.family("ds_replicas", "gauge", "Replicas of a served model by state.");
  for (const ModelMetrics& model : models) {
    out.add("", model_label(model) + ",state=\"ready\"", model.ready);
    out.add("", model_label(model) + ",state=\"starting\"", model.starting);
    out.add("", model_label(model) + ",state=\"draining\"", model.draining);
  }
  out.family("ds_infer_ongoing", "gauge", "Requests to a model that have no answer yet.");
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0 && models[i - 1].name == models[i].name) continue;
    out.add("", fmt::format("model=\"{}\"", models[i].name), models[i].ongoing);
  }
  out.family("ds_infer_requests_total", "counter", "Requests to a model that were answered, or failed.");
  for (const ModelMetrics& model : models) {
    out.add("", model_label(model) + ",outcome=\"success\"", model.statistics.model.success.count);
    out.add("", model_label(model) + ",outcome=\"failure\"", model.statistics.model.fail.count);
  }
  out.family("ds_infer_failures_total", "counter", "Requests to a model that failed, by cause.");
  for (const ModelMetrics& model : models) {
    for (std::size_t i = 0; i < kFailureCauses; ++i) {
      const auto cause = to_string(static_cast<FailureCause>(i));
      out.add("", fmt::format("{},cause=\"{}\"", model_label(model), cause),
              model.statistics.model.failed[i]);
    }
  }
  out.family("ds_infer_seconds", "histogram", "Time of answered requests, from the body to the answer's.");
  for (const ModelMetrics& model : models)
    write_latency(out, model_label(model), model.statistics.stages.whole);
  out.family("ds_infer_stage_seconds", "histogram", "Parts of ds_infer_seconds, which they add up to.");
  for (const ModelMetrics& model : models) {
    for (std::size_t i = 0; i < kStages; ++i) {
      const auto labels =
          fmt::format("{},stage=\"{}\"", model_label(model), to_string(static_cast<Stage>(i)));
      write_latency(out, labels, model.statistics.stages.stages[i]);
    }
  }
  out.family("ds_infer_batch_size", "histogram", "Rows of the batches that ran.");
  for (const ModelMetrics& model : models) write_batch_sizes(out, model_label(model), model.statistics.model);
  out.family("ds_infer_batch_released_total", "counter", "Batches by why they waited for no more rows.");
  for (const ModelMetrics& model : models) {
    for (std::size_t i = 0; i < kReleases; ++i) {
      const auto reason = to_string(static_cast<Release>(i));
      out.add("", fmt::format("{},reason=\"{}\"", model_label(model), reason), model.statistics.released[i]);
    }
  }
  const auto is_padded = [](const ModelMetrics& model) { return model.statistics.elements.real > 0; };
  if (std::ranges::none_of(models, is_padded)) return out.take();
  out.family("ds_infer_input_elements_total", "counter", "Elements of inputs that are padded, as they ran.");
  for (const ModelMetrics& model : models) {
    if (!is_padded(model)) continue;
    out.add("", model_label(model) + ",kind=\"real\"", model.statistics.elements.real);
    out.add("", model_label(model) + ",kind=\"padding\"", model.statistics.elements.padding);
  }
  return out.take();
}

}  // namespace ds::serving
