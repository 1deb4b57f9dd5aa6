#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "scheduler/policy/plan.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

constexpr std::uint64_t kSeeds = 2000;

struct Use {
  std::uint64_t slots = 0;
  std::uint64_t memory = 0;
  std::uint64_t gpus = 0;

  void add(const Lease& lease) {
    slots += lease.slots;
    memory += lease.memory_bytes;
    gpus += lease.devices.size();
  }
  void add(const Demand& demand, std::uint64_t workers) {
    slots += workers * demand.slots;
    memory += workers * demand.memory_bytes;
    gpus += workers * demand.gpus;
  }
  bool fits(const NodeView& node) const {
    return slots <= node.slots && memory <= node.memory_bytes && gpus <= node.gpus;
  }
};

/// By the names that the random clusters use.
bool has_kind(const NodeView& node, const Demand& demand) {
  if (demand.gpus == 0 || demand.gpu_kind.empty()) return true;
  return node.gpu_kind == (demand.gpu_kind == "h200" ? "NVIDIA H200" : "NVIDIA A100-SXM4-80GB");
}

/// Whether one of its workers could be on the node with `used` there.
bool fits_beside(const NodeView& node, Use used, const Demand& demand) {
  used.add(demand, 1);
  return has_kind(node, demand) && used.fits(node);
}

/// What a plan leaves on each node, counted here and not with the code under test.
std::map<std::string, Use> count_use(const ClusterModel& cluster, const Plan& plan) {
  std::map<std::string, Use> use;
  for (const Lease& lease : cluster.leases) {
    use[lease.node].add(lease);
  }
  for (const Placement& placement : plan.placements) {
    use[placement.node].add(cluster.demand(placement.job), placement.count);
  }
  return use;
}

/// Workers that could be added; of a job whose workers must be on one node, where it has some, or on the node
/// where most of them could.
std::uint64_t count_room(const ClusterModel& cluster, std::map<std::string, Use> use, const Demand& demand) {
  const bool is_together = demand.placement == PlacementRule::same_node;
  std::uint64_t sum = 0, most = 0;
  for (const NodeView& node : cluster.nodes) {
    const bool is_elsewhere = cluster.live(demand.job) > 0 && cluster.live_on(demand.job, node.id) == 0;
    if (!node.available || (is_together && is_elsewhere)) continue;
    Use& used = use[node.id];
    std::uint64_t room = 0;
    for (; fits_beside(node, used, demand); ++room) used.add(demand, 1);
    sum += room;
    most = std::max(most, room);
  }
  return is_together ? most : sum;
}

/// All the workers of its minimum as one, where they must be on one node.
Demand in_one_piece(Demand demand) {
  if (demand.placement != PlacementRule::same_node) return demand;
  demand.slots *= demand.workers.min;
  demand.memory_bytes *= demand.workers.min;
  demand.gpus *= demand.workers.min;
  return demand;
}

std::map<std::string, std::uint32_t> count_placed(const Plan& plan) {
  std::map<std::string, std::uint32_t> placed;
  for (const Placement& placement : plan.placements) placed[placement.job] += placement.count;
  return placed;
}

bool is_preempted(const Plan& plan, const std::string& job) {
  return std::ranges::find(plan.preemptions, job, &Preemption::job) != plan.preemptions.end();
}

bool waits(const Plan& plan, const std::string& job) {
  return std::any_of(plan.waits.begin(), plan.waits.end(), [&](const Wait& wait) { return wait.job == job; });
}

/// Whether the job would have its minimum, with the workers that it has where they are, if all other jobs
/// were gone.
bool can_ever_run(const ClusterModel& cluster, const Demand& demand) {
  std::map<std::string, Use> own;
  for (const Lease& lease : cluster.leases) {
    if (lease.job != demand.job || lease.releasing) continue;
    own[lease.node].add(lease);
  }
  return cluster.live(demand.job) + count_room(cluster, own, demand) >= demand.workers.min;
}

