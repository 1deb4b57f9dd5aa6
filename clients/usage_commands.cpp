// `usage`: what tenants and jobs have used.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/failure.hpp"
#include "clients/job_filter.hpp"
#include "clients/printable.hpp"
#include "clients/usage_view.hpp"
#include "clients/wall_clock.hpp"

namespace ds::clients {

ExitCode show_usage(const CommandContext& context, const UsageOptions& options) {
  std::optional<std::int64_t> since_ms;
  if (!options.since.empty()) {
    since_ms = parse_since(options.since, read_wall_clock_ms());
    if (!since_ms) {
      throw Failure(
          ExitCode::usage, "usage",
          fmt::format("--since: expected a day or how long ago, got '{}'", printable_line(options.since)),
          "such as 2030-01-31, 7d or 24h; whole days (UTC) are counted");
    }
    if (*since_ms > read_wall_clock_ms()) {
      throw Failure(ExitCode::usage, "usage",
                    fmt::format("--since: {} is still to come", printable_line(options.since)),
                    "name a day that has begun (UTC), such as today's, or how long ago: 7d or 24h");
    }
  }
  ApiClient api(find_head(context.head));
  const bool coloured = context.terminal.colour_out;
  if (options.jobs) {
    JobFilter filter;
    filter.tenant = options.tenant;
    const auto jobs = used_by_jobs(api.get_list(path_of_jobs(filter)), since_ms);
    context.json ? write_document(context, jobs) : write_out(format_job_usage(jobs, coloured));
    return ExitCode::done;
  }
  std::string path = "/api/v1/usage";
  if (since_ms) path += fmt::format("?since={}", *since_ms);
  if (!options.tenant.empty())
    path += fmt::format("{}tenant={}", since_ms ? '&' : '?', encode_segment(options.tenant));
  const auto usage = api.get(path);
  context.json ? write_document(context, usage) : write_out(format_usage(usage, coloured));
  return ExitCode::done;
}

}  // namespace ds::clients
