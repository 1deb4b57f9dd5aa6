#include "scheduler/policy/queue_use.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <variant>
#include <vector>

#include "scheduler/policy/guarantees.hpp"
#include "scheduler/spec/tenant_file.hpp"

namespace ds::scheduler {
namespace {

TenantTree tree_of(std::string_view text) {
  return std::get<TenantTree>(parse_tenant_file(text));
}

TEST(QueueUse, AllowsWhatIsGuaranteedAndWhatMayBeBorrowed) {
  const TenantTree tree = tree_of("tenants: {a: {guaranteed: 2, borrowing_limit: 1}, b: {guaranteed: 2}}");
  const std::size_t a = 1, b = 2;
  QueueUse use(tree, Room{8});
  EXPECT_EQ(use.find_limit(a, {3}), std::nullopt);
  EXPECT_EQ(use.find_limit(a, {4}), a);
  use.add(a, {2});
  EXPECT_FALSE(use.is_over_guarantee(a, {}));
  EXPECT_EQ(use.find_limit(a, {1}), std::nullopt);
  EXPECT_EQ(use.find_limit(a, {2}), a);
  use.add(a, {1});
  EXPECT_TRUE(use.is_over_guarantee(a, {}));
  EXPECT_TRUE(use.can_spare(a, {1}));
  EXPECT_FALSE(use.can_spare(a, {1 + SlotCount::of_thousandths(1)}));
  EXPECT_EQ(use.find_limit(b, {100}), std::nullopt) << "the nodes are the only limit";
  use.remove(a, {3});
  EXPECT_TRUE(use.fits_guarantee(a, {2}));
  EXPECT_FALSE(use.fits_guarantee(a, {3}));
}

TEST(QueueUse, KeepsWhatAQueueDoesNotLend) {
  const TenantTree tree = tree_of("tenants: {a: {guaranteed: 4, lending_limit: 1}, b: {}}");
  const std::size_t a = 1, b = 2;
  QueueUse use(tree, Room{8});
  EXPECT_EQ(use.find_limit(b, {5}), std::nullopt);
  EXPECT_EQ(use.find_limit(b, {6}), TenantTree::kRoot);
  use.add(a, {2});
  EXPECT_EQ(use.find_limit(b, {5}), std::nullopt) << "it uses two of the three that it does not lend";
  use.add(a, {2});
  EXPECT_EQ(use.find_limit(b, {4}), std::nullopt);
  EXPECT_EQ(use.find_limit(b, {5}), TenantTree::kRoot);
}

TEST(QueueUse, HoldsWhatQueuesKeepForThemselves) {
  const TenantTree tree = tree_of(
      "tenants: {a: {guaranteed: 6, borrowing_limit: 2, queues: {x: {guaranteed: 3}, y: {guaranteed: 3}}}, "
      "b: "
      "{guaranteed: 2}}");
  const std::size_t a = 1, x = 2, b = 4;
  QueueUse use(tree, Room{12}, QueueUse::Lending::nothing);
  const auto find_held = [&](std::size_t leaf, std::uint64_t slots) -> std::optional<std::size_t> {
    const auto held = use.find_held(leaf, {slots});
    return held ? std::optional(held->queue) : std::nullopt;
  };
  EXPECT_EQ(find_held(x, 5), std::nullopt) << "its own three, and two that nobody holds";
  EXPECT_EQ(find_held(x, 6), a) << "y could not have its three";
  EXPECT_EQ(find_held(b, 6), std::nullopt);
  EXPECT_EQ(find_held(b, 7), TenantTree::kRoot);
  EXPECT_EQ(use.held_beyond_guarantee(a).slots, 0);
  use.add(x, {5});
  EXPECT_EQ(use.held_beyond_guarantee(a).slots, 2);
  EXPECT_EQ(find_held(b, 4), std::nullopt);
  EXPECT_EQ(find_held(b, 5), TenantTree::kRoot);
  use.set_total({9});
  EXPECT_EQ(find_held(b, 2), std::nullopt) << "its own, though there are too few for all";
  EXPECT_EQ(find_held(b, 3), TenantTree::kRoot);
}

TEST(QueueUse, GoesByGpusTooWhereAnybodyIsGuaranteedSome) {
  const TenantTree tree = tree_of("tenants: {a: {guaranteed: 4, guaranteed_gpus: 2}, b: {guaranteed: 4}}");
  const std::size_t a = 1, b = 2;
  const Room with_gpu{1, 0, 1}, without{1};
  QueueUse use(tree, Room{12, 0, 4});
  EXPECT_TRUE(use.fits_guarantee(a, {2, 0, 2}));
  EXPECT_FALSE(use.fits_guarantee(a, {2, 0, 3}));
  EXPECT_TRUE(use.fits_guarantee(b, {4}));
  EXPECT_FALSE(use.fits_guarantee(b, with_gpu)) << "b is guaranteed no GPUs";
  use.add(a, {3, 0, 3});
  EXPECT_TRUE(use.is_over_guarantee(a, with_gpu));
  EXPECT_TRUE(use.can_spare(a, with_gpu)) << "its third GPU is borrowed, though not its slot";
  EXPECT_FALSE(use.can_spare(a, {2, 0, 2})) << "one of the two is its own";
  EXPECT_FALSE(use.is_over_guarantee(a, without));
  EXPECT_FALSE(use.can_spare(a, without));
  EXPECT_TRUE(use.fits_guarantee(a, without)) << "of GPUs it has too many, but wants none";
  EXPECT_TRUE(use.fits_guarantee(a, with_gpu, {0, 0, 2}));
}

TEST(QueueUse, HoldsTheGpusThatQueuesKeepForThemselves) {
  const TenantTree tree = tree_of(
      "tenants: {a: {guaranteed: 4, guaranteed_gpus: 2, gpu_limit: 3}, b: {guaranteed: 4, guaranteed_gpus: "
      "1}}");
  const std::size_t a = 1, b = 2;
  QueueUse use(tree, Room{100, 0, 4}, QueueUse::Lending::nothing);
  EXPECT_FALSE(use.find_held(a, {1, 0, 3})) << "its own two, and one that nobody holds";
  ASSERT_TRUE(use.find_held(a, {1, 0, 4}));
  EXPECT_EQ(use.find_held(a, {1, 0, 4})->queue, a);
  EXPECT_TRUE(use.find_held(a, {1, 0, 4})->is_of_gpus);
  EXPECT_FALSE(use.find_held(b, {1, 0, 2}));
  ASSERT_TRUE(use.find_held(b, {1, 0, 3}));
  EXPECT_EQ(use.find_held(b, {1, 0, 3})->queue, TenantTree::kRoot);
  EXPECT_FALSE(use.find_held(b, {90})) << "a worker without GPUs";
  use.add(a, {1, 0, 3});
  EXPECT_EQ(use.held_beyond_guarantee(a).gpus, 1U);
  EXPECT_TRUE(use.find_held(b, {1, 0, 2}));
  EXPECT_FALSE(use.find_held(b, {1, 0, 1}));
}

TEST(QueueUse, LimitsAQueueByAllAboveIt) {
  TenantTree tree =
      tree_of("tenants: {a: {guaranteed: 4, borrowing_limit: 0, queues: {x: {guaranteed: 3}, y: {}}}}");
  tree.queues[2].lending_limit = 1;
  const std::size_t a = 1, x = 2, y = 3;
  QueueUse use(tree, Room{100});
  EXPECT_EQ(use.find_limit(y, {2}), std::nullopt);
  EXPECT_EQ(use.find_limit(y, {3}), a) << "x lends one of its three";
  use.add(y, {2});
  EXPECT_EQ(use.slots(a), 2U);
  EXPECT_EQ(use.slots(TenantTree::kRoot), 2U);
  EXPECT_EQ(use.find_limit(x, {2}), std::nullopt);
  EXPECT_EQ(use.find_limit(x, {3}), a);
}

/// Against the same sums made anew each time.
TEST(QueueUse, IsTheSumOfItsChangesInRandomTrees) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    TenantTree tree;
    for (std::size_t i = 1; i < 8; ++i) {
      const std::size_t parent = random() % i;
      tree.queues[parent].is_leaf = false;
      QueueSpec spec{.name = "q" + std::to_string(i), .parent = parent, .depth = tree[parent].depth + 1};
      spec.guaranteed = random() % 5;
      if (random() % 2 == 0) spec.borrowing_limit = random() % 4;
      if (random() % 2 == 0) spec.lending_limit = random() % (spec.guaranteed + 1);
      tree.queues.push_back(spec);
    }
    const std::uint64_t total = random() % 20;
    QueueUse use(tree, Room{total});
    std::vector<std::uint64_t> own(tree.queues.size(), 0);
    for (int step = 0; step < 40; ++step) {
      std::size_t leaf = 1 + random() % 7;
      while (!tree[leaf].is_leaf) leaf = 1 + random() % 7;
      const std::uint64_t more = 1 + random() % 3;
      // All that is held once the leaf has more, from the leaves up.
      std::vector<std::uint64_t> held = own;
      held[leaf] += more;
      std::optional<std::size_t> limit;
      bool reserves = false;
      for (std::size_t i = held.size(); i-- > 0;) {
        reserves = reserves || tree[i].reserved() > 0;
        const bool above = tree.is_below(leaf, i);
        if (i != 0 && above && tree[i].most() && held[i] > *tree[i].most()) limit = limit.value_or(i);
        held[i] = std::max(held[i], tree[i].reserved());
        if (i != 0) held[tree[i].parent] += held[i];
      }
      if (!limit && reserves && held[0] > total) limit = 0;
      ASSERT_EQ(use.find_limit(leaf, {more}).has_value(), limit.has_value()) << "seed " << seed;
      if (!limit) {
        own[leaf] += more;
        use.add(leaf, {more});
      } else if (own[leaf] > 0) {
        --own[leaf];
        use.remove(leaf, {1});
      }
    }
  }
}

