#include "actors/head/plan_view.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/head/deadline_offer.hpp"
#include "actors/head/spec_view.hpp"
#include "scheduler/policy/trial_job.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using nlohmann::json;

json placement_view(const WhatIf& found) {
  std::map<std::string, std::uint32_t> workers;
  for (const auto& one : found.placements) workers[one.node] += one.count;
  json list = json::array();
  for (const auto& [node, count] : workers) list.push_back({{"node", node}, {"workers", count}});
  return list;
}

json shrinks_view(const WhatIf& found, const Ledger& ledger) {
  json list = json::array();
  for (const auto& [job, count] : found.shrunk) {
    const auto* record = ledger.find(job);
    if (record == nullptr) continue;
    list.push_back({{"job", job}, {"from", record->workers}, {"to", record->workers - count}});
  }
  return list;
}

json moves_view(const WhatIf& found) {
  json list = json::array();
  for (const Relocation& one : found.relocated)
    list.push_back({{"job", one.job}, {"from", one.from}, {"to", one.to}});
  return list;
}

/// Of other jobs, whose room it takes; those that are stopping already are not among them.
std::uint64_t count_leaving(const WhatIf& found, const Ledger& ledger) {
  std::uint64_t count = found.relocated.size();
  for (const auto& [job, workers] : found.shrunk) count += workers;
  for (const std::string& job : found.preempted) {
    if (const auto* record = ledger.find(job); record != nullptr) count += record->workers;
  }
  return count;
}

}  // namespace

std::optional<Demand> demand_of_draft(JobRecord draft, const Ledger& ledger, std::int64_t now_ms) {
  draft.started_ms = now_ms;  // what has started once begins again whenever it can
  return ledger.demand(draft, now_ms);
}

json promise_view(const JobSpec& spec, const DeadlinePromised& promise) {
  const auto lasts_ms = static_cast<std::int64_t>(spec.time_limit_ms);
  const auto earliest_ms = earliest_deadline_ms(lasts_ms, promise.starts_by_ms);
  return {{"deadline_ms", promise.deadline_ms},
          {"starts_by_ms", promise.starts_by_ms},
          {"earliest_ms", std::min(earliest_ms, promise.deadline_ms)}};
}

json plan_view(const JobRecord& draft, const Demand& demand, const Ledger& ledger, Planner& planner,
               const FindLive& find_live, std::int64_t now_ms) {
  TrialJob trial(planner, demand);
  WhatIf found = trial.what_if(ledger.past_use(now_ms), now_ms);
  if (auto holds = ledger.holds(draft, now_ms); !holds.empty() && found.could_ever_start) {
    // What is free now says nothing of that later moment.
    found = {};
    found.reasons = std::move(holds);
    found.could_ever_start = !ledger.broken_dependency(draft);  // it would be cancelled
  }
  const bool starts = !found.placements.empty();
  std::optional<StartForecast> expected;
  if (starts) {
    expected = StartForecast{now_ms, now_ms};
  } else if (found.could_ever_start) {
    expected = expect_start(draft, ledger, planner, find_live, now_ms);
  }
  return {{"outcome", starts                   ? "starts"
                      : found.could_ever_start ? "waits"
                                               : "never"},
          {"starts_when_room_is_made", found.room_is_coming},
          {"workers_to_leave", found.room_is_coming ? count_leaving(found, ledger) : 0},
          {"spec", spec_view(*draft.spec)},
          {"placement", placement_view(found)},
          {"reasons", reasons_view(found.reasons)},
          {"expected_start", expected_start_view(expected)},
          {"shrinks", shrinks_view(found, ledger)},
          {"moves", moves_view(found)},
          {"preemptions", found.preempted}};
}

}  // namespace ds::head
