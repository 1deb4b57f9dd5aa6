#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "actors/data/sample_order.hpp"
#include "actors/train/piece_watch.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

class SessionState : public TrainingJob {};

TEST_F(SessionState, StartsAtStepZeroAndCountsStepsAndEpochs) {
  scheduler::JobSpec spec = job(150);
  spec.until = {};
  spec.until.epochs = 2;
  const auto session = open(spec);
  EXPECT_EQ(session->step(), 0U);
  EXPECT_EQ(session->steps_per_epoch(), 5U);
  EXPECT_EQ(session->total_steps(), 10U);
  EXPECT_TRUE(session->has_validation());
  collective::Communicator one(spec.logical_ranks());
  std::uint64_t samples = 0;
  for (std::uint64_t step = 1; step <= 10; ++step) {
    const auto result = session->run_step(one);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->step, step);
    EXPECT_EQ(result->epoch, (step - 1) / 5);
    EXPECT_GT(result->loss, 0);
    EXPECT_GT(result->forward_seconds, 0);
    EXPECT_GT(result->backward_seconds, 0);
    samples += result->samples;
  }
  EXPECT_EQ(samples, 300U);
  const auto beyond = session->run_step(one);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ErrorCode::conflict);
}

TEST_F(SessionState, IsCopiedOrBorrowedAsAsked) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  const StateImage copied = session->image(true), borrowed = session->image(false);
  EXPECT_EQ(copied.tensors, borrowed.tensors);
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  EXPECT_NE(copied.tensors, borrowed.tensors) << "the borrowed one shows the session's memory";
  EXPECT_EQ(session->image(false).step, 1U);
}

TEST_F(SessionState, IsCopiedWhileTheNextStepComputesAsItWasBefore) {
  const scheduler::JobSpec spec = job();
  std::vector<StateImage> expected, copies;  // these outlive the session's thread
  std::mutex mutex;
  {
    const auto session = open(spec);
    collective::Communicator one(spec.logical_ranks());
    for (int i = 0; i < 12; ++i) {
      ASSERT_TRUE(session->run_step(one));
      expected.push_back(session->image(true));
      session->copy_state([&](StateImage copy) {
        const std::lock_guard lock(mutex);
        copies.push_back(std::move(copy));
      });
      if (i % 4 == 3) {
        ASSERT_TRUE(session->evaluate(one));
      }
      if (i == 8) {
        ASSERT_TRUE(session->restore(expected[5]));
      }
    }
  }
  ASSERT_EQ(copies.size(), expected.size());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    EXPECT_EQ(copies[i].step, expected[i].step);
    EXPECT_EQ(copies[i].tensors, expected[i].tensors) << i;
  }
}

/// The place in an epoch is computed from the step's number: nothing is replayed to reach it.
TEST_F(SessionState, GoesOnLateInAnEpochWithItsNextBatchAndNoOther) {
  scheduler::JobSpec spec = job(2000);
  spec.batch.global = 8;  // 250 steps an epoch
  StateImage late = open(spec)->image(true);
  late.step = 225;
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(late));
  std::vector<TakenShare> taken;
  session->watch_shares([&](const TakenShare& share) -> Result<void> {
    taken.push_back(share);
    return {};
  });
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  const data::SampleOrder order(2000, spec.seed, true);
  std::uint64_t position = std::uint64_t{225} * 8;
  ASSERT_EQ(taken.size(), 4U);
  for (const TakenShare& share : taken) {
    EXPECT_EQ(share.step, 226U);
    ASSERT_EQ(share.samples.size(), 2U);
    for (const std::uint64_t sample : share.samples) EXPECT_EQ(sample, order.sample_at(0, position++));
  }
}

/// Gives up before the piece that follows so many.
class GivesUpAfter : public PieceWatch {
 public:
  explicit GivesUpAfter(int pieces) : left_(pieces) {}
  Result<void> begin(PieceKind) override {
    if (left_-- > 0) return {};
    ++refused;
    return fail(ErrorCode::cancelled, "enough");
  }
  void end() override { ++ended; }

  int refused = 0, ended = 0;

 private:
  int left_;
};

