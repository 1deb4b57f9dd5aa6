#include "scheduler/policy/rollout.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>

namespace ds::scheduler {
namespace {

using State = RolloutReplica::State;

std::uint32_t sum(const VersionCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0U,
                         [](std::uint32_t all, const auto& one) { return all + one.second; });
}

std::uint32_t count_of(const VersionCounts& counts, std::uint64_t version) {
  const auto found = counts.find(version);
  return found == counts.end() ? 0 : found->second;
}

bool has_surplus(const VersionCounts& wanted, const VersionCounts& there) {
  return std::ranges::any_of(there,
                             [&](const auto& one) { return one.second > count_of(wanted, one.first); });
}

/// Those that are there while some are told to leave.
class Scene {
 public:
  Scene(const VersionCounts& wanted, std::span<const RolloutReplica> replicas,
        std::span<const VersionMove> moves)
      : wanted_(wanted), moves_(moves), stay_(replicas.begin(), replicas.end()) {
    // Who goes first: of equals the newest.
    std::ranges::sort(stay_, std::ranges::greater(), &RolloutReplica::worker);
    for (const auto& one : stay_) ++there_[one.version];
  }

  const VersionCounts& there() const { return there_; }
  std::size_t count() const { return stay_.size(); }
  std::uint32_t ready() const {
    return static_cast<std::uint32_t>(std::ranges::count(stay_, State::ready, &RolloutReplica::state));
  }
  bool is_surplus(const RolloutReplica& one) const {
    return count_of(there_, one.version) > count_of(wanted_, one.version);
  }
  /// Nobody of the version that is to take its place is ready.
  bool is_needed(const RolloutReplica& one) const {
    return std::ranges::any_of(moves_, [&](const VersionMove& move) {
      return move.former == one.version && ready_of(move.version) == 0;
    });
  }
  bool is_last(const RolloutReplica& one) const { return is_needed(one) && ready_of(one.version) == 1; }
  /// The first that is so leaves. False: there is none.
  template <class Which>
  bool let_one_go(std::vector<std::uint64_t>& leaving, const Which& which) {
    const auto found = std::ranges::find_if(stay_, which);
    if (found == stay_.end()) return false;
    leaving.push_back(found->worker);
    --there_[found->version];
    stay_.erase(found);
    return true;
  }

 private:
  std::size_t ready_of(std::uint64_t version) const {
    return static_cast<std::size_t>(std::ranges::count_if(stay_, [version](const RolloutReplica& one) {
      return one.state == State::ready && one.version == version;
    }));
  }

  const VersionCounts& wanted_;
  const std::span<const VersionMove> moves_;
  std::vector<RolloutReplica> stay_;
  VersionCounts there_;
};

}  // namespace

VersionCounts share_replicas(std::span<const VersionShare> shares, std::uint32_t replicas) {
  std::map<std::uint64_t, std::uint64_t> by_version;
  std::uint64_t all = 0;
  for (const auto& [version, share] : shares) by_version[version] += share, all += share;
  VersionCounts counts;
  if (replicas == 0 || all == 0) return counts;
  for (const auto& [version, share] : by_version) counts[version] = 1;
  // The next goes to who has the fewest for its share, like votes to parties by Sainte-Laguë's method.
  for (auto given = static_cast<std::uint32_t>(counts.size()); given < replicas; ++given) {
    const auto next = std::ranges::max_element(counts, [&](const auto& a, const auto& b) {
      return by_version[a.first] * (2ULL * b.second + 1) < by_version[b.first] * (2ULL * a.second + 1);
    });
    ++next->second;
  }
  return counts;
}

std::uint32_t most_replicas(const VersionCounts& wanted, const VersionCounts& there) {
  const std::uint32_t all = sum(wanted);
  return all > 0 && has_surplus(wanted, there) ? all + 1 : all;
}

std::uint64_t next_version(const VersionCounts& wanted, const VersionCounts& there) {
  std::uint64_t next = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::min();
  for (const auto& [version, count] : wanted) {
    const auto lacks = static_cast<std::int64_t>(count) - count_of(there, version);
    if (lacks >= most) most = lacks, next = version;
  }
  return next;
}

std::vector<std::uint64_t> choose_leaving(const VersionCounts& wanted,
                                          std::span<const RolloutReplica> replicas, bool has_room,
                                          std::span<const VersionMove> moves) {
  std::vector<std::uint64_t> leaving;
  Scene scene(wanted, replicas, moves);
  const std::uint32_t all = sum(wanted);
  const auto goes_if = [&](State state) {
    return [&scene, state](const RolloutReplica& one) { return one.state == state && scene.is_surplus(one); };
  };
  while (scene.let_one_go(leaving, goes_if(State::starting))) {
  }
  while (scene.ready() >= all && scene.let_one_go(leaving, goes_if(State::unheard))) {
  }
  const auto let_ready_go = [&] {
    const auto goes = goes_if(State::ready);
    return scene.let_one_go(leaving, [&](const auto& one) { return goes(one) && !scene.is_needed(one); }) ||
           scene.let_one_go(leaving, [&](const auto& one) { return goes(one) && !scene.is_last(one); });
  };
  const auto is_full = [&] {
    const auto most = most_replicas(wanted, scene.there());
    return scene.count() > most || (scene.count() == most && scene.ready() == scene.count());
  };
  while (scene.ready() > all && let_ready_go()) {
  }
  while (scene.ready() > all && is_full() && scene.let_one_go(leaving, goes_if(State::ready))) {
  }
  while (scene.count() > most_replicas(wanted, scene.there())) {
    const auto is_not_ready = [](const RolloutReplica& one) { return one.state != State::ready; };
    if (!scene.let_one_go(leaving, is_not_ready)) break;
  }
  const bool all_are_ready = scene.ready() == scene.count() && scene.count() > 1;
  if (!has_room && leaving.empty() && all_are_ready) let_ready_go();
  return leaving;
}

}  // namespace ds::scheduler
