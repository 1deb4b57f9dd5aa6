#include "actors/parameters/key_range.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ds::parameters {
namespace {

TEST(KeyRanges, CoverAllParametersInOrderAndEvenlyWithCutsAtBlocksOfTheNorm) {
  for (const std::uint64_t parameters : {0ULL, 1ULL, 4096ULL, 4097ULL, 100'000ULL, 1'000'003ULL}) {
    for (const std::uint32_t count : {1U, 2U, 3U, 7U, 64U}) {
      const auto ranges = cut_into_ranges(parameters, count);
      ASSERT_EQ(ranges.size(), count);
      std::uint64_t end = 0, most = 0, least = ~0ULL;
      for (const KeyRange& range : ranges) {
        EXPECT_EQ(range.first, end);
        EXPECT_LE(range.first, range.last);
        EXPECT_TRUE(range.first % kernels::kNormBlock == 0 || range.first == parameters);
        end = range.last;
        most = std::max(most, range.size());
        least = std::min(least, range.size());
      }
      EXPECT_EQ(end, parameters);
      EXPECT_LE(most - least, 2 * kernels::kNormBlock);
    }
  }
}

TEST(KeyRanges, OfASmallModelAreEmptyAtTheEnd) {
  const auto ranges = cut_into_ranges(5000, 3);
  EXPECT_EQ(ranges, (std::vector<KeyRange>{{0, 4096}, {4096, 5000}, {5000, 5000}}));
}

}  // namespace
}  // namespace ds::parameters