TEST_F(SessionState, IsThatOfBeforeAStepThatWasGivenUpBetweenMicroBatches) {
  scheduler::JobSpec spec = job();
  spec.batch.accumulate = 3;
  collective::Communicator one(spec.logical_ranks());
  const auto session = open(spec), undisturbed = open(spec);
  ASSERT_TRUE(session->run_step(one));
  const StateImage before = session->image(true);
  GivesUpAfter watch(7);  // of twelve
  session->watch_pieces(&watch);
  const auto given_up = session->run_step(one);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, ErrorCode::cancelled);
  EXPECT_EQ(watch.ended, 7);
  EXPECT_EQ(watch.refused, 1) << "it went on with another micro-batch";
  EXPECT_EQ(session->image(false).tensors, before.tensors);
  session->watch_pieces(nullptr);
  collective::Communicator next(spec.logical_ranks());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(session->run_step(next));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(undisturbed->run_step(next));
  EXPECT_EQ(session->image(false).tensors, undisturbed->image(false).tensors);
}

TEST_F(SessionState, LeavesNoTraceOfAnEvaluationThatWasGivenUp) {
  scheduler::JobSpec spec = job();
  spec.batch.global = 4;  // batches of four rows in the evaluation
  spec.early_stop = scheduler::EarlyStop{};
  collective::Communicator one(spec.logical_ranks());
  const auto session = open(spec), undisturbed = open(spec);
  ASSERT_TRUE(session->run_step(one));
  ASSERT_TRUE(undisturbed->run_step(one));
  const StateImage before = session->image(true);
  GivesUpAfter watch(9);
  session->watch_pieces(&watch);
  const auto given_up = session->evaluate(one);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, ErrorCode::cancelled);
  EXPECT_EQ(watch.ended, 9);
  EXPECT_EQ(watch.refused, 1) << "it went on with another batch";
  EXPECT_EQ(session->image(false).tensors, before.tensors);
  session->watch_pieces(nullptr);
  collective::Communicator next(spec.logical_ranks());
  const auto again = session->evaluate(next), expected = undisturbed->evaluate(next);
  ASSERT_TRUE(again && expected);
  EXPECT_EQ(again->loss, expected->loss);
  EXPECT_EQ(again->metrics, expected->metrics);
  EXPECT_EQ(session->image(false).tensors, undisturbed->image(false).tensors);
}

TEST_F(SessionState, IsTakenFromACheckpointThatLacksTheLatestKindOfProgress) {
  const scheduler::JobSpec spec = job();
  StateImage old = train(spec, 1, 2);
  for (auto& [name, tensor] : old.tensors) {
    if (name == "progress") tensor = tensor.slice(0, 10 * sizeof(double));
  }
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(old));
  collective::Communicator one(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(one));
  StateImage expected = train(spec, 1, 3);
  for (auto& [name, tensor] : expected.tensors) {
    if (name != "progress") continue;
    tensor = Buffer::make(tensor.size(), [&](std::span<std::byte> out) {  // the noise is measured anew
      std::ranges::fill(out, std::byte{0});
      std::ranges::copy(tensor.bytes().first(11 * sizeof(double)), out.begin());
    });
  }
  EXPECT_EQ(session->image(true).tensors, expected.tensors);
}

TEST_F(SessionState, LeavesNoStepToFailForACheckpointOfAnotherState) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  const StateImage begin = session->image(true);
  const auto find_no_memory = [](const StateImage&) { throw std::bad_alloc(); };
  session->copy_state(find_no_memory);
  const auto failed = session->run_step(one);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::resource_exhausted);
  session->copy_state(find_no_memory);
  ASSERT_TRUE(session->restore(begin));
  const auto step = session->run_step(one);
  EXPECT_TRUE(step) << step.error().message;
}

