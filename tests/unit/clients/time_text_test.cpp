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

TEST(TimeText, GivesMomentsInUtc) {
  EXPECT_EQ(format_time(1767225600999), "2026-01-01T00:00:00Z");
  EXPECT_EQ(format_time(-1), "-");
}

TEST(TimeText, ReadsDurationsAsJobFilesHaveThem) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
  EXPECT_EQ(parse_duration("1500ms"), milliseconds(1500));
  EXPECT_EQ(parse_duration("15m"), milliseconds(900'000));
  EXPECT_EQ(parse_duration("366d"), milliseconds(366 * 86'400'000LL));
  EXPECT_EQ(parse_duration("5m30s"), milliseconds(330'000));
  EXPECT_EQ(parse_duration("1d2h3m4s5ms"), milliseconds(93'784'005));
  EXPECT_EQ(parse_duration("1m1ms"), milliseconds(60'001));
  for (const char* wrong : {"30s5m", "5m5m", "5m30", "m5s", "5m-1s", "5m 30s", "366d1ms", "5ms1m", "1h-0m"})
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  for (const char* wrong :
       {"", "5", "s", "-1s", "-0s", "+1s", "1.5h", "1 s", "367d", "9223372036854775807d", "1w", "1ss"})
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace ds::clients
