#include "actors/router/inquest.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace ds::router {

template <class Condition>
std::vector<Inquest::Case> Inquest::take_if(Condition condition) {
  const auto taken = std::ranges::stable_partition(cases_, std::not_fn(condition));
  std::vector<Case> cases(std::move_iterator(taken.begin()), std::move_iterator(taken.end()));
  cases_.erase(taken.begin(), taken.end());
  return cases;
}

std::optional<bool> Inquest::ask(const JourneyPtr& journey, std::uint64_t worker, Clock::time_point now) {
  if (const auto known = ended_.find(worker); known != ended_.end()) return known->second;
  cases_.push_back({journey, worker, std::min(journey->deadline, now + kLongest)});
  return std::nullopt;
}

std::vector<JourneyPtr> Inquest::tell(std::uint64_t worker, bool has_crashed) {
  if (ended_.insert_or_assign(worker, has_crashed).second) told_.push_back(worker);
  if (told_.size() > kMostEnds) {
    ended_.erase(told_.front());
    told_.pop_front();
  }
  std::vector<JourneyPtr> waited;
  for (auto& one : take_of(worker)) waited.push_back(std::move(one.journey));
  return waited;
}

std::vector<Inquest::Case> Inquest::take_of(std::uint64_t worker) {
  return take_if([worker](const Case& it) { return it.worker == worker; });
}

std::vector<Inquest::Case> Inquest::take_of(const std::string& job) {
  return take_if([&job](const Case& it) { return it.journey->job == job; });
}

bool Inquest::remove(const JourneyPtr& journey) {
  return std::erase_if(cases_, [&journey](const Case& it) { return it.journey == journey; }) > 0;
}

std::vector<Inquest::Case> Inquest::take_late(Clock::time_point now) {
  return take_if([now](const Case& it) { return it.until <= now; });
}

}  // namespace ds::router
