#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::uint64_t kElements = 5000;
constexpr std::uint32_t kRanks = 3;

class SyncShard : public ::testing::Test {
 protected:
  PushSum push(std::uint32_t rank, std::uint64_t step = 0) const {
    return {step, {{0, rank, dense(leaves_[rank])}}};
  }
  static CommitAndPull commit(std::uint64_t step, std::uint64_t have = 0) {
    Commit one{step, true, 1, 0.1, step + 1, Buffer::copy_of("after " + std::to_string(step + 1))};
    return {one, have};
  }
  void prepare(std::uint64_t step = 0) {
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) (void)shard_.on_request(900 + rank, push(rank, step));
  }

  std::mt19937 generator_{11};
  std::vector<float> first_ = random_values(generator_, kElements);
  std::vector<std::vector<float>> leaves_{random_values(generator_, kElements),
                                          random_values(generator_, kElements),
                                          random_values(generator_, kElements)};
  ShardOptions options_ = options_for(kElements, kRanks);
  RangeShard shard_ = installed(options_, first_);
};

TEST_F(SyncShard, AnswersPushesWhenAllAreThereAndMakesTheStepWhenItIsCommitted) {
  EXPECT_TRUE(shard_.on_request(1, push(2)).empty());
  EXPECT_TRUE(shard_.on_request(2, push(0)).empty());
  EXPECT_EQ(shard_.prepared(), 0U);
  const auto prepared = answers_of(shard_.on_request(3, push(1)));
  ASSERT_EQ(prepared.size(), 3U);
  for (const Ticket ticket : {1U, 2U, 3U}) {
    EXPECT_TRUE(get<Prepared>(prepared, ticket).finite);
    EXPECT_TRUE(get<Prepared>(prepared, ticket).squares.empty()) << "nobody wanted them";
  }
  EXPECT_EQ(shard_.prepared(), 1U);
  EXPECT_EQ(shard_.applied(), 0U);

  PlainLoop plain(options_.optimizer, first_);
  plain.update(PlainLoop::sum(leaves_), 0.1);
  for (const Ticket ticket : {4U, 5U, 6U}) {  // the first makes it, the others find it made
    const auto answers = answers_of(shard_.on_request(ticket, commit(0)));
    const Pulled& pulled = get<Pulled>(answers, ticket);
    EXPECT_EQ(pulled.version, 2U);
    EXPECT_EQ(pulled.step, 1U);
    EXPECT_EQ(pulled.worker_state.text(), "after 1");
    EXPECT_EQ(pulled.parameters.bytes.text(), bits_of(plain.parameters()));
  }
  const RangeImage image = shard_.image();
  EXPECT_EQ(image.names, (std::vector<std::string>{"first_moment", "second_moment"}));
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(image.optimizer[i].text(), bits_of(plain.state()[i]));
}

TEST_F(SyncShard, ClipsAsTheWholeVectorIsClipped) {
  for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
    PushSum one = push(rank);
    one.clip_value = 1.5;
    one.want_squares = one.want_uncut_squares = true;
    const auto answers = answers_of(shard_.on_request(rank, one));
    if (rank + 1 < kRanks) continue;
    std::vector<float> sum = PlainLoop::sum(leaves_);
    EXPECT_EQ(kernels::add_in_tree(to_values<double>(get<Prepared>(answers, rank).uncut_squares)),
              kernels::squared_norm_of(sum));
    kernels::clip_value(sum, 1.5F);
    const double norm =
        std::sqrt(kernels::add_in_tree(to_values<double>(get<Prepared>(answers, rank).squares)));
    EXPECT_EQ(norm, kernels::norm_of(sum));
    const float factor = kernels::clip_factor(norm, 0.7);
    ASSERT_LT(factor, 1);
    kernels::scale(sum, factor);
    PlainLoop plain(options_.optimizer, first_);
    plain.update(sum, 0.1);
    CommitAndPull request = commit(0);
    request.commit.clip_factor = factor;
    const auto pulled = answers_of(shard_.on_request(9, request));
    EXPECT_EQ(get<Pulled>(pulled, 9).parameters.bytes.text(), bits_of(plain.parameters()));
  }
}

TEST_F(SyncShard, ReportsWhatIsNotFiniteAndCanPassOverTheStep) {
  leaves_[1][4321] = std::numeric_limits<float>::infinity();
  (void)shard_.on_request(1, push(0));
  (void)shard_.on_request(2, push(1));
  const auto answers = answers_of(shard_.on_request(3, push(2)));
  EXPECT_FALSE(get<Prepared>(answers, 3).finite);
  EXPECT_EQ(get<Prepared>(answers, 3).not_finite, 4321U);
  CommitAndPull request = commit(0);
  request.commit.updated = false;
  const auto pulled = answers_of(shard_.on_request(4, request));
  EXPECT_EQ(get<Pulled>(pulled, 4).parameters.bytes.text(), bits_of(first_));
  EXPECT_EQ(get<Pulled>(pulled, 4).step, 1U);
  EXPECT_EQ(shard_.image().updates, 0U);
}

