#include "actors/train/freed_memory.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace ds::train {
namespace {

constexpr std::size_t kBytes = std::size_t{96} << 20;

/// Page faults of this thread while it takes, fills and frees a large block.
long faults_of_a_large_block() {
  rusage before{}, after{};
  getrusage(RUSAGE_THREAD, &before);
  void* block = nullptr;
  EXPECT_EQ(posix_memalign(&block, 64, kBytes), 0);
  std::memset(block, 1, kBytes);
  asm volatile("" : : "r"(block) : "memory");  // it is filled, whatever becomes of it
  free(block);
  getrusage(RUSAGE_THREAD, &after);
  return after.ru_minflt - before.ru_minflt;
}

TEST(FreedMemory, IsTakenAgainByAnyThreadWithoutPageFaults) {
  keep_freed_memory();
  faults_of_a_large_block();
  long again = 0;
  std::thread([&] { again = faults_of_a_large_block(); }).join();
  EXPECT_LT(again, static_cast<long>(kBytes / 4096 / 10));
}

}  // namespace
}  // namespace ds::train
