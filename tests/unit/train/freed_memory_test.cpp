#include "actors/train/freed_memory.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace ds::train {
namespace {

constexpr std::int64_t kBytes = std::int64_t{96} << 20;

/// Page faults of this thread while it takes, fills and frees a large tensor.
long faults_of_a_large_tensor() {
  rusage before{}, after{};
  getrusage(RUSAGE_THREAD, &before);
  const void* data = torch::full({kBytes}, 1, torch::kUInt8).data_ptr();
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0);
  return after.ru_minflt - before.ru_minflt;
}

TEST(FreedMemory, IsTakenAgainByAnyThreadWithoutPageFaults) {
  at::set_num_threads(1);  // the thread that counts fills the whole tensor
  keep_freed_memory();
  // The first takes new memory. Another may, where something small was cut out of what the last one freed.
  constexpr int kTimes = 12;
  long faults = 0;
  std::vector<std::unique_ptr<char[]>> others;
  for (int time = 0; time < kTimes / 2; ++time) {
    others.push_back(std::make_unique<char[]>(40));  // the heap's end moves by another part of an alignment
    faults += faults_of_a_large_tensor();
    std::thread([&] { faults += faults_of_a_large_tensor(); }).join();
  }
  EXPECT_LT(faults, kTimes * kBytes / 4096 / 3);
}

TEST(FreedMemory, ServesConvolutionsOfTorchsLibraries) {
  keep_freed_memory();
  const at::NoGradGuard no_gradients;
  for (const std::int64_t rows : {1, 128}) {
    const auto ones = torch::conv2d(torch::ones({rows, 1, 28, 28}), torch::ones({32, 1, 3, 3}));
    EXPECT_EQ(ones.sum().item<double>(), static_cast<double>(9 * 26 * 26 * 32 * rows));
  }
}

TEST(FreedMemory, TensorsAreAlignedAndMayBeEmpty) {
  keep_freed_memory();
  EXPECT_EQ(torch::empty({0}).numel(), 0);
  for (std::int64_t size = 1; size < 200; ++size) {
    const auto ones = torch::ones({size});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ones.data_ptr()) % 64, 0);
    EXPECT_EQ(ones.sum().item<double>(), static_cast<double>(size));
  }
  EXPECT_THROW(torch::empty({std::int64_t{1} << 60}, torch::kUInt8), c10::Error);
}

}  // namespace
}  // namespace ds::train
