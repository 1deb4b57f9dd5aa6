#include "clients/spec_error_view.hpp"

#include <gtest/gtest.h>

#include "clients/printable.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

const std::string kFile =
    "version: 1\nkind: train\noptimizer: {name: adamw, lr: fast}\r\nname: \"größe\" x\n";

TEST(SpecErrorView, PutsACaretUnderTheColumn) {
  const json details{{{"field", "optimizer.lr"},
                      {"line", 3},
                      {"column", 30},
                      {"message", "expected a number, got \"fast\""},
                      {"hint", "for example 1e-3"}}};
  EXPECT_EQ(format_spec_errors(details, "job.yaml", kFile),
            "job.yaml:3:30: optimizer.lr: expected a number, got \"fast\"\n"
            "    3 | optimizer: {name: adamw, lr: fast}\n"
            "      |                              ^\n"
            "  hint: for example 1e-3\n");
}

TEST(SpecErrorView, CountsCharactersBeforeTheCaret) {
  const json details{
      {{"field", ""}, {"line", 4}, {"column", 15}, {"message", "unexpected text"}, {"hint", ""}}};
  EXPECT_EQ(format_spec_errors(details, "a/b.yaml", kFile),
            "a/b.yaml:4:15: unexpected text\n"
            "    4 | name: \"größe\" x\n"
            "      |               ^\n");
}

TEST(SpecErrorView, ShowsEveryErrorAndWhatIsKnownOfItsPlace) {
  const json details{{{"field", "until"}, {"line", 0}, {"column", 0}, {"message", "missing"}},
                     {{"field", "kind"}, {"line", 2}, {"message", "wrong"}},
                     {{"field", "x"}, {"line", 99}, {"column", 5}, {"message", "past the end"}}};
  EXPECT_EQ(format_spec_errors(details, "job.yaml", kFile),
            "job.yaml: until: missing\njob.yaml:2: kind: wrong\njob.yaml:99:5: x: past the end\n");
}

TEST(SpecErrorView, NamesTheOverrideThatIsWrong) {
  const std::vector<std::string> overrides{"optimizer.lr=fast", "workers={min: x}\n"};
  const json details{
      {{"field", "seed"}, {"line", 9}, {"column", 0}, {"message", "wrong"}},
      {{"field", "optimizer.lr"}, {"line", 0}, {"column", 0}, {"set", 1}, {"message", "a"}, {"hint", "b"}},
      {{"field", "workers.min"}, {"line", 0}, {"column", 0}, {"set", 2}, {"message", "c"}},
      {{"field", "name"}, {"set", 3}, {"message", "d"}}};
  EXPECT_EQ(format_spec_errors(details, "job.yaml", kFile, overrides),
            "job.yaml:9: seed: wrong\n"
            "--set optimizer.lr=fast: a\n"
            "  hint: b\n"
            "--set workers={min: x} : workers.min: c\n"
            "job.yaml: name: d\n");
}

TEST(SpecErrorView, CutsALongLineAroundTheColumn) {
  const std::string text = std::string(300, 'a') + "!" + std::string(300, 'b') + "\n";
  const json details{{{"line", 1}, {"column", 301}, {"message", "here"}}};
  const std::string shown = format_spec_errors(details, "j", text);
  const auto line = shown.find("| ");
  const auto caret = shown.find("| ", line + 2);
  const std::string excerpt = shown.substr(line + 2, shown.find('\n', line) - line - 2);
  const std::string below = shown.substr(caret + 2, shown.find('\n', caret) - caret - 2);
  EXPECT_TRUE(excerpt.starts_with("…"));
  EXPECT_TRUE(excerpt.ends_with("…"));
  // The ellipsis is three bytes wide and one column.
  EXPECT_EQ(excerpt.at(below.find('^') + 2), '!');
  EXPECT_LT(excerpt.size(), 120u);
}

TEST(SpecErrorView, CutsALongLineBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "漢";
  text += "!";
  const json details{{{"line", 1}, {"column", 301}, {"message", "here"}}};
  const std::string shown = format_spec_errors(details, "j", text);
  const auto bang = shown.find('!');
  ASSERT_NE(bang, std::string::npos);
  EXPECT_EQ(find_invalid_utf8(shown), std::nullopt);
  const auto line = shown.rfind('\n', bang) + 1;
  const auto caret = shown.find('^');
  const auto below = shown.rfind('\n', caret) + 1;
  EXPECT_EQ(display_width(shown.substr(line, bang - line)), caret - below);
}

TEST(SpecErrorView, PassesNoEscapeSequenceOn) {
  const json details{{{"field", "a\x1b"}, {"line", 1}, {"column", 3}, {"message", "m\x1b"}}};
  EXPECT_EQ(format_spec_errors(details, "j", "x\x1by\n").find('\x1b'), std::string::npos);
}

TEST(SpecErrorView, SurvivesDetailsOfAnotherShape) {
  EXPECT_EQ(
      format_spec_errors(json::parse(R"([null, 3, {"line": "x", "column": -1, "message": 5}])"), "j", "t"),
      "j: \nj: \nj: \n");
}

}  // namespace
}  // namespace ds::clients
