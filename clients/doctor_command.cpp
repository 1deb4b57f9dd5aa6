// `doctor`: gathers what is looked at.
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/doctor.hpp"
#include "clients/failure.hpp"
#include "clients/head_metrics.hpp"
#include "clients/json_fields.hpp"
#include "clients/wall_clock.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kAnswerLimit{10'000};
constexpr std::size_t kMostJobsAsked = 50;

MachineFacts look_at_machine() {
  MachineFacts facts;
  std::error_code error;
  facts.folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* program : {"ds-head", "ds-node", "ds-actor"}) {
    if (::access((facts.folder / program).c_str(), X_OK) != 0) facts.missing.emplace_back(program);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
    facts.most_descriptors = limit.rlim_max;
  if (const char* list = std::getenv("UCX_TLS")) facts.ucx_tls = list;
  struct statvfs room {};
  if (::statvfs("/dev/shm", &room) == 0)
    facts.shm_free = static_cast<std::uint64_t>(room.f_bavail) * static_cast<std::uint64_t>(room.f_frsize);
  return facts;
}

/// What gets no answer stands in `facts`.
template <class Ask>
void ask(const char* question, HeadFacts& facts, const Ask& get_answer) {
  try {
    get_answer();
  } catch (const Failure& failure) {
    facts.unanswered.push_back({question, failure.message, failure.hint});
  }
}

bool never_fits(ApiClient& api, const std::string& job) {
  try {
    const auto why = api.get(job_path(job, "/why"), kAnswerLimit);
    return std::ranges::any_of(array_at(why, "reasons"),
                               [](const json& reason) { return text_at(reason, "code") == "never_fits"; });
  } catch (const Failure& failure) {
    if (failure.exit_code != ExitCode::not_found) throw;
    return false;  // it was forgotten meanwhile
  }
}

/// Of the first jobs that wait: adds those that can never start, as many as are found in that time.
void find_never_fitting(ApiClient& api, std::vector<std::string>& found) {
  const auto waiting =
      api.get("/api/v1/jobs?state=QUEUED,PREEMPTED&limit=" + std::to_string(kMostJobsAsked), kAnswerLimit);
  const auto until = std::chrono::steady_clock::now() + kAnswerLimit;
  for (const auto& job : waiting) {
    if (std::chrono::steady_clock::now() > until) return;
    const std::string id = text_at(job, "id");
    if (never_fits(api, id)) found.push_back(id);
  }
}

/// Throws what the first question throws: then there is no head. What the others have no answer to does not
/// keep the rest from being known.
HeadFacts ask_head(ApiClient& api) {
  HeadFacts facts;
  facts.asked_ms = read_wall_clock_ms();
  facts.cluster = api.get("/api/v1/cluster", kAnswerLimit);
  facts.answered_ms = read_wall_clock_ms();
  ask("/api/v1/nodes", facts, [&] { facts.nodes = api.get("/api/v1/nodes", kAnswerLimit); });
  ask("/api/v1/tenants", facts, [&] { facts.tenants = api.get("/api/v1/tenants", kAnswerLimit); });
  ask("/metrics", facts, [&] { facts.metrics = get_head_metrics(api, kAnswerLimit); });
  if (facts.metrics && count_never_fitting(*facts.metrics) > 0)
    ask("/api/v1/jobs/JOB/why", facts, [&] { find_never_fitting(api, facts.never_fit); });
  return facts;
}

}  // namespace

ExitCode examine(const CommandContext& context) {
  auto checks = check_machine(look_at_machine());
  try {
    ApiClient api(find_head(context.head));
    const auto facts = ask_head(api);
    const auto& head = api.head();
    checks.push_back({"head", Check::Result::ok,
                      "a head answers at " + head.text() + (head.local ? ", of the local cluster" : ""), ""});
    for (auto& check : check_head(facts, DS_VERSION)) checks.push_back(std::move(check));
  } catch (const Failure& failure) {
    if (failure.exit_code == ExitCode::usage) throw;
    checks.push_back({"head", Check::Result::fail, failure.message, failure.hint});
  }
  context.json ? write_document(context, to_json(checks))
               : write_out(format_checks(checks, context.terminal.colour_out));
  return has_failed(checks) ? ExitCode::unexpected : ExitCode::done;
}

}  // namespace ds::clients
