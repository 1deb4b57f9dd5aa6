#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/connection.hpp"
#include "clients/failure.hpp"
#include "clients/interrupt.hpp"
#include "clients/local_cluster.hpp"
#include "clients/local_home.hpp"
#include "clients/printable.hpp"
#include "clients/word_list.hpp"

namespace ds::clients {
namespace {

/// What was applied since the head was given that file goes on to count.
void warn_if_applied(const std::string& head, const std::string& file) {
  ApiClient api(parse_head_address(head, "the local cluster"));
  const nlohmann::json cluster = api.get("/api/v1/cluster");
  const auto applied = cluster.find("tenants_applied");
  if (applied == cluster.end() || *applied != true) return;
  write_err(
      fmt::format("warning: tenants may use what ds-submit tenants --apply has said since, not what {0} "
                  "says; ds-submit tenants --apply {0} goes back to that\n",
                  printable_line(file)));
}

}  // namespace

ExitCode bring_up(const CommandContext& context, const ShapeOptions& options, const std::string& tenants) {
  std::optional<std::string> text;
  if (!tenants.empty()) {
    text = read_small_file(tenants);
    if (!text) {
      throw Failure(ExitCode::usage, "usage",
                    fmt::format("cannot read {}, or it has more than 64 KiB", printable_line(tenants)),
                    "ds-submit up --tenants takes a YAML file of tenants");
    }
    if (text->find_first_not_of(" \t\r\n") == std::string::npos) {
      throw Failure(ExitCode::job_invalid, "invalid_tenants",
                    fmt::format("{} is empty: expected a file of tenants", printable_line(tenants)),
                    "without --tenants all share one queue");
    }
  }
  LocalCluster cluster(find_local_home());
  set_interrupt_message("\ninterrupted; ds-submit up goes on, ds-submit down stops what was started\n");
  const auto up = cluster.up(options, text);
  if (text) warn_if_applied(up.address, tenants);
  if (context.json) {
    write_document(context, {{"head", up.address},
                             {"nodes", up.shape.nodes},
                             {"slots", up.shape.slots},
                             {"gpus", up.shape.gpus},
                             {"port", up.shape.port},
                             {"started", up.started},
                             {"home", cluster.home().root.string()}});
    return ExitCode::done;
  }
  const std::string size = describe_shape(up.shape);
  if (up.started.empty()) {
    write_out(fmt::format("the cluster is up already at http://{} ({})\n", up.address, size));
  } else {
    write_err(fmt::format("started {}; logs and pid files are in {}\n", join_words(up.started),
                          cluster.home().run_dir().string()));
    write_out(fmt::format("the cluster is up at http://{} ({})\n", up.address, size));
  }
  return ExitCode::done;
}

ExitCode take_down(const CommandContext& context, bool purge) {
  LocalCluster cluster(find_local_home());
  const auto stopped = cluster.down(purge);
  if (context.json) {
    write_document(context,
                   {{"stopped", stopped}, {"purged", purge}, {"home", cluster.home().root.string()}});
    return ExitCode::done;
  }
  write_out(stopped.empty() ? "no local cluster was up\n" : fmt::format("stopped {}\n", join_words(stopped)));
  std::error_code error;
  if (std::filesystem::exists(cluster.home().head_dir(), error)) {
    write_err(
        fmt::format("jobs and checkpoints stay in {}; ds-submit up goes on with them, ds-submit down --purge "
                    "removes them\n",
                    cluster.home().head_dir().string()));
  }
  return ExitCode::done;
}

}  // namespace ds::clients