/// What is used once all releases are through, those of the plan too but for leases that `is_kept`, and all
/// that the plan starts has started. What grows in the same plan uses only what waiting jobs do not need: it
/// is left out.
template <class IsKept>
std::map<std::string, Use> use_after_releases(const ClusterModel& cluster, const Plan& plan, IsKept is_kept) {
  std::map<std::string, Use> use;
  for (const Lease& lease : cluster.leases) {
    const bool goes = lease.releasing ||
                      (!is_kept(lease) && std::ranges::find(plan.releases, lease.worker, &Release::worker) !=
                                              plan.releases.end());
    if (goes) continue;
    use[lease.node].add(lease);
  }
  std::map<std::string, std::uint32_t> minimum_left;
  for (const Demand& other : cluster.demands) {
    minimum_left[other.job] = other.workers.min - std::min(other.workers.min, cluster.live(other.job));
  }
  for (const Placement& placement : plan.placements) {
    const Demand& other = cluster.demand(placement.job);
    const std::uint32_t count = std::min(placement.count, minimum_left[placement.job]);
    minimum_left[placement.job] -= count;
    use[placement.node].add(other, count);
  }
  return use;
}

/// No node is promised more than it has left, and nothing is placed where nothing may be.
void expect_no_slot_twice(const ClusterModel& cluster, const Plan& plan) {
  const auto use = count_use(cluster, plan);
  for (const Placement& placement : plan.placements) {
    const auto node = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                   [&](const NodeView& n) { return n.id == placement.node; });
    ASSERT_NE(node, cluster.nodes.end());
    EXPECT_TRUE(node->available);
    EXPECT_GT(placement.count, 0U);
    EXPECT_TRUE(use.at(placement.node).fits(*node)) << placement.node;
    EXPECT_TRUE(has_kind(*node, cluster.demand(placement.job))) << placement.job << " on " << placement.node;
  }
}

/// The workers of a job that must be on one node are.
void expect_together(const ClusterModel& cluster, const Plan& plan, std::size_t& seen) {
  std::map<std::string, std::set<std::string>> nodes;
  for (const Lease& lease : cluster.leases) {
    if (!lease.releasing) nodes[lease.job].insert(lease.node);
  }
  for (const Placement& placement : plan.placements) nodes[placement.job].insert(placement.node);
  for (const auto& [job, on] : nodes) {
    const auto demand = std::ranges::find(cluster.demands, job, &Demand::job);
    if (demand == cluster.demands.end() || demand->placement != PlacementRule::same_node) continue;
    EXPECT_EQ(on.size(), 1U) << job;
    ++seen;
  }
}

/// One whose workers are to be spread has two on no node while another had room for one of them, as far as
/// that can be told: where nothing else changes.
void expect_spread(const ClusterModel& cluster, const Plan& plan, std::size_t& seen) {
  if (plan.placements.empty() || !plan.releases.empty() || !plan.waits.empty()) return;
  for (const Placement& placement : plan.placements) {
    const Demand& demand = cluster.demand(placement.job);
    if (demand.placement != PlacementRule::spread) continue;
    std::map<std::string, std::uint32_t> on;
    for (const Placement& one : plan.placements) on[one.node] += one.job == demand.job ? one.count : 0;
    for (const NodeView& node : cluster.nodes) on[node.id] += cluster.live_on(demand.job, node.id);
    if (on.at(placement.node) < 2) continue;
    for (const NodeView& node : cluster.nodes) {
      if (!node.available || on.at(node.id) > 0) continue;
      ++seen;
      EXPECT_FALSE(fits_beside(node, count_use(cluster, plan)[node.id], demand))
          << demand.job << " has " << on.at(placement.node) << " workers on " << placement.node
          << ", none on " << node.id;
    }
  }
}

/// Gangs whole or not at all, nobody above its maximum, held jobs left alone.
void expect_gangs_kept_whole(const ClusterModel& cluster, const Plan& plan) {
  for (const auto& [job, count] : count_placed(plan)) {
    const Demand& demand = cluster.demand(job);
    EXPECT_GE(cluster.live(job) + count, demand.workers.min) << job;
    EXPECT_LE(cluster.live(job) + count, demand.workers.max) << job;
    EXPECT_FALSE(demand.held) << job;
  }
}

