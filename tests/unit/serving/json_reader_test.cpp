#include "actors/serving/json_reader.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "actors/serving/json_text.hpp"

namespace ds::serving {
namespace {

std::string error_of_skipping(std::string_view text) {
  JsonReader reader(text);
  return reader.skip_value() && reader.expect_end() ? std::string() : reader.error().message;
}

std::string string_in(std::string_view text) {
  JsonReader reader(text);
  std::string_view out;
  if (!reader.read_string(out)) return reader.error().message;
  return std::string(out);
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(JsonReader, ReadsMembersAndElementsInTheirOrder) {
  JsonReader reader(R"( {"a" : [1, -2.5e+3 ,true], "b\u00e9":"x"} )");
  std::string_view view;
  bool flag = false;
  ASSERT_TRUE(reader.begin_object());
  ASSERT_TRUE(reader.next_member(view));
  EXPECT_EQ(view, "a");
  ASSERT_TRUE(reader.begin_array());
  ASSERT_TRUE(reader.next_element() && reader.read_number(view));
  EXPECT_EQ(view, "1");
  ASSERT_TRUE(reader.next_element() && reader.read_number(view));
  EXPECT_EQ(view, "-2.5e+3");
  ASSERT_TRUE(reader.next_element() && reader.read_boolean(flag));
  EXPECT_TRUE(flag);
  EXPECT_FALSE(reader.next_element());
  EXPECT_FALSE(reader.failed());
  ASSERT_TRUE(reader.next_member(view));
  EXPECT_EQ(view, "bé");
  ASSERT_TRUE(reader.read_string(view));
  EXPECT_EQ(view, "x");
  EXPECT_FALSE(reader.next_member(view));
  EXPECT_TRUE(reader.expect_end());
}

TEST(JsonReader, GivesTheTextOfWhatItSkips) {
  JsonReader reader(R"([ {"a":[1,"]"]} ,2])");
  std::string_view text;
  ASSERT_TRUE(reader.begin_array() && reader.next_element() && reader.skip_value(&text));
  EXPECT_EQ(text, R"({"a":[1,"]"]})");
  ASSERT_TRUE(reader.next_element() && reader.skip_value(&text));
  EXPECT_EQ(text, "2");
}

TEST(JsonReader, DecodesEscapes) {
  EXPECT_EQ(string_in(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(string_in(R"("\u0041\u00e9\u20AC\ud83d\ude00")"), "Aé€😀");
  EXPECT_EQ(string_in(R"("\u0000")"), std::string(1, '\0'));
  EXPECT_EQ(string_in(R"("\ud83d")"), "JSON, byte 7: half a surrogate pair in a string");
  EXPECT_EQ(string_in(R"("\ude00")"), "JSON, byte 7: half a surrogate pair in a string");
  EXPECT_EQ(string_in(R"("\u00g0")"), "JSON, byte 5: \\u wants four hexadecimal digits");
  EXPECT_EQ(string_in("\"\xff\""), "JSON, byte 1: a string is not UTF-8");
  EXPECT_EQ(string_in("\"\xed\xa0\x80\""), "JSON, byte 1: a string is not UTF-8");
  EXPECT_EQ(string_in("\"a\nb\""), "JSON, byte 2: a control character in a string must be escaped");
  EXPECT_EQ(string_in("\"abc"), "JSON, byte 4: a string has no end");
}

TEST(JsonReader, RefusesKeysThatStandTwiceHoweverTheyAreWritten) {
  EXPECT_EQ(error_of_skipping(R"({"a":1,"\u0061":2})"),
            "JSON, byte 15: the key 'a' stands twice in one object");
  EXPECT_EQ(error_of_skipping(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"), "");
  EXPECT_NE(error_of_skipping(R"([{"x":{"b":1,"c":2,"b":3}}])"), "");
}

TEST(JsonReader, BoundsDepthAndMembers) {
  EXPECT_EQ(error_of_skipping(nested(32)), "");
  EXPECT_EQ(error_of_skipping(nested(33)), "JSON, byte 32: more than 32 levels are nested");
  EXPECT_EQ(error_of_skipping(std::string(1'000'000, '[')), "JSON, byte 32: more than 32 levels are nested");
  std::string object = "{";
  for (int i = 0; i < 64; ++i) object += "\"" + std::to_string(i) + "\":0,";
  EXPECT_EQ(error_of_skipping(object.substr(0, object.size() - 1) + "}"), "");
  EXPECT_NE(error_of_skipping(object + "\"64\":0}").find("more than 64 members"), std::string::npos);
}

TEST(JsonReader, TakesTheNumbersOfTritonThatAreNotJson) {
  EXPECT_EQ(error_of_skipping("[NaN,Infinity,-Infinity]"), "");
  for (const char* text : {"nan", "-NaN", "Inf", "+1", "01", "1.", ".5", "1e", "0x1", "- 1"})
    EXPECT_NE(error_of_skipping(text), "") << text;
}

/// One random change to a text.
std::string mutate(std::string text, std::mt19937_64& random) {
  constexpr std::string_view kPieces = "{}[]\",:0123456789.eE+-truefalsn\\u d8\x80\xc3\xa9\x01";
  const std::size_t at = random() % (text.size() + 1);
  const char piece = kPieces[random() % kPieces.size()];
  if (random() % 3 == 0) return text.insert(at, 1, piece);
  if (at < text.size() && random() % 2 == 0) return text.erase(at, 1 + random() % 3);
  if (at < text.size()) text[at] = piece;
  return text;
}

TEST(JsonReader, AcceptsWhatAnotherParserAccepts) {
  const std::vector<std::string> seeds{
      R"({"id":"4\u0032","inputs":[{"name":"é","shape":[2, 3],"data":[[1,2,-0.5e-3],[true,false,null]]}]})",
      R"([1, 0, -0, 10.25, 1E5, "\ud83d\ude00\n", {"a":{},"b":[[]]}])", "\"plain\"", "-12.5"};
  std::mt19937_64 random(7);
  std::size_t accepted = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (std::uint64_t changes = random() % 4; changes > 0; --changes) text = mutate(text, random);
    const std::string error = error_of_skipping(text);
    if (error.find("stands twice") != std::string::npos) continue;  // the other one allows that
    EXPECT_EQ(error.empty(), nlohmann::json::accept(text)) << text << "\n" << error;
    accepted += error.empty();
  }
  EXPECT_GT(accepted, 10'000U);
  EXPECT_LT(accepted, 50'000U);
}

TEST(JsonText, WritesStringsThatAnyParserReadsBack) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 5'000; ++round) {
    std::string text;
    for (std::uint64_t n = random() % 12; n > 0; --n) {
      auto code = static_cast<std::uint32_t>(random() % (random() % 2 == 0 ? 0x80 : 0x110000));
      if (code >= 0xD800 && code <= 0xDFFF) code = 0x7F;
      append_utf8(text, code);
    }
    std::string json;
    ASSERT_TRUE(append_json_string(json, text));
    EXPECT_EQ(nlohmann::json::parse(json).get<std::string>(), text);
    EXPECT_EQ(string_in(json), text);
  }
}

TEST(JsonText, LeavesTheTextAloneWhenBytesAreNoUtf8) {
  for (const std::string bytes :
       {"a\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "\xed\xa0\x80"}) {
    std::string out = "before";
    EXPECT_FALSE(append_json_string(out, bytes));
    EXPECT_EQ(out, "before");
  }
}

}  // namespace
}  // namespace ds::serving
