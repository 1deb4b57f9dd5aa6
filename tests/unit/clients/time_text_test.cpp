#include "clients/time_text.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

TEST(TimeText, GivesDurationsInTwoUnits) {
  EXPECT_EQ(format_duration(-3), "0s");
  EXPECT_EQ(format_duration(59), "59s");
  EXPECT_EQ(format_duration(187), "3m07s");
  EXPECT_EQ(format_duration(7500), "2h05m");
  EXPECT_EQ(format_duration(4 * 86400 + 3 * 3600), "4d03h");
}

TEST(TimeText, GivesBytesInTheLargestUnit) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(12LL << 20), "12 MiB");
  EXPECT_EQ(format_bytes(1LL << 62), "4096 PiB");
}

TEST(TimeText, GroupsDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-123), "-123");
  EXPECT_EQ(format_count(-1234), "-1,234");
}

}  // namespace
}  // namespace ds::clients