void expect_releases_only_of_what_can_be_spared(const ClusterModel& cluster, const Plan& plan) {
  std::map<std::string, std::uint32_t> released;
  std::set<std::uint64_t> workers;
  for (const Release& release : plan.releases) {
    EXPECT_TRUE(workers.insert(release.worker).second) << "released twice";
    const auto lease = std::find_if(cluster.leases.begin(), cluster.leases.end(),
                                    [&](const Lease& l) { return l.worker == release.worker; });
    ASSERT_NE(lease, cluster.leases.end());
    EXPECT_EQ(lease->job, release.job);
    EXPECT_FALSE(lease->releasing);
    ++released[release.job];
  }
  std::uint32_t most_urgent = 0;  // of those that wait
  for (const Wait& wait : plan.waits) most_urgent = std::max(most_urgent, cluster.demand(wait.job).priority);
  const auto placed = count_placed(plan);
  for (const auto& [job, count] : released) {
    const Demand& demand = cluster.demand(job);
    EXPECT_FALSE(placed.contains(job)) << job << " shrinks and grows at once";
    if (is_preempted(plan, job)) continue;
    if (cluster.live(job) >= demand.workers.min) {  // else it is stalled, and what it has is of no use to it
      EXPECT_LT(demand.workers.min, demand.workers.max) << job << " is not elastic";
      EXPECT_GE(cluster.live(job), demand.workers.min + count) << job;
      EXPECT_TRUE(demand.preemptible) << job;
      EXPECT_LE(demand.priority, most_urgent) << job << " shrinks for a less urgent one";
    }
  }
  if (!plan.releases.empty()) {
    EXPECT_FALSE(plan.waits.empty()) << "released for nobody";
  }
}

/// Whole jobs go only for one that waits and is strictly more urgent, and none that could stay.
void expect_preemptions_only_where_needed(const ClusterModel& cluster, const Plan& plan) {
  std::set<std::string> preempted;
  for (const Preemption& preemption : plan.preemptions) {
    EXPECT_TRUE(preempted.insert(preemption.job).second) << preemption.job << " is preempted twice";
    const Demand& victim = cluster.demand(preemption.job);
    const Demand& by = cluster.demand(preemption.by);
    EXPECT_LT(victim.priority, by.priority) << victim.job << " by " << by.job;
    EXPECT_TRUE(victim.preemptible) << victim.job;
    EXPECT_TRUE(!victim.is_young || by.priority >= kCriticalPriority) << victim.job << " has just started";
    EXPECT_TRUE(waits(plan, by.job) && !by.held && can_ever_run(cluster, by)) << by.job;
    const auto gone = std::ranges::count(plan.releases, victim.job, &Release::job);
    EXPECT_EQ(gone, cluster.live(victim.job)) << victim.job << " is preempted in part";
    // Room may be kept for a started gang that lacks workers as well as for the first that waits; whose is
    // whose can't be told then.
    const bool for_others = std::ranges::any_of(plan.waits, [&](const Wait& wait) {
      const bool has_room = std::ranges::any_of(wait.reasons, [](const Reason& reason) {
        return reason.text.find("it starts when") != std::string::npos;
      });
      return wait.job != by.job && (cluster.live(wait.job) > 0 || has_room) && !is_preempted(plan, wait.job);
    });
    if (for_others) continue;
    const auto with_victim =
        use_after_releases(cluster, plan, [&](const Lease& lease) { return lease.job == victim.job; });
    EXPECT_LT(cluster.live(by.job) + count_room(cluster, with_victim, by), by.workers.min)
        << victim.job << " could stay";
    const auto without = use_after_releases(cluster, plan, [](const Lease&) { return false; });
    EXPECT_GE(cluster.live(by.job) + count_room(cluster, without, by), by.workers.min)
        << by.job << " would not start all the same";
  }
}

