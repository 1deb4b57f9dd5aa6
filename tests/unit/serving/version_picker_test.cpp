#include "actors/serving/version_picker.hpp"

#include <gtest/gtest.h>

namespace ds::serving {
namespace {

using Able = std::map<std::uint64_t, std::uint32_t>;

/// How often each is picked in so many times.
std::map<std::uint64_t, int> picks(VersionPicker& picker, const Able& able, int times) {
  std::map<std::uint64_t, int> counts;
  for (int i = 0; i < times; ++i) ++counts[picker.pick(able).value_or(0)];
  return counts;
}

TEST(VersionPicker, GivesEachVersionItsShareWhateverReplicasItHas) {
  VersionPicker picker;
  picker.set_lines({{.version = 1, .share = 90}, {.version = 2, .share = 10}});
  EXPECT_EQ(picks(picker, {{1, 1}, {2, 5}}, 1000), (std::map<std::uint64_t, int>{{1, 900}, {2, 100}}));
  EXPECT_EQ(picks(picker, {{2, 1}}, 10), (std::map<std::uint64_t, int>{{2, 10}}))
      << "the other has no replica";
  EXPECT_FALSE(picker.pick({}));
}

TEST(VersionPicker, SpreadsThePicksEvenly) {
  VersionPicker picker;
  picker.set_lines({{.version = 1, .share = 75}, {.version = 2, .share = 25}});
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(picks(picker, {{1, 1}, {2, 1}}, 4), (std::map<std::uint64_t, int>{{1, 3}, {2, 1}})) << i;
}

TEST(VersionPicker, LoadsOldAndNewReplicasAlikeWhileALineMovesOn) {
  VersionPicker picker;
  picker.set_lines({{.version = 2, .former = 1, .share = 100}});
  EXPECT_EQ(picks(picker, {{1, 3}, {2, 1}}, 400), (std::map<std::uint64_t, int>{{1, 300}, {2, 100}}));
  picker.set_lines({{.version = 2, .former = 1, .share = 90}, {.version = 5, .share = 10}});
  EXPECT_EQ(picks(picker, {{1, 2}, {2, 1}, {5, 1}}, 100),
            (std::map<std::uint64_t, int>{{1, 60}, {2, 30}, {5, 10}}));
}

TEST(VersionPicker, DividesReplicasThatTwoLinesHaveWhileOneOfThemMovesOn) {
  // Both had version 1; the first replica of 2 is there.
  const std::vector<VersionLine> lines{{.version = 2, .former = 1, .share = 90}, {.version = 1, .share = 10}};
  const auto weights = weigh_versions(lines, {{1, 2}, {2, 1}});
  EXPECT_NEAR(weights.at(2), 90.0 / 2.8, 1e-9) << "one of three replicas does not get nine of ten requests";
  EXPECT_NEAR(weights.at(1) + weights.at(2), 100, 1e-9);
}

TEST(VersionPicker, TakesTwoLinesOfOneVersionForOne) {
  VersionPicker picker;
  picker.set_lines({{.version = 1, .share = 50}, {.version = 2, .share = 25}, {.version = 1, .share = 25}});
  EXPECT_EQ(picks(picker, {{1, 1}, {2, 1}}, 100), (std::map<std::uint64_t, int>{{1, 75}, {2, 25}}));
}

TEST(VersionPicker, LeavesNobodyOutWhomItKnowsNothingOf) {
  VersionPicker picker;
  picker.set_lines({{.version = 3, .share = 100}});
  EXPECT_EQ(picks(picker, {{1, 1}, {2, 1}}, 10), (std::map<std::uint64_t, int>{{1, 5}, {2, 5}}));
}

}  // namespace
}  // namespace ds::serving