TEST_F(SyncShard, LendsItsOwnMemoryToWhoPullsEverything) {
  prepare();
  const auto first = answers_of(shard_.on_request(1, commit(0)));
  const auto second = answers_of(shard_.on_request(2, Pull{}));
  EXPECT_EQ(get<Pulled>(first, 1).parameters.bytes.bytes().data(),
            get<Pulled>(second, 2).parameters.bytes.bytes().data());
}

TEST_F(SyncShard, AnswersAPartThatComesAgain) {
  EXPECT_TRUE(shard_.on_request(1, push(0)).empty());
  EXPECT_TRUE(shard_.on_request(2, push(0)).empty());
  (void)shard_.on_request(3, push(1));
  EXPECT_EQ(answers_of(shard_.on_request(4, push(2))).size(), 4U);
  EXPECT_EQ(answers_of(shard_.on_request(5, push(2))).size(), 1U) << "it is prepared already";
  PlainLoop plain(options_.optimizer, first_);
  plain.update(PlainLoop::sum(leaves_), 0.1);
  const auto pulled = answers_of(shard_.on_request(6, commit(0)));
  EXPECT_EQ(get<Pulled>(pulled, 6).parameters.bytes.text(), bits_of(plain.parameters()));
}

TEST_F(SyncShard, MakesSeveralStepsAtOnceAsOneUpdate) {
  const auto push_all = [&](std::uint64_t step, std::uint64_t steps) {
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
      PushSum one = push(rank, step);
      one.steps = steps;
      (void)shard_.on_request(900 + rank, one);
    }
  };
  const auto commit_all = [](std::uint64_t step, std::uint64_t steps, std::uint64_t update) {
    CommitAndPull request = commit(step);
    request.commit.steps = steps;
    request.commit.update = update;
    return request;
  };
  push_all(0, 4);
  EXPECT_EQ(shard_.prepared(), 4U);
  EXPECT_EQ(refusal(shard_.on_request(1, commit_all(0, 1, 1)), 1), ErrorCode::conflict)
      << "the sum is of four";
  const auto made = answers_of(shard_.on_request(2, commit_all(0, 4, 1)));
  EXPECT_EQ(get<Pulled>(made, 2).step, 4U);
  EXPECT_EQ(get<Pulled>(answers_of(shard_.on_request(3, commit_all(0, 4, 1))), 3).step, 4U) << "once";
  push_all(4, 2);
  const auto again = answers_of(shard_.on_request(4, commit_all(4, 2, 2)));
  EXPECT_EQ(get<Pulled>(again, 4).step, 6U);
  PlainLoop plain(options_.optimizer, first_);
  for (int update = 0; update < 2; ++update) plain.update(PlainLoop::sum(leaves_), 0.1);
  EXPECT_EQ(shard_.image().parameters.text(), bits_of(plain.parameters()));
  EXPECT_EQ(shard_.image().updates, 2U);
  RangeShard restored(options_);
  ASSERT_TRUE(restored.restore(shard_.image())) << "with the commit that made two steps";
  EXPECT_EQ(restored.applied(), 6U);
}

TEST_F(SyncShard, RefusesSumsOfNoStepAndWorkersWhoDisagreeOnHowManyItMakes) {
  PushSum none = push(0);
  none.steps = 0;
  EXPECT_EQ(refusal(shard_.on_request(1, none), 1), ErrorCode::invalid_argument);
  PushSum two = push(0), three = push(1);
  two.steps = 2;
  three.steps = 3;
  EXPECT_TRUE(shard_.on_request(2, two).empty());
  EXPECT_EQ(refusal(shard_.on_request(3, three), 3), ErrorCode::conflict);
}

TEST_F(SyncShard, RefusesWhatDoesNotFitAndChangesNothing) {
  const auto before = shard_.image();
  EXPECT_EQ(refusal(shard_.on_request(1, push(0, 1)), 1), ErrorCode::conflict) << "a step that is not next";
  EXPECT_EQ(refusal(shard_.on_request(2, commit(0)), 2), ErrorCode::conflict) << "nothing is prepared";
  EXPECT_EQ(refusal(shard_.on_request(3, PushUpdate{}), 3), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(shard_.on_request(4, KeepWorkerState{}), 4), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(shard_.on_request(5, Install{before}), 5), ErrorCode::conflict);
  EXPECT_EQ(refusal(shard_.on_request(6, PushSum{0, {{0, 7, dense(leaves_[0])}}}), 6),
            ErrorCode::invalid_argument);
  (void)shard_.on_request(7, push(0));
  PushSum other = push(1);
  other.unscale = 0.5;
  EXPECT_EQ(refusal(shard_.on_request(8, other), 8), ErrorCode::conflict) << "workers that disagree";
  EXPECT_EQ(shard_.image(), before);

  (void)shard_.on_request(9, push(1));
  (void)shard_.on_request(10, push(2));
  CommitAndPull uncounted = commit(0);
  uncounted.commit.update = 0;
  EXPECT_EQ(refusal(shard_.on_request(11, uncounted), 11), ErrorCode::invalid_argument);
  (void)shard_.on_request(12, commit(0));
  CommitAndPull different = commit(0);
  different.commit.learning_rate = 0.2;
  EXPECT_EQ(refusal(shard_.on_request(13, different), 13), ErrorCode::conflict) << "it was made otherwise";
  EXPECT_EQ(refusal(shard_.on_request(14, push(0, 0)), 14), ErrorCode::conflict) << "an older step";
}