/// What is used at a moment when all gangs that have a limit ran as long as it allows, those that the plan
/// starts too; of others those workers count as gone that may be taken back for `first`.
std::map<std::string, Use> use_at(const ClusterModel& cluster, const Plan& plan, const Demand& first,
                                  std::int64_t moment_ms) {
  ClusterModel then = cluster;
  then.carry_out(plan);
  then.finish_releases();
  std::map<std::string, Use> use;
  std::map<std::string, std::uint32_t> counted;
  for (const Lease& lease : then.leases) {
    const auto demand = std::ranges::find(then.demands, lease.job, &Demand::job);
    if (demand != then.demands.end() && demand->job != first.job) {
      if (demand->ends_ms > 0 && demand->ends_ms <= moment_ms) continue;
      const std::uint32_t count = ++counted[lease.job];
      const bool is_new = count > std::max(demand->workers.min, cluster.live(lease.job));
      if (is_new && demand->preemptible && demand->priority <= first.priority) continue;
    }
    use[lease.node].add(lease);
  }
  return use;
}

bool fits_at(const ClusterModel& cluster, const Plan& plan, const Demand& first, std::int64_t moment_ms) {
  return cluster.live(first.job) + count_room(cluster, use_at(cluster, plan, first, moment_ms), first) >=
         first.workers.min;
}

/// The earliest moment at which a job fits for sure; none: nobody knows.
std::optional<std::int64_t> moment_of(const ClusterModel& cluster, const Plan& plan, const Demand& first) {
  std::set<std::int64_t> moments{cluster.now_ms};
  for (const Demand& demand : cluster.demands) {
    if (demand.ends_ms > 0) moments.insert(std::max(demand.ends_ms, cluster.now_ms));
    if (demand.lasts_ms > 0) moments.insert(cluster.now_ms + demand.lasts_ms);
  }
  for (const std::int64_t moment : moments) {
    if (fits_at(cluster, plan, first, moment)) return moment;
  }
  return std::nullopt;
}

/// Whether the node's GPUs, once free, and nothing else say how many pieces of `first` there can be beside
/// all that stays after the plan; so it need not care for who uses no GPU.
bool is_limited_by_gpus_alone(const ClusterModel& cluster, const Plan& plan, const NodeView& node,
                              const Demand& first) {
  const Demand piece = in_one_piece(first);
  if (piece.gpus == 0) return false;
  Use used;
  for (const Lease& lease : cluster.leases) {
    const bool leaves = lease.releasing || std::ranges::find(plan.releases, lease.worker, &Release::worker) !=
                                               plan.releases.end();
    if (lease.node == node.id && !leaves) used.add(lease);
  }
  for (const Placement& placement : plan.placements) {
    if (placement.node == node.id) used.add(cluster.demand(placement.job), placement.count);
  }
  used.gpus = 0;
  std::uint64_t pieces = 0;
  for (; fits_beside(node, used, piece); ++pieces) used.add(piece, 1);
  return pieces == node.gpus / piece.gpus;
}

bool has_text(const Plan& plan, const std::string& text) {
  return std::ranges::any_of(plan.waits, [&](const Wait& wait) {
    return std::ranges::any_of(
        wait.reasons, [&](const Reason& reason) { return reason.text.find(text) != std::string::npos; });
  });
}

struct Overtaking {
  std::size_t overtakers = 0, kept_beside_idle = 0, kept_moments = 0, together = 0, spread = 0,
              beside_gpus = 0;
};

