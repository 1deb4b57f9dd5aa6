// Where models compute, as far as it shows without a GPU. Torch's device "meta", which has no memory, stands
// for one in tests of what a program makes where.
#include "actors/infer/compute_device.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "actors/infer/device_pass.hpp"
#include "tests/unit/infer/script_models.hpp"

namespace ds::infer {
namespace {

TEST(ComputeDevices, HaveNamesAndNoOthers) {
  const auto cpu = ComputeDevice::open("cpu");
  ASSERT_TRUE(cpu);
  EXPECT_FALSE(cpu->is_gpu());
  EXPECT_TRUE(cpu->is_usable());
  for (const char* name :
       {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:64", "cuda0"}) {
    SCOPED_TRACE(name);
    const auto none = ComputeDevice::open(name);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::invalid_argument);
  }
}

TEST(ComputeDevices, SayWhatToBuildWithWhereLibtorchHasNoCuda) {
  if (c10::impl::hasDeviceGuardImpl(at::kCUDA)) GTEST_SKIP() << "this libtorch has CUDA";
  for (const char* name : {"cuda", "cuda:0", "cuda:7"}) {
    SCOPED_TRACE(name);
    const auto none = ComputeDevice::open(name);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::unsupported);
    EXPECT_NE(none.error().message.find("has no CUDA"), std::string::npos) << none.error().message;
    EXPECT_NE(none.error().hint.find("libtorch-cuda-dev"), std::string::npos) << none.error().hint;
  }
}

/// Torch finds a GPU, and whatever is done with it fails.
[[noreturn]] void load_on_a_gpu_that_does_not_compute() {
  using Guard = c10::impl::FakeGuardImpl<at::kCUDA>;
  static Guard guard;
  const c10::impl::DeviceGuardImplRegistrar registered(at::kCUDA, &guard);
  ModelOptions options;
  options.name = "made";
  options.device = "cuda:0";
  ModelSource source{layers_archive(), "made", {{"x", serving::Datatype::fp32, {-1, 32}}}, {}};
  const auto model = ServedModel::load(std::move(source), options);
  if (!model) std::fputs(model.error().message.c_str(), stderr);
  std::_Exit(!model && model.error().code == ErrorCode::unavailable ? 7 : 1);
}

TEST(ComputeDevices, AreUnavailableWhereTheGpuDoesNotCompute) {
  if (c10::impl::hasDeviceGuardImpl(at::kCUDA)) GTEST_SKIP() << "this libtorch has CUDA";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(load_on_a_gpu_that_does_not_compute(), testing::ExitedWithCode(7),
              "device cuda:0: the GPU does not compute: ");
}

TEST(ComputeDevices, RefuseInt8OnAGpu) {
  ModelOptions options;
  options.name = "made";
  options.int8 = true;
  options.device = "cuda:0";
  ModelSource source{layers_archive(), "made", {{"x", serving::Datatype::fp32, {-1, 32}}}, {}};
  const auto model = ServedModel::load(std::move(source), options);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(model.error().message.find("int8 layers compute on the CPU"), std::string::npos)
      << model.error().message;
}

/// On which device the body's result is made, once the program computes on "meta".
std::string device_of(const std::string& body) {
  torch::jit::Module module("Made");
  module.register_attribute("training", c10::BoolType::get(), false);
  module.register_attribute("where", c10::DeviceObjType::get(), at::Device(at::kCPU));
  module.register_attribute("name", c10::StringType::get(), std::string("cpu"));
  module.define("def made(self, n: int):\n    return torch.ones([n])\n");
  module.define("def forward(self, x):\n    " + body + "\n");
  compute_on(module, at::Device(at::kMeta));
  const torch::jit::GraphOptimizerEnabledGuard as_it_is(false);  // its passes don't know the device
  return module.forward({at::empty({2, 3}, at::kMeta)}).toTensor().device().str();
}

TEST(Programs, MakeTheirTensorsOnTheDeviceThatTheyAreMovedTo) {
  for (const char* body :
       {"return torch.zeros([2])", "return torch.arange(3)", "return torch.arange(x.size(1), dtype=4)",
        "return torch.full([2], 1.5)", "return torch.zeros([2], device=torch.device(\"cpu\"))",
        "return torch.arange(3, device=torch.device(\"cuda:1\"))", "return torch.tensor([1, 2])",
        "return self.made(4)", "return torch.zeros([2], device=self.where)",
        "return torch.zeros([2], device=torch.device(self.name))", "return torch.zeros([2], device=x.device)",
        "if x.size(0) > 1:\n        y = torch.ones([2])\n    else:\n        y = torch.zeros([2])\n    return "
        "y",
        "return torch.zeros([2]).to(torch.device(\"cpu\"))", "return x + torch.arange(x.size(1))",
        "return torch.zeros_like(x)", "return x + 1"}) {
    SCOPED_TRACE(body);
    EXPECT_EQ(device_of(body), "meta");
  }
}

}  // namespace
}  // namespace ds::infer
