#include "actors/collective/communicator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <type_traits>

#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::collective {
namespace {

/// Magnitudes from 2^-100 to 2^100, so that the order of additions shows in the bits.
template <class T>
std::vector<std::vector<T>> wild_vectors(std::uint32_t leaves, std::size_t size) {
  std::mt19937_64 generator(leaves * 1'000'003ULL + size);
  std::uniform_int_distribution<int> exponent(-100, 100);
  std::uniform_real_distribution<double> mantissa(-1, 1);
  std::vector<std::vector<T>> vectors(leaves, std::vector<T>(size));
  for (auto& vector : vectors) {
    for (T& value : vector) value = static_cast<T>(std::ldexp(mantissa(generator), exponent(generator)));
  }
  return vectors;
}

template <class T>
std::vector<T> sum_by_definition(std::vector<std::vector<T>> nodes) {
  while (nodes.size() > 1) {
    std::vector<std::vector<T>> parents;
    for (std::size_t k = 0; k < nodes.size(); k += 2) {
      if (k + 1 < nodes.size()) {
        for (std::size_t i = 0; i < nodes[k].size(); ++i) nodes[k][i] += nodes[k + 1][i];
      }
      parents.push_back(std::move(nodes[k]));
    }
    nodes = std::move(parents);
  }
  return nodes.front();
}

template <class T>
typename Communicator::Produce<T> copy_from(const std::vector<std::vector<T>>& vectors) {
  return [&vectors](std::uint32_t logical, std::span<T> out) -> Result<void> {
    std::ranges::copy(vectors[logical], out.begin());
    return {};
  };
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::ranges::equal(a, b, {}, std::bit_cast<Word, T>, std::bit_cast<Word, T>);
}

template <class T>
void expect_same_bits_on_all(const std::vector<RankRange>& ranges, const std::vector<std::vector<T>>& vectors,
                             const std::vector<T>& expected) {
  std::vector<std::vector<T>> sums(ranges.size(), std::vector<T>(expected.size(), T(-1)));
  run_gang(ranges, [&](Communicator& communicator) {
    const Result<void> done =
        communicator.all_reduce(std::span(sums[communicator.rank()]), copy_from(vectors));
    EXPECT_TRUE(done) << done.error().message;
  });
  for (std::size_t rank = 0; rank < ranges.size(); ++rank) {
    EXPECT_TRUE(same_bits(sums[rank], expected))
        << vectors.size() << " logical ranks, rank " << rank << " of " << ranges.size() << ", "
        << expected.size() << " elements";
  }
}

template <class T>
void expect_sum_of_any_gang(std::uint32_t leaves, std::size_t size) {
  const auto vectors = wild_vectors<T>(leaves, size);
  const std::vector<T> expected = sum_by_definition(vectors);
  std::vector<T> alone(size, T(-1));
  Communicator one(leaves);
  ASSERT_TRUE(one.all_reduce(std::span(alone), copy_from(vectors)));
  ASSERT_TRUE(same_bits(alone, expected));
  for (std::uint32_t world = 1; world <= leaves; ++world) {
    expect_same_bits_on_all(assign_logical_ranks(leaves, world), vectors, expected);
  }
}

class CommunicatorSizes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(CommunicatorSizes, GiveTheSameBitsInGangsOfEverySize) {
  for (const std::uint32_t leaves : {1U, 2U, 3U, 5U, 8U}) expect_sum_of_any_gang<float>(leaves, GetParam());
}

TEST_P(CommunicatorSizes, GiveTheSameBitsInDoubleToo) {
  for (const std::uint32_t leaves : {1U, 4U}) expect_sum_of_any_gang<double>(leaves, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Elements, CommunicatorSizes, ::testing::Values(0, 1, 2, 3, 7, 1000, 65537));

TEST(Communicator, GivesTheSameBitsForEveryUnevenSplitOfFiveLogicalRanks) {
  const auto vectors = wild_vectors<float>(5, 97);
  const std::vector<float> expected = sum_by_definition(vectors);
  for (std::uint32_t cuts = 0; cuts < 16; ++cuts) {  // bit i: a cut after leaf i
    std::vector<RankRange> ranges{{0, 0}};
    for (std::uint32_t leaf = 0; leaf < 5; ++leaf) {
      ranges.back().last = leaf + 1;
      if (leaf < 4 && (cuts >> leaf & 1U) != 0) ranges.push_back({leaf + 1, leaf + 1});
    }
    expect_same_bits_on_all(ranges, vectors, expected);
  }
}

TEST(Communicator, LetsMembersWithoutLogicalRanksTakePart) {
  const auto vectors = wild_vectors<float>(3, 50);
  expect_same_bits_on_all<float>({{0, 0}, {0, 2}, {2, 2}, {2, 3}, {3, 3}}, vectors,
                                 sum_by_definition(vectors));
}

TEST(Communicator, CarriesManyOperationsOfChangingSizesAndTypes) {
  run_gang(assign_logical_ranks(6, 4), [&](Communicator& communicator) {
    for (std::size_t round = 0; round < 200; ++round) {
      const std::size_t size = round * 7 % 50;
      if (round % 2 == 0) {
        std::vector<float> sum(size);
        const auto vectors = wild_vectors<float>(6, size);
        ASSERT_TRUE(communicator.all_reduce(std::span(sum), copy_from(vectors)));
        ASSERT_TRUE(same_bits(sum, sum_by_definition(vectors))) << round;
      } else {
        std::vector<double> sum(size);
        const auto vectors = wild_vectors<double>(6, size);
        ASSERT_TRUE(communicator.all_reduce(std::span(sum), copy_from(vectors)));
        ASSERT_TRUE(same_bits(sum, sum_by_definition(vectors))) << round;
      }
    }
  });
}

TEST(Communicator, AsksForEachHostedLogicalRankOnceAndInOrder) {
  run_gang(assign_logical_ranks(7, 2), [](Communicator& communicator) {
    std::vector<std::uint32_t> asked, expected;
    for (std::uint32_t leaf = communicator.hosted().first; leaf < communicator.hosted().last; ++leaf)
      expected.push_back(leaf);
    std::vector<float> sum(3);
    const Communicator::Produce<float> produce = [&](std::uint32_t logical,
                                                     std::span<float> out) -> Result<void> {
      asked.push_back(logical);
      std::ranges::fill(out, 1.0F);
      return {};
    };
    ASSERT_TRUE(communicator.all_reduce(std::span(sum), produce));
    EXPECT_EQ(asked, expected);
    EXPECT_EQ(sum, std::vector<float>(3, 7.0F));
  });
}

TEST(AssignLogicalRanks, CoversAllOnceWithSizesThatDifferByOneAtMost) {
  for (std::uint32_t leaves = 0; leaves < 40; ++leaves) {
    for (std::uint32_t world = 1; world < 20; ++world) {
      const std::vector<RankRange> ranges = assign_logical_ranks(leaves, world);
      ASSERT_EQ(ranges.size(), world);
      std::uint32_t next = 0, smallest = leaves, largest = 0;
      for (const RankRange& range : ranges) {
        ASSERT_EQ(range.first, next);
        next = range.last;
        smallest = std::min(smallest, range.size());
        largest = std::max(largest, range.size());
      }
      EXPECT_EQ(next, leaves);
      EXPECT_LE(largest - smallest, 1U);
    }
  }
}

TEST(CommunicatorDeathTest, RefusesRangesWithAGap) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a sanitizer has threads of its own
  const auto exchanges = make_local_exchanges(2);
  EXPECT_DEATH(Communicator(exchanges[0], {{0, 1}, {2, 3}}), "");
}

}  // namespace
}  // namespace ds::collective
