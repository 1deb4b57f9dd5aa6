// Who is late.
#include "actors/job/gang.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ds::job {

void Gang::set_state_bytes(std::uint64_t bytes) {
  join_limit_ = options_.join_limit + std::chrono::seconds(bytes / kSlowestBytesPerSecond);
}

void Gang::on_read(std::uint64_t worker, std::uint64_t amount, Time now) {
  auto* known = find(worker);
  if (known == nullptr || amount <= known->read) return;
  known->read = amount;
  known->read_at = now;
}

GangActions Gang::on_tick(Time now) {
  GangActions actions;
  if (stage_ == Stage::finished) return actions;
  const auto seconds = [](Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time).count();
  };
  std::vector<std::pair<std::uint64_t, std::string>> late, failed;
  // The room that they are to make is waited for.
  if (const auto old = going_on(); std::ranges::any_of(old, [&](auto id) {
        const Worker& worker = *find(id);
        return worker.releasing && now - worker.releasing_at >= options_.successor_limit;
      }))
    stop_waiting_for_successors(now);
  const auto old = going_on();
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
    const bool goes_on = std::ranges::find(old, id) != old.end();
    if (worker.releasing && !worker.lost && !goes_on &&
        now - worker.releasing_at >= longest_pause() + join_limit_) {
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
  if (stage_ == Stage::leaving && now - entered_ >= leave_limit()) leave_late(actions, now);
  if (stage_ == Stage::gathering && now - entered_ >= join_limit_) {
    // Nobody was found to take their state over; their slots may be the ones that the gang waits for.
    for (auto& [id, worker] : workers_) {
      if (!worker.releasing) continue;
      worker.stopped = true;
      if (worker.present) actions.push_back(StopWorker{id});
    }
  }
  reconsider(actions, now);
  return actions;
}

}  // namespace ds::job
