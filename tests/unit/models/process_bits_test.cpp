#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "tests/unit/models/zoo_cases.hpp"

namespace ds::train {
namespace {

std::string run_probe() {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(DS_MODELS_PROBE, "r"), pclose);
  std::string output;
  char part[4096];
  for (std::size_t size = 0; (size = fread(part, 1, sizeof(part), pipe.get())) > 0;)
    output.append(part, size);
  return output;
}

TEST(ModelBits, AreTheSameInFreshProcessesAndThreads) {
  const std::string first = run_probe();
  ASSERT_NE(first.find("unet_volume fp16"), std::string::npos) << first;
  EXPECT_EQ(run_probe(), first);
  std::string in_thread;
  std::thread([&] { in_thread = bits_of_all_cases(); }).join();
  EXPECT_EQ(in_thread, first);
}

}  // namespace
}  // namespace ds::train
