// What jobs measure of their speed, and what becomes of it: nothing here depends on how fast the machine is.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "scheduler/policy/growth.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class Speeds : public TwoNodes {
 protected:
  Speeds() { cluster_.grow_by_gain(); }
  /// Seconds a step by number of workers, of those that were measured last.
  std::map<int, double> measured(const std::string& job) const {
    const auto now = cluster_.status(job);
    std::map<int, double> sizes;
    if (!now.is_object()) return sizes;
    for (const auto& size : now.at("speeds"))
      sizes[size.at("workers").get<int>()] = size.at("step_seconds").get<double>();
    return sizes;
  }
  std::size_t workers(const std::string& job) const {
    const auto now = cluster_.status(job);
    return now.is_object() ? now.at("workers").size() : 0;
  }
};

TEST_F(Speeds, OfEachSizeAreMeasuredOutliveTheHeadAndDecideWhetherTheJobGrows) {
  const auto file = write_job(cluster_.path() / "data/long", "long", 100'000, 1, 2);
  const auto job = cluster_.submit_job(file);
  ASSERT_TRUE(wait_until([&] { return measured(job).contains(2); })) << cluster_.logs();
  ASSERT_EQ(cluster_.submit({"scale", job, "1"}).code, 0);
  ASSERT_TRUE(wait_until([&] { return measured(job).size() == 2; })) << cluster_.logs();
  for (const auto& [size, step_s] : measured(job)) EXPECT_GT(step_s, 0) << size;
  EXPECT_GT(cluster_.status(job).at("resize_seconds"), 0) << cluster_.logs();
  EXPECT_NE(cluster_.submit({"status", job}).out.find(" ms a step"), std::string::npos);

  const auto before = cluster_.status(job);
  kill_head_and_start_another();
  const auto after = cluster_.status(job);
  EXPECT_EQ(after.at("speeds"), before.at("speeds"));
  EXPECT_EQ(after.at("resize_seconds"), before.at("resize_seconds"));

  // It may have two workers again: it takes the second if that is worth it, by the very numbers shown.
  ASSERT_EQ(cluster_.submit({"scale", job, "1:2"}).code, 0);
  const auto other = cluster_.submit_job(write_job(cluster_.path() / "data/other", "other", 1, 1, 1));
  EXPECT_TRUE(cluster_.wait_for_state(other, "SUCCEEDED")) << cluster_.logs();  // there were plans since
  const auto is_as_measured = [&] {
    const auto sizes = measured(job);
    if (sizes.size() != 2) return false;
    const bool grows = std::log(sizes.at(1) / sizes.at(2)) >= scheduler::kLeastEfficiency * std::log(2);
    const auto reason = cluster_.status(job).at("reason").get<std::string>();
    const bool has_grown = reason.find("grew from 1 to 2 workers") != std::string::npos;
    return (workers(job) == 2 && has_grown) || (workers(job) == 1 && !grows);
  };
  EXPECT_TRUE(wait_until(is_as_measured)) << cluster_.submit({"status", job}).out << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
}

}  // namespace
}  // namespace ds::tests
