#include "actors/train/step_vector.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ds::train {
namespace {

TEST(StepVector, LeavesTheMeanOfWhereTheBuffersWent) {
  const StepVector vector({2, 3, 0});
  const std::vector<float> before{1, 10, 7};
  std::vector<float> sum(vector.size()), out(vector.size());
  for (const std::vector<float>& after : {std::vector<float>{2, 10, 7}, {4, 14, 7}}) {
    vector.write_rest(before, after, 2, nullptr, 3, out);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += out[i];
  }
  std::vector<float> buffers = before;
  vector.move(sum, buffers, {});
  EXPECT_EQ(buffers, (std::vector<float>{3, 12, 7}));  // 7: what nobody moves stays to the bit
  EXPECT_EQ(vector.gradients(sum).size(), 2U);
  EXPECT_EQ(StepVector::loss(sum), 6);
}

TEST(StepVector, LeavesAnInfiniteConstantAlone) {
  const StepVector vector({0, 2, 0});
  const std::vector<float> mask{-std::numeric_limits<float>::infinity(), 1};
  std::vector<float> sum(vector.size());
  vector.write_rest(mask, mask, 1, nullptr, 0, sum);
  std::vector<float> buffers = mask;
  vector.move(sum, buffers, {});
  EXPECT_EQ(buffers, mask);
}

TEST(StepVector, CarriesCountersOfTheFirstRankExactly) {
  const StepVector vector({0, 0, 4});
  const std::vector<std::int64_t> counters{0, (std::int64_t{1} << 40) + 12345677, -3, 16777217};
  std::vector<float> sum(vector.size()), other(vector.size());
  vector.write_rest({}, {}, 2, counters.data(), 1, sum);
  vector.write_rest({}, {}, 2, nullptr, 1, other);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
  std::vector<std::int64_t> moved(4);
  vector.move(sum, {}, moved);
  EXPECT_EQ(moved, counters);
}

}  // namespace
}  // namespace ds::train
