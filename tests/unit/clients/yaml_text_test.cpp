#include "clients/yaml_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds::clients {
namespace {

using nlohmann::json;

TEST(YamlText, IsInBlockStyle) {
  const auto document =
      json::parse(R"({"a": {"b": [1, {"c": "x", "d": [true]}, [2, 3], [], {}]}, "e": null})");
  EXPECT_EQ(to_yaml(document),
            "a:\n"
            "  b:\n"
            "    - 1\n"
            "    - c: x\n"
            "      d:\n"
            "        - true\n"
            "    - - 2\n"
            "      - 3\n"
            "    - []\n"
            "    - {}\n"
            "e: null\n");
  EXPECT_EQ(to_yaml(json::array()), "[]\n");
  EXPECT_EQ(to_yaml(7), "7\n");
}

TEST(YamlText, QuotesWhatAReaderWouldTakeForSomethingElse) {
  for (const char* plain : {"node-1", "/data/a.csv", "needs 2 workers", "2x"}) {
    EXPECT_EQ(to_yaml(json(plain)), plain[0] == '2' ? "\"2x\"\n" : std::string(plain) + "\n");
  }
  for (const char* word :
       {"",           "yes",   "No",         "NULL", "1e3", "~",  " a", "a ", "a: b", "a #b", "- a",
        "2030-01-31", "tab\t", "two\nlines", "\"",   "[a]", "%a", "@a", "*a", "&a",   "é"}) {
    EXPECT_EQ(to_yaml(json(word)), json(word).dump() + "\n") << word;
  }
  EXPECT_EQ(to_yaml(json{{"on", 1}, {"1", 2}}), "\"1\": 2\n\"on\": 1\n");
}

TEST(YamlText, EscapesWhatYaml11DoesNotTakeAndTerminalsObey) {
  EXPECT_EQ(to_yaml(json("a\x7f\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0z")),
            "\"a\\u007f\\u0080\\u009b\\u009f\xc2\xa0z\"\n");
  EXPECT_EQ(to_yaml(json("\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xe2\x80\xaa")),
            "\"\\u2028\\u2029\\ufeff\xe2\x80\xaa\"\n");
  EXPECT_EQ(to_yaml(json{{"\xc2\x85", 1}}), "\"\\u0085\": 1\n");
}

TEST(YamlText, GivesNumbersWithAnExponentADot) {
  EXPECT_EQ(to_yaml(json(1e-8)), "1.0e-08\n");
  EXPECT_EQ(to_yaml(json(1.5e-8)), "1.5e-08\n");
  EXPECT_EQ(to_yaml(json(0.5)), "0.5\n");
}

}  // namespace
}  // namespace ds::clients
