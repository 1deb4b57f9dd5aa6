#include "clients/text_table.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

TEST(TextTable, AlignsColumnsToTheirWidestField) {
  EXPECT_EQ(format_table({"ID", "STATE", "N"},
                         {{{"a"}, {"RUNNING"}, {"5", Colour::none, true}},
                          {{"größe"}, {"Q"}, {"1,000", Colour::none, true}}},
                         false),
            "ID     STATE        N\n"
            "a      RUNNING      5\n"
            "größe  Q        1,000\n");
}

TEST(TextTable, EndsNoLineWithSpacesAndFillsShortRows) {
  EXPECT_EQ(format_table({"A", "B"}, {{{"long"}}, {{"x"}, {""}}}, false), "A     B\nlong\nx\n");
}

TEST(TextTable, ColoursWithoutMovingColumns) {
  const std::string table = format_table({"A", "B"}, {{{"x", Colour::red}, {"y"}}, {{"xxx"}, {"y"}}}, true);
  EXPECT_NE(table.find("\x1b[31mx\x1b[0m    y\n"), std::string::npos) << table;
  EXPECT_EQ(format_table({"A"}, {{{"x", Colour::red}}}, false), "A\nx\n");
}

TEST(TextTable, ShowsNoControlCharacterOfAField) {
  EXPECT_EQ(format_table({"A", "B"}, {{{"x\n\x1b[31m"}, {"y"}}}, false), "A        B\nx ?[31m  y\n");
}

}  // namespace
}  // namespace ds::clients
