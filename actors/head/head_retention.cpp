// Jobs that ended long ago are forgotten.
#include <algorithm>

#include "actors/head/head_actor.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Jobs that have ended and are still known; beyond it the oldest go early.
constexpr std::size_t kMostEnded = 100'000;
/// A second: what they leave on disk is removed meanwhile.
constexpr std::size_t kMostAtOnce = 256;

}  // namespace

/// First what the job has left on disk goes, then the job: a head that dies in between begins again. Nobody
/// is told of the job meanwhile.
void Head::forget_old_jobs() {
  if (!forgetting_.empty() || parts_.checkpoints == nullptr) return;
  auto jobs = ledger_.forgettable(now_ms(), kMostEnded, kMostAtOnce);
  std::erase_if(jobs, [this](const std::string& id) {
    return jobs_.contains(id) || served_.contains(id) || !chosen_->of(id).empty();
  });
  if (jobs.empty()) return;
  forgetting_.insert(jobs.begin(), jobs.end());
  const auto self = caf::actor_cast<caf::actor>(this);
  const bool queued = parts_.checkpoint_thread->post([self, parts = parts_, jobs = std::move(jobs)] {
    std::vector<std::string> gone;
    for (const std::string& id : jobs) {
      auto removed = parts.checkpoints->remove(id);
      if (removed) removed = parts.logs->remove(id);
      removed ? gone.push_back(id)
              : spdlog::warn("job {} is kept for now: what it left can't be removed: {}", id,
                             removed.error().message);
    }
    caf::anon_send(self, Run{[gone](Head& head) { head.forget(gone); }});
  });
  if (!queued) forgetting_.clear();
}

void Head::forget(const std::vector<std::string>& jobs) {
  // Answers that wait for the journal may be about these jobs: not before them.
  when_durable([this, jobs] {
    std::vector<Event> events;
    for (const std::string& id : jobs)
      events.push_back(event("scheduler", "it ended long ago", JobForgotten{id}));
    commit(std::move(events));
    if (!jobs.empty()) spdlog::info("{} jobs that ended long ago are forgotten", jobs.size());
    forgetting_.clear();
  });
}

}  // namespace ds::head
