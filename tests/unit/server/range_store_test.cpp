#include "actors/server/range_store.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ds::server {
namespace {

using namespace parameters;

scheduler::JobSpec spec_of(std::uint32_t ranges, std::uint32_t workers = 1) {
  scheduler::JobSpec spec;
  spec.workers = {1, workers};
  spec.strategy.name = "parameter_server";
  spec.strategy.servers = ranges;
  spec.optimizer = {};
  spec.optimizer.name = "sgd";
  return spec;
}

constexpr std::uint64_t kParameters = 10'000;  // ranges of 8,192 and 1,808

StorePlan plan_of(bool fresh, std::vector<StorePlan::Range> ranges) {
  StorePlan plan;
  plan.parameters = kParameters;
  plan.fresh = fresh;
  plan.ranges = std::move(ranges);
  return plan;
}

Buffer floats(std::size_t count, float value) {
  const std::vector<float> values(count, value);
  return Buffer::copy_of(std::as_bytes(std::span(values)));
}

void install(RangeStore& store, std::uint32_t range, std::size_t size) {
  RangeImage image;
  image.parameters = floats(size, 1);
  const auto actions = store.find(range)->on_request(1, Install{image});
  ASSERT_EQ(actions.size(), 1U);
  ASSERT_TRUE(std::get<SendAnswer>(actions[0]).answer)
      << std::get<SendAnswer>(actions[0]).answer.error().message;
}

void prepare(RangeStore& store, std::uint32_t range, std::size_t size) {
  PushSum push;
  push.parts.push_back({0, 0, {Form::dense, {}, floats(size, 0.5F)}});
  const auto actions = store.find(range)->on_request(2, push);
  ASSERT_EQ(actions.size(), 1U);
  ASSERT_TRUE(std::get<SendAnswer>(actions[0]).answer);
}

TEST(RangeStore, HoldsWhatItIsToldAndNothingElse) {
  RangeStore store(spec_of(2));
  ASSERT_TRUE(store.join(plan_of(true, {{true}, {false}})));
  EXPECT_NE(store.find(0), nullptr);
  EXPECT_EQ(store.find(1), nullptr);
  EXPECT_TRUE(store.held().empty()) << "there is no state yet";
  install(store, 0, 8'192);
  EXPECT_EQ(store.held(), (std::vector<HeldRange>{{0, 0, 0}}));
  ASSERT_TRUE(store.join(plan_of(false, {{false}, {true, false, true}})));
  EXPECT_EQ(store.find(0), nullptr);
  EXPECT_FALSE(store.find(1)->has_state()) << "it will be fetched";
}

TEST(RangeStore, MakesTheStepThatOthersHaveCommitted) {
  RangeStore store(spec_of(2));
  ASSERT_TRUE(store.join(plan_of(true, {{true}, {true}})));
  install(store, 0, 8'192);
  install(store, 1, 1'808);
  prepare(store, 0, 8'192);
  prepare(store, 1, 1'808);
  Commit commit;
  commit.learning_rate = 1;
  commit.update = 1;
  ASSERT_EQ(store.find(0)->on_request(3, CommitAndPull{commit, 0}).size(), 1U);
  EXPECT_EQ(store.held(), (std::vector<HeldRange>{{0, 1, 1}, {1, 0, 1}}));
  ASSERT_TRUE(store.last_commit());

  StorePlan plan = plan_of(false, {{true}, {true}});
  plan.step = 1;
  plan.commit = store.last_commit();
  ASSERT_TRUE(store.join(plan));
  EXPECT_EQ(store.held(), (std::vector<HeldRange>{{0, 1, 1}, {1, 1, 1}}));
  EXPECT_EQ(store.find(1)->image().parameters, floats(1'808, 0.5F));
}

TEST(RangeStore, KnowsTheCommitOfARangeThatItHasFetched) {
  RangeStore store(spec_of(1)), other(spec_of(1));
  ASSERT_TRUE(store.join(plan_of(true, {{true}})));
  install(store, 0, kParameters);
  prepare(store, 0, kParameters);
  const Commit commit{0, true, 1, 1, 1, Buffer::copy_of(std::string_view("workers"))};
  ASSERT_EQ(store.find(0)->on_request(3, CommitAndPull{commit, 0}).size(), 1U);
  StorePlan plan = plan_of(false, {{true, false, true}});
  plan.step = 1;
  ASSERT_TRUE(other.join(plan));
  ASSERT_TRUE(other.find(0)->restore(store.find(0)->image()));
  EXPECT_EQ(other.last_commit(), commit) << "the one that had it may die before all are at its step";
}

TEST(RangeStore, FreesThePartsOfASumWhenTheGenerationEnds) {
  RangeStore store(spec_of(1, 2));
  ASSERT_TRUE(store.join(plan_of(true, {{true}})));
  install(store, 0, kParameters);
  auto memory = std::make_shared<const std::vector<float>>(kParameters);
  const std::weak_ptr<const void> left = memory;
  PushSum push;
  push.parts.push_back({0, 1, {Form::dense, {}, Buffer(memory, std::as_bytes(std::span(*memory)))}});
  EXPECT_TRUE(store.find(0)->on_request(2, std::move(push)).empty()) << "the other half is missing";
  memory.reset();
  EXPECT_FALSE(left.expired());
  store.end_generation();
  EXPECT_TRUE(left.expired());
  EXPECT_EQ(store.held(), (std::vector<HeldRange>{{0, 0, 0}}));
}

TEST(RangeStore, RefusesAPlanThatItCannotFulfil) {
  RangeStore store(spec_of(2));
  EXPECT_FALSE(store.join(plan_of(false, {{true}, {false}}))) << "it never had that range";
  EXPECT_FALSE(store.join(plan_of(true, {{true}}))) << "the job has two ranges";
  ASSERT_TRUE(store.join(plan_of(true, {{true}, {true}})));
  install(store, 0, 8'192);
  install(store, 1, 1'808);
  StorePlan ahead = plan_of(false, {{true}, {true}});
  ahead.step = 1;
  EXPECT_FALSE(store.join(ahead)) << "nobody prepared that step";
}

}  // namespace
}  // namespace ds::server
