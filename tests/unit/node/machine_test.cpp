#include "actors/node/machine.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::node {
namespace {

using Names = std::vector<std::string>;

TEST(Machine, TakesGpusThatAnOperatorStates) {
  EXPECT_EQ(parse_gpus("H200:2"), (Names{"H200", "H200"}));
  EXPECT_EQ(parse_gpus("NVIDIA H200:1"), Names{"NVIDIA H200"});
  EXPECT_EQ(parse_gpus("0"), Names{});
  for (const char* bad :
       {"", "4", "H200", "H200:", ":4", "H200:0", "H200:-1", "H200:4x", "H200:9999", "A:1,B:1"}) {
    const auto gpus = parse_gpus(bad);
    ASSERT_FALSE(gpus) << bad;
    EXPECT_NE(gpus.error().message.find("got \"" + std::string(bad) + "\""), std::string::npos);
    EXPECT_NE(gpus.error().hint.find("--gpus H200:4"), std::string::npos);
  }
}

TEST(Machine, NamesGpusToProgramsAsItsOwnEnvironmentDoes) {
  Machine machine;
  EXPECT_EQ(visible_to_programs(machine, ""), "");
  EXPECT_EQ(visible_to_programs(machine, "0,3"), "0,3");
  machine.devices = {"4", "6", "GPU-8932f937"};
  EXPECT_EQ(visible_to_programs(machine, "0,2"), "4,GPU-8932f937");
  EXPECT_EQ(visible_to_programs(machine, "1"), "6");
  EXPECT_EQ(visible_to_programs(machine, ""), "");
  EXPECT_EQ(visible_to_programs(machine, "3"), "3") << "stated by hand beyond what is visible";
}

}  // namespace
}  // namespace ds::node
