#include "actors/job/gang.hpp"

#include <fmt/format.h>

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

void Gang::set_state_bytes(std::uint64_t bytes) {
  join_limit_ = options_.join_limit + std::chrono::seconds(bytes / kSlowestBytesPerSecond);
}

GangActions Gang::set_leases(const std::vector<GangLease>& leases, Time now) {
  GangActions actions;
  std::map<std::uint64_t, Worker> next;
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
  }
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

std::vector<std::uint64_t> Gang::candidates() const {
  std::vector<std::uint64_t> found;
  for (const auto& [id, worker] : workers_) {
    if (worker.role == scheduler::Role::worker && worker.ready && !worker.releasing && !worker.lost)
      found.push_back(id);
  }
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
      if (must_change() && now >= retry_at_)
        begin_pause(actions, now, stuck_ ? "a worker was lost" : "the gang changes its size");
      break;
    case Stage::leaving:
      if (awaited_.empty()) save_newest(actions, now);
      break;
    case Stage::finished:
      break;
  }
}

bool Gang::all_leave() const {
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

void Gang::finish_leave(GangActions& actions, Time now) {
  for (auto& [id, worker] : workers_) {
    if (!worker.releasing) continue;
    worker.ready = false;  // whatever it has is saved, or lost
    if (worker.present) actions.push_back(StopWorker{id});
  }
  awaited_.clear();
  members_.clear();
  stuck_ = false;
  enter(Stage::gathering, now);
  reconsider(actions, now);
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
      actions.push_back(ShowPhase{ShowPhase::training, "taken back after the head restarted"});
      return;
    }
  }
  if (can_gather(now)) begin_pause(actions, now, "the gang forms");
}

void Gang::begin_pause(GangActions& actions, Time now, const std::string& why) {
  stuck_ = false;
  enter(Stage::pausing, now);
  actions.push_back(ShowPhase{members_.empty() ? ShowPhase::starting : ShowPhase::resizing, why});
  order_pause(actions);
  if (awaited_.empty()) enter(Stage::gathering, now);
}

void Gang::order_pause(GangActions& actions) {
  for (const auto& [id, worker] : workers_) generation_ = std::max(generation_, worker.status.generation);
  ++generation_;
  awaited_.clear();
  for (auto& [id, worker] : workers_) {
    // One that is being released may be the only one with the newest state: it stays until the others have
    // it.
    if (!worker.ready || worker.lost) continue;
    awaited_.insert(id);
    worker.pause_limit = Time(0);
    actions.push_back(PauseWorker{id, generation_});
  }
}

GangActions Gang::on_paused(std::uint64_t worker, std::uint64_t generation, std::uint64_t step, Time now,
                            std::vector<HeldRange> held) {
  GangActions actions;
  auto* known = find(worker);
  if (known == nullptr || generation < generation_ || stage_ == Stage::finished) return actions;
  if (generation > generation_) {
    // It obeyed the order of an earlier head after it said hello to this one.
    known->status = {WorkerPhase::ready, generation, step};
    if (stage_ == Stage::leaving) {
      begin_leave(actions, now);
    } else if (stage_ != Stage::gathering) {
      begin_pause(actions, now, "a worker had stopped for an earlier head");
    }
    return actions;
  }
  if (stage_ != Stage::pausing && stage_ != Stage::leaving) return actions;
  known->status = {WorkerPhase::ready, generation, step};
  known->held = std::move(held);
  awaited_.erase(worker);
  reconsider(actions, now);
  return actions;
}

void Gang::on_read(std::uint64_t worker, std::uint64_t amount, Time now) {
  auto* known = find(worker);
  if (known == nullptr || amount <= known->read) return;
  known->read = amount;
  known->read_at = now;
}

void Gang::on_pausing(std::uint64_t worker, std::uint64_t generation, Time longest) {
  auto* known = find(worker);
  if (known == nullptr || generation != generation_) return;
  if (stage_ != Stage::pausing && stage_ != Stage::leaving) return;
  const Time most = options_.longest_pause_limit;
  const Time wanted = longest == Time(0) ? options_.first_pause_limit
                                         : options_.pause_limit + 2 * std::clamp(longest, Time(0), most);
  known->pause_limit = std::min(wanted, most);
}

Gang::Time Gang::pause_limit(const Worker& worker) const {
  return std::max(options_.pause_limit, worker.pause_limit);
}

