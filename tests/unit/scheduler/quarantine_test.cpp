#include "scheduler/policy/quarantine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace ds::scheduler {
namespace {

constexpr std::int64_t kWindowMs = std::chrono::milliseconds(kQuarantineWindow).count();

TEST(Quarantine, IsForANodeOnWhichThreeJobsCrashedSoonAfterTheirStart) {
  std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 2}};
  EXPECT_EQ(choose_quarantine(crashes, {}, 3), std::nullopt);
  crashes.push_back({"n1", "c", 3});
  const auto chosen = choose_quarantine(crashes, {}, 3);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->node, "n1");
  EXPECT_EQ(choose_quarantine(crashes, {"n1"}, 3), std::nullopt);
  EXPECT_EQ(chosen->why, "workers of 3 jobs crashed there soon after they had started: a, b, c");
}

TEST(Quarantine, IsForNoNodeBecauseOfOneJobHoweverOftenItCrashes) {
  const std::vector<EarlyCrash> crashes(20, EarlyCrash{"n1", "a", 1});
  EXPECT_EQ(choose_quarantine(crashes, {}, 2), std::nullopt);
}

TEST(Quarantine, DoesNotCountAJobThatCrashesElsewhereToo) {
  std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 1}, {"n1", "c", 1}, {"n2", "c", 2}};
  EXPECT_EQ(choose_quarantine(crashes, {}, 3), std::nullopt);
  crashes.push_back({"n1", "d", 3});
  EXPECT_EQ(choose_quarantine(crashes, {}, 3)->node, "n1");
}

TEST(Quarantine, ForgetsWhatIsLongAgo) {
  const std::vector<EarlyCrash> crashes{{"n1", "a", 0}, {"n1", "b", 100}, {"n1", "c", 100}};
  EXPECT_TRUE(choose_quarantine(crashes, {}, kWindowMs - 1));
  EXPECT_EQ(choose_quarantine(crashes, {}, kWindowMs), std::nullopt);
}

TEST(Quarantine, NeverTakesAllNodesForOneCause) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    // Each job crashes on every node, as often as it likes.
    std::vector<EarlyCrash> crashes;
    for (std::uint32_t job = 0; job < 1 + random() % 8; ++job) {
      for (const char* node : {"n1", "n2"}) {
        for (std::uint32_t i = 0; i < 1 + random() % 3; ++i)
          crashes.push_back({node, "j" + std::to_string(job), static_cast<std::int64_t>(random() % 1000)});
      }
    }
    std::ranges::shuffle(crashes, random);
    EXPECT_EQ(choose_quarantine(crashes, {}, 1000), std::nullopt);
  }
}

}  // namespace
}  // namespace ds::scheduler
