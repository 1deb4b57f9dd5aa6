#pragma once

#include <chrono>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::head {

/// How long a new head waits for the nodes of the old one before their leases end.
inline constexpr std::chrono::seconds kGrace{15};
/// And at least, so that those come back of which nothing is known.
inline constexpr std::chrono::seconds kShortGrace{2};

/// The code of why a job waits that nothing else holds while a head waits for nodes: what is free is not
/// known.
inline constexpr const char* kAwaitsNodesCode = "no_capacity_now";

/// Nodes that were there and have not said yet to a new head that they are.
struct MissingNodes {
  std::set<std::string> leased;  ///< on which jobs have workers: awaited for `kGrace`
  std::set<std::string> joined;  ///< others: for `kShortGrace`
};

/// Why it waits, in detail. The head began `age` ago. Named are those that are still waited for, and so is
/// the time until the last of them is given up. Pure.
scheduler::Reason await_nodes(std::chrono::milliseconds age, const MissingNodes& missing);

/// What is said of a new head to those whose question is another one.
inline constexpr const char* kAwaitsNodes = "the head has just started and waits for its nodes";

/// Why a job waits.
struct Waits {
  std::vector<scheduler::Reason> reasons = {};
  /// The first in words for those who look again and again whether it has changed: without what changes by
  /// the second alone.
  std::string lasting = {};
};

/// Of the reasons why a job waits the one that no end of a job takes away; null: there is none. Pure.
const scheduler::Reason* find_lack_of_nodes(std::span<const scheduler::Reason> reasons);

}  // namespace ds::head
