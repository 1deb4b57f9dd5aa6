// Jobs that must have ended by a moment: accepted only if that can be promised.
#include <spdlog/spdlog.h>

#include <utility>

#include "actors/head/awaited_nodes.hpp"
#include "actors/head/deadline_offer.hpp"
#include "actors/head/expected_start.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/plan_view.hpp"
#include "scheduler/policy/trial_job.hpp"

namespace ds::head {

using namespace scheduler;

std::variant<DeadlinePromised, gateway::HttpResponse> Head::promise_deadline(const Submission& submission) {
  // Where workers have to leave nobody knows yet which room they take elsewhere.
  if (in_grace_ || !is_settled_ || must_leave() || !overfull_.empty()) {
    const char* why = in_grace_ || !is_settled_
                          ? kAwaitsNodes
                          : "workers are leaving a drained node, or a job that was scaled";
    return error_response({ErrorCode::unavailable, why, "try again in some seconds"});
  }
  for (const auto& id : std::set(ledger_.promised())) note_if_missed(id);
  tell_planner();
  const auto now = now_ms();
  const auto draft = ledger_.draft({kDraft, "", submission.file, submission.directory, submission.text},
                                   submission.spec, now);
  Demand demand = demand_of_draft(draft, ledger_, now);
  limit_growth(draft, demand);
  demand.has_promise = true;
  const TrialJob trial(planner_, demand);
  const auto starts_ms = planner_.promised_start(kDraft, kLeavingMs, ledger_.past_use(now), now);
  if (!starts_ms) {
    if (auto refused = refuse_hopeless(submission.spec, now)) return *std::move(refused);
    const std::string id = kDraft;
    const auto waits = planner_.explain(std::span(&id, 1), ledger_.past_use(now), now);
    auto refused = waits.empty() ? std::nullopt : refuse_unfit(waits.front().reasons);
    if (refused) return *std::move(refused);
  }
  return offer_deadline(draft, starts_ms, ledger_, now);
}

void Head::note_if_missed(const std::string& id) {
  const auto* job = ledger_.find(id);
  const auto missed = job == nullptr ? std::nullopt : ledger_.find_missed(*job, now_ms());
  if (!missed) return;
  spdlog::warn("job {}: what was promised of its deadline is not kept: {}", id, *missed);
  commit({event("scheduler", *missed, DeadlineMissed{id})});
}

}  // namespace ds::head
