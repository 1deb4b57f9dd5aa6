#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::uint64_t kElements = 600;

ShardOptions options_with(bool sync) {
  ShardOptions options = options_for(kElements, 2);
  options.sync = sync;
  options.replicated = true;
  return options;
}

TEST(Replicas, HaveAPreparedSumBeforeAnybodyHearsOfIt) {
  std::mt19937 generator(41);
  const auto first = random_values(generator, kElements);
  RangeShard primary = installed(options_with(true), first), replica = installed(options_with(true), first);
  const auto left = random_values(generator, kElements), right = random_values(generator, kElements);
  EXPECT_TRUE(primary.on_request(1, PushSum{0, {{0, 0, dense(left)}}}).empty());
  const ShardActions actions = primary.on_request(2, PushSum{0, {{0, 1, dense(right)}}});
  EXPECT_TRUE(answers_of(actions).empty());
  const auto sent = sent_to_replicas(actions);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(primary.on_request(3, PushSum{0, {{0, 1, dense(right)}}}).empty()) << "sent once";
  ASSERT_TRUE(replica.on_replica_update(sent[0].update));
  EXPECT_EQ(replica.prepared(), 1U);
  EXPECT_EQ(answers_of(primary.on_stored(sent[0].number)).size(), 3U);

  const Commit commit{0, true, 1, 0.1, 1, Buffer::copy_of(std::string_view("one"))};
  const ShardActions committed = primary.on_request(4, CommitAndPull{commit, 0});
  EXPECT_TRUE(answers_of(committed).empty()) << "a worker that saw the step must never see it undone";
  ASSERT_EQ(sent_to_replicas(committed).size(), 1U);
  ASSERT_TRUE(replica.on_replica_update(sent_to_replicas(committed)[0].update));
  EXPECT_EQ(replica.image(), primary.image());
  EXPECT_EQ(answers_of(primary.on_stored(sent_to_replicas(committed)[0].number)).size(), 1U);
}

TEST(Replicas, MakeAStepWhileThePrimaryDoes) {
  std::mt19937 generator(46);
  const auto values = random_values(generator, kElements);
  RangeShard primary = installed(options_with(true), values), replica = installed(options_with(true), values);
  const CommitAndPull request{{0, true, 1, 0.1, 1, Buffer::copy_of(std::string_view("one"))}, 0};
  EXPECT_TRUE(primary.announce(request).empty()) << "it is not prepared and will be refused";
  (void)primary.on_request(1, PushSum{0, {{0, 0, dense(values)}}});
  const auto sum = sent_to_replicas(primary.on_request(2, PushSum{0, {{0, 1, dense(values)}}}));
  ASSERT_TRUE(replica.on_replica_update(sum.at(0).update));
  (void)primary.on_stored(sum[0].number);

  const auto sent = sent_to_replicas(primary.announce(request));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(primary.applied(), 0U);
  ASSERT_TRUE(replica.on_replica_update(sent[0].update));
  EXPECT_EQ(replica.applied(), 1U);
  EXPECT_TRUE(primary.on_request(3, request).empty()) << "told once, and answered when it is stored";
  EXPECT_TRUE(primary.announce(request).empty()) << "it is made";
  EXPECT_TRUE(primary.on_request(4, request).empty());
  EXPECT_EQ(answers_of(primary.on_stored(sent[0].number)).size(), 2U);
  EXPECT_EQ(replica.image(), primary.image());
}

