#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "actors/serving/batch_queue.hpp"

namespace ds::serving {
namespace {

using Mode = BatchingOptions::Mode;

BatchingOptions draw_options(std::mt19937& random) {
  BatchingOptions options;
  options.mode = static_cast<Mode>(random() % 3);
  options.max_size = 1 + random() % 16;
  options.max_delay_us = random() % 3'000;
  options.max_depth = 1 + random() % 40;
  options.max_bytes = 500 + random() % 3'000;
  options.p99_us = random() % 2 == 0 ? 0 : 1'000 + random() % 20'000;
  options.executors = 1 + random() % 3;
  return options;
}

Ticket draw_ticket(std::mt19937& random, std::uint64_t id, std::int64_t now) {
  Ticket ticket;
  ticket.id = id;
  ticket.rows = random() % 4 == 0 ? random() % 6 : 1;
  ticket.bytes = random() % 200;
  ticket.priority = random() % 20;
  ticket.deadline_us = random() % 3 == 0 ? now + random() % 30'000 : 0;
  ticket.shape_key = random() % 3;
  ticket.tenant = std::string(1, static_cast<char>('a' + random() % 5));
  return ticket;
}

/// Follows a queue from outside and checks what must always hold.
struct Watched {
  explicit Watched(const BatchingOptions& options) : queue(options) {}

  void admit(const Ticket& ticket, std::int64_t now) {
    if (!queue.admit(ticket, now)) waiting.emplace(ticket.id, ticket);
    collect(now);
  }
  void cancel(std::uint64_t id) {
    queue.cancel(id);
    waiting.erase(id);
  }
  void collect(std::int64_t now) {
    for (const Expired& expired : queue.take_expired(now))
      EXPECT_EQ(waiting.erase(expired.id), 1U) << expired.id << " ended twice";
    check();
  }
  void start(std::int64_t now) {
    while (auto batch = queue.next(now)) {
      std::uint32_t rows = 0;
      ASSERT_FALSE(batch->ids.empty());
      for (const std::uint64_t id : batch->ids) {
        const auto found = waiting.find(id);
        ASSERT_NE(found, waiting.end()) << id << " ended twice";
        rows += std::max(found->second.rows, 1U);
        EXPECT_EQ(found->second.shape_key, batch->shape_key);
        waiting.erase(found);
      }
      EXPECT_EQ(rows, batch->rows);
      EXPECT_LE(rows, queue.options().max_size);
      EXPECT_TRUE(queue.options().mode != Mode::off || batch->ids.size() == 1);
      running.push_back(*std::move(batch));
    }
    collect(now);
    EXPECT_LE(running.size(), queue.options().executors);
    if (!waiting.empty() && running.size() < queue.options().executors) {
      ASSERT_TRUE(queue.wake_us(now).has_value()) << "an idle executor and nobody to wake it";
      EXPECT_GE(*queue.wake_us(now), now);
    }
  }
  void check() const {
    EXPECT_EQ(queue.depth(), waiting.size());
    EXPECT_LE(queue.depth(), queue.options().max_depth);
    std::uint64_t bytes = 0;
    for (const auto& [id, ticket] : waiting) bytes += ticket.bytes;
    EXPECT_EQ(queue.bytes(), bytes);
    EXPECT_LE(bytes, queue.options().max_bytes);
  }

  BatchQueue queue;
  std::map<std::uint64_t, Ticket> waiting;
  std::vector<Batch> running;
};

TEST(BatchQueueProperty, EndsEachTicketOnceWithinItsBoundsWhateverHappens) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Watched watched(draw_options(random));
    std::int64_t now = 0;
    std::uint64_t id = 0;
    for (int i = 0; i < 400; ++i) {
      now += random() % 500;
      const std::uint32_t what = random() % 10;
      if (what < 6) {
        watched.admit(draw_ticket(random, ++id, now), now);
      } else if (what < 7) {
        watched.cancel(1 + random() % (id + 1));
      } else if (what < 9 && !watched.running.empty()) {
        const auto done = watched.running.begin() + random() % watched.running.size();
        watched.queue.on_done(*done, 200 + 50 * done->rows + random() % 100, now);
        watched.running.erase(done);
      }
      watched.start(now);
      if (HasFatalFailure()) return;
    }
    // Without newcomers everything ends, by waking only when it asks for it.
    watched.queue.drain();
    for (int i = 0; i < 200 && !watched.queue.is_empty(); ++i) {
      now += 300;
      if (!watched.running.empty()) {
        watched.queue.on_done(watched.running.back(), 300, now);
        watched.running.pop_back();
      }
      watched.start(now);
    }
    EXPECT_TRUE(watched.queue.is_empty());
    EXPECT_TRUE(watched.waiting.empty());
  }
}

TEST(BatchQueueProperty, SleepsOnlyUntilItsDelayBesideAnIdleExecutor) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    BatchingOptions options = draw_options(random);
    options.executors = 1;
    BatchQueue queue(options);
    for (std::uint32_t rows = 1; rows <= options.max_size; ++rows) queue.observe(rows, 3'000 + 10 * rows);
    std::int64_t now = 0;
    for (std::uint64_t id = 1; id <= 200; ++id) {
      now += random() % 400;
      Ticket ticket = draw_ticket(random, id, now);
      ticket.deadline_us = 0;
      if (queue.admit(ticket, now)) continue;
      const std::int64_t admitted = now;
      while (queue.depth() > 0) {
        const auto batch = queue.next(now);
        if (!batch) {
          const auto wake = queue.wake_us(now);
          ASSERT_TRUE(wake);
          ASSERT_GT(*wake, now) << "it would spin";
          EXPECT_LE(*wake, admitted + options.max_delay_us);
          now = *wake;
          continue;
        }
        queue.on_done(*batch, 100, now);
      }
    }
  }
}

TEST(BatchQueueProperty, ServesEveryTicketWithinTheBoundOfAge) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    BatchingOptions options;
    options.max_size = 1 + random() % 4;
    options.max_depth = 60;
    BatchQueue queue(options);
    struct Entry {
      std::int64_t at;
      std::size_t older;
    };
    constexpr std::int64_t kServiceUs = 20'000;
    std::map<std::uint64_t, Entry> waiting;
    std::int64_t now = 0;
    std::uint64_t id = 0;
    for (int batches = 0; batches < 1'500; ++batches) {
      for (std::uint32_t i = 0; i < 2 + random() % 6; ++i) {
        Ticket ticket = draw_ticket(random, ++id, now);
        ticket.rows = 1;
        ticket.deadline_us = 0;
        if (!queue.admit(ticket, now)) waiting.emplace(id, Entry{now, waiting.size()});
        for (const Expired& expired : queue.take_expired(now)) waiting.erase(expired.id);
      }
      const auto batch = queue.next(now);
      ASSERT_TRUE(batch);
      for (const std::uint64_t ended : batch->ids) {
        const Entry entry = waiting.at(ended);
        const auto turns = static_cast<std::int64_t>((entry.older + 1) * kAgedTurn);
        EXPECT_LE(now - entry.at, kAgedUs + (turns + 1) * kServiceUs) << ended;
        waiting.erase(ended);
      }
      now += kServiceUs;
      queue.on_done(*batch, kServiceUs, now);
    }
    for (const auto& [waits, entry] : waiting)
      EXPECT_LE(now - entry.at,
                kAgedUs + static_cast<std::int64_t>((entry.older + 2) * kAgedTurn) * kServiceUs)
          << waits;
  }
}

}  // namespace
}  // namespace ds::serving
