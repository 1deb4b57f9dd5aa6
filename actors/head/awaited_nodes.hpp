#pragma once

#include <chrono>
#include <set>
#include <span>
#include <string>

#include "scheduler/policy/plan.hpp"

namespace ds::head {

/// How long a new head waits for the nodes of the old one before their leases end.
inline constexpr std::chrono::seconds kGrace{15};
/// And at least, so that those come back of which nothing is known.
inline constexpr std::chrono::seconds kShortGrace{2};

/// Why a job waits that nothing else holds while a head, which began `age` ago, waits until `grace` is over
/// for nodes: what is free is not known before. `missing`: those that were there and have not said yet that
/// they are. Pure.
scheduler::Reason await_nodes(std::chrono::milliseconds age, std::chrono::milliseconds grace,
                              const std::set<std::string>& missing);

/// What is said of a new head to those whose question is another one.
inline constexpr const char* kAwaitsNodes = "the head has just started and waits for its nodes";
/// The reason in words for those who look again and again whether it has changed: `kAwaitsNodes` where it is
/// one of `await_nodes`, which changes by the second. Pure.
std::string lasting_text(const scheduler::Reason& reason);

/// Of the reasons why a job waits the one that no end of a job takes away; null: there is none. Pure.
const scheduler::Reason* find_lack_of_nodes(std::span<const scheduler::Reason> reasons);

}  // namespace ds::head
