#include "actors/job/replica_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ds::job {
namespace {

std::int64_t seconds(ReplicaWatch::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

}  // namespace

void ReplicaWatch::on_hello(std::uint64_t worker, bool ready, Time now) {
  Replica& replica = replicas_[worker];
  replica.lost_at.reset();
  const Stage stage = ready ? Stage::ready : Stage::loading;
  if (replica.stage == stage) return;
  replica.stage = stage;
  replica.since = now;
}

void ReplicaWatch::on_lost(std::uint64_t worker, Time now) {
  const auto found = replicas_.find(worker);
  if (found != replicas_.end() && !found->second.lost_at) found->second.lost_at = now;
}

std::vector<ReplicaWatch::Late> ReplicaWatch::look(const std::vector<Lease>& leases, Time now) {
  std::map<std::uint64_t, Replica> still;
  std::vector<Late> late;
  for (const auto& [worker, releasing] : leases) {
    auto known = replicas_.extract(worker);
    Replica replica;
    replica.since = now;
    if (!known.empty()) replica = known.mapped();
    if (releasing && !replica.leaves_at) replica.leaves_at = now;
    const bool is_due = !replica.told_at || now - *replica.told_at >= limits_.again;
    auto why = is_due ? lateness(replica, now) : std::string();
    if (!why.empty()) {
      replica.told_at = now;
      late.push_back({worker, std::move(why), replica.leaves_at.has_value(), !replica.lost_at});
    }
    still.emplace(worker, replica);
  }
  replicas_ = std::move(still);
  return late;
}

std::string ReplicaWatch::lateness(const Replica& replica, Time now) const {
  if (replica.leaves_at) {
    return now - *replica.leaves_at < limits_.leave
               ? ""
               : fmt::format("it did not leave within {} s", seconds(limits_.leave));
  }
  if (replica.lost_at) {
    return now - *replica.lost_at < limits_.back
               ? ""
               : fmt::format("nothing was heard of it for {} s", seconds(limits_.back));
  }
  if (replica.stage == Stage::starting && now - replica.since >= limits_.hello)
    return fmt::format("it did not say that it runs within {} s", seconds(limits_.hello));
  if (replica.stage == Stage::loading && now - replica.since >= limits_.load)
    return fmt::format("its model was not loaded within {} s", seconds(limits_.load));
  return {};
}

}  // namespace ds::job
