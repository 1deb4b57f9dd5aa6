#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

TEST(Identifier, IsWhatPathsAndUrlsCanCarry) {
  for (const std::string_view good : {"a", "0", "a-b_c.d", "intents-2"})
    EXPECT_TRUE(is_identifier(good)) << good;
  for (const std::string_view bad : {"", ".", "..", "-a", "_a", "A", "a/b", "a b", "ä", "a\n"}) {
    EXPECT_FALSE(is_identifier(bad)) << bad;
  }
  EXPECT_TRUE(is_identifier(std::string(63, 'a')));
  EXPECT_FALSE(is_identifier(std::string(64, 'a')));
  EXPECT_FALSE(is_identifier(std::string_view("a\0", 2)));
}

TEST(Nearest, FindsWhatWasMeantAndNothingElse) {
  constexpr std::array<std::string_view, 5> kNames{"optimizer", "model", "lr", "seed", "eps"};
  EXPECT_EQ(nearest("optimiser", kNames), "optimizer");
  EXPECT_EQ(nearest("optimzer", kNames), "optimizer");
  EXPECT_EQ(nearest("rl", kNames), "lr");
  EXPECT_EQ(nearest("modle", kNames), "model");
  EXPECT_EQ(nearest("seeds", kNames), "seed");
  EXPECT_EQ(nearest("banana", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(nearest(std::string(100'000, 'o'), kNames), "");
  EXPECT_EQ(nearest("seed", {}), "");
}

TEST(Size, IsPlainBytesOrABinaryUnit) {
  EXPECT_EQ(parse_size("512Mi"), 512ULL << 20);
  EXPECT_EQ(parse_size("8Gi"), 8ULL << 30);
  EXPECT_EQ(parse_size("1000"), 1000U);
  EXPECT_EQ(parse_size("8192Pi"), 1ULL << 63);
  for (const std::string_view bad : {"8193Pi", "8G", "8GB", "8 Gi", "1.5Gi", "-1Gi", "Gi", "", "08Gi", "8gi",
                                     "0x8Gi", "99999999999999999999"}) {
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  }
}

TEST(Size, IsWrittenSoThatItReadsBackTheSame) {
  EXPECT_EQ(to_size_text(8ULL << 30), "8Gi");
  EXPECT_EQ(to_size_text(1536ULL << 20), "1536Mi");
  EXPECT_EQ(to_size_text(1000), "1000");
  EXPECT_EQ(to_size_text(0), "0");
  for (const std::uint64_t bytes : {1ULL, 1023ULL, 1024ULL, (1ULL << 40) + 1024, 1ULL << 63}) {
    EXPECT_EQ(parse_size(to_size_text(bytes)), bytes);
  }
}

TEST(Time, IsAMomentWithItsOffset) {
  EXPECT_EQ(parse_time_ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_time_ms("2000-02-29T12:34:56Z"), 951'827'696'000);
  EXPECT_EQ(parse_time_ms("2000-02-29T13:34:56+01:00"), 951'827'696'000);
  EXPECT_EQ(parse_time_ms("2000-02-29T07:04:56.25-05:30"), 951'827'696'250);
  EXPECT_EQ(parse_time_ms("2000-02-29 12:34:56.0009z"), 951'827'696'000);
  for (const std::string_view bad : {"",
                                     "2000-02-29",
                                     "2000-02-29T12:34:56",
                                     "2001-02-29T12:34:56Z",
                                     "2000-13-01T00:00:00Z",
                                     "2000-00-01T00:00:00Z",
                                     "2000-01-00T00:00:00Z",
                                     "2000-01-01T24:00:00Z",
                                     "2000-01-01T00:60:00Z",
                                     "2000-01-01T00:00:61Z",
                                     "2000-01-01T00:00:00.Z",
                                     "2000-01-01T00:00:00+1:00",
                                     "2000-01-01T00:00:00+24:00",
                                     "2000-01-01T00:00:00Zx",
                                     "2000-1-1T00:00:00Z",
                                     "1969-12-31T23:59:59Z",
                                     "2201-01-01T00:00:00Z",
                                     "tomorrow",
                                     "9999999999999",
                                     "2000-01-01T00:00:00.0000000000Z"}) {
    EXPECT_EQ(parse_time_ms(bad), std::nullopt) << bad;
  }
}

TEST(Time, IsWrittenSoThatItReadsBackTheSame) {
  EXPECT_EQ(to_time_text(951'827'696'789), "2000-02-29T12:34:56Z");
  for (const std::int64_t second : {0LL, 86'399LL, 951'782'400LL, 4'102'444'799LL})
    EXPECT_EQ(parse_time_ms(to_time_text(second * 1000)), second * 1000);
}

TEST(Duration, IsDigitsAndAUnit) {
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("90s"), 90'000);
  EXPECT_EQ(parse_duration_ms("15m"), 900'000);
  EXPECT_EQ(parse_duration_ms("2h"), 7'200'000);
  EXPECT_EQ(parse_duration_ms("7d"), 604'800'000);
  for (const std::string_view bad :
       {"", "s", "90", "1.5h", "-1s", "9 s", "99999999999999999999s", "9007199254740993s"})
    EXPECT_EQ(parse_duration_ms(bad), std::nullopt) << bad;
}

TEST(Duration, IsASumOfUnitsFromTheLargestToTheSmallest) {
  EXPECT_EQ(parse_duration_ms("5m30s"), 330'000);
  EXPECT_EQ(parse_duration_ms("1d2h3m4s5ms"), 93'784'005);
  EXPECT_EQ(parse_duration_ms("1m1ms"), 60'001);
  EXPECT_EQ(parse_duration_ms("90m0s"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("9007199254740s992ms"), 9'007'199'254'740'992);
  for (const std::string_view bad :
       {"30s5m", "5m5m", "5m30", "m5s", "5m-1s", "5m 30s", "5ms1m", "9007199254740s993ms"})
    EXPECT_EQ(parse_duration_ms(bad), std::nullopt) << bad;
}

TEST(Number, IsDecimalAndFinite) {
  EXPECT_EQ(parse_real("1e-3").value, 1e-3);
  EXPECT_EQ(parse_real("-2.5E+1").value, -25);
  EXPECT_EQ(parse_real("2.").value, 2);
  for (const std::string_view bad :
       {".", "e5", "1e", "1e+", "--1", "+1", "0x1p3", "1,5", "1 ", "", "-", "infin"}) {
    EXPECT_EQ(parse_real(bad).fault, NumberFault::not_a_number) << bad;
  }
  for (const std::string_view bad : {".inf", "-.INF", "nan", ".NaN", "Infinity"}) {
    EXPECT_EQ(parse_real(bad).fault, NumberFault::not_finite) << bad;
  }
  EXPECT_EQ(parse_real("1e400").fault, NumberFault::out_of_range);
  EXPECT_EQ(parse_whole("18446744073709551615").value, 18446744073709551615ULL);
  EXPECT_EQ(parse_whole("18446744073709551616").fault, NumberFault::out_of_range);
  EXPECT_EQ(parse_whole("0").fault, NumberFault::none);
}

TEST(Duration, IsRecognised) {
  for (const std::string_view good : {"90s", "15m", "2h", "30d", "5ms", "1h30m"})
    EXPECT_TRUE(is_duration(good)) << good;
  for (const std::string_view bad : {"s", "90", "9 s", "200 steps", "-1s", "", "30m1h"})
    EXPECT_FALSE(is_duration(bad)) << bad;
}

TEST(Quoted, ShowsNoControlCharacterToATerminal) {
  EXPECT_EQ(to_quoted("fast"), "\"fast\"");
  EXPECT_EQ(to_quoted("a\x1b[31m\n\x7f"), "\"a\\x1b[31m\\n\\x7f\"");
  EXPECT_EQ(to_quoted("\xC2\x9B"
                      "1m"),
            "\"\\xc2\\x9b1m\"");
  EXPECT_EQ(to_quoted("größe"), "\"größe\"");
  EXPECT_EQ(to_quoted("a\xFF"), "\"a\\xff\"");
  EXPECT_EQ(to_quoted(std::string(41, 'x')), "\"" + std::string(40, 'x') + "…\"");
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8("größe € 😀"), std::nullopt);
  for (const std::string_view bad : {"ab\x80", "ab\xC0\x80", "ab\xE0\x80\x80", "ab\xED\xA0\x80",
                                     "ab\xF4\x90\x80\x80", "ab\xF5", "ab\xE2\x82", "ab\xFF"}) {
    EXPECT_EQ(find_invalid_utf8(bad), 2U) << bad;
  }
}

}  // namespace
}  // namespace ds::scheduler
