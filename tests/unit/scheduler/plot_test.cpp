#include "scheduler/simulator/plot.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>

#include "scheduler/simulator/command.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::simulator {
namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Plot, HasARowForEachJobABarForEachSpanAndACurveThatEndsAtTheTop) {
  Outcome outcome;
  outcome.makespan_s = 100;
  outcome.jobs = {{.name = "a<b>&c", .submitted_s = 0, .done_s = 50, .spans = {{10, 20, 1}, {30, 50, 4}}},
                  {.name = "other", .submitted_s = 10, .done_s = 100, .spans = {{20, 100, 2}}}};
  const std::string svg = draw_svg(outcome);
  EXPECT_EQ(count(svg, "class='wait'"), 2U);
  EXPECT_EQ(count(svg, "fill='hsl"), 3U);
  EXPECT_EQ(count(svg, "<title>a&lt;b&gt;&amp;c</title>"), 1U);
  // 1100 pixels from 70 on are 100 s: a bar from 30 to 50 s, in the darkest colour since it has the most
  // slots.
  EXPECT_NE(svg.find("<rect x='400.0' y='71.20' width='220.0' height='9.60' fill='hsl(215 70% 25%)'/>"),
            std::string::npos)
      << svg;
  const auto curve = svg.find("class='curve'");
  ASSERT_NE(curve, std::string::npos);
  // Half done after 50 of 90 s, all after 90: 300 pixels from 164 on.
  EXPECT_NE(svg.find("M70.0 464.0H681.1V314.0H1170.0V164.0'", curve), std::string::npos) << svg.substr(curve);
}

TEST(Plot, ThousandsOfJobsStillFitOnAPage) {
  Outcome outcome;
  outcome.makespan_s = 100;
  outcome.jobs.assign(5000, {.name = "job", .done_s = 50, .spans = {{10, 50, 1}}});
  const std::string svg = draw_svg(outcome);
  std::smatch height;
  ASSERT_TRUE(std::regex_search(svg, height, std::regex("height='([0-9]+)'")));
  EXPECT_LT(std::stoi(height[1]), 1500);
}

TEST(Plot, IsWrittenWhereTheCommandSays) {
  const TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  std::ofstream(at("epochs")) << "job,arrival_s,gpus,epochs,seconds_per_epoch\n0,0,1,2,50\n1,0,2,2,50\n";
  Command command;
  command.family = "shockwave";
  command.workload = at("epochs");
  command.plot = at("plot.svg");
  const auto text = run(command);
  ASSERT_TRUE(text) << text.error().text;
  std::ifstream stream(at("plot.svg"));
  const std::string svg(std::istreambuf_iterator<char>(stream), {});
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "fill='hsl"), 2U);
  command.plot = at("nowhere/plot.svg");
  EXPECT_EQ(run(command).error().text, "--plot: " + at("nowhere/plot.svg") + " cannot be written");
}

TEST(Plot, OfAPackingFollowsWhatIsAllocatedOverWhatWasAskedFor) {
  const PackingOutcome outcome{.gpu_milli = 4000,
                               .requested_gpu_milli = 5000,
                               .allocated_gpu_milli = 3000,
                               .curve = {{2000, 2000}, {4000, 3000}, {5000, 3000}}};
  const std::string svg = draw_svg(outcome);
  // 1100 pixels from 70 on are 125 %, 300 from 370 up 100 %.
  EXPECT_NE(svg.find("class='curve' d='M70.0 370.0L510.0 220.0L950.0 145.0L1170.0 145.0'"), std::string::npos)
      << svg;
  EXPECT_NE(svg.find("class='most' d='M70.0 370.0L950.0 70.0H1170.0'"), std::string::npos) << svg;
  EXPECT_EQ(count(svg, ">75.0 %<"), 1U);
  EXPECT_EQ(count(svg, ">120 %<"), 1U);
}

TEST(Plot, OfAPackingHasAPointAPixelHoweverManyJobsCome) {
  PackingOutcome outcome{.gpu_milli = 1e6, .requested_gpu_milli = 1e6, .allocated_gpu_milli = 1e6};
  for (int i = 1; i <= 100'000; ++i) outcome.curve.push_back({10.0 * i, 10.0 * i});
  const std::string svg = draw_svg(outcome);
  EXPECT_LT(svg.size(), 40'000U);
  EXPECT_NE(svg.find("L1170.0 70.0'"), std::string::npos);
}

TEST(Plot, OfOpenbIsWrittenWhereTheCommandSays) {
  const TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  std::ofstream(at("nodes")) << "sn,cpu_milli,memory_mib,gpu,model\na,4000,8192,2,T4\n";
  std::ofstream(at("pods")) << "cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,1,1000\n1,1,0,0\n";
  Command command;
  command.family = "openb";
  command.profiles = at("nodes");
  command.workload = at("pods");
  command.plot = at("plot.svg");
  command.load_percent = 150;
  const auto text = run(command);
  ASSERT_TRUE(text) << text.error().text;
  std::ifstream stream(at("plot.svg"));
  const std::string svg(std::istreambuf_iterator<char>(stream), {});
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("class='curve' d='M70.0 370.0L436.7 220.0L803.3 70.0L1170.0 70.0'"), std::string::npos)
      << svg;
  command.plot = at("nowhere/plot.svg");
  EXPECT_EQ(run(command).error().text, "--plot: " + at("nowhere/plot.svg") + " cannot be written");
}

}  // namespace
}  // namespace ds::simulator
