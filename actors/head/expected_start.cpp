#include "actors/head/expected_start.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "scheduler/spec/scalars.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Whether a job that can't have workers now may come before this one without anybody's doing.
bool may_come_ahead(const JobRecord& other, const JobRecord& job, const Ledger& ledger, std::int64_t now_ms) {
  if (is_end(other.state) || other.pause_requested || other.cancel_requested || other.id == job.id)
    return false;
  if (!other.has_promise && std::tie(job.priority, other.order) > std::tie(other.priority, job.order))
    return false;
  const auto demand = ledger.demand(other, now_ms);
  return !demand || demand->held;
}

}  // namespace

std::int64_t estimate_end_ms(const JobRecord& job, const LiveJob* live, std::int64_t now_ms) {
  if (live == nullptr || job.total_steps == 0 || job.spec->kind != JobKind::train) return 0;
  const std::uint64_t step = std::max(job.step, live->step);
  if (!(live->samples_per_second > 0) || step >= job.total_steps) return 0;
  const double left = static_cast<double>(job.total_steps - step) * job.spec->batch.global;
  const double left_ms = 1000 * left / live->samples_per_second;
  constexpr double kYearMs = 365.0 * 86'400'000;
  return job.may_stop_early() ? 0 : now_ms + static_cast<std::int64_t>(std::min(left_ms, kYearMs));
}

std::optional<StartForecast> expect_start(const JobRecord& job, const Ledger& ledger, Planner& planner,
                                          const FindLive& find_live, std::int64_t now_ms) {
  if (is_end(job.state) || job.pause_requested) return std::nullopt;
  const auto holds = ledger.holds(job, now_ms);
  if (!holds.empty()) {
    if (holds.size() > 1 || holds.front().code != "begin_time") return std::nullopt;
    return StartForecast{job.begins_ms(), std::nullopt};
  }
  const GangEnds ends{.earliest_ms =
                          [&](const std::string& id) {
                            const auto* other = ledger.find(id);
                            if (other == nullptr || other->spec->kind != JobKind::train)
                              return std::int64_t{0};
                            return estimate_end_ms(*other, find_live(id), now_ms);
                          },
                      .leaving_ms = kLeavingMs,
                      .young_ms = std::chrono::milliseconds(kMinimumRun).count()};
  auto forecast = planner.forecast(job.id, ends, ledger.past_use(now_ms), now_ms);
  if (!forecast || !forecast->to_ms) return forecast;
  const bool is_open =
      ledger.jobs().size() > kMaxExpectedJobs || std::ranges::any_of(ledger.jobs(), [&](const auto& other) {
        return may_come_ahead(other.second, job, ledger, now_ms);
      });
  if (is_open) forecast->to_ms.reset();
  return forecast;
}

nlohmann::json expected_start_view(const std::optional<StartForecast>& expected) {
  if (!expected) return nullptr;
  const auto text = [](const std::optional<std::int64_t>& at_ms, std::int64_t more_ms) {
    return at_ms ? nlohmann::json(to_time_text(*at_ms + more_ms)) : nlohmann::json(nullptr);
  };
  return {{"from", text(expected->from_ms, 0)}, {"to", text(expected->to_ms, 999)}};
}

}  // namespace ds::head
