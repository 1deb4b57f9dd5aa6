#include "scheduler/ledger/use_accounts.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace ds::scheduler {

using nlohmann::json;

const UseAccounts::Queue UseAccounts::kOthers{"", ""};

Use& Use::operator+=(const Use& more) {
  slot_s += more.slot_s;
  gpu_s += more.gpu_s;
  memory_byte_s += more.memory_byte_s;
  return *this;
}

Use use_between(const Lease& lease, std::int64_t from_ms, std::int64_t to_ms) {
  const std::int64_t begin = std::max(from_ms, lease.since_ms);
  if (lease.since_ms == 0 || to_ms <= begin) return {};
  const double seconds = static_cast<double>(to_ms - begin) / 1000;
  return {seconds * lease.slots.number(), seconds * static_cast<double>(lease.devices.size()),
          seconds * static_cast<double>(lease.memory_bytes)};
}

void UseAccounts::begin(std::int64_t at_ms) {
  if (begun_ms_ == 0) begun_ms_ = at_ms;
}

void UseAccounts::add(const Lease& lease, std::int64_t to_ms) {
  const bool is_of_old_snapshot = lease.since_ms == 0;  // which did not say when it was granted
  if (lease.role != Role::worker || is_of_old_snapshot || to_ms <= lease.since_ms) return;
  Account& account = account_of({lease.tenant, lease.queue});
  const Use use = use_between(lease, lease.since_ms, to_ms);
  account.total += use;
  jobs_[lease.job] += use;
  const std::int64_t last_day = to_ms / kDayMs;
  const std::int64_t first_day = std::max(lease.since_ms / kDayMs, last_day - kDays + 1);
  for (std::int64_t day = first_day; day <= last_day; ++day)
    account.days[day] += use_between(lease, day * kDayMs, std::min(to_ms, (day + 1) * kDayMs));
  // By number, not by age: after a clock that was far ahead for a while days would be too old for ever.
  while (account.days.size() > static_cast<std::size_t>(kDays)) account.days.erase(account.days.begin());
}

UseAccounts::Account& UseAccounts::account_of(const Queue& queue) {
  const auto found = queues_.find(queue);
  if (found != queues_.end()) return found->second;
  while (queues_.size() >= kMostQueues) {  // twice where there are no others yet
    // Of the same day the one that has used least: who names many new ones drives out no large one.
    const auto rank = [](const auto& one) {
      const Account& account = one.second;
      return std::pair(account.days.empty() ? 0 : account.days.rbegin()->first, account.total.slot_s);
    };
    auto oldest = queues_.end();
    for (auto one = queues_.begin(); one != queues_.end(); ++one) {
      const bool is_older = oldest == queues_.end() || rank(*one) < rank(*oldest);
      if (one->first != kOthers && is_older) oldest = one;
    }
    const Account leaving = std::move(oldest->second);
    queues_.erase(oldest);
    Account& others = queues_[kOthers];
    others.total += leaving.total;
    for (const auto& [day, use] : leaving.days) others.days[day] += use;
  }
  return queues_[queue];
}

void UseAccounts::forget_job(std::string_view job) {
  if (const auto found = jobs_.find(job); found != jobs_.end()) jobs_.erase(found);
}

Use UseAccounts::of_job(std::string_view job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? Use{} : found->second;
}

UseAccounts UseAccounts::of_queues() const {
  UseAccounts copy;
  copy.begun_ms_ = begun_ms_;
  copy.queues_ = queues_;
  return copy;
}

json UseAccounts::to_json() const {
  json queues = json::array();
  for (const auto& [queue, account] : queues_) {
    json days = json::array();
    for (const auto& [day, use] : account.days)
      days.push_back({day, use.slot_s, use.gpu_s, use.memory_byte_s});
    const Use& total = account.total;
    queues.push_back({queue.first, queue.second, total.slot_s, total.gpu_s, total.memory_byte_s, days});
  }
  return {{"begun", begun_ms_}, {"queues", queues}};
}

json UseAccounts::to_json(std::string_view job) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return nullptr;
  const Use& use = found->second;
  return {use.slot_s, use.gpu_s, use.memory_byte_s};
}

void UseAccounts::take(const json& document) {
  document.at("begun").get_to(begun_ms_);
  for (const auto& entry : document.at("queues")) {
    Account& account = queues_[{entry.at(0), entry.at(1)}];
    account.total = {entry.at(2), entry.at(3), entry.at(4)};
    for (const auto& day : entry.at(5)) account.days[day.at(0)] = {day.at(1), day.at(2), day.at(3)};
  }
}

void UseAccounts::take_job(const std::string& job, const json& document) {
  jobs_[job] = {document.at(0), document.at(1), document.at(2)};
}

}  // namespace ds::scheduler
