#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "actors/head/expected_start.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/policy/planner.hpp"

namespace ds::head {

/// The name, which no job can have, that a job goes by that nobody has submitted.
inline constexpr const char* kDraft = "(draft)";

/// What would become of a job if it were submitted now: the answer of `POST /api/v1/plan`. `draft` is what
/// the ledger makes of it, under the name `kDraft`, `demand` what the planner would be told of it once
/// nothing but slots keeps it from starting. The planner has been told of all that changed and is left as it
/// was.
nlohmann::json plan_view(const scheduler::JobRecord& draft, const scheduler::Demand& demand,
                         const scheduler::Ledger& ledger, scheduler::Planner& planner,
                         const FindLive& find_live, std::int64_t now_ms);

/// The demand of a draft, or of a job that has run, as if it might begin at once and depended on nothing;
/// none: its owner or its time limit has stopped it (never one that was not submitted yet).
std::optional<scheduler::Demand> demand_of_draft(scheduler::JobRecord draft, const scheduler::Ledger& ledger,
                                                 std::int64_t now_ms);

/// What of a plan is said of the deadline that would be promised.
nlohmann::json promise_view(const scheduler::JobSpec& spec, const scheduler::DeadlinePromised& promise);

}  // namespace ds::head
