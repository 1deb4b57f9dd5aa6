#include "clients/idempotency_key.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace ds::clients {
namespace {

TEST(IdempotencyKey, IsAFreshVersion4Uuid) {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = make_idempotency_key();
    EXPECT_TRUE(std::regex_match(key, form)) << key;
    EXPECT_TRUE(seen.insert(key).second);
  }
}

}  // namespace
}  // namespace ds::clients
