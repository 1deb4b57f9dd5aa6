#include "actors/parameters/step_sum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "actors/collective/communicator.hpp"
#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

/// The maximal subtrees of the leaves [first, last).
std::vector<TreePart> parts_of(const std::vector<std::vector<float>>& leaves, std::uint32_t first,
                               std::uint32_t last) {
  collective::SubtreeFold<std::vector<float>> fold(static_cast<std::uint32_t>(leaves.size()));
  for (std::uint32_t leaf = first; leaf < last; ++leaf) {
    fold.push({0, leaf}, leaves[leaf], [](std::vector<float>& left, std::vector<float>&& right) {
      for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
    });
  }
  std::vector<TreePart> parts;
  for (const auto& entry : fold.entries())
    parts.push_back({entry.node.level, entry.node.index, dense(entry.value)});
  return parts;
}

std::vector<float> all_reduced(const std::vector<std::vector<float>>& leaves) {
  collective::Communicator lone(static_cast<std::uint32_t>(leaves.size()));
  std::vector<float> sum(leaves.front().size());
  const auto done = lone.all_reduce(
      std::span(sum), collective::Communicator::Produce<float>([&](std::uint32_t leaf, std::span<float> out) {
        std::ranges::copy(leaves[leaf], out.begin());
        return Result<void>();
      }));
  EXPECT_TRUE(done);
  return sum;
}

TEST(StepSum, HasTheBitsOfAnAllReduceHoweverTheLeavesAreShared) {
  std::mt19937 generator(5);
  for (const std::uint32_t ranks : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 13U}) {
    std::vector<std::vector<float>> leaves(ranks);
    for (auto& leaf : leaves) leaf = random_values(generator, 9001);
    const std::string expected = bits_of(all_reduced(leaves));
    EXPECT_EQ(bits_of(PlainLoop::sum(leaves)), expected);
    for (std::uint32_t workers = 1; workers <= ranks; ++workers) {
      TreeParts parts(ranks, 9001);
      auto ranges = collective::assign_logical_ranks(ranks, workers);
      std::ranges::shuffle(ranges, generator);
      for (const auto& range : ranges) {
        EXPECT_FALSE(parts.complete());
        ASSERT_TRUE(parts.add(parts_of(leaves, range.first, range.last)));
      }
      ASSERT_TRUE(parts.complete());
      std::vector<float> sum(9001);
      const SumVerdict verdict = write_sum(parts, {}, sum);
      EXPECT_FALSE(verdict.not_finite);
      EXPECT_EQ(bits_of(sum), expected) << ranks << " ranks, " << workers << " workers";
    }
  }
}

TEST(StepSum, OfRunsHasTheBitsOfTheDenseSum) {
  std::mt19937 generator(6);
  constexpr std::size_t kElements = 20'000;
  std::vector<std::vector<float>> leaves(3, std::vector<float>(kElements));
  TreeParts sparse(3, kElements);
  std::vector<TreePart> pushed;
  for (std::uint32_t leaf = 0; leaf < 3; ++leaf) {
    const std::uint64_t first = 1000 + 4000 * leaf;
    const auto values = random_values(generator, 3000);
    std::ranges::copy(values, leaves[leaf].begin() + static_cast<std::ptrdiff_t>(first));
    leaves[leaf][first] = -0.0F;  // -0.0 + 0.0 is +0.0
    std::vector<float> named = values;
    named[0] = -0.0F;
    pushed.push_back({0, leaf, {Form::runs, {{first, 3000}}, to_buffer(named)}});
  }
  ASSERT_TRUE(sparse.add(pushed));
  std::vector<float> sum(kElements, 7.0F);
  (void)write_sum(sparse, {}, sum);
  EXPECT_EQ(bits_of(sum), bits_of(PlainLoop::sum(leaves)));
}

TEST(StepSum, IsUnscaledThenJudgedThenCutThenSquared) {
  std::mt19937 generator(7);
  std::vector<std::vector<float>> leaves{random_values(generator, 5000), random_values(generator, 5000)};
  TreeParts parts(2, 5000);
  ASSERT_TRUE(parts.add(parts_of(leaves, 0, 2)));
  std::vector<float> sum(5000);
  const SumVerdict verdict = write_sum(parts, {0.25, 2, true, true}, sum);
  std::vector<float> expected = PlainLoop::sum(leaves);
  kernels::scale(expected, 0.25F);
  EXPECT_EQ(kernels::add_in_tree(verdict.uncut_squares), kernels::squared_norm_of(expected));
  kernels::clip_value(expected, 2);
  EXPECT_EQ(bits_of(sum), bits_of(expected));
  EXPECT_EQ(std::sqrt(kernels::add_in_tree(verdict.squares)), kernels::norm_of(expected));
}

TEST(StepSum, NamesTheFirstElementThatIsNotFinite) {
  std::mt19937 generator(8);
  for (const std::size_t bad : {0U, 4095U, 4096U, 9999U}) {
    std::vector<std::vector<float>> leaves{random_values(generator, 10'000),
                                           random_values(generator, 10'000)};
    leaves[1][bad] = std::numeric_limits<float>::infinity();
    leaves[0][9999] = std::numeric_limits<float>::quiet_NaN();
    TreeParts parts(2, 10'000);
    ASSERT_TRUE(parts.add(parts_of(leaves, 0, 2)));
    std::vector<float> sum(10'000);
    const SumVerdict verdict = write_sum(parts, {1, 0.5, true, true}, sum);
    EXPECT_EQ(verdict.not_finite, bad);
    EXPECT_TRUE(verdict.squares.empty());
    EXPECT_TRUE(verdict.uncut_squares.empty());
    EXPECT_FALSE(std::isfinite(sum[bad])) << "cutting has hidden it";
  }
}

TEST(TreeParts, RefusesForeignAndOverlappingPartsWholeAndIgnoresRepetitions) {
  const Payload four = dense(std::vector<float>(4, 1.0F));
  TreeParts parts(5, 4);
  const auto code = [&](const std::vector<TreePart>& some) {
    const auto added = parts.add(some);
    return added ? ErrorCode::internal : added.error().code;
  };
  EXPECT_EQ(code({{0, 5, four}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{3, 1, four}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{33, 0, four}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{32, 0xFFFFFFFF, four}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code({{0, 0, dense(std::vector<float>(3))}}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(std::vector<TreePart>(6, {0, 0, four})), ErrorCode::invalid_argument) << "too many";
  EXPECT_EQ(code({{0, 0, four}, {1, 0, four}}), ErrorCode::conflict);
  ASSERT_TRUE(parts.add({{1, 0, four}}));
  EXPECT_EQ(code({{0, 4, four}, {0, 1, four}}), ErrorCode::conflict) << "nothing of it was taken";
  ASSERT_TRUE(parts.add({{1, 0, four}, {1, 1, four}}));
  EXPECT_FALSE(parts.complete());
  ASSERT_TRUE(parts.add({{2, 1, four}})) << "leaf 4, as high as it stands";
  EXPECT_TRUE(parts.complete());
}

}  // namespace
}  // namespace ds::parameters
