// Models on a GPU give the answers that they give on the CPU. Skipped where there is none.
#include "tests/unit/infer/script_models.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "actors/engine/inference_engine.hpp"
#include "actors/replica/model_runner.hpp"

namespace ds::infer {
namespace {

class GpuModels : public testing::Test {
 protected:
  void SetUp() override {
    const bool has_gpu = c10::impl::hasDeviceGuardImpl(at::kCUDA) &&
                         c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount() > 0;
    if (!has_gpu) GTEST_SKIP() << "no GPU, or a libtorch without CUDA";
  }
};

using serving::Datatype;

std::unique_ptr<ServedModel> load(const std::string& archive, const std::string& device, bool bf16 = false,
                                  const serving::TensorSpec& input = {"x", Datatype::fp32, {-1, 32}}) {
  ModelOptions options;
  options.name = "made";
  options.max_batch_size = 64;
  options.bf16 = bf16;
  options.device = device;
  auto model = ServedModel::load({archive, "made", {input}, {}}, options);
  if (!model) ADD_FAILURE() << model.error().message;
  return model ? *std::move(model) : nullptr;
}

ServedModel::Tensors request_of(const at::Tensor& x) {
  ServedModel::Tensors request{floats("x", x)};
  if (x.scalar_type() == at::kLong) request.front().datatype = Datatype::int64;
  return request;
}

double relative_error(const std::vector<float>& want, const std::vector<float>& have) {
  if (want.size() != have.size() || want.empty()) return INFINITY;
  double wrong = 0, all = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    wrong += (double{want[i]} - have[i]) * (double{want[i]} - have[i]);
    all += double{want[i]} * want[i];
  }
  return std::sqrt(wrong / all);
}

/// Of the first answer, several requests in one batch.
double difference(const std::string& archive, bool bf16, const at::Tensor& x,
                  const serving::TensorSpec& input) {
  const auto cpu = load(archive, "cpu", false, input), gpu = load(archive, "cuda:0", bf16, input);
  if (!cpu || !gpu) return INFINITY;
  const std::vector<ServedModel::Tensors> requests{request_of(x.narrow(0, 0, 3)),
                                                   request_of(x.narrow(0, 3, 1)),
                                                   request_of(x.narrow(0, 4, x.size(0) - 4))};
  const auto want = replica::run_batch(*cpu, requests), have = replica::run_batch(*gpu, requests);
  EXPECT_FALSE(have.was_split);
  EXPECT_GT(have.took_us, 0);
  double most = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!want.answers[i] || !have.answers[i]) {
      ADD_FAILURE() << (have.answers[i] ? want : have).answers[i].error().message;
      return INFINITY;
    }
    most =
        std::max(most, relative_error(numbers(want.answers[i]->front()), numbers(have.answers[i]->front())));
  }
  return most;
}

TEST_F(GpuModels, AnswerAsOnTheCpu) {
  const auto x = random_tensor({16, 32}, 9);
  const serving::TensorSpec input{"x", Datatype::fp32, {-1, 32}};
  EXPECT_LT(difference(layers_archive(), false, x, input), 1e-5);
  EXPECT_LT(difference(layers_archive(), true, x, input), 0.02);
  EXPECT_GT(difference(layers_archive(), true, x, input), 1e-5) << "that is not BF16";
}

TEST_F(GpuModels, MayMakeTensorsWithoutSayingWhere) {
  const auto x = random_tensor({16, 32}, 9);
  const auto archive = archive_of(
      "return x * torch.arange(x.size(1), dtype=6) + torch.ones([1], "
      "device=torch.device(\"cpu\"))");
  EXPECT_LT(difference(archive, false, x, {"x", Datatype::fp32, {-1, 32}}), 1e-6);
}

