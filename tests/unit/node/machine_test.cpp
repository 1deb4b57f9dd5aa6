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
  EXPECT_EQ(visible_to_programs(machine, "0"), "") << "it has none";
  ASSERT_TRUE(offer_stated(machine, Names(4, "H200"), nullptr));
  EXPECT_EQ(visible_to_programs(machine, "0,3"), "0,3");
  ASSERT_TRUE(offer_stated(machine, Names(3, "H200"), "4, 6,GPU-8932f937,7"));
  EXPECT_EQ(machine.devices, (Names{"4", "6", "GPU-8932f937"}));
  EXPECT_EQ(visible_to_programs(machine, "0,2"), "4,GPU-8932f937");
  EXPECT_EQ(visible_to_programs(machine, "1"), "6");
  EXPECT_EQ(visible_to_programs(machine, ""), "");
  EXPECT_EQ(visible_to_programs(machine, "3"), "") << "7 is not offered";
}

TEST(Machine, OffersNoMoreGpusThanItsEnvironmentShows) {
  Machine machine;
  for (const char* visible : {"", "-1", "0", "2,3,5", "2,3,-1,5", "2,3,,5"}) {
    const auto offered = offer_stated(machine, Names(4, "H200"), visible);
    ASSERT_FALSE(offered) << visible;
    EXPECT_NE(offered.error().message.find("CUDA_VISIBLE_DEVICES=\"" + std::string(visible) + "\" shows"),
              std::string::npos)
        << offered.error().message;
  }
  EXPECT_TRUE(machine.gpus.empty());
  ASSERT_TRUE(offer_stated(machine, {}, "")) << "none are stated";
}

TEST(Machine, OffersEachGpuOnce) {
  Machine machine;
  ASSERT_TRUE(offer_stated(machine, Names(3, "H200"), "2,3,2"));
  const auto checked = check_devices(machine);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("names 2 twice"), std::string::npos);
  ASSERT_TRUE(offer_stated(machine, Names(2, "H200"), "2,3,2"));
  EXPECT_TRUE(check_devices(machine)) << "the second is not offered";
}

}  // namespace
}  // namespace ds::node
