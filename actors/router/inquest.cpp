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
  ended_.insert_or_assign(worker, has_crashed);
  if (ended_.size() > kMostEnds) ended_.erase(ended_.begin());  // numbers of workers grow
  std::vector<JourneyPtr> waited;
  for (auto& one : take_if([worker](const Case& it) { return it.worker == worker; }))
    waited.push_back(std::move(one.journey));
  return waited;
}

std::vector<Inquest::Case> Inquest::take_late(Clock::time_point now) {
  return take_if([now](const Case& it) { return it.until <= now; });
}

}  // namespace ds::router