TEST_F(SessionState, IsUntouchedByAStepThatFails) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  {
    collective::Communicator one(spec.logical_ranks());
    ASSERT_TRUE(session->run_step(one));
  }
  const StateImage before = session->image(true);
  const auto exchanges = collective::make_local_exchanges(2);
  exchanges[1]->abort({ErrorCode::cancelled, "generation 1 ended", ""});
  collective::Communicator ended(exchanges[0], collective::assign_logical_ranks(spec.logical_ranks(), 2));
  const auto failed = session->run_step(ended);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::cancelled);
  EXPECT_EQ(session->image(false).tensors, before.tensors);
  EXPECT_EQ(session->step(), 1U);
  collective::Communicator again(spec.logical_ranks());
  ASSERT_TRUE(session->run_step(again));
  EXPECT_EQ(session->image(true).tensors, train(spec, 1, 2).tensors);
}

TEST_F(SessionState, IsUntouchedByALossThatIsNotFinite) {
  scheduler::JobSpec spec = job();
  spec.optimizer.lr = 1e30;
  spec.optimizer.weight_decay = 0;
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (int i = 0; i < 20; ++i) {
    const StateImage before = session->image(true);
    const auto result = session->run_step(one);
    if (result) continue;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(result.error().message.find("step " + std::to_string(before.step + 1)), std::string::npos)
        << result.error().message;
    EXPECT_EQ(session->image(false).tensors, before.tensors);
    EXPECT_EQ(session->step(), before.step);
    return;
  }
  FAIL() << "the loss stayed finite";
}

TEST_F(SessionState, IsRefusedWhenTheTrainingFileChanged) {
  const scheduler::JobSpec spec = job();
  const StateImage image = train(spec, 1, 1);
  write("train.csv", sentences(150, 99));
  const auto session = open(spec);
  const StateImage before = session->image(true);
  const Result<void> restored = session->restore(image);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::conflict);
  EXPECT_NE(restored.error().message.find("fingerprint"), std::string::npos) << restored.error().message;
  EXPECT_EQ(session->image(false).tensors, before.tensors);
}

TEST_F(SessionState, IsRefusedWhenTheModelOrTheEncodingDiffers) {
  const scheduler::JobSpec spec = job();
  const StateImage image = train(spec, 1, 1);
  scheduler::JobSpec other = spec;
  other.model.settings["width"] = {8};
  Result<void> restored = open(other)->restore(image);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find("model.settings.width is [8.0] in the job and [16.0] in the state"),
            std::string::npos);
  other = spec;
  other.data.transforms = texts(8000, 9);
  restored = open(other)->restore(image);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find("data.fields"), std::string::npos);
}

TEST_F(SessionState, IsRefusedWhenATensorIsMissingOrShort) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  StateImage image = session->image(true);
  image.tensors.pop_back();
  EXPECT_EQ(session->restore(image).error().code, ErrorCode::data_loss);
  image = session->image(true);
  image.tensors[1].second = image.tensors[1].second.slice(4, image.tensors[1].second.size() - 4);
  EXPECT_EQ(session->restore(image).error().code, ErrorCode::data_loss);
  image = session->image(true);
  image.description.resize(image.description.size() / 2);
  EXPECT_EQ(session->restore(image).error().code, ErrorCode::data_loss);
}

TEST_F(SessionState, CanBeRestoredFromMemoryThatIsNotAligned) {
  const scheduler::JobSpec spec = job();
  const StateImage image = train(spec, 1, 2);
  StateImage shifted = image;
  for (auto& [name, bytes] : shifted.tensors) {
    const Buffer inner = bytes;
    const Buffer outer = Buffer::make(inner.size() + 1, [&](std::span<std::byte> out) {
      std::memcpy(out.data() + 1, inner.bytes().data(), inner.size());
    });
    bytes = outer.slice(1, inner.size());
  }
  const auto session = open(spec);
  ASSERT_TRUE(session->restore(shifted));
  EXPECT_EQ(session->image(false).tensors, image.tensors);
  EXPECT_TRUE(safetensors(shifted) == safetensors(image));
}

TEST_F(SessionState, GoesOnInAnotherThread) {
  const scheduler::JobSpec spec = job();
  const auto session = open(spec);
  collective::Communicator one(spec.logical_ranks());
  for (int i = 0; i < 3; ++i) {
    std::thread([&] { EXPECT_TRUE(session->run_step(one)); }).join();
  }
  EXPECT_EQ(session->image(false).tensors, train(spec, 1, 3).tensors);
}

}  // namespace
}  // namespace ds::train
