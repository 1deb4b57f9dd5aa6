#include "actors/train/batch_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ds::train {
namespace {

TEST(BatchSchedule, CoversEachEpochOnceWithASmallerLastBatch) {
  for (std::uint64_t samples = 1; samples < 60; ++samples) {
    for (std::uint32_t global = 1; global < 70; global += 3) {
      const BatchSchedule schedule(samples, global);
      std::uint64_t step = 0;
      for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
        std::uint64_t next = 0;
        while (next < samples) {
          const BatchSchedule::Batch batch = schedule.batch_after(step++);
          ASSERT_EQ(batch.epoch, epoch);
          ASSERT_EQ(batch.positions.first, next);
          ASSERT_GT(batch.positions.size(), 0U);
          ASSERT_LE(batch.positions.size(), global);
          next = batch.positions.last;
        }
        ASSERT_EQ(next, samples);
        ASSERT_EQ(step, (epoch + 1) * schedule.steps_per_epoch());
      }
    }
  }
}

TEST(BatchSchedule, CountsTheStepsOfAJob) {
  const BatchSchedule schedule(1000, 128);
  EXPECT_EQ(schedule.steps_per_epoch(), 8U);
  scheduler::Until epochs, steps;
  epochs.epochs = 5;
  steps.steps = 17;
  EXPECT_EQ(schedule.total_steps(epochs), 40U);
  EXPECT_EQ(schedule.total_steps(steps), 17U);
}

TEST(PartOf, CutsIntoContiguousNearlyEqualParts) {
  for (std::uint64_t size = 0; size < 50; ++size) {
    for (std::uint64_t parts = 1; parts < 20; ++parts) {
      std::uint64_t next = 100;
      for (std::uint64_t part = 0; part < parts; ++part) {
        const Positions cut = part_of({100, 100 + size}, part, parts);
        ASSERT_EQ(cut.first, next);
        ASSERT_LE(cut.size(), size / parts + 1);
        ASSERT_GE(cut.size(), size / parts);
        next = cut.last;
      }
      ASSERT_EQ(next, 100 + size);
    }
  }
}

TEST(ActiveRanks, AreThoseWhoseShareIsNotEmpty) {
  for (std::uint64_t size = 0; size < 40; ++size) {
    for (std::uint32_t ranks = 1; ranks < 12; ++ranks) {
      ActiveRanks expected{0, ranks};
      for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        if (part_of({5, 5 + size}, rank, ranks).size() == 0) continue;
        expected.first = std::min(expected.first, rank);
        ++expected.count;
      }
      ASSERT_EQ(active_ranks({5, 5 + size}, ranks), expected) << size << " samples, " << ranks << " ranks";
    }
  }
  EXPECT_EQ(active_ranks({0, 2}, 4), (ActiveRanks{2, 1}));
}

}  // namespace
}  // namespace ds::train