TEST(Replicas, ThatTakeOverSumTheStepAnew) {
  std::mt19937 generator(42);
  const auto first = random_values(generator, kElements);
  for (const bool finite : {true, false}) {
    RangeShard primary = installed(options_with(true), first), replica = installed(options_with(true), first);
    auto left = random_values(generator, kElements);
    const auto right = random_values(generator, kElements);
    if (!finite) left[77] = std::numeric_limits<float>::infinity();
    const PushSum pushes[] = {{0, {{0, 0, dense(left)}}, 1, 0.5, true},
                              {0, {{0, 1, dense(right)}}, 1, 0.5, true}};
    (void)primary.on_request(1, pushes[0]);
    const auto sent = sent_to_replicas(primary.on_request(2, pushes[1]));
    ASSERT_TRUE(replica.on_replica_update(sent.at(0).update));
    const auto before = answers_of(primary.on_stored(sent.at(0).number));
    EXPECT_TRUE(replica.on_request(4, pushes[0]).empty()) << "of its primary's sum it knows no verdict";

    replica.begin_generation(true);  // with a replica of its own
    EXPECT_TRUE(replica.on_request(5, pushes[0]).empty());
    const ShardActions actions = replica.on_request(6, pushes[1]);
    EXPECT_TRUE(answers_of(actions).empty());
    const auto again = sent_to_replicas(actions);
    ASSERT_EQ(again.size(), 1U);
    const auto after = answers_of(replica.on_stored(again[0].number));
    EXPECT_EQ(get<Prepared>(after, 5), get<Prepared>(before, 2));
    EXPECT_EQ(get<Prepared>(after, 6).finite, finite);
  }
}

TEST(Replicas, HaveAnUpdateBeforeItsWorkerHearsOfIt) {
  std::mt19937 generator(43);
  const auto first = random_values(generator, kElements);
  RangeShard primary(options_with(false)), replica(options_with(false));
  std::vector<SendToReplicas> sent;
  const auto request = [&](Ticket ticket, Request one) {
    const ShardActions actions = primary.on_request(ticket, std::move(one));
    for (const auto& update : sent_to_replicas(actions)) sent.push_back(update);
    return answers_of(actions).size();
  };
  EXPECT_EQ(request(1, Install{first_image(options_with(false), first)}), 0U);
  const PushUpdate update{1, 1, true, dense(random_values(generator, kElements)), 0.1};
  EXPECT_EQ(request(2, update), 0U);
  EXPECT_EQ(request(3, KeepWorkerState{1, Buffer::copy_of(std::string_view("kept"))}), 0U);
  EXPECT_EQ(request(4, update), 0U) << "a repetition is not answered before the original is safe";
  EXPECT_EQ(request(5, Pull{}), 1U);
  ASSERT_EQ(sent.size(), 3U);
  for (const SendToReplicas& one : sent) ASSERT_TRUE(replica.on_replica_update(one.update));
  EXPECT_EQ(replica.image(), primary.image());
  EXPECT_EQ(answers_of(primary.on_stored(sent[0].number)).size(), 1U);
  EXPECT_EQ(answers_of(primary.on_stored(sent[2].number)).size(), 3U);
}

TEST(Replicas, ThatMissedSomethingSaySo) {
  std::mt19937 generator(44);
  const auto values = random_values(generator, kElements);
  RangeShard sync = installed(options_with(true), values), free = installed(options_with(false), values);
  EXPECT_FALSE(sync.on_replica_update(Commit{0, true, 1, 0.1, 1, {}})) << "no sum";
  EXPECT_FALSE(sync.on_replica_update(StoreSum{1, to_buffer(values)})) << "a step too far";
  EXPECT_FALSE(sync.on_replica_update(StoreSum{0, to_buffer(std::vector<float>(3))}));
  EXPECT_FALSE(sync.on_replica_update(PushUpdate{0, 1, true, dense(values), 0.1}));
  EXPECT_FALSE(free.on_replica_update(PushUpdate{0, 2, true, dense(values), 0.1})) << "share 1 is missing";
  EXPECT_FALSE(free.on_replica_update(StoreSum{0, to_buffer(values)}));
  RangeShard fresh(options_with(true));
  EXPECT_FALSE(fresh.on_replica_update(StoreSum{0, to_buffer(values)})) << "no state";
}

TEST(Replicas, ThatMissedAShareWithoutAnUpdateAreBehind) {
  std::mt19937 generator(45);
  const auto values = random_values(generator, kElements);
  RangeShard primary = installed(options_with(false), values),
             replica = installed(options_with(false), values);
  (void)primary.on_request(1, PushUpdate{0, 1, false, {}, 0});
  EXPECT_EQ(primary.applied(), 1U);
  EXPECT_EQ(primary.prepared(), 1U);
  EXPECT_EQ(replica.applied(), 0U) << "it would refuse the rank's second share";
}

}  // namespace
}  // namespace ds::parameters
