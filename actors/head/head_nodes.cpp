// What the cluster's operators ask for of nodes, and what becomes of those where jobs crash.
#include <fmt/format.h>

#include <algorithm>

#include "actors/head/head_actor.hpp"

namespace ds::head {

using namespace scheduler;

NodeNames Head::drained_nodes() const {
  NodeNames names;
  for (const auto& [name, closure] : ledger_.drained()) names.insert(name);
  return names;
}

bool Head::is_closed(const std::string& node) const {
  const auto up = nodes_.find(node);
  const bool leaves = up != nodes_.end() && up->second.leaves;
  return leaves || ledger_.drained().contains(node) || ledger_.cordoned().contains(node) ||
         ledger_.quarantined().contains(node);
}

nlohmann::json Head::view_of_node(const std::string& name) const {
  const auto leases = ledger_.leases_on(name);
  SlotCount used;
  for (const auto& lease : leases) used += lease.slots;
  const auto up = nodes_.find(name);
  NodeEntry entry;
  if (up != nodes_.end()) {
    entry = up->second.entry;
    if (up->second.leaves) entry.reason = "about to end: it takes nothing new";
  } else {
    if (const auto* away = away_.find(name)) entry = *away;
    entry.name = name;
    entry.state = "DOWN";
    if (away_.contains(name)) entry.reason = "it ended, or is not heard of";
    if (const auto until_ms = cut_off_until_ms(name); until_ms > 0)
      entry.reason = fmt::format("nothing is heard of it; in {} s its users' programs have ended",
                                 std::max<std::int64_t>(0, until_ms - now_ms()) / 1000);
  }
  const auto quarantined = ledger_.quarantined().find(name);
  if (quarantined != ledger_.quarantined().end()) {
    entry.reason = "quarantined: " + quarantined->second.why;
    if (up != nodes_.end()) entry.state = "QUARANTINED";
  }
  if (ledger_.cordoned().contains(name)) {
    entry.reason = "cordoned: nothing new goes there, and what runs goes on";
    if (up != nodes_.end()) entry.state = "CORDONED";
  }
  const auto drained = ledger_.drained().find(name);
  if (drained != ledger_.drained().end()) {
    entry.reason = "drained" + (drained->second.why.empty() ? "" : ": " + drained->second.why);
    if (up != nodes_.end()) entry.state = leases.empty() ? "DRAINED" : "DRAINING";
  }
  return node_view(entry, used, ledger_.devices_on(name).size());
}

void Head::answer_nodes(const gateway::Respond& respond) {
  when_durable([this, respond] {
    auto names = drained_nodes();  // an operator who waits for one of them must see it
    for (const auto* closed : {&ledger_.quarantined(), &ledger_.cordoned()})
      for (const auto& [name, closure] : *closed) names.insert(name);
    for (const auto& [number, cut_off] : cut_off_) names.insert(cut_off.node);
    for (const auto& [name, node] : nodes_) names.insert(name);
    for (const auto& [name, node] : away_.all()) names.insert(name);
    auto list = nlohmann::json::array();
    for (const auto& name : names) list.push_back(view_of_node(name));
    respond(json_response(list));
  });
}

void Head::answer_node(const gateway::HttpRequest& request, const std::string& name, const std::string& verb,
                       const gateway::Respond& respond) {
  const bool is_known =
      nodes_.contains(name) || away_.contains(name) || is_closed(name) || !ledger_.leases_on(name).empty();
  const bool opens = verb == "undrain";
  if (verb != "drain" && verb != "cordon" && !opens) {
    return respond(error_response({ErrorCode::not_found, fmt::format("there is no {}", request.path), {}}));
  }
  if (request.method != "POST") return respond(wrong_method("POST"));
  if (!is_known) {
    return respond(error_response({ErrorCode::not_found, fmt::format("there is no node {}", name),
                                   "`ds-submit nodes` shows the nodes there are"}));
  }
  opens ? undrain(name) : verb == "drain" ? drain(name) : cordon(name);
  when_durable([this, respond, name] { respond(json_response(view_of_node(name))); });
}

void Head::drain(const std::string& node) {
  if (ledger_.drained().contains(node)) return;
  spdlog::info("node {} is drained", node);
  commit({event("operator", "drained by an operator", NodeDrained{node, {}})});
  on_node_changed(node);
}

void Head::cordon(const std::string& node) {
  if (ledger_.cordoned().contains(node)) return;
  spdlog::info("node {} is cordoned", node);
  commit({event("operator", "cordoned by an operator", NodeCordoned{node})});
  on_node_changed(node);
}

void Head::undrain(const std::string& node) {
  const bool is_shut = ledger_.drained().contains(node) || ledger_.cordoned().contains(node) ||
                       ledger_.quarantined().contains(node);
  if (!is_shut) return;
  spdlog::info("node {} takes workers again", node);
  commit({event("operator", "undrained by an operator", NodeUndrained{node})});
  on_node_changed(node);
}

void Head::add_departures(const PlanWithDepartures& planned, std::vector<Event>& events) {
  const auto& drained = ledger_.drained();
  const auto is_over_quota = [&](const std::string& job) {
    return std::ranges::find(planned.over_quota, job, &Release::job) != planned.over_quota.end();
  };
  const auto node_of = [this](std::uint64_t worker) { return ledger_.leases().at(worker).node; };
  for (const auto& job : planned.stopped) {
    const auto first = std::ranges::find_if(planned.departures, [&](const Release& one) {
      return one.job == job && drained.contains(node_of(one.worker));
    });
    const bool is_preempted = first == planned.departures.end() && is_over_quota(job);
    const auto why =
        is_preempted ? std::string("preempted: its tenant's queues may not have so much any more")
        : first == planned.departures.end()
            ? std::string("its owner wants fewer workers; it starts again with those")
            : fmt::format("node {} is drained; it {}", node_of(first->worker),
                          is_command(job) ? "starts again elsewhere, from what its program has saved"
                                          : "goes on elsewhere from the step it has reached");
    spdlog::info("job {}: {}", job, why);
    if (is_preempted) ++counters_.preempted;
    const auto state = is_preempted ? JobState::preempted : JobState::queued;
    events.push_back(event("scheduler", why, JobStateChanged{job, state, why}));
  }
  for (const auto& departure : planned.departures) {
    const auto node = node_of(departure.worker);
    const bool is_stopped = std::ranges::find(planned.stopped, departure.job) != planned.stopped.end();
    const auto why = drained.contains(node)         ? fmt::format("node {} is drained", node)
                     : is_over_quota(departure.job) ? "its tenant's queues may not have so much any more"
                     : is_stopped ? "its gang leaves a drained node and does not fit elsewhere"
                                  : "its owner wants fewer workers";
    events.push_back(event("scheduler", why, LeaseReleasing{departure.worker}));
  }
}

void Head::quarantine_nodes() {
  if (ledger_.early_crashes().empty()) return;
  NodeNames quarantined, open;
  for (const auto& [name, closure] : ledger_.quarantined()) quarantined.insert(name);
  const auto sound = ledger_.sound_runs(now_ms());
  if (const auto cleared = choose_cleared(ledger_.early_crashes(), sound, quarantined)) {
    const std::string why = "jobs that crashed there crash elsewhere too, or run well there";
    spdlog::info("node {} takes workers again: {}", *cleared, why);
    commit({event("scheduler", why, QuarantineLifted{*cleared})});
    on_node_changed(*cleared);
  }
  for (const auto& [name, node] : nodes_) {
    if (!is_closed(name)) open.insert(name);
  }
  if (open.empty() && is_settled_) lift_oldest_quarantine();
  if (const auto chosen = choose_quarantine(ledger_.early_crashes(), sound, open, now_ms())) {
    spdlog::warn("node {} is quarantined: {}", chosen->node, chosen->why);
    commit({event("scheduler", chosen->why, NodeQuarantined{chosen->node, chosen->why})});
    on_node_changed(chosen->node);
  }
}

/// The nodes that were open went down: better one that may be at fault than none.
void Head::lift_oldest_quarantine() {
  const auto& quarantined = ledger_.quarantined();
  auto oldest = quarantined.end();
  for (auto one = quarantined.begin(); one != quarantined.end(); ++one) {
    const auto up = nodes_.find(one->first);
    const bool stays_shut = ledger_.drained().contains(one->first) || ledger_.cordoned().contains(one->first);
    if (up == nodes_.end() || up->second.leaves || stays_shut) continue;
    if (oldest == quarantined.end() || one->second.since_ms < oldest->second.since_ms) oldest = one;
  }
  if (oldest == quarantined.end()) return;
  const std::string name = oldest->first, why = "no other node is up";
  spdlog::info("node {} takes workers again: {}", name, why);
  commit({event("scheduler", why, QuarantineLifted{name})});
  on_node_changed(name);
}

}  // namespace ds::head
