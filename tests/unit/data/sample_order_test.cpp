#include "actors/data/sample_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ds::data {
namespace {

std::vector<std::uint64_t> epoch_of(const SampleOrder& order, std::uint64_t samples, std::uint64_t epoch) {
  std::vector<std::uint64_t> sequence(samples);
  for (std::uint64_t position = 0; position < samples; ++position)
    sequence[position] = order.sample_at(epoch, position);
  return sequence;
}

bool visits_each_once(std::vector<std::uint64_t> sequence) {
  std::ranges::sort(sequence);
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    if (sequence[i] != i) return false;
  }
  return true;
}

TEST(SampleOrder, VisitsEverySampleOnceForEverySize) {
  for (std::uint64_t samples = 1; samples <= 300; ++samples) {
    for (const SampleOrder::Sizes sizes : {SampleOrder::Sizes{1, 1}, {4, 3}, {7, 2}, {1, 300}, {1024, 16}}) {
      const SampleOrder order(samples, samples, true, sizes);
      ASSERT_TRUE(visits_each_once(epoch_of(order, samples, samples % 5)))
          << samples << " samples, blocks of " << sizes.block << ", windows of " << sizes.window;
    }
  }
}

TEST(SampleOrder, VisitsEverySampleOnceWhenThereAreManyBlocks) {
  for (const std::uint64_t samples : {20'000, 20'001, 65'537}) {
    EXPECT_TRUE(visits_each_once(epoch_of(SampleOrder(samples, 3, true, {16, 4}), samples, 1))) << samples;
    EXPECT_TRUE(visits_each_once(epoch_of(SampleOrder(samples, 3, true), samples, 2))) << samples;
  }
}

TEST(SampleOrder, IsThatOfTheFileWithoutShuffle) {
  const SampleOrder order(5000, 9, false);
  for (std::uint64_t i = 0; i < 5000; ++i) ASSERT_EQ(order.sample_at(i % 3, i), i);
}

TEST(SampleOrder, DiffersBetweenEpochsAndSeedsAndIsRepeatable) {
  const auto first = epoch_of(SampleOrder(3000, 1, true), 3000, 0);
  EXPECT_NE(first, epoch_of(SampleOrder(3000, 1, true), 3000, 1));
  EXPECT_NE(first, epoch_of(SampleOrder(3000, 2, true), 3000, 0));
  EXPECT_EQ(first, epoch_of(SampleOrder(3000, 1, true), 3000, 0));
}

TEST(SampleOrder, DrawsAWindowFromItsBlocksOnly) {
  const SampleOrder order(1000, 4, true, {10, 5});
  for (std::uint64_t window = 0; window < 20; ++window) {
    std::vector<std::uint64_t> blocks;
    for (std::uint64_t i = 0; i < 50; ++i) blocks.push_back(order.sample_at(0, window * 50 + i) / 10);
    std::ranges::sort(blocks);
    EXPECT_EQ(std::unique(blocks.begin(), blocks.end()) - blocks.begin(), 5) << "window " << window;
  }
}

TEST(SampleOrder, PlacesTheShortLastBlockAnywhere) {
  std::vector<bool> early(2);
  for (std::uint64_t epoch = 0; epoch < 100; ++epoch) {
    const auto sequence = epoch_of(SampleOrder(103, 4, true, {10, 1}), 103, epoch);
    early[std::ranges::find(sequence, 102U) - sequence.begin() < 50 ? 1 : 0] = true;
  }
  EXPECT_TRUE(early[0] && early[1]);
}

TEST(SampleOrder, LeavesFewNeighboursTogether) {
  const auto sequence = epoch_of(SampleOrder(4000, 8, true), 4000, 0);
  int neighbours = 0;
  for (std::size_t i = 1; i < sequence.size(); ++i) neighbours += sequence[i] == sequence[i - 1] + 1 ? 1 : 0;
  EXPECT_LT(neighbours, 20) << "about one is expected by chance";
}

}  // namespace
}  // namespace ds::data
