#include <gtest/gtest.h>

#include <atomic>

#include "kernels/gpu.hpp"
#include "tests/unit/collective/device_contract.hpp"
#include "tests/unit/collective/device_on_host.hpp"

namespace ds::collective {
namespace {

std::atomic<bool> idle{true};
const kernels::DeviceStream kIdle{&idle};

Devices host_devices(std::size_t count) {
  Devices devices;
  for (std::size_t i = 0; i < count; ++i) devices.emplace_back(std::make_shared<HostDevice>());
  return devices;
}

/// All members' all_reduce of ones.
std::vector<Result<void>> reduce_ones(const std::vector<RankRange>& ranges, const Devices& devices) {
  std::vector<Result<void>> outcomes(ranges.size());
  run_device_gang(ranges, devices, [&](DeviceCommunicator& communicator, std::uint32_t rank) {
    std::vector<float> ones(100, 1.0F), sum(100);
    const std::vector<ConstVector> inputs(communicator.hosted().size(), ConstVector(ones));
    outcomes[rank] = communicator.all_reduce(inputs, sum, kIdle);
  });
  return outcomes;
}

TEST(DeviceCommunicator, GivesTheBitsOfTheFixedTreeInGangsOfEverySize) {
  for (const std::uint32_t leaves : {1U, 3U, 8U}) {
    for (std::uint32_t world = 1; world <= std::min(leaves + 1, 5U); ++world)
      expect_contract(assign_logical_ranks(leaves, world), host_devices(world), kIdle);
  }
}

TEST(DeviceCommunicator, GivesTheBitsOfTheFixedTreeForUnevenSplits) {
  expect_contract({{0, 0}, {0, 3}, {3, 3}, {3, 7}, {7, 13}}, host_devices(5), kIdle);
}

TEST(DeviceCommunicator, NeedsNoExchangeAlone) {
  const auto device = std::make_shared<HostDevice>();
  DeviceCommunicator alone(5, std::shared_ptr<kernels::Device>(device));
  for (const std::size_t elements : {0, 1, 1021})
    expect_all_operations(alone, *device, kIdle, {ElementType::bfloat16, ReduceOperator::sum, 5, elements});
}

TEST(DeviceCommunicator, WaitsForWhatWasOnTheStream) {
  std::array<std::atomic<bool>, 2> ready{};
  run_device_gang(assign_logical_ranks(2, 2), host_devices(2),
                  [&](DeviceCommunicator& communicator, std::uint32_t rank) {
                    std::vector<float> vector(3, 0.0F);
                    const ConstVector input(vector);
                    const Operation operation =
                        communicator.start_all_reduce(std::span(&input, 1), vector, {&ready[rank]});
                    EXPECT_FALSE(operation.done());
                    vector = {1, 2, 3};  // what the work on the stream does
                    ready[rank] = true;
                    ASSERT_TRUE(operation.wait());
                    EXPECT_EQ(vector, (std::vector<float>{2, 4, 6}));
                  });
}

TEST(DeviceCommunicator, CarriesOutManyInTheOrderInWhichTheyWereStarted) {
  run_device_gang(
      assign_logical_ranks(3, 3), host_devices(3), [](DeviceCommunicator& communicator, std::uint32_t) {
        std::vector<std::vector<float>> vectors;
        for (std::size_t i = 0; i < kMaxOperationsInFlight; ++i)
          vectors.emplace_back(i + 1, static_cast<float>(i));
        std::vector<Operation> operations;
        for (auto& vector : vectors) {
          const ConstVector input(vector);
          operations.push_back(communicator.start_all_reduce(std::span(&input, 1), vector, kIdle));
        }
        for (std::size_t i = 0; i < vectors.size(); ++i) {
          ASSERT_TRUE(operations[i].wait());
          EXPECT_EQ(vectors[i], std::vector<float>(i + 1, 3 * static_cast<float>(i)));
        }
      });
}

TEST(DeviceCommunicator, RefusesOneOperationTooManyOnThisMemberOnly) {
  std::atomic<bool> ready{false};
  DeviceCommunicator alone(1, std::shared_ptr<kernels::Device>(std::make_shared<HostDevice>()));
  std::vector<Operation> operations;
  for (std::size_t i = 0; i < kMaxOperationsInFlight; ++i)
    operations.push_back(alone.start_barrier({&ready}));
  const Result<void> refused = alone.barrier({&ready});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  ready = true;
  for (const Operation& operation : operations) EXPECT_TRUE(operation.wait());
  EXPECT_TRUE(alone.barrier({&ready}));
}

TEST(DeviceCommunicator, FailsOnAllMembersWhateverFailsOnOne) {
  for (const char* call :
       {"mark", "open_queue", "invite", "connect", "allocate", "reduce", "transfer", "wait"}) {
    for (const std::uint32_t broken : {0U, 2U}) {
      if (std::string(call) == "invite" && broken != 0) continue;
      Devices devices = host_devices(3);
      devices[broken] = std::make_shared<HostDevice>(call);
      for (const Result<void>& outcome : reduce_ones(assign_logical_ranks(5, 3), devices)) {
        ASSERT_FALSE(outcome) << call;
        EXPECT_EQ(outcome.error(), (Error{ErrorCode::resource_exhausted,
                                          "rank " + std::to_string(broken) + ": " + call + " failed",
                                          {}}));
      }
    }
  }
}

TEST(DeviceCommunicator, FailsOnAllMembersWhenTheyCallDifferently) {
  run_device_gang(assign_logical_ranks(2, 2), host_devices(2),
                  [](DeviceCommunicator& communicator, std::uint32_t rank) {
                    std::vector<float> vector(rank == 0 ? 10 : 11);
                    const ConstVector input(vector);
                    const Result<void> done = communicator.all_reduce(std::span(&input, 1), vector, kIdle);
                    ASSERT_FALSE(done);
                    EXPECT_NE(done.error().message.find("10 elements"), std::string::npos);
                    EXPECT_NE(done.error().message.find("11 elements"), std::string::npos);
                    const Result<void> later = communicator.barrier(kIdle);
                    ASSERT_FALSE(later);
                    EXPECT_NE(later.error().message.find("ended before"), std::string::npos);
                  });
}

TEST(DeviceCommunicator, FailsOnAllMembersWhenOneGivesWrongVectors) {
  run_device_gang(assign_logical_ranks(4, 2), host_devices(2),
                  [](DeviceCommunicator& communicator, std::uint32_t rank) {
                    std::vector<float> vector(10), other(10);
                    const std::vector<ConstVector> inputs(rank == 0 ? 1 : 2, ConstVector(vector));
                    const Result<void> done = communicator.all_reduce(inputs, other, kIdle);
                    ASSERT_FALSE(done);
                    EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
                    EXPECT_NE(done.error().message.find("rank 0"), std::string::npos);
                  });
}

TEST(DeviceCommunicator, RefusesMoreVectorsThanAGpuCombines) {
  const auto device = std::make_shared<HostDevice>();
  DeviceCommunicator alone(385, std::shared_ptr<kernels::Device>(device));
  std::vector<float> one(1), sum(1);
  const std::vector<ConstVector> inputs(385, ConstVector(one));
  const Result<void> done = alone.all_reduce(inputs, sum, kIdle);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unsupported);
}

TEST(DeviceCommunicator, WakesMembersThatWaitForOneThatNeverCame) {
  const auto ranges = assign_logical_ranks(3, 3);
  auto exchanges = make_local_exchanges(3);
  std::vector<std::thread> threads;
  std::atomic<int> cancelled = 0;
  for (std::uint32_t rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      DeviceCommunicator communicator(exchanges[rank], ranges, std::make_shared<HostDevice>());
      const Result<void> done = communicator.barrier(kIdle);
      if (!done && done.error().code == ErrorCode::cancelled) ++cancelled;
    });
  }
  exchanges[2]->abort({ErrorCode::cancelled, "generation 2 ended", ""});
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cancelled, 2);
}