/// `first` waits; `plan` is without growth, `whole` with it.
void expect_no_delay(const ClusterModel& cluster, const Plan& plan, const Plan& whole, const Demand& first,
                     const std::set<std::string>& behind, Overtaking& seen) {
  Plan without = plan;
  std::erase_if(without.placements,
                [&](const Placement& one) { return behind.contains(one.job) && cluster.live(one.job) == 0; });
  const bool overtake = without.placements.size() < plan.placements.size();
  seen.overtakers += overtake ? 1 : 0;
  const auto moment = moment_of(cluster, without, first);
  if (!moment) {
    for (const Placement& one : plan.placements) {
      if (!behind.contains(one.job) || cluster.live(one.job) > 0) continue;
      const auto node = std::ranges::find(cluster.nodes, one.node, &NodeView::id);
      if (cluster.demand(one.job).gpus == 0 && is_limited_by_gpus_alone(cluster, plan, *node, first)) {
        ++seen.beside_gpus;
        continue;
      }
      EXPECT_FALSE(fits_beside(*node, {}, in_one_piece(first)))
          << one.job << " starts where " << first.job << " could start at any moment";
    }
    return;
  }
  ++seen.kept_moments;
  EXPECT_TRUE(fits_at(cluster, plan, first, *moment)) << first.job << " is delayed beyond " << *moment;
  if (first.slots == 1 && first.memory_bytes == 0 && first.gpus == 0 &&
      first.placement != PlacementRule::same_node) {
    EXPECT_TRUE(fits_at(cluster, whole, first, *moment)) << first.job << " is delayed by growth";
  }
  for (const Wait& wait : plan.waits) {  // no slot stays idle that one of those could have had
    const Demand& demand = cluster.demand(wait.job);
    if (!behind.contains(wait.job) || demand.workers.min != 1 || cluster.live(wait.job) > 0) continue;
    if (demand.held || !can_ever_run(cluster, demand) || is_preempted(plan, wait.job)) continue;
    for (const NodeView& node : cluster.nodes) {
      Plan more = plan;
      more.placements.push_back({wait.job, node.id, 1});
      if (!node.available || !has_kind(node, demand) || !count_use(cluster, more).at(node.id).fits(node))
        continue;
      ++seen.kept_beside_idle;
      EXPECT_FALSE(fits_at(cluster, more, first, *moment))
          << wait.job << " could start on " << node.id << " and would not delay " << first.job;
    }
  }
}

/// The most urgent in the line starts when it fits; those behind it start when they do not delay it, and
/// otherwise don't.
void expect_the_line_kept(const ClusterModel& cluster, const Plan& whole, Overtaking& seen) {
  ClusterModel rigid = cluster;
  for (Demand& demand : rigid.demands)
    demand.workers.max = std::max(demand.workers.min, rigid.live(demand.job));
  const Plan plan = rigid.plan();
  std::vector<Demand> line(rigid.demands);
  std::sort(line.begin(), line.end(), [](const Demand& a, const Demand& b) {
    return std::tie(b.priority, a.order) < std::tie(a.priority, b.order);
  });
  const auto first = std::ranges::find_if(line, [&](const Demand& demand) {
    return rigid.live(demand.job) == 0 && waits(plan, demand.job) && !demand.held &&
           can_ever_run(rigid, demand);
  });
  if (first == line.end()) return;
  const bool is_partial_ahead = std::any_of(line.begin(), first, [&](const Demand& demand) {
    return rigid.live(demand.job) > 0 && waits(plan, demand.job);
  });
  if (!is_partial_ahead) {
    EXPECT_LT(count_room(rigid, count_use(rigid, plan), *first), first->workers.min)
        << first->job << " waits beside idle slots";
  }
  std::set<std::string> behind;
  for (auto one = first + 1; one != line.end(); ++one) behind.insert(one->job);
  // Slots that are becoming free, and those of gangs too young to be preempted, have a user already.
  const bool is_soon = has_text(plan, "it starts when") || has_text(plan, "not run for");
  // Gangs that lack workers are not kept back, and keep others back as well.
  const bool is_any_partial =
      std::ranges::any_of(plan.waits, [&](const Wait& wait) { return rigid.live(wait.job) > 0; });
  if (is_soon || is_any_partial || !plan.releases.empty()) return;
  expect_no_delay(rigid, plan, whole, *first, behind, seen);
}

/// With nobody waiting, no slot is idle that a started job could use.
void expect_nothing_idle(const ClusterModel& cluster, const Plan& plan) {
  if (!plan.waits.empty() || !plan.releases.empty()) return;
  ClusterModel after = cluster;
  after.carry_out(plan);
  for (const Demand& demand : cluster.demands) {
    if (demand.held || after.live(demand.job) >= demand.workers.max) continue;
    EXPECT_EQ(count_room(after, count_use(after, {}), demand), 0U) << demand.job << " could grow";
  }
}

