#include <gtest/gtest.h>

#include "tests/unit/train/server_job.hpp"

namespace ds::train {
namespace {

/// What workers that live on make of servers that begin anew, or that have gone on.
class ServerRenewals : public ServerJob {
 protected:
  /// Plain SGD keeps nothing by parameter. Five steps are an epoch, and so a boundary.
  scheduler::JobSpec sgd_job(const std::string& consistency) const {
    scheduler::JobSpec spec = with_servers(job(), consistency);
    spec.optimizer.name = "sgd";
    spec.data.validate.reset();
    spec.checkpoint.every_steps = 1000;
    return spec;
  }

  static void run_to(TrainingSession& session, std::uint64_t step) {
    collective::Communicator one(4);
    while (session.step() < step) {
      const auto result = session.run_step(one);
      ASSERT_TRUE(result) << result.error().message;
    }
  }

  static void join(TrainingSession& session, ShardServers& servers) {
    const auto used = session.use_servers(servers.link(), !servers.has_state());
    ASSERT_TRUE(used) << used.error().message;
  }

  /// A step of the first or the second half of the ranks, of which the others stand still.
  static void run_half(ShardServers& servers, TrainingSession& session, std::uint32_t half) {
    servers.begin_generation();
    collective::run_gang(collective::assign_logical_ranks(4, 2), [&](collective::Communicator& gang) {
      if (gang.rank() != half) return;
      join(session, servers);
      const auto result = session.run_step(gang);
      ASSERT_TRUE(result) << result.error().message;
    });
  }
};

TEST_F(ServerRenewals, LeaveNothingOwedOfStepsThatNeverWere) {
  scheduler::JobSpec spec = with_servers(job_for({"resnet"}), "async");
  spec.data.validate.reset();
  spec.batch.global = 8;
  spec.checkpoint.every_steps = 3;
  for (const std::uint64_t gone_on : {3U, 4U}) {  // after the checkpoint, in a generation that it missed
    const auto survivor = open(spec);
    ASSERT_GT(survivor->steps_per_epoch(), 6U);
    const auto lost = servers_for(spec, 2);
    join(*survivor, *lost);
    run_to(*survivor, 3);
    const auto checkpoint = survivor->checkpoint_image(true);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    run_to(*survivor, 5);
    const auto fresh = open(spec);
    std::vector<StateImage> images;
    for (TrainingSession* session : {survivor.get(), fresh.get()}) {
      const auto servers = servers_for(spec, 2);
      const auto seeder = open(spec);
      ASSERT_TRUE(seeder->restore(*checkpoint));
      join(*seeder, *servers);
      run_to(*seeder, gone_on);
      join(*session, *servers);
      EXPECT_EQ(session->step(), gone_on);
      run_to(*session, 6);
      images.push_back(session->image(true));
    }
    EXPECT_EQ(images[0].tensors, images[1].tensors) << gone_on;
  }
}

TEST_F(ServerRenewals, GiveNoCheckpointOfAStepThatSomeHavePassed) {
  const scheduler::JobSpec spec = sgd_job("async");
  // The death is in the first rank's push, which only one range gets, or in the second's.
  for (const std::size_t calls : {3U, 5U}) {
    const auto servers = servers_for(spec, 2);
    const auto first = open(spec);
    join(*first, *servers);
    run_to(*first, 5);
    EXPECT_TRUE(first->checkpoint_image(true));
    servers->begin_generation();
    const auto dying = open(spec);
    ASSERT_TRUE(dying->use_servers(servers->link_that_dies(calls), false));
    collective::Communicator one(4);
    ASSERT_FALSE(dying->run_step(one));
    servers->begin_generation();
    const auto next = open(spec);
    join(*next, *servers);
    ASSERT_EQ(next->step(), 5U);
    const auto checkpoint = next->checkpoint_image(true);
    ASSERT_FALSE(checkpoint) << "death in call " << calls;
    EXPECT_EQ(checkpoint.error().code, ErrorCode::unavailable);
  }
}

TEST_F(ServerRenewals, SpareWorkersWhatWasLeftOutOfRanksThatMoved) {
  scheduler::JobSpec spec = sgd_job("async");
  spec.strategy.compression = {"top_k", 0.05};
  std::vector<std::vector<Buffer>> parameters;
  for (const bool fresh : {false, true}) {
    const auto servers = servers_for(spec, 2);
    auto session = open(spec);
    run_half(*servers, *session, 0);
    run_half(*servers, *session, 1);
    if (fresh) session = open(spec);
    run_half(*servers, *session, 0);
    EXPECT_EQ(servers->clocks(0), (std::vector<std::uint64_t>{2, 2, 1, 1}));
    parameters.push_back(servers->parameters());
  }
  EXPECT_EQ(parameters[0], parameters[1]);
}

TEST_F(ServerRenewals, MakeWorkersForgetWhatWasLeftOutOfStepsThatNeverWere) {
  for (const char* consistency : {"sync", "async"}) {
    scheduler::JobSpec spec = sgd_job(consistency);
    spec.strategy.compression = {"top_k", 0.05};
    const auto lost = servers_for(spec, 2);
    const auto survivor = open(spec), fresh = open(spec);
    join(*survivor, *lost);
    run_to(*survivor, 2);
    std::vector<std::vector<Buffer>> parameters;
    for (TrainingSession* session : {survivor.get(), fresh.get()}) {
      const auto servers = servers_for(spec, 2);
      join(*open(spec), *servers);
      join(*session, *servers);
      EXPECT_EQ(session->step(), 0U);
      run_to(*session, 1);
      parameters.push_back(servers->parameters());
    }
    EXPECT_EQ(parameters[0], parameters[1]) << consistency;
  }
}

TEST_F(ServerRenewals, AskForNoParametersThatTheWorkerHas) {
  for (const char* consistency : {"sync", "async"}) {
    scheduler::JobSpec spec = with_servers(job(), consistency);
    const auto servers = servers_for(spec, 2);
    const auto session = open(spec);
    join(*session, *servers);
    run_to(*session, 5);
    const auto checkpoint = session->checkpoint_image(true);
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->tensors[1].first, "first_moment");
    EXPECT_EQ(servers->image_bytes(), 0U) << consistency;
  }
}

}  // namespace
}  // namespace ds::train
