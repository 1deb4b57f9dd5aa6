#include "clients/exposition.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ds::clients {
namespace {

using Labels = std::map<std::string, std::string>;

TEST(Exposition, ReadsSamplesWithTheirLabelsTypesAndHelp) {
  const auto samples = read_exposition(
      "# HELP ds_replicas Replicas of a served model by state.\n"
      "# TYPE ds_replicas gauge\n"
      "ds_replicas{model=\"a\",state=\"ready\"} 2\n"
      "up 1 1395066363000\n");
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0], (Sample{"ds_replicas",
                                {{"model", "a"}, {"state", "ready"}},
                                2,
                                "gauge",
                                "Replicas of a served model by state."}));
  EXPECT_EQ(samples[1], (Sample{"up", {}, 1, "", ""}));
}

TEST(Exposition, KnowsAHistogramsSamplesByItsFamily) {
  const auto samples = read_exposition(
      "# TYPE t_seconds histogram\n"
      "t_seconds_bucket{le=\"0.5\"} 1\nt_seconds_bucket{le=\"+Inf\"} 3\nt_seconds_sum 2.5e-3\n"
      "t_seconds_count 3\nt_count 4\n");
  ASSERT_EQ(samples.size(), 5U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(samples[i].type, "histogram") << i;
  EXPECT_EQ(samples[1].labels, (Labels{{"le", "+Inf"}}));
  EXPECT_DOUBLE_EQ(samples[2].value, 0.0025);
  EXPECT_EQ(samples[4].type, "");
}

TEST(Exposition, TakesEscapesAndBlanksAndNumbersThatAreNone) {
  const auto samples = read_exposition(
      "a { x = \"a \\\"b\\\" \\\\ \\n, }\" , y=\"\" , } +Inf\n"
      "b NaN\n");
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].labels, (Labels{{"x", "a \"b\" \\ \n, }"}, {"y", ""}}));
  EXPECT_TRUE(std::isinf(samples[0].value));
  EXPECT_TRUE(std::isnan(samples[1].value));
}

TEST(Exposition, LeavesOutWhatItDoesNotUnderstand) {
  for (const char* text : {"", "\n\n", "a", "a{", "a{x}", "a{x=}", "a{x=\"}", "a{x=\"1\" y=\"2\"} 1", "a b",
                           "a{x=\"1\"", "{} 1", "# TYPE", "#", "a{x=\"\\", "a 1x"})
    EXPECT_TRUE(read_exposition(text).empty()) << text;
  EXPECT_EQ(read_exposition("a{ 1\nb 2").size(), 1U);
}

}  // namespace
}  // namespace ds::clients
