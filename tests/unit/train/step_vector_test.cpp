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
    StepVector::Share share;
    share.buffers_before = before;
    share.buffers_after = after;
    share.active = 2;
    share.loss = 3;
    share.bad_records = 5;
    share.noise = {0.5, 2};
    vector.write_rest(share, out);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += out[i];
  }
  std::vector<float> buffers = before;
  vector.move(sum, buffers, {});
  EXPECT_EQ(buffers, (std::vector<float>{3, 12, 7}));  // 7: what nobody moves stays to the bit
  EXPECT_EQ(vector.gradients(sum).size(), 2U);
  EXPECT_EQ(StepVector::loss(sum), 6);
  EXPECT_EQ(StepVector::bad_records(sum), 10);
  EXPECT_EQ(StepVector::noise(sum), (NoiseSums{1, 4}));
}

TEST(StepVector, LeavesAnInfiniteConstantAlone) {
  const StepVector vector({0, 2, 0});
  const std::vector<float> mask{-std::numeric_limits<float>::infinity(), 1};
  std::vector<float> sum(vector.size());
  StepVector::Share share;
  share.buffers_before = share.buffers_after = mask;
  vector.write_rest(share, sum);
  std::vector<float> buffers = mask;
  vector.move(sum, buffers, {});
  EXPECT_EQ(buffers, mask);
}

TEST(StepVector, MovesCountersAsTheFirstRankDidExactly) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  const StepVector vector({0, 0, 6});
  const std::vector<std::int64_t> before{0, 5, -3, 16777217, kLargest, 1};
  const std::vector<std::int64_t> after{1, (std::int64_t{1} << 40) + 12345677, -20000000, 16777217, kLargest,
                                        0};
  const std::vector<std::int64_t> of_another{9, 9, 9, 9, 9, 9};
  std::vector<float> sum(vector.size()), other(vector.size());
  StepVector::Share share;
  share.counters_before = before;
  share.counters_after = after;
  share.first = true;
  vector.write_rest(share, sum);
  share.counters_after = of_another;
  share.first = false;
  vector.write_rest(share, other);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
  std::vector<std::int64_t> moved = before;
  vector.move(sum, {}, moved);
  EXPECT_EQ(moved, after);
}

}  // namespace
}  // namespace ds::train
