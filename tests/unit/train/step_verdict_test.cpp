#include "actors/train/step_verdict.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gradient.hpp"

namespace ds::train {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Four gradients in two tensors, a buffer and the loss.
class StepVerdict : public testing::Test {
 protected:
  StepVerdict() {
    spec_.precision = "fp16";
    begin_scaling(spec_, progress_);
  }

  Result<Verdict> judge() const {
    const auto bad = kernels::find_not_finite(sum_);
    if (!bad) return Verdict::good;
    NotFinite what;
    if (*bad < 4) what.gradient = *bad;
    what.loss = !std::isfinite(sum_.back());
    return judge_not_finite(spec_, slots_, what, progress_, 42);
  }

  scheduler::JobSpec spec_;
  const std::vector<TensorSlot> slots_{{"first.weight", {3}, 0, 3}, {"second.bias", {1}, 3, 1}};
  std::vector<float> sum_ = std::vector<float>(6, 1.0F);  ///< gradients, a buffer, the loss
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
  for (int halvings = 0; halvings < 16; ++halvings) {
    ASSERT_EQ(judge().value(), Verdict::overflow) << halvings;
    count_step(spec_, Verdict::overflow, progress_);
  }
  EXPECT_EQ(progress_.scale, 1);
  const Result<Verdict> last = judge();
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(last.error().message,
            "step 42: the gradient of second.bias is not finite, with a loss scale of 1: training diverged");
}

TEST_F(StepVerdict, CountsNoOverflowAgainstTheBoundOfOnNan) {
  spec_.on_nan = {true, 2};
  sum_[0] = kInfinity;
  for (int i = 0; i < 16; ++i) count_step(spec_, judge().value(), progress_);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(judge().value(), Verdict::not_finite);
    count_step(spec_, Verdict::not_finite, progress_);
  }
  EXPECT_EQ(progress_.scale, 1);
  EXPECT_EQ(progress_.skipped, 18);
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
