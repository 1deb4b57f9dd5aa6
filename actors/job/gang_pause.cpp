// The first round of a generation: all pause, and the step to go on from is found.
#include "actors/job/gang.hpp"

#include <algorithm>
#include <utility>

namespace ds::job {

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

}  // namespace ds::job
