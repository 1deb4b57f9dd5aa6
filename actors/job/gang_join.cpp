// The third round of a generation: all join, or cannot.
#include "actors/job/gang.hpp"

#include <algorithm>

namespace ds::job {

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
  has_stepped_ = false;
  for (const auto server : server_members_) find(server)->status.phase = WorkerPhase::training;
  for (const auto member : members_) {
    find(member)->status.phase = WorkerPhase::training;
    find(member)->trained = true;
    actions.push_back(StartWorker{member, generation_});
  }
  bool is_whole = true;  // all who took over are there
  for (auto& [id, leaving] : workers_) {
    if (!leaving.releasing) continue;
    if (std::ranges::find(members_, id) != members_.end()) {
      is_whole = false;
      continue;
    }
    leaving.stopped = true;
    if (leaving.present) actions.push_back(StopWorker{id});
  }
  if (is_whole) lost_successor_ = waited_enough_ = false;
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

}  // namespace ds::job
