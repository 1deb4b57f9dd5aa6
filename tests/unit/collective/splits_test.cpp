#include <gtest/gtest.h>

#include <random>

#include "tests/unit/collective/gang_of_threads.hpp"
#include "tests/unit/collective/reference.hpp"

namespace ds::collective {
namespace {

/// Contiguous ranges of any sizes, none included.
std::vector<RankRange> random_split(std::uint32_t leaves, std::uint32_t world, std::mt19937& generator) {
  std::vector<std::uint32_t> cuts{0, leaves};
  for (std::uint32_t i = 1; i < world; ++i)
    cuts.push_back(static_cast<std::uint32_t>(generator() % (leaves + 1)));
  std::ranges::sort(cuts);
  std::vector<RankRange> ranges;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) ranges.push_back({cuts[i], cuts[i + 1]});
  return ranges;
}

template <class T>
void expect_known_bits(const std::vector<RankRange>& ranges, GangPath path, ReduceOperator op,
                       std::size_t size) {
  const std::uint32_t leaves = ranges.back().last;
  const auto known = known_reduction<T>(op, leaves, size);
  run_gang(
      ranges,
      [&](Communicator& communicator) {
        std::vector<ConstVector> inputs;
        for (std::uint32_t leaf = communicator.hosted().first; leaf < communicator.hosted().last; ++leaf)
          inputs.emplace_back(known->leaves[leaf]);
        std::vector<T> output(size);
        const Result<void> done = communicator.all_reduce(inputs, output, {op, std::nullopt});
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_TRUE(has_same_bits<T>(output, known->result))
            << name_of(path) << ", " << leaves << " logical ranks, rank " << communicator.rank() << " of "
            << ranges.size() << ", " << size << " elements";
      },
      path);
}

class CommunicatorSplits : public ::testing::TestWithParam<GangPath> {};

TEST_P(CommunicatorSplits, GiveTheSameBitsInGangsOfOneToEight) {
  std::mt19937 generator(3);
  for (std::uint32_t world = 1; world <= 8; ++world) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{4'097}, std::size_t{70'001}}) {
      const std::uint32_t leaves = world + static_cast<std::uint32_t>(generator() % 9);
      expect_known_bits<float>(random_split(leaves, world, generator), GetParam(), ReduceOperator::sum, size);
      expect_known_bits<BFloat16>(random_split(leaves, world, generator), GetParam(), ReduceOperator::product,
                                  size);
    }
  }
}

TEST_P(CommunicatorSplits, GiveTheSameBitsFor64MiB) {
  std::mt19937 generator(5);
  constexpr std::size_t kElements = std::size_t{64} << 20U >> 2U;
  const std::uint32_t world = GetParam() == GangPath::two_hosts ? 3 : 2;
  expect_known_bits<float>(random_split(3, world, generator), GetParam(), ReduceOperator::sum, kElements);
}

INSTANTIATE_TEST_SUITE_P(Paths, CommunicatorSplits,
                         ::testing::Values(GangPath::exchange, GangPath::shared_memory, GangPath::two_hosts),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace ds::collective
