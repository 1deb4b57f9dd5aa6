#include "clients/usage_view.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr std::int64_t kDay = 86'400'000;

json use(double slots, double gpus, double memory) {
  return {{"slot_hours", slots}, {"gpu_hours", gpus}, {"memory_gib_hours", memory}};
}

json with(json use, const json& more) {
  use.update(more);
  return use;
}

TEST(UsageView, TakesADayOrHowLongAgo) {
  EXPECT_EQ(parse_since("24h", 10 * kDay), 9 * kDay);
  EXPECT_EQ(parse_since("7d", 10 * kDay), 3 * kDay);
  EXPECT_EQ(parse_since("20d", 10 * kDay), 1) << "before 1970";
  EXPECT_EQ(parse_since("1970-02-01", 0), 31 * kDay);
  EXPECT_EQ(parse_since("2030-01-31", 0), 1'896'048'000'000);
  for (const char* wrong :
       {"", "7", "yesterday", "2030-13-01", "2030-02-30", "2030-1-31", "2030-01-31T00:00:00Z"})
    EXPECT_EQ(parse_since(wrong, kDay), std::nullopt) << wrong;
}

TEST(UsageView, SaysTheUnitsAndFromWhenTheyAre) {
  const json usage{{"counted_since_ms", kDay},
                   {"since_ms", kDay},
                   {"until_ms", 3 * kDay},
                   {"queues",
                    {with(use(3, 0, 2.25), {{"tenant", "nlp"}, {"queue", "prod"}}),
                     with(use(1, 0.5, 1), {{"tenant", ""}, {"queue", ""}, {"others", true}})}},
                   {"total", use(4, 0.5, 3.25)}};
  EXPECT_EQ(format_usage(usage, false),
            "TENANT    QUEUE  SLOT-HOURS  GPU-HOURS  MEMORY GIB-HOURS\n"
            "nlp       prod         3.00       0.00              2.25\n"
            "(others)               1.00       0.50              1.00\n"
            "together               4.00       0.50              3.25\n"
            "from 1970-01-02T00:00:00Z, when counting began, to 1970-01-04T00:00:00Z; a slot-hour is one "
            "slot for one "
            "hour, from its worker's grant until the worker is gone; GPUs and memory likewise\n");
  EXPECT_EQ(format_usage({{"counted_since_ms", nullptr}, {"queues", json::array()}}, false),
            "no job has had a worker yet\n");
}

TEST(UsageView, SaysWhoHadNothing) {
  json usage{{"counted_since_ms", kDay}, {"since_ms", 2 * kDay},  {"until_ms", 3 * kDay},
             {"queues", json::array()},  {"total", use(0, 0, 0)}, {"tenant", "nope"}};
  EXPECT_EQ(format_usage(usage, false),
            "tenant nope had no worker from 1970-01-03T00:00:00Z to 1970-01-04T00:00:00Z; ds-submit tenants "
            "lists the tenants' queues\n");
  usage["tenant"] = nullptr;
  EXPECT_TRUE(format_usage(usage, false).starts_with("nobody had a worker from "));
}

TEST(UsageView, ListsJobsThatHadWorkersTheLargestUseFirst) {
  const auto job = [](const char* id, json ended_ms, const json& use) {
    return json{{"id", id},
                {"tenant", "nlp"},
                {"queue", "default"},
                {"state", "RUNNING"},
                {"ended_ms", ended_ms},
                {"name", "unneeded"},
                {"restarts", 3},
                {"use", use}};
  };
  const json jobs{job("waits", nullptr, use(0, 0, 0)),
                  job("small", nullptr, use(1, 0, 1)),
                  job("old", 500, use(9, 0, 9)),
                  job("large", 2'000, use(2, 1, 1)),
                  {{"id", "of-an-older-head"}}};
  const auto ids = [](const json& used) {
    std::string all;
    for (const auto& one : used) all += one.at("id").get<std::string>() + " ";
    return all;
  };
  EXPECT_EQ(ids(used_by_jobs(jobs, std::nullopt)), "old large small ");
  const auto used = used_by_jobs(jobs, 1'000);
  EXPECT_EQ(ids(used), "large small ");
  EXPECT_EQ(used.at(0).at("gpu_hours"), 1);
  EXPECT_FALSE(used.at(0).contains("restarts"));
  EXPECT_EQ(format_job_usage(used, false).substr(0, 150),
            "JOB    TENANT  QUEUE    STATE    SLOT-HOURS  GPU-HOURS  MEMORY GIB-HOURS\n"
            "large  nlp     default  RUNNING        2.00       1.00              1.00\nsmal");
  EXPECT_EQ(format_job_usage(json::array(), false), "no such job has had a worker\n");
}

}  // namespace
}  // namespace ds::clients
