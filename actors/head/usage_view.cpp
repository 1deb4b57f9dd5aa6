// What tenants and jobs have used, for people: in hours.
#include <fmt/format.h>

#include "actors/head/views.hpp"
#include "scheduler/ledger/use_accounts.hpp"

namespace ds::head {

using nlohmann::json;
using scheduler::UseAccounts;

json use_view(const scheduler::Use& use) {
  constexpr double kHour = 3600, kGiB = 1 << 30;
  return {{"slot_hours", use.slot_s / kHour},
          {"gpu_hours", use.gpu_s / kHour},
          {"memory_gib_hours", use.memory_byte_s / kHour / kGiB}};
}

Result<json> usage_view(const UseAccounts& accounts, std::int64_t since_ms, const std::string& tenant,
                        std::int64_t now_ms) {
  if (since_ms / UseAccounts::kDayMs > now_ms / UseAccounts::kDayMs) {
    return fail(ErrorCode::invalid_argument, "the day of `since` is still to come",
                "name a moment that has passed, or leave `since` out for all since counting began");
  }
  const std::int64_t first_day = since_ms / UseAccounts::kDayMs;
  const std::int64_t oldest_day = now_ms / UseAccounts::kDayMs - UseAccounts::kDays + 1;
  const bool is_whole = since_ms == 0 || first_day <= accounts.begun_ms() / UseAccounts::kDayMs;
  if (!is_whole && first_day < oldest_day) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("by day the use of the last {} days is known", UseAccounts::kDays),
                "ask for less, or without `since` for all since counting began");
  }
  json queues = json::array();
  scheduler::Use total;
  for (const auto& [queue, account] : accounts.queues()) {
    if (!tenant.empty() && queue.first != tenant) continue;
    scheduler::Use use;
    if (is_whole) {
      use = account.total;
    } else {
      for (auto day = account.days.lower_bound(first_day); day != account.days.end(); ++day)
        use += day->second;
      if (use == scheduler::Use{}) continue;
    }
    total += use;
    auto view = use_view(use);
    view["tenant"] = queue.first;
    view["queue"] = queue.second;
    if (queue == UseAccounts::kOthers) view["others"] = true;
    queues.push_back(std::move(view));
  }
  const auto or_null = [](std::int64_t at_ms) { return at_ms == 0 ? json(nullptr) : json(at_ms); };
  return json{{"counted_since_ms", or_null(accounts.begun_ms())},
              {"since_ms", or_null(is_whole ? accounts.begun_ms() : first_day * UseAccounts::kDayMs)},
              {"until_ms", now_ms},
              {"tenant", tenant.empty() ? json(nullptr) : json(tenant)},
              {"queues", queues},
              {"total", use_view(total)}};
}

}  // namespace ds::head
