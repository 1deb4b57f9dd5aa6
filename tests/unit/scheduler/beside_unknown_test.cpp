// What starts behind a job whose moment nobody knows: what delays it in no case, and all of that.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"
#include "scheduler/policy/unknown_ends.hpp"
#include "scheduler/spec/scalars.hpp"
#include "tests/unit/scheduler/counted_room.hpp"
#include "tests/unit/scheduler/kept_line.hpp"
#include "tests/unit/scheduler/random_clusters.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

class BesideUnknown : public ::testing::Test {
 protected:
  void add(const std::string& job, std::uint32_t workers, SlotCount slots = 1, std::uint64_t memory = 0) {
    cluster_.add_job(job, {workers, workers}, slots, memory);
  }
  /// Of those jobs how many workers run.
  std::vector<std::uint32_t> live(const std::vector<std::string>& jobs) const {
    std::vector<std::uint32_t> counts;
    for (const std::string& job : jobs) counts.push_back(cluster_.live(job));
    return counts;
  }
  ClusterModel cluster_;
};

TEST_F(BesideUnknown, StartsWhatTheGangHasRoomBesideAsSoonAsItHasRoomAtAll) {
  for (const char* node : {"n1", "n2"}) cluster_.add_node(node, 4);
  add("w1", 3);
  cluster_.settle();
  add("w2", 6);
  add("w3", 1);
  add("w4", 1);
  cluster_.demands.back().lasts_ms = 2'000;
  add("w5", 2, SlotCount::of_thousandths(10));
  cluster_.settle();
  EXPECT_EQ(live({"w2", "w3", "w4", "w5"}), (std::vector<std::uint32_t>{0, 1, 1, 0}))
      << "without w1 there are eight slots, of which two are to spare";
  EXPECT_TRUE(text_of(cluster_.plan(), "w5").ends_with("nobody knows when w2 needs the room"));
  cluster_.end_job("w1");
  cluster_.settle();
  EXPECT_EQ(live({"w2", "w3", "w4", "w5"}), (std::vector<std::uint32_t>{6, 1, 1, 0}));
}

TEST_F(BesideUnknown, LeavesAloneTheMemoryThatTheGangLacks) {
  for (const char* node : {"n1", "n2"}) cluster_.add_node(node, 4, 24 * kGi);
  add("y1", 1, 1, 20 * kGi);
  cluster_.settle();
  add("y2", 2, 1, 20 * kGi);
  for (int i = 0; i < 8; ++i) add("small " + std::to_string(i), 1, 1, kGi / 16);
  add("large", 1, 1, 5 * kGi);
  cluster_.settle();
  EXPECT_EQ(live({"y2", "large"}), (std::vector<std::uint32_t>{0, 0}));
  std::uint32_t small = 0;
  for (int i = 0; i < 8; ++i) small += cluster_.live("small " + std::to_string(i));
  EXPECT_EQ(small, 6U) << "a slot of each node is y2's";
  cluster_.end_job("y1");
  cluster_.settle();
  EXPECT_EQ(cluster_.live("y2"), 2U);
}

TEST_F(BesideUnknown, KeepsNoQueueFromItsGuaranteeForAGangOfItsOwnThatIsTooLarge) {
  cluster_.tenants.queues[0].is_leaf = false;
  cluster_.tenants.queues.push_back({.name = "x", .depth = 1, .guaranteed = 6});
  cluster_.tenants.queues.push_back({.name = "y", .depth = 1, .guaranteed = 6});
  for (const char* node : {"n1", "n2", "n3"}) cluster_.add_node(node, 4);
  add("running", 6);
  cluster_.demands.back().tenant = "y";
  cluster_.settle();
  add("oversized", 9);
  add("small", 1);
  add("last", 3);
  for (const char* job : {"oversized", "small", "last"}) cluster_.demand(job).tenant = "x";
  cluster_.settle();
  EXPECT_EQ(live({"oversized", "small", "last"}), (std::vector<std::uint32_t>{0, 1, 0}))
      << "twelve slots less nine are three";
}

TEST_F(BesideUnknown, StartsNothingWhereAnEndMayBeJustEnough) {
  cluster_.add_node("n1", 8);
  for (const char* job : {"one", "two", "three"}) add(job, 2);
  cluster_.settle();
  add("gang", 4);
  add("newcomer", 1);
  EXPECT_TRUE(cluster_.plan().placements.empty());
  cluster_.demand("gang").workers = {7, 7};
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"newcomer", "n1", 1}})) << "all must end";
}

