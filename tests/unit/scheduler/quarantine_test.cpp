#include "scheduler/policy/quarantine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace ds::scheduler {
namespace {

const std::set<std::string, std::less<>> kOpen{"n1", "n2"};
constexpr std::int64_t kWindowMs = std::chrono::milliseconds(kQuarantineWindow).count();

TEST(Quarantine, IsForANodeOnWhichThreeJobsCrashedSoonAfterTheirStart) {
  std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 2}};
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 3), std::nullopt);
  crashes.push_back({"n1", "c", 3});
  const auto chosen = choose_quarantine(crashes, {}, kOpen, 3);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->node, "n1");
  EXPECT_EQ(choose_quarantine(crashes, {}, {"n2", "n3"}, 3), std::nullopt);
  EXPECT_EQ(chosen->why, "workers of 3 jobs crashed there soon after they had started: a, b, c");
}

TEST(Quarantine, IsForNoNodeBecauseOfOneJobHoweverOftenItCrashes) {
  const std::vector<EarlyCrash> crashes(20, EarlyCrash{"n1", "a", 1});
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 2), std::nullopt);
}

TEST(Quarantine, DoesNotCountAJobThatCrashesElsewhereToo) {
  std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 1}, {"n1", "c", 1}, {"n2", "c", 2}};
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 3), std::nullopt);
  crashes.push_back({"n1", "d", 3});
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 3)->node, "n1");
}

TEST(Quarantine, ForgetsWhatIsLongAgo) {
  const std::vector<EarlyCrash> crashes{{"n1", "a", 0}, {"n1", "b", 100}, {"n1", "c", 100}};
  EXPECT_TRUE(choose_quarantine(crashes, {}, kOpen, kWindowMs - 1));
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, kWindowMs), std::nullopt);
}

TEST(Quarantine, LeavesTheLastNodeOpen) {
  const std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 2}, {"n1", "c", 3}};
  EXPECT_EQ(choose_quarantine(crashes, {}, {"n1"}, 3), std::nullopt);
  EXPECT_EQ(choose_quarantine(crashes, {}, {}, 3), std::nullopt);
}

TEST(Quarantine, IsLiftedWhenTheSameJobsCrashElsewhereToo) {
  std::vector<EarlyCrash> crashes{{"n1", "a", 1}, {"n1", "b", 2}, {"n1", "c", 3}};
  EXPECT_EQ(choose_cleared(crashes, {}, {"n1"}), std::nullopt);
  crashes.push_back({"n2", "b", kWindowMs * 2});
  EXPECT_EQ(choose_cleared(crashes, {}, {"n1"}), "n1");
  EXPECT_EQ(choose_cleared(crashes, {}, {}), std::nullopt);
  EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 4), std::nullopt) << "it would come back at once";
  crashes.push_back({"n1", "d", kWindowMs * 2});
  EXPECT_EQ(choose_cleared(crashes, {}, {"n1"}), std::nullopt);
  // What the ledger does not remember any more clears nobody.
  EXPECT_EQ(choose_cleared(std::vector<EarlyCrash>{{"n2", "b", 1}, {"n1", "b", 1}}, {}, {"n1"}),
            std::nullopt);
}

TEST(Quarantine, IsForANodeOnWhichProgramsFailThatRunWellElsewhere) {
  const std::vector<EarlyCrash> crashes{{"n1", "a", 1, true}, {"n1", "b", 2, true}, {"n1", "c", 3, true}};
  std::set<SoundRun> sound{{"n2", "a"}, {"n2", "b"}};
  EXPECT_EQ(choose_quarantine(crashes, sound, kOpen, 4), std::nullopt);
  sound.insert({"n3", "c"});
  const auto chosen = choose_quarantine(crashes, sound, kOpen, 4);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->node, "n1");
  EXPECT_EQ(choose_cleared(crashes, sound, {"n1"}), std::nullopt);
  sound.insert({"n1", "c"});  // it was the program all the same
  EXPECT_EQ(choose_quarantine(crashes, sound, kOpen, 4), std::nullopt);
  EXPECT_EQ(choose_cleared(crashes, sound, {"n1"}), "n1");
}

TEST(Quarantine, IsForNoNodeBecauseOfProgramsThatFailWhereverTheyRun) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    // Faulty programs, on any nodes; sound ones, which do not crash, and two that one node has ended.
    std::vector<EarlyCrash> crashes{{"n1", "sound 1", 1, true}, {"n1", "sound 2", 1, true}};
    std::set<SoundRun> sound{{"n2", "sound 1"}, {"n2", "sound 2"}, {"n1", "sound 3"}, {"n2", "sound 4"}};
    for (std::uint32_t i = 0; i < random() % 40; ++i)
      crashes.push_back({"n" + std::to_string(1 + random() % 2), "faulty " + std::to_string(random() % 9),
                         static_cast<std::int64_t>(random() % 1000), true});
    EXPECT_EQ(choose_quarantine(crashes, sound, kOpen, 1000), std::nullopt);
  }
}

TEST(Quarantine, IsNeverChosenForWhatItIsLiftedFor) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<EarlyCrash> crashes;
    for (std::uint32_t i = 0; i < random() % 30; ++i) {
      crashes.push_back({"n" + std::to_string(1 + random() % 2), "j" + std::to_string(random() % 9),
                         static_cast<std::int64_t>(random() % (3 * kWindowMs)), random() % 3 == 0});
    }
    std::set<SoundRun> sound;
    for (std::uint32_t i = 0; i < random() % 9; ++i)
      sound.insert({"n" + std::to_string(1 + random() % 2), "j" + std::to_string(random() % 9)});
    const auto chosen = choose_quarantine(crashes, sound, kOpen, 3 * kWindowMs);
    if (!chosen) continue;
    EXPECT_EQ(choose_cleared(crashes, sound, {chosen->node}), std::nullopt);
  }
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
    EXPECT_EQ(choose_quarantine(crashes, {}, kOpen, 1000), std::nullopt);
  }
}

}  // namespace
}  // namespace ds::scheduler
