#include "actors/job/gang.hpp"

#include <algorithm>
#include <utility>

namespace ds::job {

Gang::Gang(Options options)
    : options_(std::move(options)),
      join_limit_(options_.join_limit),
      recovering_(options_.recovering),
      generation_(options_.generation),
      members_(options_.members),
      server_members_(options_.server_members) {}

Gang::Worker* Gang::find(std::uint64_t worker) {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : &found->second;
}

void Gang::enter(Stage stage, Time now) {
  stage_ = stage;
  entered_ = now;
}

void Gang::set_checkpoint(std::uint64_t step) {
  checkpoint_step_ = std::max(checkpoint_step_, step);
}

GangActions Gang::set_leases(const std::vector<GangLease>& leases, Time now) {
  GangActions actions;
  std::map<std::uint64_t, Worker> next;
  std::vector<std::uint64_t> lost;  // whose end the head noticed first
  for (const auto& lease : leases) {
    auto known = workers_.find(lease.worker);
    Worker worker = known == workers_.end() ? Worker{} : known->second;
    if (known == workers_.end()) {
      worker.leased_at = now;
      worker.trained = recovering_ && std::ranges::find(members_, lease.worker) != members_.end();
    }
    if (lease.releasing && !worker.releasing) worker.releasing_at = now;
    worker.releasing = lease.releasing;
    worker.role = lease.role;
    next.emplace(lease.worker, worker);
  }
  if (recovering_ && !recovering_since_) recovering_since_ = now;
  for (const auto& [id, worker] : workers_) {
    if (worker.present && !next.contains(id))
      actions.push_back(StopWorker{id});  // in case it lives on somewhere
    if (!next.contains(id) && !worker.lost) lost.push_back(id);
  }
  for (const auto id : lost) note_loss_of_successor(id);
  workers_ = std::move(next);
  std::erase_if(awaited_, [&](auto worker) { return !workers_.contains(worker); });
  // One that was told to leave before it could ever help has nothing to hand over. When all leave there is
  // nobody to hand it to: then it is saved, unless servers have it.
  const bool needless = all_leave() && options_.servers;
  for (auto& [id, worker] : workers_) {
    if (worker.releasing && worker.present && (!worker.ready || needless)) actions.push_back(StopWorker{id});
  }
  reconsider(actions, now);
  return actions;
}

GangActions Gang::on_hello(std::uint64_t worker, const WorkerStatus& status, Time now) {
  GangActions actions;
  auto* known = find(worker);
  if (known == nullptr || known->lost || stage_ == Stage::finished) return {StopWorker{worker}};
  // One that stopped for an earlier head may hold what that was about to save.
  const bool holds_news = all_leave() && !options_.servers && status.step > checkpoint_step_;
  if (known->releasing && !known->ready && status.phase != WorkerPhase::training && !holds_news)
    return {StopWorker{worker}};
  if (known->releasing && options_.servers && all_leave()) return {StopWorker{worker}};
  known->present = true;
  known->status = status;
  known->trained |= status.phase == WorkerPhase::training || status.step > 0;
  if (status.phase == WorkerPhase::fresh) {
    actions.push_back(AssignWorker{worker});
    return actions;
  }
  if (status.phase == WorkerPhase::finished) return on_finished(worker, generation_, status.step);
  if (!known->ready) last_ready_ = now;
  known->ready = true;
  const bool is_saving = stage_ == Stage::leaving && saving_generation_ == generation_;
  if (stage_ == Stage::leaving && known->releasing && !is_saving) {
    begin_leave(actions, now);
  } else if (stage_ == Stage::pausing) {
    if (status.generation >= generation_) {  // it obeyed a head whose last generation was never recorded
      begin_pause(actions, now, "a worker came back");
    } else {
      awaited_.insert(worker);
      known->awaited_at = now;
      actions.push_back(PauseWorker{worker, generation_});
    }
  }
  reconsider(actions, now);
  return actions;
}

std::vector<std::uint64_t> Gang::staying() const {
  std::vector<std::uint64_t> found;
  for (const auto& [id, worker] : workers_) {
    if (worker.role == scheduler::Role::worker && worker.ready && !worker.releasing && !worker.lost)
      found.push_back(id);
  }
  return found;
}

std::vector<std::uint64_t> Gang::going_on() const {
  if (waited_enough_ || all_leave() || has_enough(staying().size())) return {};
  std::vector<std::uint64_t> found;
  bool is_one_to_come = lost_successor_;
  for (const auto& [id, worker] : workers_) {
    if (worker.role != scheduler::Role::worker || worker.lost) continue;
    if (worker.ready && worker.trained && !worker.stopped) found.push_back(id);
    is_one_to_come |= !worker.ready && !worker.releasing;
  }
  return is_one_to_come && has_enough(found.size()) ? found : std::vector<std::uint64_t>();
}

std::vector<std::uint64_t> Gang::candidates() const {
  auto found = going_on();
  if (found.empty()) found = staying();
  // More members than logical ranks would leave some with nothing to do.
  if (found.size() > options_.logical_ranks) found.resize(options_.logical_ranks);
  return found;
}

std::vector<std::uint64_t> Gang::servers() const {
  std::vector<std::uint64_t> found;
  for (const auto& [id, worker] : workers_) {
    if (worker.role == scheduler::Role::server && worker.ready && !worker.releasing && !worker.lost)
      found.push_back(id);
  }
  return found;
}

bool Gang::can_gather(Time now) const {
  const auto ready = candidates().size();
  if (ready < options_.min_workers || (options_.servers && servers().empty())) return false;
  const bool all_ready = std::all_of(workers_.begin(), workers_.end(), [](const auto& entry) {
    return entry.second.ready || entry.second.releasing || entry.second.lost;
  });
  return all_ready || now - last_ready_ >= options_.gather_limit;
}

bool Gang::must_change() const {
  return stuck_ || candidates() != members_ || servers() != server_members_;
}

bool Gang::only_grows() const {
  const auto now = candidates();
  return !stuck_ && servers() == server_members_ &&
         std::ranges::all_of(members_, [&](auto one) { return std::ranges::find(now, one) != now.end(); });
}

GangActions Gang::on_step(std::uint64_t generation, std::uint64_t step, Time now) {
  GangActions actions;
  if (stage_ != Stage::training || generation != generation_ || step <= resume_step_ || has_stepped_)
    return actions;
  has_stepped_ = true;
  reconsider(actions, now);
  return actions;
}

void Gang::reconsider(GangActions& actions, Time now) {
  if (stage_ != Stage::leaving && stage_ != Stage::finished && has_state_to_save()) {
    // After a restart of the head the newest state may be with one that was not heard of yet.
    const bool all_heard = std::ranges::all_of(
        workers_, [](const auto& entry) { return entry.second.present || entry.second.lost; });
    const bool waited = !recovering_since_ || now - *recovering_since_ >= options_.recover_limit;
    if (all_heard || !recovering_ || waited) return begin_leave(actions, now);
  }
  switch (stage_) {
    case Stage::gathering:
      take_back_or_gather(actions, now);
      break;
    case Stage::pausing:
      if (awaited_.empty()) finish_pause(actions, now);
      break;
    case Stage::recording:
    case Stage::joining: {
      const auto is_here = [&](auto member) {
        const auto* worker = find(member);
        return worker != nullptr && !worker->lost;
      };
      const bool whole =
          std::ranges::all_of(members_, is_here) && std::ranges::all_of(server_members_, is_here);
      if (!whole || (stuck_ && now >= retry_at_))
        begin_pause(actions, now, "a worker was lost while the gang was forming");
      break;
    }
    case Stage::training:
      if (must_change() && now >= retry_at_ && (has_stepped_ || !only_grows()))
        begin_pause(actions, now, stuck_ ? "a worker was lost" : "the gang changes its size");
      break;
    case Stage::leaving:
      if (awaited_.empty()) save_newest(actions, now);
      break;
    case Stage::finished:
      break;
  }
}

void Gang::take_back_or_gather(GangActions& actions, Time now) {
  if (recovering_) {
    const bool leaves = all_leave();
    const bool all_heard = std::all_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      return entry.second.present || (entry.second.releasing && !leaves) || entry.second.lost;
    });
    if (!all_heard) return;
    recovering_ = false;
    const auto is_training = [&](auto member) {
      const auto& status = find(member)->status;
      return status.phase == WorkerPhase::training && status.generation == generation_;
    };
    const bool same_gang = !members_.empty() && candidates() == members_ &&
                           std::ranges::all_of(members_, is_training) && servers() == server_members_ &&
                           std::ranges::all_of(server_members_, is_training);
    if (same_gang) {
      enter(Stage::training, now);
      has_stepped_ = true;  // as far as is known
      actions.push_back(ShowPhase{ShowPhase::training, "taken back after the head restarted"});
      return;
    }
  }
  if (can_gather(now)) begin_pause(actions, now, "the gang forms");
}