TEST_F(BesideUnknown, GoesByWhatAnEndedGangLeavesOnEachNode) {
  cluster_.add_node("n1", 4);
  cluster_.add_node("n2", 3);
  add("running", 2, 2);
  cluster_.start_worker("running", "n1");
  cluster_.start_worker("running", "n1");
  add("gang", 2, 2);
  add("newcomer", 1);
  cluster_.demands.back().lasts_ms = 5'000;
  EXPECT_EQ(cluster_.plan().placements, (std::vector<Placement>{{"newcomer", "n2", 1}}))
      << "the third slot of n2 is of no use to workers of two";
}

TEST_F(BesideUnknown, CountsWhatTheGangCanTakeAndNotWhatOthersMayGrowInto) {
  cluster_.add_node("n1", 12);
  add("fixed", 6);
  cluster_.add_job("elastic", {1, 3});
  cluster_.settle();
  add("gang", 10);
  add("one", 1);
  add("two", 1);
  cluster_.settle();
  EXPECT_EQ(live({"fixed", "elastic", "one", "two"}), (std::vector<std::uint32_t>{6, 3, 1, 0}))
      << "twelve less the minimum of the elastic one are eleven";
  cluster_.demand("elastic").priority = kHighPriority;
  cluster_.end_job("one");
  EXPECT_TRUE(cluster_.plan().placements.empty()) << "what a more urgent one grows into it keeps";
}

TEST_F(BesideUnknown, LetsNothingPassAJobWithADeadline) {
  cluster_.add_node("n1", 8);
  add("running", 4);
  cluster_.settle();
  add("gang", 6);
  add("newcomer", 1);
  EXPECT_FALSE(cluster_.plan().placements.empty());
  cluster_.demand("gang").has_promise = true;
  EXPECT_TRUE(cluster_.plan().placements.empty());
}

/// Random gangs on random nodes: some set of ends gives room without the newcomers and not with them if, and
/// with few gangs only if, they take more than is to spare.
TEST(UnknownEnds, SpareIsWhatNoSetOfEndsNeeds) {
  std::size_t certain = 0, exact = 0, uncertain = 0;
  const Seeds seeds(4000);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    const std::size_t nodes = between(random, 1, 3);
    const std::uint32_t slots = between(random, 1, 3);  // a piece
    std::map<std::size_t, Room> free;
    for (std::size_t node = 0; node < nodes; ++node) free[node] = {between(random, 0, 6), 0, 0};
    std::vector<MayEnd> gangs(between(random, 1, seed % 4 == 0 ? 11 : 6));
    for (MayEnd& gang : gangs) {
      for (std::size_t node = 0; node < nodes; ++node) {
        if (between(random, 0, 1) == 0) continue;
        gang.at[node] = {between(random, 1, 5), 0, 0};
        gang.all = plus(gang.all, gang.at[node]);
      }
    }
    const auto fits = [&](std::size_t, const Room& room) {
      return static_cast<std::int64_t>(room.slots.rounded_down() / slots);
    };
    // The newcomers are part of what is used, not of what is to spare.
    std::map<std::size_t, std::uint32_t> newcomers;
    for (auto& [node, room] : free)
      newcomers[node] = between(random, 0, static_cast<std::uint32_t>(room.slots.rounded_down()));
    const auto count_after = [&](std::size_t gone, bool with_newcomers) {
      std::int64_t sum = 0;
      for (auto [node, room] : free) {
        for (std::size_t i = 0; i < gangs.size(); ++i) {
          const auto there = gangs[i].at.find(node);
          if ((gone >> i & 1U) != 0 && there != gangs[i].at.end()) room = plus(room, there->second);
        }
        if (with_newcomers) room.slots -= newcomers.at(node);
        sum += fits(node, room);
      }
      return sum;
    };
    const std::size_t all = (std::size_t{1} << gangs.size()) - 1;
    const std::int64_t least = count_after(0, false), most = count_after(all, false);
    if (most == least) continue;
    const std::int64_t needed =
        least + 1 + static_cast<std::int64_t>(below(random, static_cast<std::uint64_t>(most - least)));
    bool is_in_the_way = false;
    for (std::size_t gone = 0; gone <= all; ++gone)
      is_in_the_way |= count_after(gone, false) >= needed && count_after(gone, true) < needed;
    const WaitingRoom waiting{.free = free, .needed = needed, .fits = fits, .all = {}};
    const auto ends = find_ends(waiting, gangs);
    if (!ends) {
      ++uncertain;
      EXPECT_GE(gangs.size(), 6U);  // of fewer there are not too many sets
      continue;
    }
    const bool is_let_pass = std::ranges::all_of(*ends, [&](const WhenEnded& then) {
      std::int64_t loss = 0;
      for (const auto& [node, room] : free) {
        const auto freed = then.freed.find(node);
        const Room there = freed == then.freed.end() ? room : plus(room, freed->second);
        loss += fits(node, there) - fits(node, minus(there, {newcomers.at(node), 0, 0}));
      }
      return loss <= then.spare;
    });
    ++certain;
    EXPECT_FALSE(is_let_pass && is_in_the_way);
    if (gangs.size() > kMaxLargeGangs) continue;
    EXPECT_EQ(is_let_pass, !is_in_the_way);
    ++exact;
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(certain, 2000U);
  EXPECT_GT(exact, 1500U);
  EXPECT_GT(uncertain, 50U);
}

