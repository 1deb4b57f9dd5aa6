// Jobs that must have ended by a moment: accepted only if that can be promised.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "actors/head/awaited_nodes.hpp"
#include "actors/head/deadline_offer.hpp"
#include "actors/head/expected_start.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/plan_view.hpp"
#include "scheduler/policy/trial_job.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::head {

using namespace scheduler;

DeadlineOffer Head::promise_deadline(const JobRecord& draft) {
  // Where workers have to leave nobody knows yet which room they take elsewhere.
  if (in_grace_ || !is_settled_ || must_leave() || !overfull_.empty()) {
    const char* why = in_grace_ || !is_settled_
                          ? kAwaitsNodes
                          : "workers are leaving a drained node, or a job that was scaled";
    return DeadlineRefused{why, "try again in some seconds", true};
  }
  for (const auto& id : std::set(ledger_.promised())) note_if_missed(id);
  tell_planner();
  const auto now = now_ms();
  auto demand = demand_of_draft(draft, ledger_, now);
  if (auto refused = refuse_kept_back(demand)) return *std::move(refused);
  limit_growth(draft, *demand);
  demand->has_promise = true;
  const TrialJob trial(planner_, *demand);
  const auto starts_ms = planner_.promised_start(draft.id, kLeavingMs, ledger_.past_use(now), now);
  if (!starts_ms) {
    if (auto refused = refuse_hopeless(draft, now)) return *std::move(refused);
    const auto waits = planner_.explain(std::span(&draft.id, 1), ledger_.past_use(now), now);
    auto refused = waits.empty() ? std::nullopt : refuse_unfit(waits.front().reasons);
    if (refused) return *std::move(refused);
  }
  return offer_deadline(draft, starts_ms, ledger_, now);
}

Result<nlohmann::json> Head::promise_anew(const JobRecord& job, std::vector<Event>& events) {
  JobRecord draft = job;
  draft.pause_requested = false;
  draft.state = JobState::queued;
  auto promised = promise_deadline(draft);
  auto said = nlohmann::json::object();
  const auto* refused = std::get_if<DeadlineRefused>(&promised);
  if (refused != nullptr && refused->may_pass) {
    return fail(
        ErrorCode::unavailable,
        fmt::format("job {} stays paused, since nobody knows yet whether its deadline can be promised "
                    "again: {}",
                    job.id, refused->why),
        refused->hint);
  }
  said["promise_renewed"] = refused == nullptr;
  if (refused != nullptr) {
    const auto text = not_renewed_text(*refused);
    said["promise_refused"] = text;
    events.front().why += "; " + text;
    return said;
  }
  auto& promise = std::get<DeadlinePromised>(promised);
  events.push_back(event("scheduler", "it starts by " + to_time_text(promise.starts_by_ms) + " for certain",
                         std::move(promise)));
  return said;
}

void Head::note_if_missed(const std::string& id) {
  const auto* job = ledger_.find(id);
  const auto missed = job == nullptr ? std::nullopt : ledger_.find_missed(*job, now_ms());
  if (!missed) return;
  spdlog::warn("job {}: what was promised of its deadline is not kept: {}", id, *missed);
  commit({event("scheduler", *missed, DeadlineMissed{id})});
}

}  // namespace ds::head
