#include "scheduler/ledger/grant_check.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

class GrantCheck : public ::testing::Test {
 protected:
  void submit(const std::string& job, const std::string& tenant, const std::string& queue = "default") {
    auto submission = submitted(job);
    submission.text += "tenant: " + tenant + "\nqueue: " + queue + "\n";
    ASSERT_TRUE(ledger_.apply(event(std::move(submission))));
  }
  std::uint64_t grant(const std::string& job, const std::string& node, SlotCount slots,
                      std::uint64_t memory_bytes = 0, Role role = Role::worker) {
    const auto worker = ledger_.next_worker();
    EXPECT_TRUE(ledger_.apply(event(LeaseGranted{worker, job, node, slots, memory_bytes, role})));
    return worker;
  }
  std::string wrong(const std::vector<std::uint64_t>& granted) const {
    const auto find_node = [this](const std::string& name) -> std::optional<NodeHolding> {
      const auto found = nodes_.find(name);
      return found == nodes_.end() ? std::nullopt : std::optional(found->second);
    };
    return find_wrong_grant(ledger_, granted, find_node, tenants_).value_or("");
  }
  /// vision with the queues prod (2 slots at most) and dev, together 3 at most; nlp without a limit.
  void add_tenants() {
    const std::size_t root = TenantTree::kRoot;
    tenants_.queues[root].is_leaf = false;
    tenants_.queues.push_back({.name = "nlp", .parent = root, .depth = 1, .guaranteed = 4});
    tenants_.queues.push_back({.name = "vision",
                               .parent = root,
                               .depth = 1,
                               .guaranteed = 3,
                               .borrowing_limit = 0,
                               .is_leaf = false});
    tenants_.queues.push_back(
        {.name = "prod", .parent = 2, .depth = 2, .guaranteed = 1, .borrowing_limit = 1});
    tenants_.queues.push_back({.name = "dev", .parent = 2, .depth = 2, .guaranteed = 2});
  }

  Ledger ledger_;
  std::map<std::string, NodeHolding> nodes_{{"n", {4, 100}}, {"m", {4, 100}}};
  TenantTree tenants_;
};

TEST_F(GrantCheck, FindsASlotThatIsGivenTwice) {
  submit("a", "default");
  EXPECT_EQ(wrong({grant("a", "n", 2), grant("a", "n", 2), grant("a", "m", 4)}), "");
  const auto text = wrong({grant("a", "n", 1)});
  EXPECT_NE(text.find("on node n, of which 5 slots are taken with it and 4 are there"), std::string::npos)
      << text;
}

TEST_F(GrantCheck, FindsAThousandthOfASlotThatIsGivenTwice) {
  submit("a", "default");
  std::vector<std::uint64_t> granted;
  for (int i = 0; i < 40; ++i) granted.push_back(grant("a", "n", SlotCount::of_thousandths(100)));
  EXPECT_EQ(wrong(granted), "");
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_EQ(wrong(granted), "");
  const auto text = wrong({grant("a", "n", SlotCount::of_thousandths(1))});
  EXPECT_NE(text.find("of which 4.001 slots are taken with it and 4 are there"), std::string::npos) << text;
}

TEST_F(GrantCheck, FindsAPartOfASlotBeyondAQuota) {
  add_tenants();
  submit("a", "vision", "prod");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(wrong({grant("a", "n", SlotCount::of_thousandths(500))}), "");
  const auto text = wrong({grant("a", "m", SlotCount::of_thousandths(250))});
  EXPECT_NE(text.find("has 2.25 slots and may have 2"), std::string::npos) << text;
}

TEST_F(GrantCheck, CountsWorkersUntilTheyAreGone) {
  submit("a", "default");
  const auto first = grant("a", "n", 4, 100);
  ASSERT_TRUE(ledger_.apply(event(LeaseReleasing{first})));
  const auto second = grant("a", "n", 1);
  EXPECT_NE(wrong({second}), "") << "the first one is not gone yet";
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{second})));
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{first})));
  EXPECT_EQ(wrong({grant("a", "n", 4, 100)}), "");
}

TEST_F(GrantCheck, FindsMemoryThatIsGivenTwice) {
  submit("a", "default");
  EXPECT_EQ(wrong({grant("a", "n", 1, 60)}), "");
  EXPECT_NE(wrong({grant("a", "n", 1, 41)}).find("101 bytes of memory"), std::string::npos);
}

TEST_F(GrantCheck, LetsBeWhatWasGrantedBeforeAndWhatTakesNothing) {
  submit("a", "default");
  grant("a", "n", 4);
  nodes_["n"].slots = 2;  // it came back smaller
  EXPECT_EQ(wrong({}), "");
  EXPECT_EQ(wrong({grant("a", "m", 1), grant("a", "n", 0, 0, Role::server)}), "");
  EXPECT_EQ(wrong({grant("a", "gone", 9)}), "") << "nothing is started on a node that is not known";
  EXPECT_NE(wrong({grant("a", "n", 1)}), "");
}

TEST_F(GrantCheck, FindsAQueueThatHasMoreThanItMayAnywhereAboveTheJob) {
  add_tenants();
  submit("a", "nlp");
  submit("p", "vision", "prod");
  submit("d", "vision", "dev");
  EXPECT_EQ(wrong({grant("a", "n", 4)}), "") << "it has no limit";
  EXPECT_EQ(wrong({grant("p", "m", 2), grant("d", "m", 1)}), "");
  EXPECT_EQ(wrong({grant("d", "m", 1)}), "with what was granted vision has 4 slots and may have 3");
}

TEST_F(GrantCheck, FindsAQueueOfItsOwn) {
  add_tenants();
  submit("p", "vision", "prod");
  EXPECT_EQ(wrong({grant("p", "n", 3)}), "with what was granted vision/prod has 3 slots and may have 2");
}

TEST_F(GrantCheck, FindsAQueueThatHasMoreGpusThanItMay) {
  add_tenants();
  tenants_.queues[1].gpu_limit = 1;
  const auto submit_gpu_job = [&](const std::string& job) {
    const std::string text = "kind: command\nrun: x\nresources: {gpu: 1}\ntenant: nlp\n";
    ASSERT_TRUE(ledger_.apply(event(JobSubmitted{job, "", "f", "/d", text})));
  };
  submit_gpu_job("g");
  const auto grant_gpu = [&](std::uint32_t device) {
    const auto worker = ledger_.next_worker();
    EXPECT_TRUE(ledger_.apply(event(LeaseGranted{worker, "g", "n", 1, 0, Role::worker, {device}})));
    return worker;
  };
  EXPECT_EQ(wrong({grant_gpu(0)}), "");
  EXPECT_EQ(wrong({grant_gpu(1)}), "with what was granted nlp has 2 GPUs and may have 1");
  submit("a", "nlp");
  EXPECT_EQ(wrong({grant("a", "m", 1)}), "") << "it takes none of them";
}

TEST_F(GrantCheck, FindsAGrantToATenantThatThereIsNot) {
  submit("a", "gone");
  EXPECT_EQ(wrong({grant("a", "n", 1)}), "");
  add_tenants();
  EXPECT_NE(wrong({grant("a", "n", 1)}).find("tenant gone"), std::string::npos);
}

TEST_F(GrantCheck, CountsTheSameAfterTheLedgerWasRestored) {
  submit("a", "default");
  grant("a", "n", 3);
  const auto restored = Ledger::restore(ledger_.snapshot());
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->held_on("n").slots, 3U);
  ledger_ = *restored;
  EXPECT_NE(wrong({grant("a", "n", 2)}), "");
}

}  // namespace
}  // namespace ds::scheduler