TEST_F(GpuModels, RunPackedLstms) {
  std::vector<std::pair<std::string, at::Tensor>> tensors{{"table", random_tensor({50, 16}, 1)}};
  std::string list;
  for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
           {"wi", {64, 16}}, {"wh", {64, 16}}, {"bi", {64}}, {"bh", {64}}}) {
    tensors.emplace_back(name, random_tensor(shape, 2 + tensors.size(), 0.3));
    list += (list.empty() ? "self." : ", self.") + name;
  }
  const auto archive = archive_of(
      "places = torch.arange(1, 9)\n"
      "    lengths = torch.max(torch.ne(x, 0) * places, 1)[0].clamp_min(1)\n"
      "    lengths, order = torch.sort(lengths, stable=True, dim=0, descending=True)\n"
      "    packed, sizes = torch._pack_padded_sequence(torch.embedding(self.table, x).index_select(0, "
      "order), lengths, "
      "True)\n"
      "    zero = torch.zeros([1, x.size(0), 16], dtype=packed.dtype)\n"
      "    packed, hidden, cell = torch.lstm(packed, sizes, [zero, zero], [" +
          list +
          "], True, 1, 0.0, False, False)\n"
          "    return hidden[-1].index_select(0, torch.argsort(order))",
      tensors);
  at::manual_seed(5);
  const at::Tensor words = at::randint(0, 50, {16, 8}, at::kLong);
  const serving::TensorSpec input{"x", Datatype::int64, {-1, 8}};
  EXPECT_LT(difference(archive, false, words, input), 1e-4);
  EXPECT_LT(difference(archive, true, words, input), 0.05);
}

/// Ends its process: what it does to the GPU's context is for ever.
[[noreturn]] void lose_the_gpu() {
  const auto model =
      load(archive_of("return torch.embedding(self.table, x.to(4))", {{"table", at::ones({8, 4})}}), "cuda:0",
           false, {"x", Datatype::fp32, {-1, 2}});
  const auto good = request_of(at::ones({1, 2})), bad = request_of(at::full({1, 2}, 1e6));
  const bool was_well = replica::run_batch(*model, {good}).answers.at(0) && !model->has_lost_device();
  const auto outcome = replica::run_batch(*model, {good, bad});
  const bool is_told = model->has_lost_device() && !outcome.answers.at(0) && !outcome.answers.at(1) &&
                       outcome.answers[0].error().code == ErrorCode::unavailable;
  std::_Exit(was_well && is_told ? 7 : 1);
}

TEST_F(GpuModels, TellWhenTheGpuIsLost) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(lose_the_gpu(), testing::ExitedWithCode(7), "");
}

TEST_F(GpuModels, AreWhatAnEngineRuns) {
  const auto path = std::filesystem::temp_directory_path() / ("ds-gpu-" + std::to_string(getpid()) + ".pt");
  std::ofstream(path, std::ios::binary) << layers_archive();
  const auto engine_on = [&](const std::string& device) {
    InferenceEngine::Options options;
    options.model_path = path;
    options.device = device;
    options.inputs = {{"x", Datatype::fp32, {-1, 32}}};
    auto engine = InferenceEngine::open(std::move(options));
    if (!engine) throw InferenceError(engine.error());
    return *std::move(engine);
  };
  auto cpu = engine_on("cpu"), gpu = engine_on("cuda:0");
  std::vector<std::thread> threads;
  std::vector<double> errors(8, INFINITY);
  for (std::size_t t = 0; t < errors.size(); ++t) {
    threads.emplace_back([&, t] {
      errors[t] = 0;
      for (std::uint64_t i = 0; i < 50; ++i) {
        std::vector<float> row(32);
        for (std::size_t k = 0; k < row.size(); ++k)
          row[k] = static_cast<float>((t * 37 + i * 11 + k * 5) % 64) / 32 - 1;
        const auto want = cpu.predict({make_tensor("x", {1, 32}, row)});
        const auto have = gpu.predict({make_tensor("x", {1, 32}, row)});
        if (!want || !have)
          errors[t] = INFINITY;
        else
          errors[t] = std::max(errors[t], relative_error(floats_of(want->front()), floats_of(have->front())));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const double error : errors) EXPECT_LT(error, 1e-5);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace ds::infer