TEST(UnknownEnds, OthersThatWaitMayTakeSomeOfWhatIsToSpare) {
  const MayEnd gang{.at = {{0, {6, 0, 0}}}, .all = {6, 0, 0}};
  WaitingRoom waiting{
      .free = {{0, {4, 0, 0}}},
      .needed = 5,
      .others = 3,
      .fits = [](std::size_t,
                 const Room& room) { return static_cast<std::int64_t>(room.slots.rounded_down()); },
      .all = {4, 0, 0}};
  const auto ends = find_ends(waiting, {gang});
  ASSERT_TRUE(ends);
  ASSERT_EQ(ends->size(), 1U);
  EXPECT_EQ(ends->front().spare, 2) << "of ten, five and three are wanted";
  waiting.others = 6;
  EXPECT_FALSE(find_ends(waiting, {gang})) << "both together do not fit";
}

/// Jobs without a limit, some of whom may grow: the first four run, if they can, the others have just come.
/// One queue. `is_mixed`: some of the first are less urgent, or more, and workers of some may move.
ClusterModel random_line(Random& random, bool is_mixed) {
  ClusterModel cluster;
  cluster.has_parts = below(random, 4) == 0;
  const bool has_memory = below(random, 2) == 0;
  for (std::uint64_t i = 0; i < 1 + below(random, 3); ++i) {
    cluster.add_node("node" + std::to_string(i), between(random, 2, 8), between(random, 4, 16) * kGi);
    if (below(random, 4) == 0) add_random_gpus(cluster.nodes.back(), beside(random));
  }
  for (int i = 0; i < 9; ++i) {
    add_random_job(cluster, random, i);
    Demand& demand = cluster.demands.back();
    static constexpr std::uint32_t kPriorities[] = {kLowPriority, kNormalPriority, kHighPriority};
    demand.held = demand.is_young = demand.is_new_there = false;
    demand.can_relocate = demand.can_relocate && is_mixed;
    demand.priority = is_mixed && i < 4 ? kPriorities[below(random, 3)] : kNormalPriority;
    demand.curve = nullptr;
    if (!has_memory) demand.memory_bytes = 0;
    if (below(random, 2) == 0) demand.placement = PlacementRule::pack;
    if (below(random, 3) != 0) demand.workers.max = std::max(1U, demand.workers.min);
    demand.lasts_ms = 0;
  }
  // For one that needs a GPU or one node others give any of their workers, so it is not known where those are
  // that they keep.
  const bool is_any_picky = std::ranges::any_of(cluster.demands, [](const Demand& demand) {
    return demand.gpus > 0 || demand.placement == PlacementRule::same_node;
  });
  for (Demand& demand : cluster.demands) {
    if (is_any_picky || !demand.preemptible) demand.workers.max = demand.workers.min;
    demand.can_relocate = demand.can_relocate && demand.workers.max > demand.workers.min;
  }
  cluster.settle_alone(0xf);  // the others come when these have
  return cluster;
}

/// The first in the line of those that wait; none: nobody does.
std::optional<std::string> first_waiting(const ClusterModel& cluster) {
  const Demand* first = nullptr;
  for (const Demand& demand : cluster.demands) {
    if (cluster.live(demand.job) > 0 || !can_ever_run(cluster, demand)) continue;
    if (first == nullptr || demand.priority > first->priority) first = &demand;
  }
  return first == nullptr ? std::nullopt : std::optional(first->job);
}

bool has_all_it_needs(const ClusterModel& cluster, const std::string& job) {
  return cluster.live(job) >= std::max(1U, cluster.demand(job).workers.min);
}

std::string describe(const ClusterModel& cluster) {
  std::string text = "\n";
  for (const NodeView& node : cluster.nodes)
    text += "  " + node.id + ": " + slots_text(node.slots) + " " + std::to_string(node.memory_bytes / kGi) +
            "Gi " + std::to_string(node.gpus) + " " + node.gpu_kind + "\n";
  for (const Demand& demand : cluster.demands) {
    text += "  " + demand.job + ": " + std::to_string(demand.workers.min) + ".." +
            std::to_string(demand.workers.max) + " x " + slots_text(demand.slots) + " " +
            std::to_string(demand.memory_bytes / kGi) + "Gi " + std::to_string(demand.gpus) + " " +
            demand.gpu_kind + (demand.placement == PlacementRule::same_node ? " together" : "") +
            (demand.preemptible ? "" : " fixed") + ":";
    for (const Lease& lease : cluster.leases) text += lease.job == demand.job ? " " + lease.node : "";
    text += "\n";
  }
  return text;
}

