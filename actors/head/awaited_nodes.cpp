#include "actors/head/awaited_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "scheduler/policy/wait_reasons.hpp"

namespace ds::head {

using scheduler::Reason;

constexpr std::size_t kMostInText = 4;  ///< of the missing nodes

Reason await_nodes(std::chrono::milliseconds age, const MissingNodes& nodes) {
  using std::chrono::ceil;
  using std::chrono::seconds;
  auto missing = nodes.leased;
  if (age < kShortGrace) missing.insert(nodes.joined.begin(), nodes.joined.end());
  const auto grace = nodes.leased.empty() ? kShortGrace : kGrace;
  const auto left = std::max(seconds(0), ceil<seconds>(grace - age));
  std::string names;
  for (const auto& name : missing | std::views::take(kMostInText))
    names += (names.empty() ? "" : ", ") + name;
  if (missing.size() > kMostInText) names += fmt::format(" and {} more", missing.size() - kMostInText);
  const auto what = missing.empty()       ? std::string("for its nodes to report")
                    : missing.size() == 1 ? fmt::format("until node {} has reported", names)
                                          : fmt::format("until nodes {} have reported", names);
  Reason reason{kAwaitsNodesCode,
                fmt::format("the head was started {} s ago and waits {}, for {} s more at most",
                            age.count() / 1000, what, left.count()),
                {}};
  for (const auto& name : missing | std::views::take(scheduler::kMaxBlockingJobs))
    reason.nodes.push_back(name);
  reason.unnamed_nodes = missing.size() - reason.nodes.size();
  return reason;
}

const Reason* find_lack_of_nodes(std::span<const Reason> reasons) {
  const auto found = std::ranges::find_if(
      reasons, [](const Reason& one) { return one.code == "never_fits" || one.code == "drain"; });
  return found == reasons.end() ? nullptr : &*found;
}

}  // namespace ds::head
