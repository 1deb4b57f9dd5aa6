#include "actors/job/command_gang.hpp"

#include <algorithm>
#include <utility>

namespace ds::job {

CommandGang::CommandGang(Options options)
    : generation_(options.generation),
      order_(std::move(options.members)),
      leaving_(options.leaving.begin(), options.leaving.end()) {
  if (order_.empty()) return;
  stage_ = Stage::running;
  all_ordered_ = true;
  finished_ = {options.finished.begin(), options.finished.end()};
  for (const auto worker : order_) members_[worker] = {!finished_.contains(worker), false};
}

CommandActions CommandGang::set_leases(const std::vector<CommandLease>& leases, std::uint32_t min_workers) {
  min_workers_ = min_workers;
  leases_.clear();
  for (const auto& lease : leases) {
    leases_[lease.worker] = lease;
    if (members_.contains(lease.worker)) nodes_[lease.worker] = lease.node;
  }
  for (auto& [worker, member] : members_) {
    if (!leases_.contains(worker)) member = {};
  }
  CommandActions actions;
  reconsider(actions, {});
  return actions;
}

CommandActions CommandGang::on_recorded(std::uint64_t generation) {
  CommandActions actions;
  if (stage_ != Stage::recording || generation != generation_) return actions;
  if (!std::ranges::all_of(order_, [&](auto worker) { return is_held(worker); })) {
    gather(actions);  // one was lost or must leave meanwhile: nothing runs yet
    return actions;
  }
  stage_ = Stage::running;
  members_[order_.front()].alive = true;
  actions.emplace_back(order_for(0));
  all_ordered_ = order_.size() == 1;
  reconsider(actions, {});
  return actions;
}

CommandActions CommandGang::on_started(std::uint64_t worker, std::uint64_t generation, std::uint16_t port) {
  CommandActions actions;
  const auto member = members_.find(worker);
  if (generation != generation_ || member == members_.end() || !member->second.alive) return actions;
  member->second.started = true;
  if (stage_ == Stage::ending) {
    actions.emplace_back(StopProcess{worker, generation_, "its gang starts again"});
    return actions;
  }
  if (stage_ != Stage::running) return actions;
  if (!all_ordered_ && worker == order_.front()) {
    port_ = port;
    all_ordered_ = true;
    for (std::size_t rank = 1; rank < order_.size(); ++rank) {
      members_[order_[rank]].alive = true;
      actions.emplace_back(order_for(rank));
    }
  }
  const bool all_run = all_ordered_ && std::ranges::all_of(members_, [&](const auto& one) {
                         return one.second.started || finished_.contains(one.first);
                       });
  if (all_run) actions.emplace_back(ShowRunning{order_.size()});
  return actions;
}

CommandActions CommandGang::on_exited(std::uint64_t worker, std::uint64_t generation, bool clean) {
  CommandActions actions;
  const auto member = members_.find(worker);
  if (generation != generation_ || member == members_.end() || !member->second.alive) return actions;
  member->second.alive = false;
  if (stage_ != Stage::running) {
    reconsider(actions, {});
    return actions;
  }
  if (!clean) {
    const auto rank = std::ranges::find(order_, worker) - order_.begin();
    actions.emplace_back(CommandCrashed{worker, static_cast<std::uint32_t>(rank)});
    stage_ = Stage::ending;  // until its leases have changed: it may have to wait, or never start again
    for (const auto other : alive())
      actions.emplace_back(StopProcess{other, generation_, "another rank of its gang has ended"});
    return actions;
  }
  finished_.insert(worker);
  if (finished_.size() == order_.size()) {
    stage_ = Stage::done;
    actions.emplace_back(CommandDone{order_.size()});
    return actions;
  }
  actions.emplace_back(RecordFinished{worker});
  reconsider(actions, {});
  return actions;
}

std::vector<std::uint64_t> CommandGang::alive() const {
  std::vector<std::uint64_t> workers;
  for (const auto& [worker, member] : members_) {
    if (member.alive) workers.push_back(worker);
  }
  return workers;
}

bool CommandGang::is_alive(std::uint64_t worker) const {
  const auto member = members_.find(worker);
  return member != members_.end() && member->second.alive;
}

/// Has slots that it may keep.
bool CommandGang::is_held(std::uint64_t worker) const {
  const auto lease = leases_.find(worker);
  return lease != leases_.end() && !lease->second.releasing;
}

bool CommandGang::must_change(std::string& why) const {
  for (const auto worker : order_) {
    if (finished_.contains(worker) || is_held(worker)) continue;
    why = leases_.contains(worker) ? "a worker must leave" : "a worker was lost";
    return true;
  }
  if (!finished_.empty()) return false;
  const bool is_newcomer = std::ranges::any_of(
      leases_, [&](const auto& one) { return !one.second.releasing && !members_.contains(one.first); });
  if (is_newcomer) why = "a worker came";
  return is_newcomer;
}

void CommandGang::reconsider(CommandActions& actions, const std::string& why) {
  std::string cause = why;
  if (stage_ == Stage::running && must_change(cause)) {
    actions.emplace_back(ShowRestart{cause});
    return end_members(actions, "its gang starts again: " + cause);
  }
  if (stage_ == Stage::ending && alive().empty()) stage_ = Stage::gathering;
  if (stage_ == Stage::gathering) return gather(actions);
  free_idle(actions);
}

void CommandGang::end_members(CommandActions& actions, const std::string& why) {
  stage_ = Stage::ending;
  for (const auto worker : alive()) actions.emplace_back(StopProcess{worker, generation_, why});
  if (alive().empty()) {
    stage_ = Stage::gathering;
    return gather(actions);
  }
  free_idle(actions);
}

/// What must leave and has no process is free at once.
void CommandGang::free_idle(CommandActions& actions) const {
  if (stage_ == Stage::recording) return;  // the order to start may be on its way
  for (const auto& [worker, lease] : leases_) {
    const auto member = members_.find(worker);
    const bool runs = (member != members_.end() && member->second.alive) || leaving_.contains(worker);
    if (lease.releasing && !runs) actions.emplace_back(FreeLease{worker});
  }
}

void CommandGang::gather(CommandActions& actions) {
  stage_ = Stage::gathering;
  free_idle(actions);
  std::vector<std::uint64_t> stay;
  for (const auto& [worker, lease] : leases_) {
    if (!lease.releasing) stay.push_back(worker);
  }
  members_.clear();
  order_.clear();
  finished_.clear();
  nodes_.clear();
  if (stay.empty() || stay.size() < min_workers_) return;
  // What is still ending of a former run may be writing what the next one reads.
  if (std::ranges::any_of(leaving_, [&](auto worker) { return leases_.contains(worker); })) return;
  // By node, the nodes by their first worker.
  std::map<std::string, std::uint64_t> first;
  for (const auto worker : stay) first.try_emplace(leases_[worker].node, worker);
  std::ranges::stable_sort(stay, {}, [&](auto worker) { return first[leases_[worker].node]; });
  for (const auto worker : stay) {
    members_[worker] = {};
    nodes_[worker] = leases_[worker].node;
  }
  order_ = std::move(stay);
  port_ = 0;
  all_ordered_ = false;
  stage_ = Stage::recording;
  actions.emplace_back(RecordCommand{++generation_, order_});
}

StartProcess CommandGang::order_for(std::size_t rank) const {
  const auto node_of = [&](std::size_t one) -> const std::string& { return nodes_.at(order_[one]); };
  StartProcess order{order_[rank], generation_, {}, node_of(0), port_};
  order.place.rank = static_cast<std::uint32_t>(rank);
  order.place.world_size = static_cast<std::uint32_t>(order_.size());
  order.place.local_world_size = 0;
  for (std::size_t other = 0; other < order_.size(); ++other) {
    const bool is_here = node_of(other) == node_of(rank);
    if (is_here) ++order.place.local_world_size;
    if (is_here && other < rank) ++order.place.local_rank;
    if (other > 0 && other <= rank && node_of(other) != node_of(other - 1)) ++order.place.node_rank;
  }
  return order;
}

}  // namespace ds::job
