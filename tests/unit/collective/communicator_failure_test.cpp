#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "tests/unit/collective/gang_of_threads.hpp"

namespace ds::collective {
namespace {

const Communicator::Produce<float> kOnes = [](std::uint32_t, std::span<float> out) -> Result<void> {
  std::ranges::fill(out, 1.0F);
  return {};
};

TEST(CommunicatorFailure, ReachesEveryMemberWithItsReasonAndKillsTheCommunicator) {
  for (std::uint32_t broken = 0; broken < 7; ++broken) {
    std::atomic<int> failed = 0;
    run_gang(assign_logical_ranks(7, 4), [&](Communicator& communicator) {
      std::vector<float> sum(100);
      ASSERT_TRUE(communicator.all_reduce(std::span(sum), kOnes));
      const Communicator::Produce<float> produce = [&](std::uint32_t logical,
                                                       std::span<float> out) -> Result<void> {
        if (logical == broken) return fail(ErrorCode::invalid_argument, "row 17 is bad", "mend it");
        return kOnes(logical, out);
      };
      const Result<void> done = communicator.all_reduce(std::span(sum), produce);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error(), (Error{ErrorCode::invalid_argument, "row 17 is bad", "mend it"}));
      const Result<void> later = communicator.all_reduce(std::span(sum), kOnes);
      ASSERT_FALSE(later);
      EXPECT_NE(later.error().message.find("row 17 is bad"), std::string::npos);
      ++failed;
    });
    EXPECT_EQ(failed, 4);
  }
}

TEST(CommunicatorFailure, OfAnExceptionReachesEveryMember) {
  run_gang(assign_logical_ranks(3, 3), [&](Communicator& communicator) {
    std::vector<float> sum(5);
    const Communicator::Produce<float> produce = [&](std::uint32_t logical,
                                                     std::span<float> out) -> Result<void> {
      if (logical == 1) throw std::runtime_error("out of cheese");
      return kOnes(logical, out);
    };
    const Result<void> done = communicator.all_reduce(std::span(sum), produce);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "logical rank 1: out of cheese");
  });
}

TEST(CommunicatorFailure, OfDifferentSizesIsReportedByAllMembers) {
  for (std::uint32_t other = 0; other < 3; ++other) {
    run_gang(assign_logical_ranks(3, 3), [&](Communicator& communicator) {
      std::vector<float> sum(communicator.rank() == other ? 11 : 10);
      const Result<void> done = communicator.all_reduce(std::span(sum), kOnes);
      ASSERT_FALSE(done);
      EXPECT_NE(done.error().message.find("11 elements"), std::string::npos) << done.error().message;
      EXPECT_NE(done.error().message.find("10 elements"), std::string::npos) << done.error().message;
    });
  }
}

TEST(CommunicatorFailure, OfDifferentTypesIsReportedByAllMembers) {
  run_gang(assign_logical_ranks(2, 2), [&](Communicator& communicator) {
    std::vector<float> narrow(8);
    std::vector<double> wide(8);
    const Communicator::Produce<double> zeros = [](std::uint32_t, std::span<double> out) -> Result<void> {
      std::ranges::fill(out, 0.0);
      return {};
    };
    const Result<void> done = communicator.rank() == 0 ? communicator.all_reduce(std::span(narrow), kOnes)
                                                       : communicator.all_reduce(std::span(wide), zeros);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("float64"), std::string::npos) << done.error().message;
  });
}

TEST(CommunicatorFailure, WakesMembersThatWaitForOneThatWasAborted) {
  const auto ranges = assign_logical_ranks(4, 4);
  auto exchanges = make_local_exchanges(4);
  std::vector<std::thread> threads;
  std::atomic<int> cancelled = 0;
  for (std::uint32_t rank = 0; rank < 3; ++rank) {  // rank 3 never comes
    threads.emplace_back([&, rank] {
      Communicator communicator(exchanges[rank], ranges);
      std::vector<float> sum(1000);
      const Result<void> done = communicator.all_reduce(std::span(sum), kOnes);
      if (!done && done.error().code == ErrorCode::cancelled) ++cancelled;
    });
  }
  exchanges[3]->abort({ErrorCode::cancelled, "generation 2 ended", ""});
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cancelled, 3);
}

TEST(CommunicatorFailure, IsReportedWhenAMemberLeavesInTheMiddle) {
  std::atomic<int> unavailable = 0;
  run_gang(assign_logical_ranks(4, 4), [&](Communicator& communicator) {
    std::vector<float> sum(1000);
    ASSERT_TRUE(communicator.all_reduce(std::span(sum), kOnes));
    if (communicator.rank() == 2) return;
    const Result<void> done = communicator.all_reduce(std::span(sum), kOnes);
    if (!done && done.error().code == ErrorCode::unavailable) ++unavailable;
  });
  EXPECT_EQ(unavailable, 3);
}

}  // namespace
}  // namespace ds::collective
