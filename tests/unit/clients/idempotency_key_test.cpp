#include "clients/idempotency_key.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace ds::clients {
namespace {

/// True when `key` fits `form`, in which `x` stands for a hexadecimal digit and `v` for one of 8, 9, a, b.
bool fits(std::string_view key, std::string_view form) {
  if (key.size() != form.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const std::string_view allowed = form[i] == 'x'   ? std::string_view("0123456789abcdef")
                                     : form[i] == 'v' ? std::string_view("89ab")
                                                      : form.substr(i, 1);
    if (allowed.find(key[i]) == std::string_view::npos) return false;
  }
  return true;
}

TEST(IdempotencyKey, IsAFreshVersion4Uuid) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = make_idempotency_key();
    EXPECT_TRUE(fits(key, "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx")) << key;
    EXPECT_TRUE(seen.insert(key).second);
  }
}

}  // namespace
}  // namespace ds::clients
