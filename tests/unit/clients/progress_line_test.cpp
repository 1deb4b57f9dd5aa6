#include "clients/progress_line.hpp"

#include <gtest/gtest.h>

#include "clients/printable.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

json training_job() {
  return {{"state", "RUNNING"},
          {"step", 900},
          {"total_steps", 2000},
          {"epoch", 2},
          {"steps_per_epoch", 400},
          {"workers", {{{"rank", 0}}, {{"rank", 1}}}},
          {"reason", ""},
          {"metrics", {{"loss", 0.4123}, {"accuracy", 0.871}, {"samples_per_s", 5231.4}}}};
}

TEST(ProgressLine, TellsAllThatAWatcherWants) {
  EXPECT_EQ(format_progress(training_job(), 42, 160),
            "RUNNING [#########...........]  45%  step 900/2,000  epoch 3/5  loss 0.412  accuracy 87.1%  2 "
            "workers  "
            "5,231 samples/s  ETA 42s");
}

TEST(ProgressLine, NeverIsWiderThanTheTerminal) {
  for (std::size_t width = 1; width < 160; ++width) {
    EXPECT_LE(display_width(format_progress(training_job(), 42, width)), width);
  }
}

TEST(ProgressLine, HasNoBarOffATerminal) {
  EXPECT_EQ(format_progress(training_job(), std::nullopt, std::nullopt).find('['), std::string::npos);
}

TEST(ProgressLine, ShowsWhyAJobWaits) {
  EXPECT_EQ(format_progress({{"state", "QUEUED"},
                             {"reason", "needs 8 slots, the cluster has 4"},
                             {"step", 0},
                             {"total_steps", 100}},
                            std::nullopt, 80),
            "QUEUED  needs 8 slots, the cluster has 4");
}

TEST(ProgressLine, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(format_progress({{"state", "RUNNING"}, {"step", 0}, {"total_steps", 10}, {"metrics", nullptr}},
                            std::nullopt, std::nullopt),
            "RUNNING   0%  step 0/10");
  EXPECT_EQ(format_progress(json::object(), std::nullopt, 80), "");
}

TEST(ProgressLine, SaysAHundredPercentOnlyAtTheEnd) {
  json job = training_job();
  job["step"] = 1999;
  EXPECT_NE(format_progress(job, std::nullopt, std::nullopt).find(" 99%"), std::string::npos);
  job["step"] = 2000;
  job["epoch"] = 5;
  EXPECT_NE(format_progress(job, std::nullopt, std::nullopt).find("100%"), std::string::npos);
  EXPECT_NE(format_progress(job, std::nullopt, std::nullopt).find("epoch 5/5"), std::string::npos);
}

TEST(ProgressBar, IsClippedToItsWidth) {
  EXPECT_EQ(format_bar(0.5, 12), "[#####.....]");
  EXPECT_EQ(format_bar(7, 6), "[####]");
  EXPECT_EQ(format_bar(-1, 6), "[....]");
}

TEST(EtaEstimate, ComesFromTheLatestSteps) {
  EtaEstimate eta;
  eta.observe(0, 0);
  EXPECT_EQ(eta.seconds_left(100), std::nullopt);
  for (int i = 1; i <= 5; ++i) eta.observe(i * 10, i);
  EXPECT_EQ(eta.seconds_left(100), 5);
}

TEST(EtaEstimate, StartsOverWhenAJobGoesBack) {
  EtaEstimate eta;
  eta.observe(0, 0);
  eta.observe(50, 1);
  eta.observe(20, 2);
  EXPECT_EQ(eta.seconds_left(100), std::nullopt);
  eta.observe(30, 3);
  EXPECT_EQ(eta.seconds_left(100), 7);
}

}  // namespace
}  // namespace ds::clients
