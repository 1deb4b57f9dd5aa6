// Jobs that ended long ago are forgotten.
#include <map>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Beyond 100,000 the oldest go early, but none that somebody may be waiting for; 256 a second, as what they
/// leave on disk is removed meanwhile.
constexpr Ledger::EndedBounds kBounds{100'000, 3'600'000, 256};
/// What can't be removed is tried again after so long.
constexpr std::int64_t kTryAgainMs = 3'600'000;

}  // namespace

/// First what the job has left on disk goes, then the job: a head that dies in between begins again. Nobody
/// is told of the job meanwhile.
void Head::forget_old_jobs() {
  // What is not durable may never have been: a job that nobody needs any more may be needed after all.
  if (!forgetting_.empty() || parts_.checkpoints == nullptr || durable_ != appended_) return;
  const auto now = now_ms();
  std::erase_if(kept_until_ms_, [now](const auto& kept) { return kept.second <= now; });
  auto jobs = ledger_.forgettable(now, kBounds, [this](const std::string& id) {
    return !jobs_.contains(id) && !served_.contains(id) && !kept_until_ms_.contains(id);
  });
  if (jobs.empty()) return;
  forgetting_.insert(jobs.begin(), jobs.end());
  const auto self = caf::actor_cast<caf::actor>(this);
  const auto work = [self, store = parts_.checkpoints, logs = parts_.logs, chosen = chosen_,
                     jobs = std::move(jobs)] {
    std::vector<std::string> gone;
    std::string trouble;
    for (const std::string& id : jobs) {
      if (!chosen->of(id).empty()) continue;  // somebody has just chosen one of its checkpoints
      auto removed = store->remove(id);
      if (removed) removed = logs->remove(id);
      removed ? gone.push_back(id) : void(trouble = id + ": " + removed.error().message);
    }
    if (!trouble.empty()) spdlog::warn("what jobs have left can't be removed for now, job {}", trouble);
    caf::anon_send(self, Run{[gone](Head& head) { head.forget(gone); }});
  };
  if (!parts_.checkpoint_thread->post(work)) forgetting_.clear();
}

void Head::forget(const std::vector<std::string>& jobs) {
  // Answers that wait for the journal may be about these jobs: not before them.
  when_durable([this, jobs] {
    tell_planner();  // of their ends, if it wasn't yet: of jobs that are gone nothing can be told
    std::vector<Event> events;
    for (const std::string& id : jobs) {
      events.push_back(event("scheduler", "it ended long ago", JobForgotten{id}));
      forgetting_.erase(id);
    }
    for (const std::string& id : forgetting_) kept_until_ms_[id] = now_ms() + kTryAgainMs;
    forgetting_.clear();
    commit(std::move(events));
    if (!jobs.empty()) spdlog::info("{} jobs that ended long ago are forgotten", jobs.size());
  });
}

}  // namespace ds::head
