#include "clients/model_view.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

using nlohmann::json;

json a_model() {
  return {{"name", "intents"},
          {"newest", 2},
          {"tags", {{"best", 2}, {"prod", 1}}},
          {"versions",
           {{{"version", 1},
             {"from", "ckpt:intents-4f7a2k@40"},
             {"tags", {"prod"}},
             {"metrics", {{"accuracy", 0.5}}},
             {"added_ms", 0}},
            {{"version", 2},
             {"from", "file:/m.pt"},
             {"tags", {"best"}},
             {"metrics", json::object()},
             {"added_ms", 60'000}}}}};
}

TEST(ModelView, ShowsVersionsWithTheirTagsAndWhereTheyComeFrom) {
  EXPECT_EQ(format_model(a_model(), 120'000, false),
            "intents\n"
            "VERSION  TAGS  FROM                    METRICS           ADDED\n"
            "      1  prod  ckpt:intents-4f7a2k@40  accuracy 0.5  2m00s ago\n"
            "      2  best  file:/m.pt                            1m00s ago\n");
  EXPECT_EQ(format_tag(a_model(), "prod"), "intents: prod is version 1 (ckpt:intents-4f7a2k@40)\n");
}

TEST(ModelView, ShowsSharesAndReplicasOfWhatAJobServes) {
  const json served{{"name", "intents"},
                    {"traffic",
                     {{{"tag", "prod"}, {"version", 2}, {"share", 90}},
                      {{"tag", "canary"}, {"version", 3}, {"share", 10}}}},
                    {"replicas",
                     {{{"version", 1}, {"ready", 1}, {"starting", 0}, {"leaving", 1}},
                      {{"version", 2}, {"ready", 2}, {"starting", 0}, {"leaving", 0}},
                      {{"version", 3}, {"ready", 0}, {"starting", 1}, {"leaving", 0}}}}};
  EXPECT_EQ(format_served(served, false),
            "\n"
            "VERSION  TAGS    SHARE  READY  STARTING  LEAVING\n"
            "      1              -      1         0        1\n"
            "      2  prod      90%      2         0        0\n"
            "      3  canary    10%      0         1        0\n");
  EXPECT_EQ(format_served(json(), false), "");
}

TEST(ModelView, TakesAnswersOfOtherHeadsForWhatTheyAre) {
  EXPECT_EQ(format_models(json::array(), false),
            "no models yet; ds-submit register NAME ckpt:JOB@best adds one\n");
  EXPECT_NO_THROW(format_models(json::array({1, json::object(), {{"tags", 3}}}), false));
  EXPECT_NO_THROW(format_model({{"versions", {1, json::object()}}}, 0, false));
  EXPECT_NO_THROW(format_served({{"replicas", {json::object(), 7}}}, false));
}

}  // namespace
}  // namespace ds::clients
