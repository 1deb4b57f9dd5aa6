// `doctor`: gathers what is looked at.
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/doctor.hpp"
#include "clients/failure.hpp"
#include "clients/json_fields.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kAnswerLimit{10'000};
constexpr std::size_t kMostJobsAsked = 50;
constexpr std::size_t kMaxMetricsBytes = 64U << 20;

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

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

/// Of the first jobs that wait: those that can never start.
std::vector<std::string> find_never_fitting(ApiClient& api) {
  std::vector<std::string> found;
  const auto waiting = api.get("/api/v1/jobs?state=QUEUED,PREEMPTED&limit=" + std::to_string(kMostJobsAsked));
  for (const auto& job : waiting) {
    const std::string id = text_at(job, "id");
    const auto why = api.get(job_path(id, "/why"), kAnswerLimit);
    for (const auto& reason : array_at(why, "reasons")) {
      if (text_at(reason, "code") != "never_fits") continue;
      found.push_back(id);
      break;
    }
  }
  return found;
}

HeadFacts ask_head(ApiClient& api) {
  HeadFacts facts;
  facts.asked_ms = now_ms();
  facts.cluster = api.get("/api/v1/cluster", kAnswerLimit);
  facts.answered_ms = now_ms();
  facts.nodes = api.get("/api/v1/nodes", kAnswerLimit);
  facts.tenants = api.get("/api/v1/tenants", kAnswerLimit);
  std::string text;
  api.download("/metrics", [&](std::string_view bytes) {
    text += bytes;
    return text.size() <= kMaxMetricsBytes;
  });
  facts.metrics = read_exposition(text);
  facts.never_fit = find_never_fitting(api);
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
