#include "actors/train/step_verdict.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <vector>

namespace ds::train {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Four gradients in two tensors, a buffer, no counters, the noise, the bad records and the loss.
class StepVerdict : public testing::Test {
 protected:
  StepVerdict() {
    spec_.precision = "fp16";
    begin_scaling(spec_, progress_);
  }

  Result<Verdict> judge() const { return judge_sums(spec_, slots_, sum_, 4, std::nullopt, progress_, 42); }

  /// Lets gradients overflow until the scale can't be halved any more.
  void sink() {
    for (int halvings = 0; halvings < 142; ++halvings) {
      ASSERT_EQ(judge().value(), Verdict::overflow) << halvings;
      count_step(spec_, Verdict::overflow, progress_);
    }
    EXPECT_EQ(progress_.scale, 0x1p-126);
  }

  scheduler::JobSpec spec_;
  const std::vector<TensorSlot> slots_{{"first.weight", {3}, 0, 3}, {"second.bias", {1}, 3, 1}};
  std::vector<float> sum_ = std::vector<float>(9, 1.0F);
  Progress progress_;
};

/// The rules of torch.cuda.amp.GradScaler with its defaults, written out once more.
TEST_F(StepVerdict, MovesTheScaleAsGradScalerDoes) {
  double scale = 65536;
  int clean = 0, skipped = 0;
  for (int step = 0; step < 9000; ++step) {
    const bool overflow = step == 3 || step == 4 || step == 2500 || step == 4501 || step == 8000;
    ASSERT_EQ(loss_scale(spec_, progress_), scale) << step;
    sum_[static_cast<std::size_t>(step % 4)] = overflow ? (step % 2 == 0 ? kInfinity : -kInfinity) : 1.0F;
    const Result<Verdict> verdict = judge();
    ASSERT_TRUE(verdict);
    ASSERT_EQ(*verdict, overflow ? Verdict::overflow : Verdict::good) << step;
    count_step(spec_, *verdict, progress_);
    sum_.assign(sum_.size(), 1.0F);
    if (overflow) {
      scale /= 2, clean = 0, ++skipped;
    } else if (++clean == 2000) {
      scale *= 2, clean = 0;
    }
    ASSERT_EQ(progress_.clean_steps, clean);
    ASSERT_EQ(progress_.skipped, skipped);
    ASSERT_EQ(progress_.overflows, skipped);
    ASSERT_EQ(Progress::of(progress_.values()), progress_);
  }
  EXPECT_EQ(scale, 65536.0 / 8 * 2 * 2 / 4 * 2) << "five halvings, and doublings after 2,000 clean steps";
}

TEST_F(StepVerdict, TakesTheScaleOutOfGradientsExactly) {
  std::vector<float> gradients{65536 * 0.3F, -1, 0};
  unscale(gradients, loss_scale(spec_, progress_));
  EXPECT_EQ(gradients, (std::vector<float>{0.3F, -0x1p-16F, 0}));
  spec_.precision = "bf16";
  unscale(gradients, loss_scale(spec_, progress_));
  EXPECT_EQ(gradients[0], 0.3F);
  EXPECT_EQ(loss_scale(spec_, progress_), 1);
}

TEST_F(StepVerdict, FailsNamingStepAndTensorWhenTheScaleHasSunkToNothing) {
  sum_[3] = std::numeric_limits<float>::quiet_NaN();
  sink();
  const Result<Verdict> last = judge();
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(
      last.error().message,
      "step 42: the gradient of second.bias is not finite, with a loss scale of 1.1754943508222875e-38: "
      "training diverged");
}

/// GradScaler looks at gradients alone.
TEST_F(StepVerdict, HalvesTheScaleForAGradientWhateverTheLossIs) {
  sum_[1] = sum_.back() = std::numeric_limits<float>::quiet_NaN();
  progress_.scale = 1;
  progress_.clean_steps = 1999;
  ASSERT_EQ(judge().value(), Verdict::overflow);
  count_step(spec_, Verdict::overflow, progress_);
  EXPECT_EQ(progress_.scale, 0.5);
  EXPECT_EQ(progress_.clean_steps, 0);
}

TEST_F(StepVerdict, TakesWordOfServersForGradientsThatOnlyTheyHave) {
  const std::vector<float> rest{1, 0, 0, 0, 2};  // no gradients
  EXPECT_EQ(judge_sums(spec_, slots_, rest, 0, std::nullopt, progress_, 42).value(), Verdict::good);
  EXPECT_EQ(judge_sums(spec_, slots_, rest, 0, 3, progress_, 42).value(), Verdict::overflow);
  spec_.precision = "fp32";
  EXPECT_EQ(judge_sums(spec_, slots_, rest, 0, 3, progress_, 42).error().message,
            "step 42: the gradient of second.bias is not finite: training diverged");
  const std::vector<float> buffer{kInfinity, 0, 0, 0, 2};
  EXPECT_EQ(judge_sums(spec_, slots_, buffer, 0, std::nullopt, progress_, 42).error().message,
            "step 42: a buffer of the model is not finite: training diverged");
}

TEST_F(StepVerdict, CountsNoOverflowAgainstTheBoundOfOnNan) {
  spec_.on_nan = {true, 2};
  sum_[0] = kInfinity;
  sink();
  for (int i = 0; i < 2; ++i) {
    progress_.clean_steps = 7;
    ASSERT_EQ(judge().value(), Verdict::not_finite);
    count_step(spec_, Verdict::not_finite, progress_);
    EXPECT_EQ(progress_.clean_steps, 0);
  }
  EXPECT_EQ(progress_.scale, 0x1p-126);
  EXPECT_EQ(progress_.skipped, 144);
  ASSERT_FALSE(judge());
  EXPECT_NE(judge().error().message.find("after 2 skipped steps"), std::string::npos)
      << judge().error().message;
}

TEST_F(StepVerdict, TakesNoSmallerScaleForALossOrABufferThatIsNotFinite) {
  sum_[4] = kInfinity;
  EXPECT_EQ(judge().error().message,
            "step 42: a buffer of the model is not finite, with a loss scale of 65536: training diverged");
  sum_[4] = 1;
  sum_.back() = kInfinity;
  EXPECT_NE(judge().error().message.find("step 42: the loss is not finite"), std::string::npos);
}

}  // namespace
}  // namespace ds::train