bool Gang::can_do_without(std::uint64_t worker) const {
  const auto one = workers_.find(worker);
  if (one == workers_.end() || one->second.role != scheduler::Role::worker || one->second.trained)
    return false;
  const auto stay = std::ranges::count_if(workers_, [this](const auto& entry) {
    const Worker& other = entry.second;
    const bool leaves = other.releasing && (waited_enough_ || other.stopped);
    return other.role == scheduler::Role::worker && other.trained && !other.lost && !leaves;
  });
  return has_enough(static_cast<std::size_t>(stay));
}

/// Of one that is still among the workers. Nobody is to come for one that was told to leave.
void Gang::note_loss_of_successor(std::uint64_t worker) {
  if (workers_.at(worker).releasing || !can_do_without(worker)) return;
  const auto stay = std::ranges::count_if(workers_, [](const auto& entry) {
    return entry.second.trained && !entry.second.lost && !entry.second.releasing;
  });
  lost_successor_ |= !has_enough(static_cast<std::size_t>(stay));
}

void Gang::stop_waiting_for_successors(Time now) {
  waited_enough_ = true;
  lost_successor_ = false;
  for (auto& [id, worker] : workers_) {
    if (worker.releasing) worker.releasing_at = now;
  }
}

void Gang::lose(std::uint64_t worker, const std::string& why, GangActions& actions, bool at_fault) {
  auto* known = find(worker);
  if (known == nullptr || known->lost) return;
  fruitless_ = 0;
  retry_at_ = Time(0);
  const bool dispensable = can_do_without(worker);
  note_loss_of_successor(worker);
  known->lost = true;
  known->ready = false;
  known->present = false;
  awaited_.erase(worker);
  // The process may live on behind a cut; it must be gone before its slots are given again.
  actions.push_back(KillWorker{worker, why, at_fault, dispensable});
}

GangActions Gang::on_failed(std::uint64_t worker, const std::string& why, Time now) {
  GangActions actions;
  if (stage_ == Stage::finished) return actions;
  lose(worker, why, actions, true);
  reconsider(actions, now);
  return actions;
}

GangActions Gang::on_lost(std::uint64_t worker, Time now) {
  GangActions actions;
  if (stage_ == Stage::finished) return actions;
  lose(worker, "its connection was lost", actions);
  reconsider(actions, now);
  return actions;
}

GangActions Gang::on_finished(std::uint64_t worker, std::uint64_t generation, std::uint64_t step) {
  if (stage_ == Stage::finished || find(worker) == nullptr || generation != generation_) return {};
  stage_ = Stage::finished;
  return {FinishJob{step}};
}

}  // namespace ds::job
