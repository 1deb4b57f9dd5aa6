#include "actors/data/keyed_permutation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

namespace ds::data {
namespace {

std::vector<std::uint64_t> values_of(std::uint64_t size, std::uint64_t key) {
  const KeyedPermutation permute(size, RandomStream(key, Stream::block_order, {}));
  std::vector<std::uint64_t> values(size);
  for (std::uint64_t i = 0; i < size; ++i) values[i] = permute(i);
  return values;
}

bool is_permutation_of_indices(std::vector<std::uint64_t> values) {
  std::ranges::sort(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != i) return false;
  }
  return true;
}

TEST(KeyedPermutation, IsABijectionForEverySizeUpToAThousand) {
  for (std::uint64_t size = 1; size <= 1000; ++size)
    ASSERT_TRUE(is_permutation_of_indices(values_of(size, size))) << size;
}

TEST(KeyedPermutation, IsABijectionForLargeSizesAroundPowersOfTwo) {
  for (const std::uint64_t size : {65535, 65536, 65537, 100'003}) {
    EXPECT_TRUE(is_permutation_of_indices(values_of(size, 5))) << size;
  }
}

TEST(KeyedPermutation, StaysInRangeForHugeSizes) {
  for (const std::uint64_t size : {(1ULL << 40U) + 1, (1ULL << 62U) + 12345, ~0ULL}) {
    const KeyedPermutation permute(size, RandomStream(1, Stream::block_order, {}));
    for (std::uint64_t i = 0; i < 1000; ++i) ASSERT_LT(permute(size - 1 - i * 7919), size);
  }
}

TEST(KeyedPermutation, ReachesManyPermutationsOfFour) {
  std::set<std::vector<std::uint64_t>> seen;
  for (std::uint64_t key = 0; key < 2000; ++key) seen.insert(values_of(4, key));
  EXPECT_GE(seen.size(), 12U) << "there are 24";
}

TEST(KeyedPermutation, SendsAPlaceAboutEquallyOftenEverywhere) {
  constexpr std::uint64_t kSize = 50, kKeys = 20'000;
  std::vector<double> counts(kSize);
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    ++counts[KeyedPermutation(kSize, RandomStream(key, Stream::block_order, {}))(17)];
  }
  double chi_squared = 0;
  for (const double count : counts) chi_squared += std::pow(count - kKeys / kSize, 2) / (kKeys / kSize);
  EXPECT_LT(chi_squared, 100) << "49 degrees of freedom";
}

}  // namespace
}  // namespace ds::data
