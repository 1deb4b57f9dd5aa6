#include "kernels/gpu.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace ds::kernels {
namespace {

TEST(ListGpus, IsEmptyWithoutADriverAndNeverFails) {
  if (access("/dev/nvidiactl", F_OK) == 0) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_TRUE(list_gpus().empty());
}

TEST(ListGpus, NamesEveryGpuOnce) {
  const std::vector<Gpu> gpus = list_gpus();
  if (gpus.empty()) GTEST_SKIP() << "no GPU here";
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    EXPECT_EQ(gpus[i].index, i);
    EXPECT_FALSE(gpus[i].name.empty());
    EXPECT_GT(gpus[i].memory_bytes, 1ULL << 30);
  }
}

TEST(ListGpus, SaysTheSameTwice) {
  EXPECT_EQ(list_gpus(), list_gpus());
}

}  // namespace
}  // namespace ds::kernels
