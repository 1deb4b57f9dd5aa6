// All workers must leave: their newest state becomes a checkpoint first.
#include "actors/job/gang.hpp"

#include <algorithm>

namespace ds::job {

bool Gang::all_leave() const {
  const auto here = std::ranges::count_if(workers_, [](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.trained && worker.ready && !worker.lost && !worker.stopped &&
           worker.role == scheduler::Role::worker;
  });
  if (goes_on_ && lost_successor_ && has_enough(static_cast<std::size_t>(here))) return false;
  return std::ranges::all_of(workers_, [](const auto& entry) {
    return entry.second.releasing || entry.second.role != scheduler::Role::worker;
  });
}

/// Whether all workers must leave, and one has a state that would be lost with them.
bool Gang::has_state_to_save() const {
  return !options_.servers && all_leave() && std::ranges::any_of(workers_, [](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.role == scheduler::Role::worker && worker.ready && worker.present && !worker.lost;
  });
}

void Gang::begin_leave(GangActions& actions, Time now) {
  // A worker that comes late doesn't give the others more time.
  const auto since = stage_ == Stage::leaving ? entered_ : now;
  enter(Stage::leaving, since);
  order_pause(actions);
}

/// With all paused their steps are known; nothing is saved that is a checkpoint already.
void Gang::save_newest(GangActions& actions, Time now) {
  if (saving_generation_ == generation_) return;  // it is under way
  const Worker* newest = nullptr;
  std::uint64_t holder = 0;
  for (const auto& [id, worker] : workers_) {
    if (!worker.ready || worker.lost || worker.status.generation != generation_) continue;
    if (newest == nullptr || worker.status.step > newest->status.step) newest = &worker, holder = id;
  }
  if (newest == nullptr || newest->status.step <= checkpoint_step_) return finish_leave(actions, now);
  saving_generation_ = generation_;
  actions.push_back(SaveState{holder, generation_, newest->status.step});
}

GangActions Gang::on_saved(std::uint64_t generation, Time now) {
  GangActions actions;
  if (stage_ == Stage::leaving && generation == generation_) finish_leave(actions, now);
  return actions;
}

GangActions Gang::on_not_saved(std::uint64_t worker, std::uint64_t generation, Time now) {
  GangActions actions;
  if (stage_ != Stage::leaving || generation != generation_) return actions;
  if (auto* holder = find(worker)) holder->ready = false;
  saving_generation_ = 0;
  save_newest(actions, now);
  return actions;
}

/// One that does not pause must not keep what the others hold from being saved, which has as long again.
void Gang::leave_late(GangActions& actions, Time now) {
  if (awaited_.empty()) return finish_leave(actions, now);
  for (const auto id : awaited_) find(id)->ready = false;
  awaited_.clear();
  enter(Stage::leaving, now);
  save_newest(actions, now);
}

void Gang::finish_leave(GangActions& actions, Time now) {
  for (auto& [id, worker] : workers_) {
    if (!worker.releasing) continue;
    worker.ready = false;  // whatever it has is saved, or lost
    worker.stopped = true;
    if (worker.present) actions.push_back(StopWorker{id});
  }
  awaited_.clear();
  members_.clear();
  stuck_ = lost_successor_ = waited_enough_ = false;
  enter(Stage::gathering, now);
  reconsider(actions, now);
}

/// Longer where a worker can only pause late, or the state takes its time to the disk.
Gang::Time Gang::leave_limit() const {
  return options_.leave_limit + (longest_pause() - options_.pause_limit) +
         (join_limit_ - options_.join_limit);
}

}  // namespace ds::job
