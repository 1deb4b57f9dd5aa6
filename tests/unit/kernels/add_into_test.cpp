#include "kernels/add_into.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace ds::kernels {
namespace {

template <class T>
std::vector<T> random_vector(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<int> exponent(-30, 30);
  std::uniform_real_distribution<double> mantissa(-1, 1);
  std::vector<T> values(size);
  for (T& value : values) value = static_cast<T>(std::ldexp(mantissa(generator), exponent(generator)));
  return values;
}

template <class T>
void expect_same_as_one_by_one() {
  for (std::size_t size : {0, 1, 3, 7, 8, 17, 1000, 4099}) {
    std::vector<T> accumulator = random_vector<T>(size, 1);
    const std::vector<T> other = random_vector<T>(size, 2);
    std::vector<T> expected(size);
    for (std::size_t i = 0; i < size; ++i) {
      volatile T sum = accumulator[i] + other[i];
      expected[i] = sum;
    }
    add_into(accumulator, other);
    EXPECT_EQ(accumulator, expected) << "size " << size;
  }
}

TEST(AddInto, GivesTheSumsOfOneElementAtATimeInFloat) {
  expect_same_as_one_by_one<float>();
}
TEST(AddInto, GivesTheSumsOfOneElementAtATimeInDouble) {
  expect_same_as_one_by_one<double>();
}

TEST(AddInto, KeepsSubnormalsInfinitiesAndTheSignOfZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float tiny = std::numeric_limits<float>::denorm_min();
  std::vector<float> accumulator{tiny, infinity, -0.0F, infinity};
  add_into(accumulator, std::vector<float>{tiny, 1.0F, -0.0F, -infinity});
  EXPECT_EQ(accumulator[0], 2 * tiny);
  EXPECT_EQ(accumulator[1], infinity);
  EXPECT_TRUE(std::signbit(accumulator[2]));
  EXPECT_TRUE(std::isnan(accumulator[3]));
}

TEST(AddToZero, GivesWhatAddingToZerosGives) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{-0.0F, 0.0F, std::numeric_limits<float>::denorm_min(), -infinity, 1.5F};
  std::vector<float> zeros(values.size()), sum(values.size(), 7.0F);
  add_into(zeros, values);
  add_to_zero(sum, values);
  EXPECT_EQ(std::memcmp(sum.data(), zeros.data(), sum.size() * sizeof(float)), 0);
  EXPECT_FALSE(std::signbit(sum[0]));
}

TEST(AddIntoDeathTest, EndsTheProcessWhenLengthsDiffer) {
  std::vector<float> accumulator(3);
  const std::vector<float> other(4);
  EXPECT_DEATH(add_into(accumulator, other), "");
}

}  // namespace
}  // namespace ds::kernels
