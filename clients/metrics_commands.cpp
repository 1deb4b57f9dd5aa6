// `metrics`: what is measured of a job, or of all.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/exposition.hpp"
#include "clients/failure.hpp"
#include "clients/json_fields.hpp"
#include "clients/metrics_view.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kMaxMetricsBytes = 64U << 20;

std::vector<Sample> get_samples(ApiClient& api) {
  std::string text;
  api.download("/metrics", [&](std::string_view bytes) {
    text += bytes;
    return text.size() <= kMaxMetricsBytes;
  });
  if (text.size() > kMaxMetricsBytes) {
    throw Failure(
        ExitCode::unexpected, "bad_answer",
        fmt::format("{} has more than {} MiB of metrics", api.head().text(), kMaxMetricsBytes >> 20),
        "ds-submit metrics JOB shows those of one job");
  }
  return read_exposition(text);
}

}  // namespace

ExitCode show_metrics(const CommandContext& context, const std::string& job) {
  ApiClient api(find_head(context.head));
  nlohmann::json metrics;
  if (job.empty()) {
    const auto jobs = api.get_list("/api/v1/jobs");
    metrics = cluster_metrics(jobs, get_samples(api));
  } else {
    const auto answer = api.get(job_path(job));
    const bool serves = text_at(answer, "kind") == "serve";
    metrics = job_metrics(answer, serves ? get_samples(api) : std::vector<Sample>{});
  }
  if (context.json) {
    write_document(context, metrics);
  } else {
    const bool coloured = context.terminal.colour_out;
    write_out(job.empty() ? format_cluster_metrics(metrics, coloured)
                          : format_job_metrics(metrics, coloured));
  }
  return ExitCode::done;
}

}  // namespace ds::clients
