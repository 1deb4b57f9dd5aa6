#include <gtest/gtest.h>

#include <barrier>

#include "tests/unit/train/server_job.hpp"

namespace ds::train {
namespace {

class ServerBits : public ServerJob {};

class ServerModels : public ServerJob, public testing::WithParamInterface<Recipe> {};

INSTANTIATE_TEST_SUITE_P(All, ServerModels,
                         testing::Values(Recipe{"mlp"}, Recipe{"resnet"}, Recipe{"transformer"},
                                         Recipe{"lstm"}, Recipe{"torchscript"}, Recipe{"mlp", "bf16"},
                                         Recipe{"resnet", "bf16"}, Recipe{"transformer", "bf16"},
                                         Recipe{"mlp", "fp16"}, Recipe{"resnet", "fp16"}),
                         [](const auto& of) { return of.param.name + "_" + of.param.precision; });

TEST_P(ServerModels, EndWithTheBitsOfAnAllReduceWhateverTheGangAndItsChanges) {
  const scheduler::JobSpec spec = job_for(GetParam());
  if (spec.model.zoo.empty() && spec.model.torchscript.empty())
    GTEST_SKIP() << "python3-torch is not installed";
  constexpr std::uint64_t kSteps = 7;  // more than an epoch
  const StateImage expected = train(spec, 1, kSteps);
  const scheduler::JobSpec on_servers = with_servers(spec);
  EXPECT_EQ(train_on_servers(on_servers, 1, 1, kSteps).tensors, expected.tensors);
  EXPECT_EQ(train_on_servers(on_servers, 4, 2, kSteps).tensors, expected.tensors);
  const auto servers = servers_for(on_servers, 3);
  StateImage image;
  for (const auto& [members, steps] : {std::pair(3U, 2U), std::pair(1U, 3U), std::pair(4U, 2U)})
    image = train_on(*servers, on_servers, members, steps);
  EXPECT_EQ(image.step, kSteps);
  EXPECT_EQ(image.description, expected.description);
  EXPECT_EQ(image.tensors, expected.tensors);
}

TEST_F(ServerBits, AreThoseOfAnAllReduceForGangsOfEverySizeAndAnyRanges) {
  scheduler::JobSpec spec = job();
  spec.batch.accumulate = 2;
  const StateImage expected = train(spec, 1, 8);
  for (std::uint32_t members = 1; members <= 4; ++members) {
    for (std::uint32_t ranges = 1; ranges <= 3; ++ranges) {
      EXPECT_EQ(train_on_servers(with_servers(spec), members, ranges, 8).tensors, expected.tensors)
          << members << " members, " << ranges << " ranges";
    }
  }
}

TEST_F(ServerBits, AreThoseOfAnAllReduceWhenBatchesAreSmallerThanTheGang) {
  scheduler::JobSpec spec = job(7);
  spec.workers.max = 5;
  spec.batch.global = 3;
  spec.batch.accumulate = 3;
  EXPECT_EQ(train_on_servers(with_servers(spec), 4, 2, 9).tensors, train(spec, 1, 9).tensors);
}

TEST_F(ServerBits, AreThoseOfAnAllReduceWithEveryOptimizerAndClipping) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    scheduler::JobSpec spec = job();
    spec.optimizer.name = name;
    spec.optimizer.momentum = spec.optimizer.name == "sgd" ? 0.9 : 0;
    spec.optimizer.clip_norm = 0.05;
    spec.optimizer.clip_value = 0.01;
    EXPECT_EQ(train_on_servers(with_servers(spec), 3, 2, 6).tensors, train(spec, 1, 6).tensors) << name;
  }
}

TEST_F(ServerBits, AreThoseOfAnAllReduceWhenOnlyRowsTravel) {
  scheduler::JobSpec spec = job(400);
  std::string csv = "text,label\n";  // each sentence has words of its own: most of the table is never touched
  for (int row = 0; row < 400; ++row) {
    for (int word = 0; word < 6; ++word) csv += "own" + std::to_string(row * 6 + word) + " ";
    csv += ",class " + std::to_string(row % 3) + "\n";
  }
  spec.data.train = this->csv(write("wide.csv", csv));
  spec.optimizer = {};
  spec.optimizer.name = "sgd";
  spec.optimizer.lr = 0.5;
  spec.optimizer.weight_decay = 0;
  const StateImage expected = train(spec, 1, 10);
  const scheduler::JobSpec on_servers = with_servers(spec);
  const auto servers = servers_for(on_servers, 2);
  EXPECT_EQ(train_on(*servers, on_servers, 3, 10).tensors, expected.tensors);
  EXPECT_GT(servers->short_pushes(), 20U);
  EXPECT_GT(servers->short_pulls(), 20U);
}

TEST_F(ServerBits, GoOnFromAnAllReduceJobsCheckpointAndBack) {
  const scheduler::JobSpec spec = job(), on_servers = with_servers(spec);
  const StateImage before = train(spec, 2, 3);
  const auto servers = servers_for(on_servers, 2);
  const StateImage middle = train_on(*servers, on_servers, 3, 3, &before);
  EXPECT_EQ(middle.step, 6U);
  EXPECT_EQ(train(spec, 1, 4, &middle).tensors, train(spec, 1, 10).tensors);
}

TEST_F(ServerBits, OfLossyPushesDoNotDependOnTheGang) {
  for (const char* form : {"float16", "bfloat16", "int8", "top_k"}) {
    scheduler::JobSpec spec = with_servers(job());
    spec.strategy.compression.name = form;
    spec.strategy.compression.share = 0.05;
    const StateImage alone = train_on_servers(spec, 1, 2, 8);
    for (std::uint32_t members = 2; members <= 4; ++members)
      EXPECT_EQ(train_on_servers(spec, members, 2, 8).tensors, alone.tensors) << form << ", " << members;
    EXPECT_NE(alone.tensors, train(job(), 1, 8).tensors) << form << " loses something";
  }
}

TEST_F(ServerBits, AreKeptWhenWorkersDieInAnyCallAndReplicasTakeOver) {
  const scheduler::JobSpec spec = job(), on_servers = with_servers(spec);
  constexpr std::uint64_t kSteps = 6;
  const StateImage expected = train(spec, 1, kSteps);
  for (const std::size_t calls : {2U, 3U, 4U, 5U, 7U}) {
    const auto servers = servers_for(on_servers, 3, true);
    (void)train_on(*servers, on_servers, 2, 1);
    servers->begin_generation();
    std::barrier all_have_servers(2);  // nobody dies while another still asks for them
    collective::run_gang(collective::assign_logical_ranks(4, 2), [&](collective::Communicator& communicator) {
      const auto session = open(on_servers);
      const bool mine = communicator.rank() == 1;
      EXPECT_TRUE(session->use_servers(mine ? servers->link_that_dies(calls) : servers->link(), false));
      all_have_servers.arrive_and_wait();
      while (true) {
        const StateImage before = session->image(true);
        if (session->run_step(communicator)) continue;
        EXPECT_EQ(session->image(false).tensors, before.tensors) << "a step that failed left a trace";
        break;
      }
      communicator.abort({ErrorCode::cancelled, "the generation ended", {}});
      servers->end_generation({ErrorCode::cancelled, "the generation ended", {}});
    });
    StateImage image = train_on(*servers, on_servers, 3, 0);
    image = train_on(*servers, on_servers, 3, kSteps - image.step);
    EXPECT_EQ(image.tensors, expected.tensors) << "dead in call " << calls;
  }
}

}  // namespace
}  // namespace ds::train
