#include <gtest/gtest.h>

#include "actors/parameters/payload_reader.hpp"
#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::uint64_t kBefore = 50, kRows = 400, kWidth = 24, kAfter = 30;
constexpr std::uint64_t kElements = kBefore + kRows * kWidth + kAfter;

/// A gradient that is zero but for some rows of the table and what is outside of it.
std::vector<float> sparse_gradient(std::mt19937& generator, std::size_t rows) {
  std::vector<float> gradient(kElements);
  const auto fill = [&](std::uint64_t first, std::uint64_t count) {
    std::ranges::copy(random_values(generator, count), gradient.begin() + static_cast<std::ptrdiff_t>(first));
  };
  fill(0, kBefore);
  fill(kElements - kAfter, kAfter);
  for (std::size_t i = 0; i < rows; ++i) fill(kBefore + (generator() % kRows) * kWidth, kWidth);
  return gradient;
}

ShardOptions options_with(const std::string& optimizer, bool sync, bool tables) {
  ShardOptions options = options_for(kElements, 1, optimizer);
  options.sync = sync;
  if (tables) options.rows = {{kBefore, kRows, kWidth}};
  return options;
}

class RowPulls : public ::testing::TestWithParam<std::pair<std::string, bool>> {};

TEST_P(RowPulls, BringASparseFollowerToTheBitsOfADenseLoop) {
  const auto& [optimizer, sync] = GetParam();
  std::mt19937 generator(31);
  const ShardOptions options = options_with(optimizer, sync, true);
  const auto first = random_values(generator, kElements);
  RangeShard shard = installed(options, first);
  PlainLoop plain(options.optimizer, first);
  std::vector<float> follower(kElements);
  std::uint64_t have = 0;
  std::size_t short_pulls = 0;
  for (std::uint64_t step = 0; step < 30; ++step) {
    const auto gradient = sparse_gradient(generator, step % 10 == 9 ? 2 * kRows : 12);
    Pulled pulled;
    if (sync) {
      (void)shard.on_request(1, PushSum{step, {{0, 0, dense(gradient)}}});
      const auto answers =
          answers_of(shard.on_request(2, CommitAndPull{{step, true, 1, 0.1, step + 1, {}}, have}));
      pulled = get<Pulled>(answers, 2);
    } else {
      (void)shard.on_request(1, PushUpdate{0, step + 1, true, dense(gradient), 0.1});
      const auto answers = answers_of(shard.on_request(2, Pull{have, 0}));
      pulled = get<Pulled>(answers, 2);
    }
    plain.update(gradient, 0.1);
    short_pulls += pulled.parameters.form == Form::runs ? 1 : 0;
    ASSERT_TRUE(write_over(pulled.parameters, follower));
    ASSERT_EQ(bits_of(follower), bits_of(plain.parameters())) << "step " << step;
    if (generator() % 4 != 0) have = pulled.version;  // else it asks for two steps at once
  }
  EXPECT_GT(short_pulls, optimizer == "sgd" ? 15U : 2U);
}

INSTANTIATE_TEST_SUITE_P(Of, RowPulls,
                         ::testing::Values(std::pair("sgd", true), std::pair("sgd", false),
                                           std::pair("adam", true), std::pair("adam", false)),
                         [](const auto& of) {
                           return of.param.first + (of.param.second ? "InSync" : "Free");
                         });

TEST(RowPulls, OfAnUnknownOrFutureVersionBringEverything) {
  std::mt19937 generator(32);
  RangeShard shard = installed(options_with("sgd", true, true), random_values(generator, kElements));
  for (const std::uint64_t have : {0U, 99U}) {
    const auto answers = answers_of(shard.on_request(1, Pull{have, 0}));
    EXPECT_EQ(get<Pulled>(answers, 1).parameters.form, Form::dense);
  }
  const auto answers = answers_of(shard.on_request(1, Pull{1, 0}));
  EXPECT_EQ(get<Pulled>(answers, 1).parameters.form, Form::runs) << "no row has changed";
}

}  // namespace
}  // namespace ds::parameters