TEST(BesideUnknownProperty, TheFirstNeverStartsLaterWithThoseBehindItThanWithoutThem) {
  std::size_t compared = 0, passed = 0, started = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel without = random_line(random, seed % 2 == 1);
    std::vector<Demand> behind;
    {
      ClusterModel settled = without;
      // One after another, so that it is known who is the first that waits.
      std::vector<Demand> all = settled.demands;
      settled.demands.resize(4);
      for (std::size_t next = 4; next <= all.size(); ++next) {
        settled.settle();
        if (first_waiting(settled) || next == all.size()) {
          behind.assign(all.begin() + static_cast<std::ptrdiff_t>(next), all.end());
          break;
        }
        settled.demands.push_back(all[next]);
      }
      without = std::move(settled);
    }
    const auto first = first_waiting(without);
    if (!first || behind.empty() || without.demand(*first).priority < kNormalPriority) continue;
    // What a node has that is of no use to the first is free to all, though others could move there for it.
    const bool may_move = std::ranges::any_of(without.demands, &Demand::can_relocate);
    const Demand piece = in_one_piece(without.demand(*first));
    const bool are_all_of_use = std::ranges::all_of(
        without.nodes, [&](const NodeView& node) { return piece.gpus == 0 && fits_beside(node, {}, piece); });
    if (may_move && !are_all_of_use) continue;
    for (Demand& demand : behind) demand.lasts_ms = below(random, 4) == 0 ? 5'000 : 0;
    ClusterModel with = without;
    with.demands.insert(with.demands.end(), behind.begin(), behind.end());
    with.settle();
    for (const Demand& demand : behind) passed += with.live(demand.job) > 0 ? 1 : 0;
    // Who ran before ends, in a random order; newcomers stay.
    std::vector<std::string> running;
    for (const Demand& demand : without.demands) {
      if (without.live(demand.job) > 0) running.push_back(demand.job);
    }
    std::ranges::shuffle(running, random);
    for (const std::string& job : running) {
      for (ClusterModel* cluster : {&without, &with}) {
        cluster->end_job(job);
        cluster->settle();
      }
      // One of those behind may end as well, at any time.
      if (below(random, 3) == 0) {
        with.end_job(behind[below(random, behind.size())].job);
        if (with.demands.size() == 0) break;
        with.settle();
      }
      ++compared;
      if (!has_all_it_needs(without, *first)) continue;
      ASSERT_TRUE(has_all_it_needs(with, *first)) << "seed " << seed << ": " << *first << " after the end of "
                                                  << job << describe(without) << describe(with);
      ++started;
      break;
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(compared, 1000U);
  EXPECT_GT(passed, 300U);
  EXPECT_GT(started, 500U);
}

TEST(BesideUnknownProperty, NoSlotIsIdleThatAJobCouldTakeWhichIsInTheWayInNoCase) {
  std::size_t waiting = 0, in_the_way = 0, beside = 0;
  const Seeds seeds(1500);
  for (const std::uint64_t seed : seeds) {
    if (HasFailure()) return;
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    Random random(seed);
    ClusterModel cluster = random_line(random, false);
    cluster.settle();
    const auto name = first_waiting(cluster);
    if (!name) continue;
    const Demand& first = cluster.demand(*name);
    const auto runs = std::ranges::count_if(
        cluster.demands, [&](const Demand& demand) { return cluster.live(demand.job) > 0; });
    if (static_cast<std::size_t>(runs) > kMaxLargeGangs) continue;
    for (const Demand& demand : cluster.demands) {
      if (cluster.live(demand.job) > 0) beside += demand.order > first.order ? 1 : 0;
      if (cluster.live(demand.job) > 0 || demand.job == first.job || demand.workers.min > 1) continue;
      for (const NodeView& node : cluster.nodes) {
        if (!node.available || !fits_beside(node, count_use(cluster, {})[node.id], demand)) continue;
        ++waiting;
        ASSERT_TRUE(is_ever_in_the_way(cluster, first, {{demand.job, node.id, 1}}))
            << "seed " << seed << ": " << demand.job << " on " << node.id << " behind " << first.job
            << describe(cluster);
        ++in_the_way;
      }
    }
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(waiting, 200U);
  EXPECT_GT(in_the_way, 200U);
  EXPECT_GT(beside, 300U);
}

}  // namespace
}  // namespace ds::scheduler
