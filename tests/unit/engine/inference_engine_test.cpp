#include "actors/engine/inference_engine.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/infer/script_models.hpp"

namespace ds {
namespace {

class InferenceEngines : public testing::Test {
 protected:
  InferenceEngines()
      : path_(std::filesystem::temp_directory_path() / ("ds-engine-" + std::to_string(getpid()) + ".pt")) {}
  ~InferenceEngines() override { std::filesystem::remove(path_); }

  void write(const std::string& archive) { std::ofstream(path_, std::ios::binary) << archive; }

  InferenceEngine::Options options(std::vector<std::int64_t> shape = {-1, 32}) const {
    InferenceEngine::Options made;
    made.model_path = path_;
    made.inputs = {{"x", serving::Datatype::fp32, std::move(shape)}};
    return made;
  }
  InferenceEngine open(InferenceEngine::Options given) const {
    auto engine = InferenceEngine::open(std::move(given));
    if (!engine) throw InferenceError(engine.error());
    return *std::move(engine);
  }

  const std::filesystem::path path_;
};

std::vector<float> row_of(int number) {
  std::vector<float> row(32);
  for (std::size_t i = 0; i < row.size(); ++i)
    row[i] = static_cast<float>((number * 37 + i * 11) % 64) / 32 - 1;
  return row;
}

InferenceEngine::Tensors request_of(int number) {
  return {make_tensor("x", {1, 32}, row_of(number))};
}

TEST_F(InferenceEngines, AnswerManyThreadsAsTheyWouldOneByOne) {
  write(infer::layers_archive());
  for (const bool int8 : {false, true}) {
    SCOPED_TRACE(int8);
    auto given = options();
    given.int8 = int8;
    given.max_batch_size = 16;
    auto engine = open(std::move(given));
    constexpr int kThreads = 12, kEach = 200;
    std::vector<std::vector<float>> expected;
    for (int i = 0; i < kThreads * kEach; ++i) {
      const auto answer = engine.predict(request_of(i % 97));
      ASSERT_TRUE(answer) << answer.error().message;
      expected.push_back(floats_of(answer->front()));
      ASSERT_EQ(expected.back().size(), 20U);
    }
    const auto alone = engine.counters();
    EXPECT_EQ(alone.batches, alone.rows_run) << "one by one";
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t * kEach; i < (t + 1) * kEach; ++i) {
          const auto answer = engine.predict(request_of(i % 97));
          if (!answer) {
            ++wrong;
            continue;
          }
          const auto numbers = floats_of(answer->front());
          for (std::size_t k = 0; k < numbers.size(); ++k) {
            // A matrix product of several rows may sum in another order.
            if (std::abs(numbers[k] - expected[static_cast<std::size_t>(i)][k]) > 1e-4) ++wrong;
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    const auto together = engine.counters();
    EXPECT_EQ(together.rows_run, 2U * kThreads * kEach);
    EXPECT_LT(together.batches - alone.batches, together.rows_run - alone.rows_run) << "none was batched";
  }
}

TEST_F(InferenceEngines, FailARequestThatTheModelCanNotTakeAlone) {
  // The number in x is an index, which may be out of range.
  write(
      infer::archive_of("return torch.index_select(torch.arange(10).to(6), 0, x[:, 0].to(4)).unsqueeze(1)"));
  auto given = options({-1, 1});
  given.batching = serving::BatchingOptions::Mode::fixed;  // waits, so that they share a batch
  auto engine = open(std::move(given));
  std::vector<std::future<Result<InferenceEngine::Tensors>>> answers;
  for (const float index : {3.0F, 77.0F, 4.0F})
    answers.push_back(engine.predict_async({make_tensor("x", {1, 1}, std::vector{index})}));
  const auto first = answers[0].get(), second = answers[1].get(), third = answers[2].get();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(floats_of(first->front()), std::vector<float>{3});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(third);
  EXPECT_EQ(floats_of(third->front()), std::vector<float>{4});
}

TEST_F(InferenceEngines, PadRequestsOfUnlikeLengthsThatShareABatch) {
  write(infer::archive_of("return x.sum([1, 2]).unsqueeze(1), x.transpose(1, 2) * 2"));
  auto given = options({-1, -1, -1});
  given.batching = serving::BatchingOptions::Mode::fixed;  // waits, so that they share a batch
  given.max_batch_size = 2;
  given.padding = serving::PaddingWish{.buckets = {{4}, {4}}, .values = {}, .cut = {"output__1"}};
  auto engine = open(given);
  EXPECT_EQ(engine.metadata().outputs.at(1).shape, (std::vector<std::int64_t>{-1, -1, -1}));
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  bool shared = false;
  for (int i = 0; i < 1000 && !shared; ++i) {
    const auto before = engine.counters().batches;
    auto first = engine.predict_async({make_tensor("x", {1, 2, 3}, numbers)});
    const auto other = engine.predict({make_tensor("x", {1, 3, 1}, std::vector<float>{1, 1, 1})});
    const auto one = first.get();
    ASSERT_TRUE(one && other) << (one ? other : one).error().message;
    EXPECT_EQ(floats_of(one->at(0)), std::vector<float>{21});
    EXPECT_EQ(one->at(1).shape, (std::vector<std::int64_t>{1, 3, 2}));
    EXPECT_EQ(floats_of(one->at(1)), (std::vector<float>{2, 8, 4, 10, 6, 12}));
    EXPECT_EQ(floats_of(other->at(1)), (std::vector<float>{2, 2, 2}));
    shared = engine.counters().batches == before + 1;
  }
  EXPECT_TRUE(shared) << "they never share a batch";
  const auto large = engine.predict({make_tensor("x", {1, 5, 1}, std::vector<float>(5))});
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().message.find("4 is the longest"), std::string::npos) << large.error().message;

  write(infer::archive_of("return x.mean([1, 2]).unsqueeze(1)"));
  given.padding->cut = {};
  const auto changed = InferenceEngine::open(given);
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().message.find("answers change"), std::string::npos) << changed.error().message;
}

TEST_F(InferenceEngines, ComputeInBf16WhereTheyAreToldSo) {
  write(infer::layers_archive());
  auto given = options();
  auto exact = open(given);
  given.bf16 = true;
  auto rounded = open(given);
  const auto before = exact.predict(request_of(3)), after = rounded.predict(request_of(3));
  ASSERT_TRUE(before && after);
  const auto want = floats_of(before->front()), have = floats_of(after->front());
  ASSERT_EQ(have.size(), want.size());
  EXPECT_NE(have, want);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have[i], want[i], 0.05) << i;
  given.int8 = true;
  EXPECT_FALSE(InferenceEngine::open(given));
}

