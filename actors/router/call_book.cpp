#include "actors/router/call_book.hpp"

#include <algorithm>
#include <utility>

namespace ds::router {

void CallBook::add(Call call) {
  const auto number = call.journey->call;
  calls_.emplace(number, std::move(call));
}

const Call* CallBook::find(std::uint64_t number) const {
  const auto found = calls_.find(number);
  return found == calls_.end() ? nullptr : &found->second;
}

std::optional<Call> CallBook::take(std::uint64_t number) {
  auto taken = calls_.extract(number);
  return taken ? std::optional(std::move(taken.mapped())) : std::nullopt;
}

std::vector<Call> CallBook::take_if(const std::function<bool(const Call&)>& condition) {
  std::vector<Call> taken;
  std::erase_if(calls_, [&](auto& entry) {
    if (!condition(entry.second)) return false;
    taken.push_back(std::move(entry.second));
    return true;
  });
  std::ranges::sort(taken, {}, [](const Call& call) { return call.journey->call; });
  return taken;
}

}  // namespace ds::router
