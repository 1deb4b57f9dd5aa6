// Which job a request names, and what is shown of it.
#include <fmt/format.h>

#include <ranges>

#include "actors/gateway/error_response.hpp"
#include "actors/head/awaited_nodes.hpp"
#include "actors/head/deadline_offer.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/model_views.hpp"

namespace ds::head {

using namespace scheduler;

constexpr std::size_t kMaxNamedAlike = 20;  ///< ids in an answer

const JobRecord* Head::resolve_job(const std::string& name, const gateway::Respond& respond) const {
  auto found = ledger_.match(name);
  std::erase_if(found, [this](const auto* job) { return forgetting_.contains(job->id); });
  found = scheduler::prefer_living(std::move(found));
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    respond(error_response({ErrorCode::not_found, fmt::format("there is no job {}", name),
                            "`ds-submit list` shows the jobs there are"}));
    return nullptr;
  }
  std::string ids;
  for (const auto* job : found | std::views::take(kMaxNamedAlike)) ids += (ids.empty() ? "" : ", ") + job->id;
  if (found.size() > kMaxNamedAlike) ids += ", …";
  respond(error_response({ErrorCode::already_exists,
                          fmt::format("{} jobs are named {}: {}", found.size(), name, ids),
                          "name one by its id"}));
  return nullptr;
}

nlohmann::json Head::view(const JobRecord& job, bool whole, const std::string& wait_reason) const {
  const auto live = jobs_.find(job.id);
  auto view =
      job_view(job, live == jobs_.end() ? nullptr : &live->second.live, wait_reason, ledger_, pids_, whole);
  if (whole) view["run_ms"] = job.run_ms(now_ms());
  view["use"] = use_view(ledger_.used_by(job, now_ms()));
  if (auto served = served_view(job, ledger_); whole && !served.is_null()) view["model"] = std::move(served);
  const bool is_served = live != jobs_.end() && live->second.serving.has_value();
  if (is_served && !job.pause_requested && !live->second.serving->lost_file.empty())
    view["reason"] = live->second.serving->lost_file;
  if (whole && is_served) {
    const auto& accepted = live->second.serving->quantization;
    const auto version = job.lines.empty() ? 1 : job.lines.front().version;
    const auto found = accepted.find(version);
    auto report =
        found == accepted.end() ? nlohmann::json() : nlohmann::json::parse(found->second, nullptr, false);
    if (report.is_object()) {
      report["version"] = version;
      view["quantization"] = std::move(report);
    }
  }
  return view;
}

nlohmann::json Head::whole_view(const JobRecord& job) {
  const auto waits = is_waiting(job.state) ? waits_of(job) : Waits{};
  auto whole = view(job, true, waits.lasting);
  whole["promise_at_risk"] = is_promise_at_risk(job, waits.reasons, now_ms());
  return whole;
}

}  // namespace ds::head