TEST_F(InferenceEngines, SayWhatIsWrongWithARequest) {
  write(infer::layers_archive());
  auto given = options();
  given.max_batch_size = 4;
  auto engine = open(std::move(given));
  const auto refusal = [&](InferenceEngine::Tensors inputs) {
    const auto answer = engine.predict(std::move(inputs));
    return answer ? std::string("was answered") : answer.error().message;
  };
  EXPECT_NE(refusal({make_tensor("y", {1, 32}, row_of(1))}).find("y"), std::string::npos);
  EXPECT_NE(refusal({make_tensor("x", {1, 31}, std::vector<float>(31))}).find("31"), std::string::npos);
  EXPECT_NE(refusal({make_tensor("x", {2, 32}, row_of(1))}).find("128 bytes"), std::string::npos);
  EXPECT_NE(refusal({}).find("x"), std::string::npos);
  EXPECT_NE(refusal({make_tensor("x", {5, 32}, std::vector<float>(160))}).find("4"), std::string::npos);
  EXPECT_TRUE(engine.predict(request_of(1)));
}

TEST_F(InferenceEngines, RefuseWhatIsTooMuchAndAnswerTheRestBeforeTheyGo) {
  // Each batch takes a while, so that requests wait.
  write(infer::archive_of("for i in range(200):\n        x = torch.matmul(x, self.w)\n    return x",
                          {{"w", infer::random_tensor({256, 256}, 1, 0.06)}}));
  std::vector<std::future<Result<InferenceEngine::Tensors>>> answers;
  {
    auto given = options({-1, 256});
    given.max_depth = 3;
    given.max_batch_size = 1;
    auto engine = open(std::move(given));
    for (int i = 0; i < 12; ++i)
      answers.push_back(engine.predict_async({make_tensor("x", {1, 256}, std::vector<float>(256, 1))}));
  }
  int answered = 0, refused = 0;
  for (auto& one : answers) {
    ASSERT_EQ(one.wait_for(std::chrono::seconds(0)), std::future_status::ready) << "left behind";
    const auto answer = one.get();
    answered += answer ? 1 : 0;
    if (!answer) {
      ++refused;
      EXPECT_EQ(answer.error().code, ErrorCode::resource_exhausted) << answer.error().message;
    }
  }
  EXPECT_GE(answered, 3);
  EXPECT_GE(refused, 1);
}

TEST_F(InferenceEngines, RefuseModelsAndDevicesThatThereAreNot) {
  const auto refusal = [](const std::string& path, const std::string& device, std::uint32_t rows) {
    try {
      const InferenceEngine engine(path, device, rows);
      return std::string("was made");
    } catch (const InferenceError& thrown) {
      return std::string(thrown.what());
    }
  };
  EXPECT_NE(refusal("/nowhere/model.pt", "cpu", 1).find("/nowhere/model.pt"), std::string::npos);
  write(infer::layers_archive());
  EXPECT_NE(refusal(path_, "cuda:63", 1).find("device cuda:63: "), std::string::npos);
  EXPECT_NE(refusal(path_, "tpu", 1).find("no device \"tpu\""), std::string::npos);
  EXPECT_NE(refusal(path_, "cpu", 0).find("max_batch_size"), std::string::npos);
  const auto unsaid = refusal(path_, "cpu", 8);
  EXPECT_NE(unsaid.find("nothing says what it takes (inputs says"), std::string::npos) << unsaid;
  InferenceEngine said(path_, "cpu", 8, options().inputs);
  EXPECT_TRUE(said.predict(request_of(1)));
  ASSERT_NE(refusal("/dev/null", "cpu", 1).find("/dev/null is no file"), std::string::npos)
      << refusal("/dev/null", "cpu", 1);
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);  // would be waited for
  EXPECT_NE(refusal(path_, "cpu", 1).find("is no file"), std::string::npos);
  std::filesystem::remove(path_);
  write("no archive");
  EXPECT_NE(refusal(path_, "cpu", 8).find("TorchScript"), std::string::npos) << refusal(path_, "cpu", 8);
}

}  // namespace
}  // namespace ds
