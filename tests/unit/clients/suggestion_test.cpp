#include "clients/suggestion.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

const std::vector<std::string> kCommands{"up",     "down", "run",    "submit",     "list",
                                         "status", "logs", "cancel", "checkpoints"};

TEST(Suggestion, IsTheWordThatWasMeant) {
  EXPECT_EQ(nearest_word("lits", kCommands), "list");
  EXPECT_EQ(nearest_word("stauts", kCommands), "status");
  EXPECT_EQ(nearest_word("sbumit", kCommands), "submit");
  EXPECT_EQ(nearest_word("log", kCommands), "logs");
  EXPECT_EQ(nearest_word("check", kCommands), "checkpoints");
}

TEST(Suggestion, IsNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest_word("frobnicate", kCommands), "");
  EXPECT_EQ(nearest_word("", kCommands), "");
  EXPECT_EQ(nearest_word("x", {}), "");
  EXPECT_EQ(nearest_word(std::string(100000, 'a'), kCommands), "");
}

}  // namespace
}  // namespace ds::clients
