// What jobs report of their gradient's noise: a function of the job alone, like its weights.
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class NoisyJobs : public TwoNodes {
 protected:
  std::optional<double> noise_of(const std::string& job) const {
    const auto now = cluster_.status(job);
    if (!now.is_object() || !now.at("metrics").contains("gradient_noise_scale")) return std::nullopt;
    return now.at("metrics").at("gradient_noise_scale").get<double>();
  }
};

TEST_F(NoisyJobs, TellTheSameNoiseToTheLastDigitWhateverBecomesOfTheirWorkers) {
  const auto file = write_job(cluster_.path() / "data", "noisy", 12, 1, 2);
  const auto undisturbed = cluster_.submit_job(file), disturbed = cluster_.submit_job(file);
  ASSERT_TRUE(wait_until([&] { return noise_of(disturbed).has_value(); })) << cluster_.logs();
  const auto pids = cluster_.worker_pids(disturbed);
  ASSERT_FALSE(pids.empty()) << "the job was over too early" << cluster_.logs();
  kill(pids[random_() % pids.size()], SIGKILL);
  for (const auto& job : {undisturbed, disturbed})
    ASSERT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(disturbed).at("restarts"), 1) << cluster_.logs();
  ASSERT_TRUE(noise_of(undisturbed)) << cluster_.logs();
  EXPECT_GT(*noise_of(undisturbed), 0);
  EXPECT_EQ(noise_of(disturbed), noise_of(undisturbed)) << "seed " << seed_ << cluster_.logs();
  EXPECT_NE(cluster_.submit({"status", disturbed}).out.find("\nnoise scale "), std::string::npos);
  EXPECT_NE(cluster_.submit({"metrics", disturbed}).out.find("\ngradient_noise_scale "), std::string::npos);
}

}  // namespace
}  // namespace ds::tests