Gang::Time Gang::longest_pause() const {
  Time longest = options_.pause_limit;
  for (const auto& [id, worker] : workers_) longest = std::max(longest, pause_limit(worker));
  return longest;
}

/// Longer where a worker can only pause late, or the state takes its time to the disk.
Gang::Time Gang::leave_limit() const {
  return options_.leave_limit + (longest_pause() - options_.pause_limit) +
         (join_limit_ - options_.join_limit);
}

void Gang::finish_pause(GangActions& actions, Time now) {
  auto members = candidates();
  if (members.size() < options_.min_workers || (options_.servers && servers().empty())) {
    enter(Stage::gathering, now);
    actions.push_back(ShowPhase{ShowPhase::starting, "waits for enough workers"});
    return;
  }
  choose_resume_step();
  members_ = std::move(members);
  enter(Stage::recording, now);
  actions.push_back(RecordGeneration{generation_, members_, resume_step_, server_members_});
}

void Gang::choose_resume_step() {
  server_members_ = servers();
  if (options_.servers) {
    std::map<std::uint64_t, std::vector<HeldRange>> held;
    for (const auto id : server_members_) held[id] = find(id)->held;
    server_plan_ = plan_servers(*options_.servers, server_members_, held);
  }
  resume_step_ = checkpoint_step_;
  if (options_.servers && server_plan_.fresh) return;
  if (options_.servers && options_.servers->sync) {
    resume_step_ = server_plan_.step;
    return;
  }
  for (const auto& [id, worker] : workers_) {
    if (worker.ready && !worker.lost) resume_step_ = std::max(resume_step_, worker.status.step);
  }
}

void Gang::join_servers(GangActions& actions) {
  for (const auto id : server_members_) {
    awaited_.insert(id);
    actions.push_back(JoinServer{id, generation_, server_plan_});
  }
}

GangActions Gang::on_recorded(std::uint64_t generation, Time now) {
  GangActions actions;
  if (stage_ != Stage::recording || generation != generation_) return actions;
  begin_join(actions, now);
  return actions;
}

void Gang::begin_join(GangActions& actions, Time now) {
  std::uint64_t source = 0;
  for (const auto& [id, worker] : workers_) {
    if (!options_.servers && worker.ready && !worker.lost && worker.status.step == resume_step_) source = id;
  }
  enter(Stage::joining, now);
  awaited_ = {members_.begin(), members_.end()};
  join_servers(actions);
  std::vector<std::uint64_t> primaries;
  for (const auto& holders : server_plan_.holders) primaries.push_back(holders.front());
  const auto ranges =
      collective::assign_logical_ranks(options_.logical_ranks, static_cast<std::uint32_t>(members_.size()));
  for (std::uint32_t rank = 0; rank < members_.size(); ++rank) {
    const auto id = members_[rank];
    const bool seed = options_.servers && server_plan_.fresh && rank == 0;
    const bool needs_state =
        options_.servers ? seed && resume_step_ > 0 : find(id)->status.step != resume_step_;
    actions.push_back(JoinWorker{id, generation_, rank, members_, ranges, resume_step_, source, needs_state,
                                 primaries, seed});
  }
}

GangActions Gang::on_joined(std::uint64_t worker, std::uint64_t generation, Time now) {
  GangActions actions;
  auto* known = find(worker);
  if (known == nullptr || stage_ != Stage::joining || generation != generation_) return actions;
  known->status = {WorkerPhase::ready, generation, resume_step_};
  awaited_.erase(worker);
  if (!awaited_.empty()) return actions;
  enter(Stage::training, now);
  for (const auto server : server_members_) find(server)->status.phase = WorkerPhase::training;
  for (const auto member : members_) {
    find(member)->status.phase = WorkerPhase::training;
    find(member)->trained = true;
    actions.push_back(StartWorker{member, generation_});
  }
  for (const auto& [id, leaving] : workers_) {
    if (leaving.releasing && leaving.present) actions.push_back(StopWorker{id});
  }
  actions.push_back(ShowPhase{ShowPhase::training, {}});
  reconsider(actions, now);
  return actions;
}

GangActions Gang::on_stuck(std::uint64_t worker, std::uint64_t generation, std::uint64_t step,
                           const std::string& why, Time now) {
  GangActions actions;
  auto* known = find(worker);
  if (known == nullptr || generation != generation_) return actions;
  known->status = {WorkerPhase::ready, generation, step};
  if (stage_ == Stage::joining && can_do_without(worker) &&
      ++known->failed_joins >= options_.dispensable_joins) {
    lose(worker, why, actions, true);
    reconsider(actions, now);
    return actions;
  }
  if (stage_ == Stage::joining || stage_ == Stage::training) {
    stuck_ = true;
    count_fruitless(step, why, actions, now);
    if (stage_ == Stage::finished) return actions;
  }
  reconsider(actions, now);
  return actions;
}

