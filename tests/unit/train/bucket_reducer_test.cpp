#include "actors/train/bucket_reducer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::train {
namespace {

TEST(Buckets, CoverTheGradientsWithoutGaps) {
  for (const std::size_t gradients :
       {std::size_t{0}, std::size_t{1}, Buckets::kLeast, 3 * Buckets::kLeast + 7, 100 * Buckets::kLeast}) {
    const auto bounds = Buckets::bounds(gradients);
    ASSERT_GE(bounds.size(), 2U);
    EXPECT_EQ(bounds.front(), 0U);
    EXPECT_EQ(bounds.back(), gradients);
    EXPECT_TRUE(std::ranges::is_sorted(bounds));
    EXPECT_LE(bounds.size(), Buckets::kMost + 1);
  }
}

TEST(BucketReducer, SumsWhatIsReadyBitByBitAsOneAllReduceWould) {
  constexpr std::size_t kGradients = 3 * Buckets::kLeast + 11, kAll = kGradients + 5;
  constexpr std::uint32_t kMembers = 3;
  const auto value = [](std::uint32_t rank, std::size_t i) {
    return static_cast<float>(static_cast<double>((i * 2654435761U + rank * 40503U) % 1000003) / 7919 - 60);
  };
  for (const std::uint32_t ranks : {3U, 5U, 9U}) {
    std::vector<std::vector<float>> sums(kMembers);
    collective::run_gang(
        collective::assign_logical_ranks(ranks, kMembers), [&](collective::Communicator& communicator) {
          const collective::RankRange hosted = communicator.hosted();
          std::vector<collective::SharedMemory> memory;
          std::vector<std::span<float>> vectors;
          for (std::uint32_t i = 0; i < hosted.size(); ++i) {
            auto one = communicator.allocate(kAll * sizeof(float));
            ASSERT_TRUE(one);
            memory.push_back(*std::move(one));
            vectors.push_back(memory.back().as<float>().first(kAll));
          }
          std::mt19937 random(communicator.rank());
          for (int round = 0; round < 3; ++round) {
            for (std::uint32_t logical = hosted.first; logical < hosted.last; ++logical) {
              for (std::size_t i = 0; i < kAll; ++i) vectors[logical - hosted.first][i] = value(logical, i);
            }
            BucketReducer reducer(communicator, vectors, kGradients);
            for (std::size_t at = kGradients; at > 0;) {
              at -= std::min<std::size_t>(at, random() % 700'000 + 1);
              reducer.ready_from(at);
            }
            const auto done = reducer.finish();
            ASSERT_TRUE(done) << done.error().message;
          }
          sums[communicator.rank()].assign(vectors.front().begin(), vectors.front().end());
          std::vector<float> whole(kAll);
          const collective::Communicator::Produce<float> produce = [&](std::uint32_t logical,
                                                                       std::span<float> out) {
            for (std::size_t i = 0; i < kAll; ++i) out[i] = value(logical, i);
            return Result<void>();
          };
          ASSERT_TRUE(communicator.all_reduce(whole, produce));
          EXPECT_EQ(whole, sums[communicator.rank()]);
        });
    EXPECT_EQ(sums[0], sums[1]) << ranks;
    EXPECT_EQ(sums[0], sums[2]) << ranks;
  }
}

}  // namespace
}  // namespace ds::train
