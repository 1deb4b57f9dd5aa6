#include "clients/event_view.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds::clients {
namespace {

std::string line(const char* event, bool with_job = false) {
  return format_event(nlohmann::json::parse(event), with_job);
}

TEST(EventView, SaysWhenWhatAndWhy) {
  EXPECT_EQ(
      line(
          R"({"at_ms":1767225600000,"what":"state","job":"j-1","value":"RUNNING","by":"x","why":"all joined"})"),
      "2026-01-01T00:00:00Z  RUNNING: all joined\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"submitted","job":"j-1","by":"user","why":"submitted"})", true),
            "1970-01-01T00:00:00Z  j-1  submitted\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"priority","job":"j-1","value":"800","why":"asked for"})"),
            "1970-01-01T00:00:00Z  priority 800: asked for\n");
  EXPECT_EQ(
      line(R"({"at_ms":0,"what":"head_started","value":"0.1.0","why":"start 3 that this journal tells of"})",
           true),
      "1970-01-01T00:00:00Z  the head was started, version 0.1.0: start 3 that this journal tells of\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"promise_broken","job":"j-1","why":"it has crashed 2 times"})"),
            "1970-01-01T00:00:00Z  its deadline can no longer be kept for certain: it has crashed 2 times\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"deadline_missed","job":"j-1","why":"it has not ended"})"),
            "1970-01-01T00:00:00Z  its deadline is missed: it has not ended\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"ended_late","job":"j-1","value":"12 s"})"),
            "1970-01-01T00:00:00Z  missed its deadline by 12 s\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"drain","nodes":[{"node":"n-1","workers":0}],"why":"repair"})", true),
            "1970-01-01T00:00:00Z  node n-1: drain: repair\n");
}

TEST(EventView, CountsWorkersAndNamesTheirNodes) {
  EXPECT_EQ(
      line(R"({"at_ms":0,"what":"placed","workers":1,"nodes":[{"node":"a","workers":1}],"why":"fits"})"),
      "1970-01-01T00:00:00Z  1 worker on a placed: fits\n");
  EXPECT_EQ(
      line(
          R"({"at_ms":0,"what":"told_to_leave","workers":9,"nodes":[{"node":"a","workers":2},{"node":"b","workers":3}]})"),
      "1970-01-01T00:00:00Z  9 workers on a (2), b (3) and others told to leave\n");
  EXPECT_EQ(line(R"({"at_ms":0,"what":"crashed","why":"exit code 1"})"),
            "1970-01-01T00:00:00Z  a worker crashed: exit code 1\n");
}

TEST(EventView, CountsNodesThatComeTogether) {
  EXPECT_EQ(
      line(
          R"({"at_ms":0,"what":"joined","nodes":[{"node":"a","workers":0},{"node":"b","workers":0}],"nodes_count":4993,"why":""})"),
      "1970-01-01T00:00:00Z  4,993 nodes, a, b and others: joined\n");
  EXPECT_EQ(
      line(
          R"({"at_ms":0,"what":"lost","nodes":[{"node":"a","workers":0},{"node":"b","workers":0}],"nodes_count":2,"why":"gone"})"),
      "1970-01-01T00:00:00Z  2 nodes, a, b: lost: gone\n");
}

TEST(EventView, ShowsWhatItDoesNotKnowAndNoControlCharacters) {
  EXPECT_EQ(line(R"({"at_ms":0,"what":"some_news","value":"v","why":"a\u001b[31m"})").find('\x1b'),
            std::string::npos);
  EXPECT_TRUE(line(R"({"at_ms":0,"what":"some_news","value":"v"})").ends_with("some news v\n"));
}

}  // namespace
}  // namespace ds::clients
