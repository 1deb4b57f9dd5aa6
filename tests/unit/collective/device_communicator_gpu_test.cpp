#include <gtest/gtest.h>

#include "kernels/gpu.hpp"
#include "tests/unit/collective/device_contract.hpp"

namespace ds::collective {
namespace {

/// The first GPUs, one a member.
Devices gpus(std::size_t count) {
  Devices devices;
  for (std::uint32_t i = 0; i < count; ++i) devices.push_back(kernels::open_device(i));
  return devices;
}

TEST(DeviceCommunicatorOnGpus, GivesTheBitsOfTheProcessorAlone) {
  if (kernels::list_gpus().empty()) GTEST_SKIP() << "no GPU here";
  for (const std::uint32_t leaves : {1U, 5U}) expect_contract({{0, leaves}}, gpus(1), {});
}

TEST(DeviceCommunicatorOnGpus, GivesTheBitsOfTheProcessorForEveryNumberOfGpus) {
  const std::size_t count = kernels::list_gpus().size();
  if (count < 2) GTEST_SKIP() << "needs two GPUs, there are " << count;
  if (const auto nccl = kernels::nccl_version(); !nccl) GTEST_SKIP() << nccl.error().message;
  for (std::uint32_t world = 2; world <= std::min<std::size_t>(count, 8); ++world) {
    expect_contract(assign_logical_ranks(world, world), gpus(world), {});
    expect_contract(assign_logical_ranks(13, world), gpus(world), {});
  }
}

TEST(DeviceCommunicatorOnGpus, LeaveNobodyWaitingWhenAMemberNeverComes) {
  const std::size_t count = kernels::list_gpus().size();
  if (count < 2) GTEST_SKIP() << "needs two GPUs, there are " << count;
  if (const auto nccl = kernels::nccl_version(); !nccl) GTEST_SKIP() << nccl.error().message;
  run_device_gang(assign_logical_ranks(2, 2), gpus(2),
                  [](DeviceCommunicator& communicator, std::uint32_t rank) {
                    EXPECT_TRUE(communicator.barrier({}));
                    if (rank == 1) return;
                    const Result<void> done = communicator.barrier({});
                    ASSERT_FALSE(done);
                    EXPECT_EQ(done.error().code, ErrorCode::unavailable);
                  });
}

}  // namespace
}  // namespace ds::collective
