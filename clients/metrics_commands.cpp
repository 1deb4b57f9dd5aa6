// `metrics`: what is measured of a job, or of all.
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/head_metrics.hpp"
#include "clients/json_fields.hpp"
#include "clients/metrics_view.hpp"

namespace ds::clients {

ExitCode show_metrics(const CommandContext& context, const std::string& job) {
  ApiClient api(find_head(context.head));
  nlohmann::json metrics;
  if (job.empty()) {
    const auto jobs = api.get_list("/api/v1/jobs");
    metrics = cluster_metrics(jobs, get_head_metrics(api, kLongAnswerTime));
  } else {
    const auto answer = api.get(job_path(job));
    const bool serves = text_at(answer, "kind") == "serve";
    metrics = job_metrics(answer, serves ? get_head_metrics(api, kLongAnswerTime) : std::vector<Sample>{});
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
