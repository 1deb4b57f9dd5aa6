#include "scheduler/ledger/use_accounts.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

constexpr std::int64_t kDay = UseAccounts::kDayMs, kHour = 3'600'000;
const UseAccounts::Queue kDefault{"default", "default"};

Lease lease_of(const std::string& tenant, std::int64_t since_ms, std::uint64_t slots = 1) {
  Lease lease;
  lease.job = "job-of-" + tenant;
  lease.tenant = tenant;
  lease.slots = slots;
  lease.since_ms = since_ms;
  return lease;
}

LeaseGranted granted(std::uint64_t worker, const std::string& job = "intents-1") {
  return {worker, job, "n1", 2, 4U << 20, Role::worker};
}

TEST(UseAccounts, CountALeaseFromItsGrantToItsEnd) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(granted(1), 2'000)));
  ASSERT_TRUE(ledger.apply(event(granted(2), 5'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1, false}, 7'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 12'000)));
  const auto& job = *ledger.find("intents-1");
  // Two slots for 10 s and, so far, for 15 s.
  EXPECT_EQ(ledger.used_by(job, 20'000), (Use{50, 0, 25.0 * (4U << 20)}));
  const auto used = ledger.used_by_queues(20'000);
  EXPECT_EQ(used.begun_ms(), 2'000);
  EXPECT_EQ(used.queues().at(kDefault).total, (Use{50, 0, 25.0 * (4U << 20)}));
  EXPECT_EQ(ledger.used_by_queues(12'000).queues().at(kDefault).total.slot_s, 34);
  EXPECT_EQ(ledger.used_by_queues(1'000).queues().at(kDefault).total.slot_s, 20) << "a clock that went back";
}

TEST(UseAccounts, KeepWhatForgottenAndRetriedJobsUsed) {
  auto ledger = with_job();
  const auto run = [&](std::uint64_t worker, std::int64_t from_ms) {
    ASSERT_TRUE(ledger.apply(event(granted(worker), from_ms)));
    ASSERT_TRUE(ledger.apply(event(LeaseEnded{worker}, from_ms + 10'000)));
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::failed, "no"}, from_ms + 10'000)));
  };
  run(1, 2'000);
  ASSERT_TRUE(ledger.apply(event(JobRetried{"intents-1"}, 13'000)));
  run(2, 14'000);
  EXPECT_EQ(ledger.used_by(*ledger.find("intents-1"), 99'000).slot_s, 40);
  ASSERT_TRUE(ledger.apply(event(JobForgotten{"intents-1"}, 30'000)));
  EXPECT_EQ(ledger.find("intents-1"), nullptr);
  EXPECT_EQ(ledger.used_by_queues(99'000).queues().at(kDefault).total.slot_s, 40);
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->used_by_queues(99'000), ledger.used_by_queues(99'000));
}

TEST(UseAccounts, AreTheSameAfterARestart) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(granted(1), 2'000)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 2'333)));
  ASSERT_TRUE(ledger.apply(event(granted(2), 3'000)));
  auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->snapshot(), ledger.snapshot());
  for (auto* one : {&ledger, &*restored}) ASSERT_TRUE(one->apply(event(LeaseEnded{2}, 9'001)));
  EXPECT_EQ(restored->used_by_queues(10'000), ledger.used_by_queues(10'000));
  EXPECT_EQ(restored->used_by(*restored->find("intents-1"), 10'000).slot_s, 2 * 0.333 + 2 * 6.001);
}

TEST(UseAccounts, CountFromTheGrantsOfWhatRunsOnWhereASnapshotHasNone) {
  auto ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(granted(1), 2'000)));
  ASSERT_TRUE(ledger.apply(event(granted(2), 2'500)));
  auto document = nlohmann::ordered_json::parse(ledger.snapshot());
  document.erase("accounts");
  auto old = Ledger::restore(document.dump());
  ASSERT_TRUE(old);
  EXPECT_EQ(old->used_by_queues(3'000).begun_ms(), 2'000);
  ASSERT_TRUE(old->apply(event(LeaseEnded{1}, 4'000)));
  EXPECT_EQ(old->used_by_queues(4'000).begun_ms(), 2'000);
  EXPECT_EQ(old->used_by_queues(4'000).queues().at(kDefault).total.slot_s, 4 + 3);
}

TEST(UseAccounts, GoOnByDayAfterAClockThatWasFarAhead) {
  UseAccounts accounts;
  accounts.add(lease_of("nlp", 900 * kDay), 900 * kDay + kHour);
  for (std::int64_t day = 500; day < 500 + 2 * UseAccounts::kDays; ++day)
    accounts.add(lease_of("nlp", day * kDay), day * kDay + kHour);
  const auto& days = accounts.queues().at({"nlp", "default"}).days;
  EXPECT_EQ(days.size(), std::size_t(UseAccounts::kDays));
  EXPECT_EQ(days.at(500 + 2 * UseAccounts::kDays - 1).slot_s, 3'600);
}

TEST(UseAccounts, KnowTheLastDaysOneByOne) {
  UseAccounts accounts;
  accounts.begin(1);
  const auto from = 10 * kDay + 23 * kHour;
  accounts.add(lease_of("nlp", from), from + 26 * kHour);
  const auto& account = accounts.queues().at({"nlp", "default"});
  ASSERT_EQ(account.days.size(), 3U);
  EXPECT_EQ(account.days.at(10).slot_s, 3'600);
  EXPECT_EQ(account.days.at(11).slot_s, 24 * 3'600);
  EXPECT_EQ(account.days.at(12).slot_s, 3'600);
  EXPECT_EQ(account.total.slot_s, 26 * 3'600);
  // A lease that was there for all of them, and longer than days are known.
  accounts.add(lease_of("vision", 10 * kDay), 300 * kDay);
  EXPECT_EQ(accounts.queues().at({"vision", "default"}).days.size(), std::size_t(UseAccounts::kDays));
  EXPECT_EQ(accounts.queues().at({"vision", "default"}).total.slot_s, 290.0 * 86'400);
  EXPECT_EQ(account.total.slot_s, 26 * 3'600);
}

TEST(UseAccounts, AreBoundedAndTheirSumIsKept) {
  UseAccounts accounts;
  const std::size_t many = UseAccounts::kMostQueues + 50;
  for (std::size_t i = 0; i < many; ++i)
    accounts.add(lease_of("t" + std::to_string(i), static_cast<std::int64_t>(i + 1) * kDay),
                 static_cast<std::int64_t>(i + 1) * kDay + kHour);
  EXPECT_EQ(accounts.queues().size(), UseAccounts::kMostQueues);
  double sum = 0;
  for (const auto& [queue, account] : accounts.queues()) sum += account.total.slot_s;
  EXPECT_EQ(sum, static_cast<double>(many) * 3'600);
  EXPECT_EQ(accounts.queues().at(UseAccounts::kOthers).total.slot_s, 51 * 3'600);
  EXPECT_FALSE(accounts.queues().contains({"t0", "default"}));
  EXPECT_TRUE(accounts.queues().contains({"t51", "default"}));
}

TEST(UseAccounts, KeepALargeQueueHoweverManyNewOnesComeOnItsLastDay) {
  UseAccounts accounts;
  accounts.add(lease_of("a-large", kDay, 100), kDay + kHour);
  for (std::size_t i = 0; i < 2 * UseAccounts::kMostQueues; ++i)
    accounts.add(lease_of("t" + std::to_string(i), kDay), kDay + 1'000);
  EXPECT_EQ(accounts.queues().at({"a-large", "default"}).total.slot_s, 360'000);
}

TEST(UseAccounts, HaveNothingOfServersAndShards) {
  UseAccounts accounts;
  Lease lease = lease_of("nlp", 1'000);
  lease.role = Role::server;
  accounts.add(lease, 9'000);
  EXPECT_TRUE(accounts.queues().empty());
}

}  // namespace
}  // namespace ds::scheduler