/// The loss of a member explains why the others got stuck, and a step shows that it works: neither counts.
void Gang::count_fruitless(std::uint64_t step, const std::string& why, GangActions& actions, Time now) {
  if (step > resume_step_) fruitless_ = 0;
  if (step > resume_step_ || counted_generation_ == generation_) return;
  counted_generation_ = generation_;
  if (++fruitless_ >= options_.fruitless_limit) {
    stage_ = Stage::finished;
    actions.push_back(FailJob{why});
    return;
  }
  if (fruitless_ > 1) retry_at_ = now + std::chrono::milliseconds(250 << std::min(fruitless_, 7U));
}

bool Gang::can_do_without(std::uint64_t worker) const {
  const auto one = workers_.find(worker);
  if (one == workers_.end() || one->second.role != scheduler::Role::worker || one->second.trained)
    return false;
  const auto stay = std::ranges::count_if(workers_, [](const auto& entry) {
    const Worker& other = entry.second;
    return other.role == scheduler::Role::worker && other.trained && !other.lost && !other.releasing;
  });
  return static_cast<std::uint64_t>(stay) >= std::max(options_.min_workers, 1U);
}

void Gang::lose(std::uint64_t worker, const std::string& why, GangActions& actions, bool at_fault) {
  auto* known = find(worker);
  if (known == nullptr || known->lost) return;
  fruitless_ = 0;
  retry_at_ = Time(0);
  known->lost = true;
  known->ready = false;
  known->present = false;
  awaited_.erase(worker);
  // The process may live on behind a cut; it must be gone before its slots are given again.
  actions.push_back(KillWorker{worker, why, at_fault, can_do_without(worker)});
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

GangActions Gang::on_tick(Time now) {
  GangActions actions;
  if (stage_ == Stage::finished) return actions;
  const auto seconds = [](Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time).count();
  };
  std::vector<std::pair<std::uint64_t, std::string>> late, failed;
  for (const auto& [id, worker] : workers_) {
    if (!worker.ready && !worker.lost && !worker.releasing &&
        now - std::max(worker.leased_at, worker.read_at) >= options_.ready_limit) {
      failed.emplace_back(id, fmt::format("it did not get ready, and read nothing {}for {} s",
                                          worker.read == 0 ? "" : "more ", seconds(options_.ready_limit)));
    }
  }
  for (const auto& [id, worker] : workers_) {
    const bool unheard = !worker.present && !worker.releasing && !worker.lost;
    if (recovering_ && recovering_since_ && unheard &&
        now - std::max(*recovering_since_, worker.leased_at) >= options_.recover_limit) {
      late.emplace_back(id, "it was not heard of after the head restarted");
    }
    // Even one that never came up, or whose gang never formed again, must be gone some day.
    if (worker.releasing && !worker.lost && now - worker.releasing_at >= longest_pause() + join_limit_) {
      late.emplace_back(id, "it did not leave in time");
    }
  }
  for (const auto id : awaited_) {
    const bool pauses = stage_ == Stage::pausing;
    if (!pauses && stage_ != Stage::joining) break;
    const Worker& worker = *find(id);
    const Time limit = pauses ? pause_limit(worker) : join_limit_;
    if (now - std::max(entered_, pauses ? worker.awaited_at : worker.read_at) < limit) continue;
    late.emplace_back(id,
                      fmt::format("it did not {} within {} s", pauses ? "pause" : "join", seconds(limit)));
  }
  for (const auto& [id, why] : failed) lose(id, why, actions, true);
  // What the job can do without is not tried again at once: the gang would wait for it as long each time.
  for (const auto& [id, why] : late) lose(id, why, actions, can_do_without(id));
  if (stage_ == Stage::leaving && now - entered_ >= leave_limit()) finish_leave(actions, now);
  if (stage_ == Stage::gathering && now - entered_ >= join_limit_) {
    // Nobody was found to take their state over; their slots may be the ones that the gang waits for.
    for (const auto& [id, worker] : workers_) {
      if (worker.releasing && worker.present) actions.push_back(StopWorker{id});
    }
  }
  reconsider(actions, now);
  return actions;
}

}  // namespace ds::job