TEST_F(SyncShard, LetsAllWaitUntilThereIsAState) {
  RangeShard fresh(options_);
  EXPECT_FALSE(fresh.has_state());
  EXPECT_TRUE(fresh.on_request(1, Pull{}).empty());
  EXPECT_TRUE(fresh.on_request(2, push(0)).empty());
  EXPECT_TRUE(fresh.on_request(3, push(1)).empty());
  EXPECT_TRUE(fresh.on_request(4, push(2)).empty());
  RangeImage wrong = first_image(options_, first_);
  wrong.optimizer.pop_back();
  wrong.names.pop_back();
  EXPECT_EQ(refusal(fresh.on_request(5, Install{wrong}), 5), ErrorCode::invalid_argument);
  const auto answers = answers_of(fresh.on_request(6, Install{first_image(options_, first_)}));
  EXPECT_EQ(answers.size(), 5U);
  EXPECT_EQ(get<Pulled>(answers, 1).version, 1U);
  EXPECT_EQ(get<Pulled>(answers, 1).worker_state.text(), "begin");
  EXPECT_TRUE(get<Prepared>(answers, 4).finite);
}

TEST_F(SyncShard, ForgetsPartsWhenTheGangChangesAndAPreparedSumWhenTheNextOneBegins) {
  (void)shard_.on_request(1, push(0));
  (void)shard_.on_request(2, push(1));
  shard_.begin_generation(false);
  EXPECT_TRUE(shard_.on_request(3, push(2)).empty()) << "the others' parts are gone";
  EXPECT_TRUE(shard_.on_request(4, push(1)).empty());
  EXPECT_EQ(answers_of(shard_.on_request(5, push(0))).size(), 3U) << "and so are the tickets 1 and 2";
  shard_.end_generation();
  EXPECT_EQ(shard_.prepared(), 1U) << "others may have made the step";
  shard_.begin_generation(false);
  EXPECT_EQ(shard_.prepared(), 0U) << "nobody has";
  EXPECT_TRUE(shard_.on_request(6, push(0)).empty())
      << "who is answered may commit before others have pushed";
  EXPECT_TRUE(shard_.on_request(7, push(1)).empty());
  EXPECT_EQ(answers_of(shard_.on_request(8, push(2))).size(), 3U);
  shard_.end_generation();
  ASSERT_TRUE(shard_.roll_forward(commit(0).commit));
  ASSERT_TRUE(shard_.roll_forward(commit(0).commit)) << "twice is once";
  EXPECT_EQ(shard_.applied(), 1U);
  EXPECT_FALSE(shard_.roll_forward(commit(1).commit));
}

TEST_F(SyncShard, GoesOnFromItsImageAsIfNothingHadHappened) {
  prepare();
  (void)shard_.on_request(1, commit(0));
  RangeShard other(options_);
  ASSERT_TRUE(other.restore(shard_.image()));
  EXPECT_EQ(other.applied(), 1U);
  EXPECT_EQ(other.last_commit(), commit(0).commit);
  for (RangeShard* one : {&shard_, &other}) {
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) (void)one->on_request(10 + rank, push(rank, 1));
    (void)one->on_request(20, commit(1));
  }
  EXPECT_EQ(other.image(), shard_.image());
}

TEST_F(SyncShard, OfAnEmptyRangeTakesPartInEveryStep) {
  ShardOptions options = options_for(0, 2);
  RangeShard empty = installed(options, {});
  (void)empty.on_request(1, PushSum{0, {{0, 0, dense({})}}, 1, 0, true});
  const auto answers = answers_of(empty.on_request(2, PushSum{0, {{0, 1, dense({})}}, 1, 0, true}));
  EXPECT_TRUE(get<Prepared>(answers, 2).finite);
  EXPECT_TRUE(get<Prepared>(answers, 2).squares.empty());
  const auto pulled = answers_of(empty.on_request(3, commit(0)));
  EXPECT_EQ(get<Pulled>(pulled, 3).step, 1U);
}

}  // namespace
}  // namespace ds::parameters