struct Claim {
  std::size_t number = 0, queue = 0;
  std::uint64_t slots = 0, gpus = 0;
  Room room() const { return {slots, 0, gpus}; }
};

/// By claim, in the order in which they are served.
/// `kept`: what nobody gets back, each of a claim's number.
std::vector<std::size_t> levels_of(const TenantTree& tree, std::vector<Claim> claims,
                                   std::vector<std::size_t> kept = {}) {
  std::vector<std::vector<Claim*>> by_queue(tree.queues.size());
  std::vector<std::vector<KeptRoom<Claim>>> keeping(tree.queues.size());
  for (std::size_t i = 0; i < claims.size(); ++i) {
    claims[i].number = i;
    const std::size_t queue = claims[i].queue;
    if (std::ranges::find(kept, i) != kept.end()) {
      keeping[queue].push_back({&claims[i], queue, claims[i].room()});
      continue;
    }
    by_queue[queue].push_back(&claims[i]);
  }
  std::vector<std::size_t> levels(claims.size(), 0);
  for (std::size_t tenant = 1; tenant < tree.queues.size(); ++tenant) {
    if (tree[tenant].depth != 1) continue;
    std::vector<std::size_t> queues;
    std::vector<ClaimLine<std::vector<Claim*>::iterator>> lines;
    std::vector<std::vector<KeptRoom<Claim>>> kept_there;
    for (std::size_t queue = tenant; queue < tree.queues.size(); ++queue) {
      if (!tree.is_below(queue, tenant)) continue;
      queues.push_back(queue);
      lines.push_back({by_queue[queue].begin(), by_queue[queue].end()});
      kept_there.push_back(keeping[queue]);
    }
    for_each_guaranteed(
        tree, queues, lines, std::move(kept_there),
        [](const Claim* a, const Claim* b) { return a->number < b->number; },
        [](const Claim& claim) { return claim.room(); },
        [&](const Claim& claim, std::size_t count, bool) { levels[claim.number] = count; });
  }
  return levels;
}