/// Whoever has less than its minimum has a reason, with numbers, and nobody else has.
void expect_reasons(const ClusterModel& cluster, const Plan& plan) {
  const std::set<std::string> codes{"no_capacity_now", "never_fits",      "priority_behind",
                                    "memory",          "gpu_type",        "topology",
                                    "drain",           "backoff_restart", "gang_partial"};
  const auto placed = count_placed(plan);
  for (const Demand& demand : cluster.demands) {
    const auto added = placed.find(demand.job);
    std::uint32_t workers = cluster.live(demand.job) + (added == placed.end() ? 0 : added->second);
    if (is_preempted(plan, demand.job)) workers = 0;
    EXPECT_EQ(waits(plan, demand.job), workers < demand.workers.min) << demand.job;
  }
  for (const Wait& wait : plan.waits) {
    EXPECT_FALSE(wait.reasons.empty()) << wait.job;
    const Demand& demand = cluster.demand(wait.job);
    const auto found = testing::codes_of(plan, wait.job);
    const auto has = [&](const std::string& code) {
      return std::count(found.begin(), found.end(), code) == 1;
    };
    EXPECT_EQ(has("backoff_restart"), demand.held) << wait.job;
    // A stalled gang may have given up its workers in this very plan, before or after its turn.
    const auto given_up = std::count_if(plan.releases.begin(), plan.releases.end(),
                                        [&](const Release& release) { return release.job == wait.job; });
    if (has("gang_partial")) {
      EXPECT_GT(cluster.live(wait.job), 0U) << wait.job;
    } else {
      EXPECT_EQ(cluster.live(wait.job), given_up) << wait.job;
    }
    // One that is preempted does not keep its workers on nodes where nothing new may go.
    const bool can_run = is_preempted(plan, wait.job) ? count_room(cluster, {}, demand) >= demand.workers.min
                                                      : can_ever_run(cluster, demand);
    EXPECT_EQ(has("never_fits") || has("drain"), !demand.held && !can_run) << wait.job;
    const auto gpu_type = std::ranges::find(wait.reasons, "gpu_type", &Reason::code);
    // Else it is the reason of one that comes first.
    if (gpu_type != wait.reasons.end() && gpu_type->text.starts_with("each worker needs")) {
      Demand of_any_kind = demand;
      of_any_kind.gpu_kind.clear();
      EXPECT_FALSE(demand.gpus == 0 || demand.gpu_kind.empty()) << wait.job;
      if (!can_run && !is_preempted(plan, wait.job)) {
        EXPECT_TRUE(can_ever_run(cluster, of_any_kind)) << wait.job;
      }
    }
    for (const Reason& reason : wait.reasons) {
      EXPECT_TRUE(codes.contains(reason.code)) << reason.code;
      EXPECT_NE(reason.text.find_first_of("0123456789"), std::string::npos) << reason.text;
      EXPECT_EQ(std::count(reason.blocking.begin(), reason.blocking.end(), wait.job), 0)
          << "is in its own way";
    }
  }
}

/// Giving back any single release would leave somebody waiting without room.
void expect_no_needless_release(const ClusterModel& cluster, const Plan& plan) {
  const auto waiting_for_room = [](const Plan& p) {
    std::set<std::string> jobs;
    for (const Wait& wait : p.waits) {
      for (const Reason& reason : wait.reasons) {
        if (reason.text.find("it starts when") != std::string::npos) jobs.insert(wait.job);
      }
    }
    return jobs;
  };
  const auto served = waiting_for_room(plan);
  if (plan.releases.empty() || served.size() != 1 || plan.waits.size() != 1)
    return;  // one waits: easy to count
  const Demand& demand = cluster.demand(*served.begin());
  for (const Release& kept : plan.releases) {
    const auto use =
        use_after_releases(cluster, plan, [&](const Lease& lease) { return lease.worker == kept.worker; });
    EXPECT_LT(cluster.live(demand.job) + count_room(cluster, use, demand), demand.workers.min)
        << "worker " << kept.worker;
  }
}

