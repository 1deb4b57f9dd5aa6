#include "actors/serving/compression.hpp"

#include <gtest/gtest.h>

#include <random>

namespace ds::serving {
namespace {

constexpr std::size_t kBound = 1 << 20;

std::string random_text(std::size_t size) {
  std::mt19937_64 random(size);
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>(random() % 8 == 0 ? random() % 256 : 'a');
  return text;
}

ErrorCode code_of(std::string_view body, ContentCoding coding, std::size_t bound = kBound) {
  const auto text = decompress(body, coding, bound);
  EXPECT_FALSE(text);
  return text ? ErrorCode::cancelled : text.error().code;
}

TEST(Compression, GivesBackWhatWasCompressed) {
  for (const auto coding : {ContentCoding::identity, ContentCoding::gzip, ContentCoding::deflate}) {
    for (const std::size_t size : {0, 1, 1000, 65536, 65537, 900'000}) {
      const std::string text = random_text(size);
      const auto back = decompress(compress(text, coding), coding, kBound);
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_TRUE(back->text() == text) << size;
    }
  }
}

TEST(Compression, StopsAtTheBound) {
  const std::string bomb(50 << 20, '\0');
  for (const auto coding : {ContentCoding::gzip, ContentCoding::deflate}) {
    const std::string small = compress(bomb, coding);
    EXPECT_LT(small.size(), bomb.size() / 100);
    EXPECT_EQ(code_of(small, coding), ErrorCode::resource_exhausted);
    const std::string exact = compress(std::string(1000, 'x'), coding);
    EXPECT_TRUE(decompress(exact, coding, 1000));
    EXPECT_EQ(code_of(exact, coding, 999), ErrorCode::resource_exhausted);
  }
  EXPECT_EQ(code_of("abc", ContentCoding::identity, 2), ErrorCode::resource_exhausted);
}

TEST(Compression, TakesGzipOfSeveralMembersWithinOneBound) {
  const std::string two = compress("one,", ContentCoding::gzip) + compress("two", ContentCoding::gzip);
  EXPECT_EQ(decompress(two, ContentCoding::gzip, 7)->text(), "one,two");
  EXPECT_EQ(code_of(two, ContentCoding::gzip, 6), ErrorCode::resource_exhausted);
}

TEST(Compression, GoesOnPieceByPieceAndForeseesWhatComes) {
  const std::string text = random_text(900'000);
  for (const auto coding : {ContentCoding::gzip, ContentCoding::deflate}) {
    const std::string small = compress(text, coding);
    Decompressor decompressor(small, coding, kBound);
    for (std::size_t until = 100'000; until < text.size(); until += 100'000) {
      const auto is_whole = decompressor.go_on_to(until);
      ASSERT_TRUE(is_whole) << is_whole.error().message;
      EXPECT_FALSE(*is_whole);
      EXPECT_EQ(decompressor.bytes(), until) << "it stops where it should";
      EXPECT_NEAR(static_cast<double>(decompressor.expected_bytes()), 900'000, 90'000);
    }
    EXPECT_EQ(decompressor.go_on_to(kBound), true);
    EXPECT_TRUE(decompressor.take().text() == text);
  }
}

TEST(Compression, ForeseesNoMoreThanTheBoundAndStopsThereInPiecesToo) {
  const std::string bomb = compress(std::string(50 << 20, '\0'), ContentCoding::gzip);
  Decompressor decompressor(bomb, ContentCoding::gzip, kBound);
  EXPECT_EQ(decompressor.go_on_to(1000), false);
  EXPECT_EQ(decompressor.expected_bytes(), kBound);
  EXPECT_EQ(decompressor.go_on_to(kBound), false) << "the bound itself may be had";
  const auto beyond = decompressor.go_on_to(kBound + 1);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ErrorCode::resource_exhausted);
}

TEST(Compression, RefusesWhatIsDamagedCutOrNotAlone) {
  const std::string text = random_text(5000);
  for (const auto coding : {ContentCoding::gzip, ContentCoding::deflate}) {
    const std::string good = compress(text, coding);
    for (std::size_t length = 0; length < good.size(); length += 1 + length / 7)
      EXPECT_EQ(code_of(good.substr(0, length), coding), ErrorCode::invalid_argument) << length;
    EXPECT_EQ(code_of(good.substr(0, good.size() - 1), coding), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(good + "x", coding), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of("no compressed body", coding), ErrorCode::invalid_argument);
    std::string damaged = good;
    damaged[good.size() / 2] = static_cast<char>(damaged[good.size() / 2] ^ 0x55);
    EXPECT_EQ(code_of(damaged, coding), ErrorCode::invalid_argument);
  }
}

TEST(ContentCodings, OfRequestsAreRead) {
  EXPECT_EQ(parse_content_encoding(""), ContentCoding::identity);
  EXPECT_EQ(parse_content_encoding(" GZip "), ContentCoding::gzip);
  EXPECT_EQ(parse_content_encoding("x-gzip"), ContentCoding::gzip);
  EXPECT_EQ(parse_content_encoding("deflate"), ContentCoding::deflate);
  for (const char* header : {"br", "gzip, gzip", "gzip,deflate"}) {
    const auto parsed = parse_content_encoding(header);
    ASSERT_FALSE(parsed) << header;
    EXPECT_EQ(parsed.error().code, ErrorCode::unsupported);
  }
  EXPECT_EQ(to_string(ContentCoding::gzip), "gzip");
  EXPECT_EQ(to_string(ContentCoding::identity), "");
}

TEST(ContentCodings, OfResponsesAreThoseTheClientLikesMost) {
  const auto identity = ContentCoding::identity;
  const auto gzip = ContentCoding::gzip;
  const auto deflate = ContentCoding::deflate;
  EXPECT_EQ(choose_coding(""), identity);
  EXPECT_EQ(choose_coding("gzip"), gzip);
  EXPECT_EQ(choose_coding("gzip, deflate, br"), gzip);
  EXPECT_EQ(choose_coding("deflate, gzip;q=0.5"), deflate);
  EXPECT_EQ(choose_coding("gzip;q=0.5,deflate;q=0.50"), gzip);
  EXPECT_EQ(choose_coding("gzip;q=0"), identity);
  EXPECT_EQ(choose_coding("*"), gzip);
  EXPECT_EQ(choose_coding("gzip;q=0, *;q=0.3"), deflate);
  EXPECT_EQ(choose_coding("identity;q=1, gzip;q=0.9"), identity);
  EXPECT_EQ(choose_coding("identity, gzip"), gzip);
  EXPECT_EQ(choose_coding("br, zstd"), identity);
  EXPECT_EQ(choose_coding("gzip;q=x"), identity);
  EXPECT_EQ(choose_coding("gzip;q=0.001"), gzip);
  EXPECT_EQ(choose_coding("gzip ; Q=1.0"), gzip);
  EXPECT_EQ(choose_coding(",,;,;q=,"), identity);
}

}  // namespace
}  // namespace ds::serving
