#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <latch>

#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::collective {
namespace {

class CommunicatorCancelling : public ::testing::TestWithParam<GangPath> {};

using Misuse = std::function<Result<void>(Communicator&, bool odd_one)>;

/// All members must fail, naming the one that differs and another.
void expect_disagreement(GangPath path, const Misuse& misuse, const std::string& what) {
  constexpr std::uint32_t kWorld = 4;
  for (const std::uint32_t odd : {0U, 1U, 3U}) {
    std::atomic<int> failed = 0;
    std::barrier together(kWorld);
    run_gang(
        assign_logical_ranks(kWorld, kWorld),
        [&](Communicator& communicator) {
          EXPECT_TRUE(communicator.barrier());
          together.arrive_and_wait();
          const Result<void> done = misuse(communicator, communicator.rank() == odd);
          ASSERT_FALSE(done) << what << " on rank " << communicator.rank();
          const std::string& message = done.error().message;
          EXPECT_NE(message.find("rank " + std::to_string(odd) + " called"), std::string::npos) << message;
          EXPECT_FALSE(communicator.barrier()) << "a communicator that failed is dead";
          ++failed;
        },
        path);
    EXPECT_EQ(failed, kWorld) << what;
  }
}

TEST_P(CommunicatorCancelling, FailsOnAllMembersWhenOneCallsDifferently) {
  const auto path = GetParam();
  expect_disagreement(
      path,
      [](Communicator& c, bool odd) {
        std::vector<float> v(odd ? 10'001 : 10'000);
        return c.all_reduce(v);
      },
      "length");
  expect_disagreement(
      path,
      [](Communicator& c, bool odd) {
        std::vector<float> v(100);
        return odd ? c.broadcast(v, 0) : c.all_reduce(v);
      },
      "kind");
  expect_disagreement(
      path,
      [](Communicator& c, bool odd) {
        std::vector<std::int64_t> wide(100'000);
        std::vector<double> real(100'000);
        return odd ? c.all_reduce(wide) : c.all_reduce(real);
      },
      "type");
  expect_disagreement(
      path,
      [](Communicator& c, bool odd) {
        std::vector<float> v(100);
        return c.all_reduce(v, {odd ? ReduceOperator::minimum : ReduceOperator::maximum, 5});
      },
      "operator");
  expect_disagreement(
      path,
      [](Communicator& c, bool odd) {
        std::vector<float> v(100);
        return c.broadcast(v, odd ? 1 : 2);
      },
      "root");
}

TEST_P(CommunicatorCancelling, FailsOnAllMembersWhenOneMakesAMistakeOfItsOwn) {
  expect_disagreement(
      GetParam(),
      [](Communicator& c, bool odd) {
        std::vector<float> in(100), out(odd ? 99 : 100);
        return c.all_reduce(in, out);
      },
      "two lengths");
  expect_disagreement(
      GetParam(),
      [](Communicator& c, bool odd) {
        std::vector<float> v(10);
        return c.broadcast(v, odd ? 4 : 0);
      },
      "no such root");
  expect_disagreement(
      GetParam(),
      [](Communicator& c, bool odd) {
        std::vector<float> in(100), out(odd ? 24 : 25);
        return c.reduce_scatter(in, out);
      },
      "a slice of another length");
}

TEST_P(CommunicatorCancelling, AbortEndsWhatIsInFlightOnAllMembersAndANewGangWorks) {
  for (const std::uint32_t who : {0U, 2U}) {
    std::atomic<int> cancelled = 0;
    std::latch waiting(2);
    std::barrier together(3);
    run_gang(
        assign_logical_ranks(3, 3),
        [&](Communicator& communicator) {
          EXPECT_TRUE(communicator.barrier());
          together.arrive_and_wait();
          const Error why{ErrorCode::cancelled, "generation 2 begins", "join it"};
          if (communicator.rank() == who) {
            waiting.wait();
            communicator.abort(why);
            EXPECT_FALSE(communicator.barrier());
            ++cancelled;
            return;
          }
          std::vector<float> small(5), large(200'000);
          const Operation first = communicator.start_all_reduce(small, small, {{}, 1});
          const Operation second = communicator.start_all_reduce(large, large, {{}, 2});
          waiting.count_down();
          for (const Operation& operation : {first, second}) {
            const Result<void> done = operation.wait();
            ASSERT_FALSE(done);
            EXPECT_EQ(done.error(), why);
          }
          ++cancelled;
        },
        GetParam());
    EXPECT_EQ(cancelled, 3);
    run_gang(
        assign_logical_ranks(3, 3),
        [](Communicator& communicator) {
          std::vector<float> v(1000, 1.0F);
          ASSERT_TRUE(communicator.all_reduce(v));
          EXPECT_EQ(v, std::vector<float>(1000, 3.0F));
        },
        GetParam());
  }
}

TEST_P(CommunicatorCancelling, AMemberThatLeavesCancelsTheOthers) {
  std::atomic<int> failed = 0;
  std::barrier together(4);
  run_gang(
      assign_logical_ranks(4, 4),
      [&](Communicator& communicator) {
        std::vector<double> v(100'000);
        EXPECT_TRUE(communicator.all_reduce(v));
        together.arrive_and_wait();
        if (communicator.rank() == 1) return;
        const Operation other = communicator.start_barrier({{}, 9});
        const Result<void> done = communicator.all_reduce(v);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::unavailable) << done.error().message;
        EXPECT_FALSE(other.wait());
        ++failed;
      },
      GetParam());
  EXPECT_EQ(failed, 3);
}

TEST_P(CommunicatorCancelling, TheEndOfACommunicatorCancelsWhatIsInFlight) {
  std::barrier together(2);
  run_gang(
      assign_logical_ranks(2, 2),
      [&](Communicator& communicator) {
        EXPECT_TRUE(communicator.barrier());
        together.arrive_and_wait();
        if (communicator.rank() == 1) return;  // nobody comes to what rank 0 starts
        static_cast<void>(communicator.start_barrier({{}, 1}));
      },
      GetParam());
}

TEST_P(CommunicatorCancelling, RefusesMoreOperationsThanItMayHaveInFlight) {
  std::latch full(1);
  run_gang(
      assign_logical_ranks(2, 2),
      [&](Communicator& communicator) {
        std::vector<Operation> operations;
        if (communicator.rank() == 1) full.wait();
        for (std::uint32_t tag = 0; tag < kMaxOperationsInFlight; ++tag)
          operations.push_back(communicator.start_barrier({{}, tag}));
        if (communicator.rank() == 0) {
          const Result<void> refused = communicator.barrier({{}, 100});
          ASSERT_FALSE(refused);
          EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
          full.count_down();
        }
        for (const Operation& operation : operations) EXPECT_TRUE(operation.wait());
        EXPECT_TRUE(communicator.barrier({{}, 100})) << "a refusal hurts nobody";
      },
      GetParam());
}

INSTANTIATE_TEST_SUITE_P(Paths, CommunicatorCancelling,
                         ::testing::Values(GangPath::exchange, GangPath::shared_memory, GangPath::two_hosts),
                         [](const auto& one) { return name_of(one.param); });

TEST(CommunicatorTags, AreBounded) {
  Communicator alone(1);
  for (std::uint32_t tag = 0; tag < kMaxTags; ++tag) ASSERT_TRUE(alone.barrier({{}, tag}));
  EXPECT_EQ(alone.barrier({{}, 1'000'000}).error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(alone.barrier({{}, 7}));
}

}  // namespace
}  // namespace ds::collective
