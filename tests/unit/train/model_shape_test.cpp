#include "actors/train/model_shape.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace ds::train {
namespace {

constexpr ModelShape kShape{.vocabulary = 50, .length = 8, .width = 12, .classes = 3, .dropout = 0.25};

std::vector<float> initial(std::uint64_t seed) {
  std::vector<float> parameters(parameter_count(kShape), NAN);
  write_initial_parameters(kShape, seed, parameters);
  return parameters;
}

TEST(ParameterSlots, LieBesideEachOtherWithoutGaps) {
  std::uint64_t next = 0;
  for (const ParameterSlot& slot : parameter_slots(kShape)) {
    EXPECT_EQ(slot.offset, next);
    next += slot.size;
  }
  EXPECT_EQ(next, parameter_count(kShape));
  EXPECT_EQ(next, 50U * 12 + 12 * 12 * 3 + 12 + 3 * 12 + 3);
}

TEST(InitialParameters, DependOnTheSeedAloneAndLeaveThePaddingWordZero) {
  EXPECT_EQ(initial(7), initial(7));
  EXPECT_NE(initial(7), initial(8));
  const std::vector<float> parameters = initial(7);
  EXPECT_TRUE(
      std::all_of(parameters.begin(), parameters.begin() + 12, [](float value) { return value == 0; }));
  EXPECT_TRUE(std::all_of(parameters.begin() + 12, parameters.end(),
                          [](float value) { return value != 0 && std::abs(value) <= 1; }));
}

/// What a seed means must never change: a job that is resumed after an update would end elsewhere.
TEST(InitialParameters, AreTheSameForEver) {
  const std::vector<float> parameters = initial(7);
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const float value : parameters) hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3U;
  EXPECT_EQ(hash, 17712318804020111594U);
}

TEST(DropoutMask, ZeroesItsShareAndScalesTheRest) {
  std::vector<float> mask(100'000);
  write_dropout_mask(0.25, 1, 2, 3, 4, mask);
  const auto zeros = static_cast<double>(std::ranges::count(mask, 0.0F));
  EXPECT_NEAR(zeros, 25'000, 700);
  EXPECT_EQ(static_cast<double>(std::ranges::count(mask, static_cast<float>(1 / 0.75))), 100'000 - zeros);
}

TEST(DropoutMask, BelongsToSeedStepLogicalRankAndMicroBatch) {
  const auto mask_of = [](std::uint64_t seed, std::uint64_t step, std::uint32_t rank, std::uint32_t micro) {
    std::vector<float> mask(200);
    write_dropout_mask(0.5, seed, step, rank, micro, mask);
    return mask;
  };
  const std::vector<float> base = mask_of(1, 2, 3, 4);
  EXPECT_EQ(base, mask_of(1, 2, 3, 4));
  EXPECT_NE(base, mask_of(2, 2, 3, 4));
  EXPECT_NE(base, mask_of(1, 3, 3, 4));
  EXPECT_NE(base, mask_of(1, 2, 4, 4));
  EXPECT_NE(base, mask_of(1, 2, 3, 5));
  EXPECT_NE(mask_of(1, 2, 3, 0), mask_of(1, 3, 2, 0));
}

}  // namespace
}  // namespace ds::train