TEST(DeviceCommunicator, EndsWhatWaitsForAStreamThatNeverFinishes) {
  std::atomic<bool> never{false};
  run_device_gang(assign_logical_ranks(2, 2), host_devices(2),
                  [&](DeviceCommunicator& communicator, std::uint32_t rank) {
                    const Operation operation = communicator.start_barrier({rank == 0 ? &never : &idle});
                    if (rank == 1) communicator.abort({ErrorCode::cancelled, "no more", ""});
                    const Result<void> done = operation.wait();
                    ASSERT_FALSE(done);
                    EXPECT_EQ(done.error(), (Error{ErrorCode::cancelled, "no more", ""}));
                  });
}

TEST(DeviceCommunicator, LeavesNobodyWaitingWhenOneIsDestroyed) {
  std::atomic<bool> never{false};
  run_device_gang(assign_logical_ranks(2, 2), host_devices(2),
                  [&](DeviceCommunicator& communicator, std::uint32_t rank) {
                    if (rank == 1) {
                      static_cast<void>(communicator.start_barrier({&never}));
                      return;
                    }
                    const Result<void> done = communicator.barrier(kIdle);
                    ASSERT_FALSE(done);
                    EXPECT_EQ(done.error().message, "rank 1 left the gang");
                  });
}

TEST(DeviceCommunicator, SharesAnExchangeWithACommunicator) {
  auto exchanges = make_local_exchanges(2);
  const auto ranges = assign_logical_ranks(2, 2);
  std::vector<std::thread> threads;
  for (auto& exchange : exchanges) {
    threads.emplace_back([&] {
      Communicator on_processors(exchange, ranges);
      DeviceCommunicator on_devices(exchange, ranges, std::make_shared<HostDevice>());
      for (int round = 0; round < 20; ++round) {
        std::vector<float> a(7, 1.0F), b(9, 2.0F);
        const ConstVector input(b);
        const Operation first = on_processors.start_all_reduce(a);
        const Operation second = on_devices.start_all_reduce(std::span(&input, 1), b, kIdle);
        EXPECT_TRUE(first.wait());
        EXPECT_TRUE(second.wait());
        EXPECT_EQ(a, std::vector<float>(7, 2.0F));
        EXPECT_EQ(b, std::vector<float>(9, 4.0F));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(DeviceCommunicator, FailsInWordsOnAllMembersWhereThereIsNoGpu) {
  if (!kernels::list_gpus().empty()) GTEST_SKIP() << "this machine has a GPU";
  const Devices devices(3, kernels::open_device(0));
  for (const Result<void>& outcome : reduce_ones(assign_logical_ranks(3, 3), devices)) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::unavailable);
    EXPECT_NE(outcome.error().message.find("rank 0: "), std::string::npos) << outcome.error().message;
    EXPECT_FALSE(outcome.error().hint.empty());
  }
}

}  // namespace
}  // namespace ds::collective