void expect_sound(const ClusterModel& cluster, const Plan& plan, Overtaking& seen) {
  EXPECT_EQ(plan, cluster.plan()) << "equal input, equal plan";
  expect_no_slot_twice(cluster, plan);
  expect_gangs_kept_whole(cluster, plan);
  expect_together(cluster, plan, seen.together);
  expect_spread(cluster, plan, seen.spread);
  expect_releases_only_of_what_can_be_spared(cluster, plan);
  expect_preemptions_only_where_needed(cluster, plan);
  expect_the_line_kept(cluster, plan, seen);
  expect_nothing_idle(cluster, plan);
  expect_reasons(cluster, plan);
  expect_no_needless_release(cluster, plan);
}

TEST(PlanProperty, EveryPlanOfALivingClusterIsSound) {
  Overtaking seen;
  std::size_t releases = 0;
  std::size_t refills = 0;
  std::size_t preemptions = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (int step = 0; step < 25; ++step) {
      const Plan plan = cluster.plan();
      expect_sound(cluster, plan, seen);
      if (HasFailure()) FAIL() << "seed " << seed << ", step " << step;
      releases += plan.releases.size();
      preemptions += plan.preemptions.size();
      for (const auto& [job, count] : count_placed(plan)) {
        const std::uint32_t live = cluster.live(job);
        if (live > 0 && live < cluster.demand(job).workers.min) ++refills;
      }
      cluster.carry_out(plan);
      disturb(cluster, random, step);
      cluster.go_on_until(cluster.now_ms + 1000 * between(random, 0, 60));
    }
  }
  EXPECT_GT(releases, 100U) << "the clusters are too roomy to try shrinking";
  EXPECT_GT(refills, 100U) << "too few losses to try refilling";
  EXPECT_GT(seen.overtakers, 100U) << "nobody is behind who may start";
  EXPECT_GT(seen.kept_beside_idle, 50U) << "nobody is kept back";
  EXPECT_GT(seen.kept_moments, 100U) << "too few gangs have a limit";
  EXPECT_GT(preemptions, 100U) << "the jobs are too much alike to try preempting";
  EXPECT_GT(seen.together, 1000U);
  EXPECT_GT(seen.spread, 20U) << "nobody's workers are spread";
  EXPECT_GT(seen.beside_gpus, 20U) << "nobody starts beside GPUs that others wait for";
}

TEST(PlanProperty, ADisturbedClusterSettlesInAFewRounds) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (int step = 0; step < 8; ++step) {
      const int rounds = cluster.settle();
      ASSERT_LE(rounds, 12) << "seed " << seed << ", step " << step;
      ASSERT_TRUE(cluster.plan().releases.empty());
      for (int i = 0; i < 3; ++i) disturb(cluster, random, step * 3 + i);
    }
  }
}

TEST(PlanProperty, TheOrderOfTheInputDoesNotMatterToWhoGetsHowMany) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    ClusterModel shuffled = cluster;
    std::shuffle(shuffled.demands.begin(), shuffled.demands.end(), random);
    EXPECT_EQ(cluster.plan(), shuffled.plan()) << "seed " << seed;
  }
}

/// All jobs end in turn; none is forgotten.
TEST(PlanProperty, EveryJobThatCanRunRunsInTheEnd) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Random random(seed);
    ClusterModel cluster = random_cluster(random);
    for (Demand& demand : cluster.demands) demand.held = demand.is_young = false;
    std::erase_if(cluster.demands, [&](const Demand& demand) { return !can_ever_run(cluster, demand); });
    while (!cluster.demands.empty()) {
      cluster.settle();
      for (int lost = 0; lost < 3 && !cluster.leases.empty(); ++lost) {
        const auto last = static_cast<std::uint32_t>(cluster.leases.size()) - 1;
        cluster.lose_worker(cluster.leases[between(random, 0, last)].worker);
      }
      ASSERT_LE(cluster.settle(), 30) << "seed " << seed;
      const auto running =
          std::find_if(cluster.demands.begin(), cluster.demands.end(),
                       [&](const Demand& demand) { return cluster.live(demand.job) >= demand.workers.min; });
      ASSERT_NE(running, cluster.demands.end()) << "seed " << seed << ": all wait for ever";
      cluster.end_job(std::string(running->job));
    }
  }
}

}  // namespace
}  // namespace ds::scheduler
