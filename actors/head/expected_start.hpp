#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "actors/head/views.hpp"
#include "scheduler/ledger/ledger.hpp"
#include "scheduler/policy/forecast.hpp"
#include "scheduler/policy/planner.hpp"

namespace ds::head {

/// For so long workers may take to save their state and stop.
inline constexpr std::int64_t kLeavingMs = 120'000;

/// Of more jobs than these nobody tells by when one starts.
inline constexpr std::size_t kMaxExpectedJobs = 100'000;

/// What is known of a running job beyond the ledger; null: nothing.
using FindLive = std::function<const LiveJob*(const std::string& job)>;

/// When a gang ends at the earliest: training jobs by the steps that they have left, at the speed measured
/// last; 0: at any moment. Pure.
std::int64_t estimate_end_ms(const scheduler::JobRecord& job, const LiveJob* live, std::int64_t now_ms);

/// When a job that waits starts, if nothing else comes, no worker or node is lost and nobody asks for
/// anything; none: it runs, has ended, or waits for what is no slot. `planner` has been told of all that
/// changed and is left as it was.
std::optional<scheduler::StartForecast> expect_start(const scheduler::JobRecord& job,
                                                     const scheduler::Ledger& ledger,
                                                     scheduler::Planner& planner, const FindLive& find_live,
                                                     std::int64_t now_ms);

/// Of `clients/openapi.yaml`; to the second: `from` as the one before, `to` as the one behind.
nlohmann::json expected_start_view(const std::optional<scheduler::StartForecast>& expected);

}  // namespace ds::head
