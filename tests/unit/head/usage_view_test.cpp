#include "actors/head/views.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ds::head {
namespace {

using nlohmann::json;
using namespace scheduler;

TEST(UsageView, IsInHoursFromTheDayOnThatIsAskedFor) {
  constexpr std::int64_t kDay = UseAccounts::kDayMs, kHour = 3'600'000;
  UseAccounts accounts;
  accounts.begin(100 * kDay);
  const auto add = [&](const std::string& tenant, std::int64_t from_ms, std::int64_t hours) {
    Lease lease;
    lease.tenant = tenant;
    lease.slots = 2;
    lease.memory_bytes = 1ULL << 30;
    lease.devices = {0};
    lease.since_ms = from_ms;
    accounts.add(lease, from_ms + hours * kHour);
  };
  add("nlp", 100 * kDay, 3);
  add("nlp", 110 * kDay, 1);
  add("vision", 100 * kDay, 5);
  const auto now = 111 * kDay;
  const auto all = usage_view(accounts, 0, "", now).value();
  EXPECT_EQ(all.at("queues").size(), 2U);
  EXPECT_EQ(all.at("total"), (json{{"slot_hours", 18.0}, {"gpu_hours", 9.0}, {"memory_gib_hours", 9.0}}));
  EXPECT_EQ(all.at("since_ms"), 100 * kDay);
  EXPECT_EQ(usage_view(accounts, 50 * kDay, "", now).value().at("total"), all.at("total"));
  const auto late = usage_view(accounts, 110 * kDay + 7, "", now).value();
  EXPECT_EQ(late.at("since_ms"), 110 * kDay);
  ASSERT_EQ(late.at("queues").size(), 1U);
  EXPECT_EQ(late.at("queues").at(0).at("slot_hours"), 2.0);
  EXPECT_EQ(usage_view(accounts, 0, "vision", now).value().at("total").at("slot_hours"), 10.0);
  EXPECT_EQ(usage_view(accounts, 101 * kDay, "", 300 * kDay).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(usage_view(UseAccounts(), 0, "", now).value().at("counted_since_ms").is_null());
  EXPECT_EQ(usage_view(accounts, 112 * kDay, "", now).error().code, ErrorCode::invalid_argument)
      << "that is still to come";
  EXPECT_TRUE(usage_view(accounts, now + 1000, "", now)) << "today, by a clock that is ahead";
  EXPECT_EQ(usage_view(accounts, 0, "nobody", now).value().at("tenant"), "nobody");
}

}  // namespace
}  // namespace ds::head
