#include "actors/head/command_environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ds::head {
namespace {

std::string variable(const std::vector<std::string>& variables, const std::string& name) {
  std::string found = "none";
  for (const auto& one : variables) {
    if (one.starts_with(name + "=")) found = one.substr(name.size() + 1);
  }
  return found;
}

TEST(CommandEnvironment, GivesTheHostOfRankZeroAsPyTorchExpectsIt) {
  const scheduler::CommandSpec command;
  const job::StartProcess order{7, 2, {1, 4, 1, 2, 0}, "node-1", 12'345};
  for (const auto& [address, host] : {std::pair{"10.0.0.7:4000", "10.0.0.7"},
                                      {"[fd00::7]:4000", "fd00::7"},
                                      {"fd00::7:4000", "fd00::7"},
                                      {"[::1]:4000", "::1"},
                                      {"host-7.example:4000", "host-7.example"}}) {
    const auto variables = environment_of(command, order, "job", address);
    EXPECT_EQ(variable(variables, "MASTER_ADDR"), host);
    EXPECT_EQ(variable(variables, "MASTER_PORT"), "12345");
    EXPECT_EQ(variable(variables, "RANK"), "1");
    EXPECT_EQ(variable(variables, "DS_GENERATION"), "2");
  }
}

TEST(CommandEnvironment, LeavesThePortToTheNodeOfRankZero) {
  const auto variables = environment_of({}, job::StartProcess{7, 1, {}, "node-1", 0}, "job", "127.0.0.1:1");
  EXPECT_EQ(variable(variables, "MASTER_PORT"), "none");
}

TEST(CommandCrash, CountsAlsoAfterLongRunsButThenWaitsAsAfterTheFirst) {
  constexpr std::int64_t kShort = 1'000, kLong = 700'000;
  EXPECT_EQ(count_crash(0, kShort).count, 1U);
  EXPECT_EQ(count_crash(2, kShort).count, 3U);
  EXPECT_EQ(count_crash(2, kShort).in_a_row, 3U);
  EXPECT_EQ(count_crash(2, kLong).count, 3U);
  EXPECT_EQ(count_crash(2, kLong).in_a_row, 1U);
}

}  // namespace
}  // namespace ds::head