using Levels = std::vector<std::size_t>;

TEST(GuaranteedLevels, GoToTheFirstJobsOfAQueueUpToTheFirstThatDoesNotFit) {
  const TenantTree tree = tree_of("tenants: {a: {guaranteed: 4}, b: {guaranteed: 1}}");
  EXPECT_EQ(levels_of(tree, {{0, 1, 2}, {0, 2, 2}, {0, 1, 3}, {0, 1, 1}, {0, 2, 1}}),
            (Levels{1, 0, 0, 0, 0}));
}

TEST(GuaranteedLevels, CountQueueByQueueUpTheTree) {
  const TenantTree tree =
      tree_of("tenants: {a: {guaranteed: 4, queues: {x: {guaranteed: 2}, y: {guaranteed: 1}}}}");
  const std::size_t x = 2, y = 3;
  // The tenant has one slot beyond what its queues are guaranteed; x's second job takes it.
  EXPECT_EQ(levels_of(tree, {{0, x, 2}, {0, x, 1}, {0, y, 1}, {0, y, 1}}), (Levels{2, 1, 2, 0}));
}

TEST(GuaranteedLevels, GoFirstToWhatNobodyGetsBack) {
  const TenantTree tree =
      tree_of("tenants: {a: {guaranteed: 6, queues: {x: {guaranteed: 3}, y: {guaranteed: 3}}}}");
  const std::size_t x = 2, y = 3;
  EXPECT_EQ(levels_of(tree, {{0, x, 2}, {0, x, 1}, {0, x, 2}}, {2}), (Levels{1, 1, 2}));
  EXPECT_EQ(levels_of(tree, {{0, x, 1}, {0, y, 3}, {0, x, 5}}, {2}), (Levels{0, 2, 0}))
      << "too much for x and for a: nothing is left of either, but of y";
}

