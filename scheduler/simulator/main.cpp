#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "scheduler/simulator/command.hpp"

namespace {

/// Prints the result; says so and ends with 1 where it doesn't arrive, as on a full disk.
int print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return 0;
  fmt::print(stderr, "ds-sim: the result cannot be written: {}\n", std::generic_category().message(errno));
  return 1;
}

}  // namespace

int main(int count, char** words) {
  ds::simulator::Command command;
  CLI::App app{"Runs a workload of a trace under a scheduling policy, in simulated time.", "ds-sim"};
  app.add_option("--family", command.family,
                 "whose traces and job model: pollux, sia, elasticflow, shockwave, philly or openb")
      ->capture_default_str();
  app.add_option(
      "--profiles", command.profiles,
      "folder with a folder for each application (pollux, sia) or a CSV file for each model (elasticflow), "
      "CSV file of the nodes (openb)");
  app.add_option("--workload", command.workload, "CSV file of the jobs");
  app.add_option("--policy", command.policy, "see --list-policies")->capture_default_str();
  app.add_option("--cluster", command.cluster,
                 "nodes x slots of each, with kinds of GPU for sia [16x4; shockwave 8x4; philly 96x8; sia "
                 "6x4:aws+3x8:rtx+2x8:dgx-ext]");
  app.add_option("--round", command.round_s, "seconds between two plans, whole [60; shockwave 120]");
  app.add_option("--restart", command.restart_s,
                 "seconds that a change of its slots costs a job, whole [30; shockwave 0; sia and "
                 "elasticflow by model]");
  app.add_flag("--events", command.heeds_events,
               "plan between rounds too, at once when a job comes, ends or has news of itself");
  app.add_option("--load", command.load_percent,
                 "percent of the cluster's GPUs that are asked for in all (openb) [130]");
  app.add_option("--seed", command.seed, "of the order in which jobs come (openb) [42]");
  app.add_option("--plot", command.plot,
                 "SVG file to draw a Gantt chart and the completion times into; with openb the share of GPUs "
                 "allocated");
  app.add_flag("--json", command.as_json, "print one JSON object");
  app.add_flag("--list-policies", command.lists_policies, "name the policies and stop");
  try {
    app.parse(count, words);
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text);
    return print(text.str());
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return 2;
  }
  command.clock_ms = [] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  command.warn = [](const std::string& text) { fmt::print(stderr, "ds-sim: warning: {}\n", text); };
  const auto text = ds::simulator::run(command);
  if (!text) {
    fmt::print(stderr, "ds-sim: {}\n", text.error().text);
    return 2;
  }
  return print(*text);
}
