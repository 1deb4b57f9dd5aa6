#include <gtest/gtest.h>

#include "tests/unit/train/server_job.hpp"

namespace ds::train {
namespace {

class ServerRules : public ServerJob {
 protected:
  /// How training ends that must not end well.
  static Error failure_of(TrainingSession& session, collective::Communicator& communicator) {
    for (int i = 0; i < 50; ++i) {
      const auto step = session.run_step(communicator);
      if (!step) return step.error();
    }
    throw std::runtime_error("everything stayed finite");
  }
};

TEST_F(ServerRules, NameWhatIsNotFiniteAsAnAllReduceJobDoes) {
  for (const bool skip : {false, true}) {
    scheduler::JobSpec spec = job();
    spec.optimizer.lr = 1e30;
    spec.on_nan = {skip, 3};
    collective::Communicator one(spec.logical_ranks());
    const Error expected = failure_of(*open(spec), one);
    EXPECT_NE(expected.message.find("weight"), std::string::npos);
    const scheduler::JobSpec on_servers = with_servers(spec);
    const auto servers = servers_for(on_servers, 3);
    const auto session = open(on_servers);
    ASSERT_TRUE(session->use_servers(servers->link(), true));
    EXPECT_EQ(failure_of(*session, one), expected);
  }
}

TEST_F(ServerRules, LetAStepThatIsPassedOverChangeNoParameter) {
  scheduler::JobSpec spec = job();
  spec.optimizer.lr = 1e30;
  spec.optimizer.weight_decay = 0;
  spec.on_nan = {true, 3};
  const scheduler::JobSpec on_servers = with_servers(spec);
  const auto servers = servers_for(on_servers, 2);
  const auto session = open(on_servers), plain = open(spec);
  ASSERT_TRUE(session->use_servers(servers->link(), true));
  collective::Communicator one(spec.logical_ranks());
  std::uint64_t skipped = 0;
  while (skipped < 3) {
    const auto step = session->run_step(one), expected = plain->run_step(one);
    ASSERT_TRUE(step) << step.error().message;
    ASSERT_TRUE(expected);
    EXPECT_EQ(step->updated, expected->updated);
    EXPECT_EQ(session->checkpoint_image(false)->tensors, plain->image(false).tensors);
    skipped += step->updated ? 0 : 1;
    ASSERT_LT(step->step, 100U);
  }
}

TEST_F(ServerRules, KeepWhatEvaluationsDecidedOverAChangeOfTheGang) {
  scheduler::JobSpec spec = with_servers(job());
  spec.validate.every_steps = 2;
  spec.early_stop = scheduler::EarlyStop{{"loss", false}, 1, 100};  // no gain is enough
  const auto servers = servers_for(spec, 2);
  collective::Communicator one(spec.logical_ranks());
  for (const std::uint64_t at : {2U, 4U}) {
    servers->begin_generation();
    const auto session = open(spec);
    ASSERT_TRUE(session->use_servers(servers->link(), at == 2));
    if (session->evaluation_due()) {  // again, as a gang that resumes does
      ASSERT_TRUE(session->evaluate(one));
    }
    while (session->step() < at) ASSERT_TRUE(session->run_step(one));
    ASSERT_TRUE(session->evaluation_due());
    ASSERT_TRUE(session->evaluate(one));
    EXPECT_EQ(session->finished(), at == 4);
  }
}

TEST_F(ServerRules, RefuseStepsWithoutServersAndServersWithoutNeed) {
  collective::Communicator one(4);
  const scheduler::JobSpec spec = with_servers(job());
  const auto session = open(spec);
  const auto step = session->run_step(one);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, ErrorCode::conflict);
  EXPECT_FALSE(session->checkpoint_image(true));
  const auto servers = servers_for(spec, 1);
  EXPECT_FALSE(open(job())->use_servers(servers->link(), true));
}

TEST_F(ServerRules, HoldNoVectorOfTheOptimizerInAWorker) {
  const scheduler::JobSpec spec = with_servers(job());
  for (const auto& [name, bytes] : open(spec)->image(false).tensors)
    EXPECT_EQ(name.find("moment"), std::string::npos) << name;
}

}  // namespace
}  // namespace ds::train
