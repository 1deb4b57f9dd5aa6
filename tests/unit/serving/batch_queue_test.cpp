#include "actors/serving/batch_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ds::serving {
namespace {

using Mode = BatchingOptions::Mode;

Ticket a_ticket(std::uint64_t id, const char* tenant = "t", std::uint32_t priority = 1) {
  return {id, 1, 10, priority, 0, 0, tenant};
}

BatchingOptions options_of(Mode mode, std::uint32_t max_size = 4) {
  BatchingOptions options;
  options.mode = mode;
  options.max_size = max_size;
  options.max_delay_us = 1'000;
  return options;
}

/// A queue that has measured a + b * rows.
BatchQueue taught(const BatchingOptions& options, std::int64_t a, std::int64_t b) {
  BatchQueue queue(options);
  for (int i = 0; i < 20; ++i) {
    for (std::uint32_t rows = 1; rows <= options.max_size; rows *= 2) queue.observe(rows, a + b * rows);
  }
  return queue;
}

std::vector<std::uint64_t> ids_of(const std::optional<Batch>& batch) {
  return batch ? batch->ids : std::vector<std::uint64_t>{};
}

using Ids = std::vector<std::uint64_t>;

TEST(BatchQueue, RunsALoneTicketAtOnce) {
  BatchQueue queue = taught(options_of(Mode::adaptive), 5'000, 10);
  EXPECT_EQ(queue.admit(a_ticket(1), 100), std::nullopt);
  const auto batch = queue.next(100);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->ids, Ids{1});
  EXPECT_EQ(batch->reason, Release::idle);
  EXPECT_EQ(batch->waited_us, std::vector<std::int64_t>{0});
  EXPECT_EQ(queue.counters().released.at(static_cast<std::size_t>(Release::idle)), 1U);
}

TEST(BatchQueue, CollectsWhatComesWhileTheExecutorIsBusy) {
  BatchQueue queue = taught(options_of(Mode::adaptive), 5'000, 10);
  queue.admit(a_ticket(1), 0);
  const auto first = queue.next(0);
  for (std::uint64_t id = 2; id <= 7; ++id) queue.admit(a_ticket(id), 100);
  EXPECT_FALSE(queue.next(200)) << "the executor is busy";
  queue.on_done(*first, 5'010, 5'010);
  const auto second = queue.next(5'010);
  EXPECT_EQ(ids_of(second), (Ids{2, 3, 4, 5}));
  EXPECT_EQ(second->reason, Release::full);
  queue.on_done(*second, 5'040, 10'050);
  EXPECT_EQ(ids_of(queue.next(10'050)), (Ids{6, 7}));
}

TEST(BatchQueue, WaitsForAnotherTicketOnlyWhileThatPays) {
  const auto decided_at = [](std::int64_t gap_us, std::int64_t fixed_us) {
    BatchQueue queue = taught(options_of(Mode::adaptive, 32), fixed_us, 10);
    std::int64_t now = 0;
    for (std::uint64_t id = 1; id <= 50; ++id, now += gap_us) {
      queue.admit(a_ticket(id), now);
      if (id < 50) queue.cancel(id);
    }
    now -= gap_us;
    return queue.wake_us(now).value() - now;
  };
  EXPECT_EQ(decided_at(100, 5'000), 200) << "arrivals are dense and a batch is dear: two gaps";
  EXPECT_EQ(decided_at(3'000, 5'000), 0) << "two waits of 3 ms for a gain of 5 ms";
  EXPECT_EQ(decided_at(100, 50), 0) << "nothing to amortise";
}

TEST(BatchQueue, StopsWaitingWhenNothingComes) {
  BatchQueue queue = taught(options_of(Mode::adaptive, 32), 5'000, 10);
  for (std::uint64_t id = 1; id <= 50; ++id) {
    queue.admit(a_ticket(id), static_cast<std::int64_t>(id) * 100);
    if (id < 50) queue.cancel(id);
  }
  EXPECT_FALSE(queue.next(5'100));
  EXPECT_EQ(queue.wake_us(5'100), 5'200);
  const auto batch = queue.next(5'200);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->reason, Release::idle);
}

TEST(BatchQueue, WaitsInModeFixedUntilTheSizeOrTheDelay) {
  BatchQueue queue(options_of(Mode::fixed));
  queue.admit(a_ticket(1), 0);
  EXPECT_FALSE(queue.next(999));
  EXPECT_EQ(queue.wake_us(999), 1'000);
  const auto late = queue.next(1'000);
  EXPECT_EQ(ids_of(late), Ids{1});
  EXPECT_EQ(late->reason, Release::delay);
  queue.on_done(*late, 100, 1'100);
  for (std::uint64_t id = 2; id <= 6; ++id) queue.admit(a_ticket(id), 1'200);
  const auto full = queue.next(1'200);
  EXPECT_EQ(ids_of(full), (Ids{2, 3, 4, 5}));
  EXPECT_EQ(full->reason, Release::full);
}

TEST(BatchQueue, RunsAFullShapeWhileAnotherWaitsForMore) {
  BatchQueue queue(options_of(Mode::fixed));
  queue.admit(a_ticket(1), 0);
  for (std::uint64_t id = 2; id <= 5; ++id) {
    Ticket ticket = a_ticket(id);
    ticket.shape_key = 7;
    queue.admit(ticket, 10);
  }
  EXPECT_EQ(ids_of(queue.next(10)), (Ids{2, 3, 4, 5}));
}

TEST(BatchQueue, RunsEachTicketAloneInModeOff) {
  BatchingOptions options = options_of(Mode::off);
  options.executors = 2;
  BatchQueue queue(options);
  for (std::uint64_t id = 1; id <= 3; ++id) queue.admit(a_ticket(id), 0);
  EXPECT_EQ(ids_of(queue.next(0)), Ids{1});
  EXPECT_EQ(ids_of(queue.next(0)), Ids{2});
  EXPECT_FALSE(queue.next(0)) << "both executors are busy";
  EXPECT_EQ(queue.counters().released.at(static_cast<std::size_t>(Release::unbatched)), 2U);
}

TEST(BatchQueue, NeverMixesShapes) {
  BatchQueue queue(options_of(Mode::adaptive));
  for (std::uint64_t id = 1; id <= 4; ++id) {
    Ticket ticket = a_ticket(id);
    ticket.shape_key = id % 2;
    queue.admit(ticket, 0);
  }
  const auto odd = queue.next(0);
  EXPECT_EQ(ids_of(odd), (Ids{1, 3}));
  queue.on_done(*odd, 10, 10);
  EXPECT_EQ(ids_of(queue.next(10)), (Ids{2, 4}));
}

TEST(BatchQueue, ServesHigherPrioritiesFirst) {
  BatchQueue queue(options_of(Mode::adaptive, 2));
  queue.admit(a_ticket(1, "t", 3), 0);
  queue.admit(a_ticket(2, "t", 3), 0);
  queue.admit(a_ticket(3, "t", 1), 0);
  queue.admit(a_ticket(4, "t", 2), 0);
  const auto first = queue.next(0);
  EXPECT_EQ(ids_of(first), (Ids{3, 4}));
  queue.on_done(*first, 10, 10);
  EXPECT_EQ(ids_of(queue.next(10)), (Ids{1, 2}));
}

TEST(BatchQueue, ServesALowPriorityWithinItsBoundUnderAFloodOfHighOnes) {
  BatchQueue queue(options_of(Mode::adaptive, 1));
  queue.admit(a_ticket(0, "t", 9), 0);
  std::uint64_t id = 1;
  std::int64_t now = 0;
  while (now < 10'000'000) {
    while (queue.depth() < 20) queue.admit(a_ticket(id++, "t", 1), now);
    const auto batch = queue.next(now);
    ASSERT_TRUE(batch);
    now += 10'000;
    queue.on_done(*batch, 10'000, now);
    if (batch->ids == Ids{0}) break;
  }
  EXPECT_GT(now, kAgedUs) << "before that the higher ones have the right to go first";
  // The 19 that wait beside it were admitted later or have gone by then.
  EXPECT_LE(now, kAgedUs + 21 * kAgedTurn * 10'000);
}

TEST(BatchQueue, TakesTurnsBetweenTenants) {
  BatchQueue queue(options_of(Mode::adaptive, 4));
  for (std::uint64_t id = 0; id < 100; ++id) queue.admit(a_ticket(id, "flood"), 0);
  queue.admit(a_ticket(200, "calm"), 0);
  queue.admit(a_ticket(201, "calm"), 0);
  const Ids first = ids_of(queue.next(0));
  EXPECT_TRUE(std::ranges::find(first, 200U) != first.end());
  EXPECT_TRUE(std::ranges::find(first, 201U) != first.end());
}

TEST(BatchQueue, TakesAPlaceFromTheTenantWithMost) {
  BatchingOptions options = options_of(Mode::adaptive);
  options.max_depth = 10;
  BatchQueue queue(options);
  for (std::uint64_t id = 0; id < 10; ++id) EXPECT_EQ(queue.admit(a_ticket(id, "flood"), 0), std::nullopt);
  EXPECT_EQ(queue.admit(a_ticket(10, "flood"), 0), Refusal::queue_full);
  for (std::uint64_t id = 20; id < 25; ++id) EXPECT_EQ(queue.admit(a_ticket(id, "calm"), 0), std::nullopt);
  EXPECT_EQ(queue.admit(a_ticket(25, "calm"), 0), Refusal::queue_full) << "half of the places is its share";
  EXPECT_EQ(queue.depth(), 10U);
  const auto expired = queue.take_expired(0);
  ASSERT_EQ(expired.size(), 5U);
  EXPECT_EQ(expired.front(), (Expired{9, Refusal::queue_full})) << "the newest first";
}

TEST(BatchQueue, GivesUpALowPriorityOfTheSameTenantForAHighOne) {
  BatchingOptions options = options_of(Mode::adaptive);
  options.max_depth = 2;
  BatchQueue queue(options);
  queue.admit(a_ticket(1, "t", 5), 0);
  queue.admit(a_ticket(2, "t", 5), 0);
  EXPECT_EQ(queue.admit(a_ticket(3, "t", 5), 0), Refusal::queue_full);
  EXPECT_EQ(queue.admit(a_ticket(4, "t", 1), 0), std::nullopt);
  EXPECT_EQ(queue.take_expired(0), (std::vector<Expired>{{2, Refusal::queue_full}}));
}

TEST(BatchQueue, BoundsTheBytesThatWait) {
  BatchingOptions options = options_of(Mode::adaptive);
  options.max_bytes = 100;
  BatchQueue queue(options);
  const auto of_bytes = [](std::uint64_t id, std::uint64_t bytes, const char* tenant) {
    Ticket ticket = a_ticket(id, tenant);
    ticket.bytes = bytes;
    return ticket;
  };
  EXPECT_EQ(queue.admit(of_bytes(1, 101, "a"), 0), Refusal::too_large);
  EXPECT_EQ(queue.admit(of_bytes(2, 60, "a"), 0), std::nullopt);
  EXPECT_EQ(queue.admit(of_bytes(3, 30, "a"), 0), std::nullopt);
  EXPECT_EQ(queue.admit(of_bytes(4, 20, "a"), 0), Refusal::too_many_bytes);
  EXPECT_EQ(queue.admit(of_bytes(5, 30, "b"), 0), std::nullopt);
  EXPECT_EQ(queue.take_expired(0), (std::vector<Expired>{{3, Refusal::too_many_bytes}}));
  EXPECT_EQ(queue.bytes(), 90U);
}

TEST(BatchQueue, ReleasesATicketInTimeThoughTheTimerIsLate) {
  constexpr std::int64_t kTimerLate = 1'000;
  for (const Mode mode : {Mode::fixed, Mode::adaptive}) {
    for (const std::int64_t timeout : {20'000, 100'000, 290'000}) {
      SCOPED_TRACE(timeout);
      auto options = options_of(mode, 32);
      options.max_delay_us = 300'000;
      BatchQueue queue = taught(options, 100, 1);
      Ticket ticket = a_ticket(1);
      ticket.deadline_us = timeout;
      ASSERT_EQ(queue.admit(ticket, 0), std::nullopt);
      auto batch = queue.next(0);
      const auto at = batch ? 0 : queue.wake_us(0).value() + kTimerLate;
      if (!batch) batch = queue.next(at);
      ASSERT_EQ(ids_of(batch), Ids{1});
      EXPECT_LT(at + 110, timeout);
      if (mode == Mode::fixed) {
        EXPECT_EQ(batch->reason, Release::deadline);
        EXPECT_GE(at, timeout - 6'000) << "it waits for others as long as it can";
      }
    }
  }
}

TEST(BatchQueue, LeavesATimerAPartOfAShortTimeout) {
  auto options = options_of(Mode::fixed, 32);
  options.max_delay_us = 300'000;
  BatchQueue queue = taught(options, 100, 1);
  Ticket ticket = a_ticket(1);
  ticket.deadline_us = 4'000;
  ASSERT_EQ(queue.admit(ticket, 0), std::nullopt);
  EXPECT_NEAR(static_cast<double>(queue.wake_us(0).value()), 2'900, 50);
}

TEST(BatchQueue, TellsWhenToTryAgainByTheBatchesThatWait) {
  for (const std::uint32_t rows : {1U, 4U}) {
    SCOPED_TRACE(rows);
    BatchQueue queue = taught(options_of(Mode::off, 32), 10'000, 1);
    for (std::uint64_t id = 0; id <= 30; ++id) {
      Ticket ticket = a_ticket(id);
      ticket.rows = rows;
      ASSERT_EQ(queue.admit(ticket, 0), std::nullopt);
    }
    ASSERT_TRUE(queue.next(0));
    // What runs, 30 that wait, and its own.
    EXPECT_NEAR(static_cast<double>(queue.retry_after_us(0)), 32 * 10'000, 10'000);
    EXPECT_NEAR(static_cast<double>(queue.expect_us(a_ticket(99), 0)), 32 * 10'000, 10'000);
  }
}

TEST(BatchQueue, RefusesMoreRowsThanABatchMayHave) {
  BatchQueue queue(options_of(Mode::adaptive));
  Ticket ticket = a_ticket(1);
  ticket.rows = 5;
  EXPECT_EQ(queue.admit(ticket, 0), Refusal::too_large);
}

TEST(BatchQueue, RefusesATicketWhoseDeadlineItCannotMake) {
  BatchQueue queue = taught(options_of(Mode::adaptive), 1'000, 100);
  const auto with_deadline = [](std::uint64_t id, std::int64_t deadline_us) {
    Ticket ticket = a_ticket(id);
    ticket.deadline_us = deadline_us;
    return ticket;
  };
  EXPECT_EQ(queue.admit(with_deadline(1, 900), 0), Refusal::deadline) << "one alone takes 1.1 ms";
  EXPECT_EQ(queue.admit(with_deadline(2, 1'500), 0), std::nullopt);
  const auto batch = queue.next(0);
  ASSERT_TRUE(batch);
  for (std::uint64_t id = 10; id < 18; ++id) queue.admit(a_ticket(id), 10);
  // 1.1 ms until the executor is idle, two batches of 1.4 ms, and its own.
  EXPECT_EQ(queue.admit(with_deadline(3, 4'500), 10), Refusal::deadline);
  EXPECT_EQ(queue.admit(with_deadline(4, 6'000), 10), std::nullopt);
  EXPECT_NEAR(static_cast<double>(queue.retry_after_us(10)), 1'100 + 3 * 1'400, 300);
}

TEST(BatchQueue, TellsOfADeadlineAsSoonAsItCannotBeMet) {
  BatchQueue queue = taught(options_of(Mode::adaptive), 1'000, 100);
  queue.admit(a_ticket(1), 0);
  ASSERT_TRUE(queue.next(0));
  Ticket ticket = a_ticket(2);
  ticket.deadline_us = 5'000;
  EXPECT_EQ(queue.admit(ticket, 0), std::nullopt);
  const std::int64_t wake = queue.wake_us(0).value();
  EXPECT_NEAR(static_cast<double>(wake), 3'900, 50);
  EXPECT_TRUE(queue.take_expired(wake - 10).empty());
  EXPECT_EQ(queue.take_expired(wake), (std::vector<Expired>{{2, Refusal::deadline}}));
  EXPECT_EQ(queue.depth(), 0U);
}

TEST(BatchQueue, TriesAgainWhetherADeadlineCanBeMetWhenItHasMeasuredNothingOfLate) {
  BatchQueue queue = taught(options_of(Mode::adaptive), 1'000'000, 100);
  std::int64_t now = 0, answered = 0;
  // The machine was slow, and is fast again: 1 ms a batch.
  for (std::uint64_t id = 1; id <= 2'000; ++id, now += 10'000) {
    Ticket ticket = a_ticket(id);
    ticket.deadline_us = now + 50'000;
    queue.admit(ticket, now);
    while (const auto batch = queue.next(now)) {
      queue.on_done(*batch, 1'000, now + 1'000);
      ++answered;
    }
    queue.take_expired(now);
  }
  EXPECT_GT(answered, 200);
  EXPECT_LT(queue.fit().expect_us(1), 10'000);
}

TEST(BatchQueue, DropsATicketOfManyRowsThatCannotBeInTime) {
  BatchQueue queue = taught(options_of(Mode::adaptive, 32), 1'000, 1'000);
  Ticket one = a_ticket(1), many = a_ticket(2);
  one.deadline_us = 20'000;
  many.deadline_us = 24'000;
  many.rows = 20;
  queue.admit(one, 0);
  queue.admit(many, 0);
  EXPECT_EQ(ids_of(queue.next(5'000)), Ids{1});
  EXPECT_EQ(queue.take_expired(5'000), (std::vector<Expired>{{2, Refusal::deadline}}));
}

TEST(BatchQueue, KeepsABatchSmallForATightDeadline) {
  BatchQueue queue = taught(options_of(Mode::adaptive, 32), 1'000, 1'000);
  Ticket tight = a_ticket(1);
  tight.deadline_us = 6'000;
  queue.admit(tight, 0);
  for (std::uint64_t id = 2; id < 12; ++id) queue.admit(a_ticket(id), 0);
  const auto batch = queue.next(0);
  ASSERT_TRUE(batch);
  EXPECT_LE(queue.fit().expect_us(batch->rows), 6'000);
  EXPECT_GE(batch->rows, 3U);
}

TEST(BatchQueue, BoundsTheSizeByTheObjective) {
  BatchingOptions options = options_of(Mode::adaptive, 32);
  options.p99_us = 10'000;
  BatchQueue queue = taught(options, 1'000, 500);
  EXPECT_GE(queue.size_cap(), 8U);
  EXPECT_LE(queue.size_cap(), 10U) << "5/3 of 1 + 0.5 n is 10 ms for n = 10";
  BatchQueue untaught(options);
  EXPECT_EQ(untaught.size_cap(), 1U);
  untaught.observe(1, 1'500);
  EXPECT_EQ(untaught.size_cap(), 2U) << "no more than twice what is measured";
  BatchQueue hopeless = taught(options, 20'000, 500);
  EXPECT_EQ(hopeless.size_cap(), 32U) << "small batches would only make it worse";
}

TEST(BatchQueue, RunsWhatWaitsAndRefusesTheRestWhenItDrains) {
  BatchQueue queue(options_of(Mode::fixed));
  queue.admit(a_ticket(1), 0);
  queue.drain();
  EXPECT_EQ(queue.admit(a_ticket(2), 0), Refusal::draining);
  const auto batch = queue.next(0);
  EXPECT_EQ(ids_of(batch), Ids{1});
  EXPECT_EQ(batch->reason, Release::drain);
  EXPECT_FALSE(queue.is_empty());
  queue.on_done(*batch, 10, 10);
  EXPECT_TRUE(queue.is_empty());
}

TEST(BatchQueue, LearnsNothingFromABatchThatFailed) {
  BatchQueue queue(options_of(Mode::adaptive));
  queue.admit(a_ticket(1), 0);
  const auto batch = queue.next(0);
  queue.on_done(*batch, 0, 10);
  EXPECT_FALSE(queue.fit().is_known());
  EXPECT_EQ(queue.running(), 0U);
}

TEST(BatchQueue, RunsATicketThatSharesWithNobodyByItselfAndWithoutDelay) {
  for (const Mode mode : {Mode::adaptive, Mode::fixed, Mode::off}) {
    SCOPED_TRACE(static_cast<int>(mode));
    auto options = options_of(mode);
    options.executors = 4;
    BatchQueue queue = taught(options, 5'000, 10);
    for (std::uint64_t id = 1; id <= 4; ++id) {
      auto ticket = a_ticket(id);
      ticket.alone = id == 2 || id == 3;
      ASSERT_EQ(queue.admit(ticket, 0), std::nullopt);
    }
    std::vector<Ids> batches;
    while (const auto batch = queue.next(0)) {
      batches.push_back(batch->ids);
      const bool is_alone = batch->ids == Ids{2} || batch->ids == Ids{3};
      EXPECT_TRUE(batch->reason == Release::unbatched || (!is_alone && mode != Mode::off));
    }
    EXPECT_EQ(std::ranges::count(batches, Ids{2}), 1) << "at once, and by itself";
    EXPECT_EQ(std::ranges::count(batches, Ids{3}), 1);
  }
}

TEST(BatchQueue, FreesThePlaceOfAClientThatWentAway) {
  BatchQueue queue(options_of(Mode::fixed));
  queue.admit(a_ticket(1), 0);
  queue.cancel(1);
  queue.cancel(1);
  EXPECT_EQ(queue.depth(), 0U);
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_EQ(queue.wake_us(0), std::nullopt);
  EXPECT_EQ(queue.counters().cancelled, 1U);
}

}  // namespace
}  // namespace ds::serving