TEST(GuaranteedLevels, GoByGpusTooWhereAnybodyIsGuaranteedSome) {
  const TenantTree tree = tree_of(
      "tenants: {a: {guaranteed: 4, guaranteed_gpus: 2}, b: {guaranteed: 4}, c: {guaranteed: 4, queues: "
      "{x: {guaranteed: 2, guaranteed_gpus: 1}, y: {guaranteed: 2}}}}");
  EXPECT_EQ(levels_of(tree, {{0, 1, 1, 1}, {0, 1, 1, 2}, {0, 1, 1, 0}}), (Levels{1, 0, 0}))
      << "up to the first that either is not enough for";
  EXPECT_EQ(levels_of(tree, {{0, 2, 2, 0}, {0, 2, 1, 1}}), (Levels{1, 0})) << "b is guaranteed no GPUs";
  EXPECT_EQ(levels_of(tree, {{0, 4, 1, 1}, {0, 5, 1, 1}}), (Levels{2, 0}));
  EXPECT_EQ(levels_of(tree, {{0, 1, 1, 1}, {0, 1, 1, 3}, {0, 1, 3, 0}}, {1}), (Levels{0, 0, 0}))
      << "nobody gets back the GPUs that the second keeps";
  EXPECT_EQ(levels_of(tree, {{0, 1, 1, 0}, {0, 1, 1, 3}, {0, 1, 3, 0}}, {1}), (Levels{1, 0, 0}))
      << "nor the slot, but two are left";
  const TenantTree without = tree_of("tenants: {a: {guaranteed: 4}}");
  EXPECT_EQ(levels_of(without, {{0, 1, 2, 9}, {0, 1, 2, 9}}), (Levels{1, 1}));
}

TEST(GuaranteedLevels, DoNotExistWithoutTenants) {
  EXPECT_EQ(levels_of(TenantTree{}, {{0, 0, 1}, {0, 0, 2}}), (Levels{0, 0}));
}

}  // namespace
}  // namespace ds::scheduler
