// What can be said about GPU code on a machine without a GPU: it is linked, and it fails in words.
#include <gtest/gtest.h>

#include "kernels/device.hpp"
#include "kernels/device_group.hpp"
#include "kernels/gpu.hpp"

namespace ds::kernels {
namespace {

TEST(Nccl, IsLoadedInTheVersionThatThisBuildNeeds) {
  const DeviceResult<int> version = nccl_version();
  if (!version && version.error().kind == DeviceError::Kind::unavailable)
    GTEST_SKIP() << version.error().message;
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_GE(*version, 21400) << "communicators that don't block came with NCCL 2.14";
}

TEST(DeviceGroup, RefusesAnInvitationThatIsNone) {
  const std::vector<std::byte> nonsense(5);
  const auto group = join_group(nonsense, 0, 2, [] { return true; });
  ASSERT_FALSE(group);
  EXPECT_FALSE(group.error().message.empty());
}

TEST(Device, IsUnavailableInWordsWhereThereIsNone) {
  const std::size_t gpus = list_gpus().size();
  const auto device = open_device(static_cast<std::uint32_t>(gpus));
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, DeviceError::Kind::unavailable);
  EXPECT_NE(device.error().message.find("GPU"), std::string::npos);
  EXPECT_FALSE(device.error().hint.empty());
  EXPECT_FALSE(open_device(~0U));
}

TEST(DeviceReduceTree, IsUnavailableInWordsWhereThereIsNoGpu) {
  if (!list_gpus().empty()) GTEST_SKIP() << "this machine has a GPU";
  const float value = 1;
  float sum = 0;
  void* const outputs[] = {&sum};
  const TreeInput inputs[] = {{&value, false, 0}, {&value, false, 1}};
  const auto done =
      device_reduce_tree({ElementType::float32, ReduceOperator::sum, inputs, outputs, 1}, DeviceStream{});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, DeviceError::Kind::unavailable) << done.error().message;
  EXPECT_EQ(sum, 0);
}

}  // namespace
}  // namespace ds::kernels
