// Runs a TorchScript model on batches again and again, as one thread, and prints {"value": rows a second}:
//   bench_int8_models ours|loaded|frozen|optimized FOLDER MODEL ROWS SECONDS
// `ours` is a served model with layers of 8 bits, through all that a replica does to a request and its
// answer; it is compared with fp32 before, and what it loses is printed too ("error", "accuracy",
// "accuracy_fp32"). The others are plain loops of libtorch around the module as it is loaded, frozen, or
// prepared by `optimize_for_inference`.
#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "actors/infer/compare_models.hpp"
#include "actors/infer/served_model.hpp"
#include "actors/train/models/torch_process.hpp"

namespace {

using ds::Buffer;
using ds::infer::ServedModel;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatch = 32;   // the largest
constexpr std::int64_t kTokens = 32;  // a row of `tokens.bin`
constexpr std::int64_t kSteps = 32;   // of the LSTM's sequences
constexpr double kMostError = 0.03;   // of outputs that have no labels
constexpr double kMostAccuracyLost = 0.01;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bench_int8_models: {}\n", why);
  std::exit(1);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) give_up("can't read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

ds::serving::TensorSpec input_of(const std::string& model) {
  if (model == "transformer") return {"x", ds::serving::Datatype::int64, {-1, kTokens}};
  if (model == "lstm") return {"x", ds::serving::Datatype::fp32, {-1, kSteps, 256}};
  return {"x", ds::serving::Datatype::fp32, {-1, 1024}};
}

/// All that is to be run, in batches of so many rows.
ds::infer::Evaluation data_of(const std::string& folder, const std::string& model, std::int64_t rows) {
  ds::infer::Evaluation evaluation;
  const auto spec = input_of(model);
  if (model != "transformer") {
    auto shape = spec.shape;
    shape.front() = rows;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      at::manual_seed(seed);
      const at::Tensor x = at::randn(shape);
      const std::string bytes(static_cast<const char*>(x.data_ptr()), static_cast<std::size_t>(x.nbytes()));
      evaluation.batches.push_back(
          {{spec.name, spec.datatype, shape, Buffer::copy_of(std::string_view(bytes))}});
    }
    return evaluation;
  }
  const std::string tokens = read_file(folder + "/tokens.bin");
  const auto row_bytes = static_cast<std::size_t>(kTokens) * sizeof(std::int64_t);
  const auto all = static_cast<std::int64_t>(tokens.size() / row_bytes);
  for (std::int64_t first = 0; first + rows <= all; first += rows) {
    const auto part = std::string_view(tokens).substr(static_cast<std::size_t>(first) * row_bytes,
                                                      static_cast<std::size_t>(rows) * row_bytes);
    evaluation.batches.push_back({{spec.name, spec.datatype, {rows, kTokens}, Buffer::copy_of(part)}});
  }
  std::ifstream labels(folder + "/labels.txt");
  for (std::string label; std::getline(labels, label);) evaluation.labels.push_back(label);
  return evaluation;
}

/// Rows a second of calls that go over the batches in turn.
double rows_a_second(std::size_t batches, std::int64_t rows, double seconds,
                     const std::function<void(std::size_t)>& run) {
  for (std::size_t i = 0; i < 3; ++i) run(i % batches);
  const auto start = Clock::now();
  std::size_t done = 0;
  double took = 0;
  do {
    run(done++ % batches);
    took = std::chrono::duration<double>(Clock::now() - start).count();
  } while (took < seconds);
  return static_cast<double>(done) * static_cast<double>(rows) / took;
}

std::unique_ptr<ServedModel> load(const std::string& archive, const std::string& model, bool int8) {
  ds::infer::ModelOptions options;
  options.name = model;
  options.max_batch_size = static_cast<std::uint32_t>(kBatch);
  options.int8 = int8;
  auto loaded = ServedModel::load({archive, model, {input_of(model)}, {}}, options);
  if (!loaded) give_up(loaded.error().message);
  return *std::move(loaded);
}

std::string run_ours(const std::string& folder, const std::string& name, std::int64_t rows, double seconds) {
  const std::string archive = read_file(folder + "/" + name + ".pt");
  const auto fp32 = load(archive, name, false), int8 = load(archive, name, true);
  const auto report =
      ds::infer::compare_models(*fp32, *int8, data_of(folder, name, kBatch), std::chrono::minutes(5));
  if (!report) give_up(report.error().message);
  const double lost = report->accuracy_before.value_or(0) - report->accuracy_after.value_or(0);
  const bool is_good =
      report->accuracy_before ? lost < kMostAccuracyLost : report->relative_error < kMostError;
  if (!is_good) give_up(fmt::format("{} loses too much: {}", name, ds::infer::to_text(*report)));
  const auto data = data_of(folder, name, rows);
  const double value = rows_a_second(data.batches.size(), rows, seconds, [&](std::size_t i) {
    const ServedModel::Tensors* const request = &data.batches[i];
    if (!int8->run(std::span(&request, 1))) give_up("a batch failed");
  });
  return fmt::format(R"({{"value": {}, "error": {}, "accuracy": {}, "accuracy_fp32": {}}})", value,
                     report->relative_error, report->accuracy_after.value_or(0),
                     report->accuracy_before.value_or(0));
}

std::string run_torch(const std::string& setting, const std::string& folder, const std::string& name,
                      std::int64_t rows, double seconds) {
  torch::jit::Module module = torch::jit::load(folder + "/" + name + ".pt");
  module.eval();
  if (setting == "frozen") module = torch::jit::freeze(module);
  if (setting == "optimized") module = torch::jit::optimize_for_inference(module);
  const auto data = data_of(folder, name, rows);
  std::vector<at::Tensor> inputs;
  for (const auto& batch : data.batches) {
    const auto type = batch[0].datatype == ds::serving::Datatype::fp32 ? at::kFloat : at::kLong;
    inputs.push_back(
        at::from_blob(const_cast<std::byte*>(batch[0].bytes.bytes().data()), batch[0].shape, type));
  }
  const c10::InferenceMode without_gradients;
  const double value =
      rows_a_second(inputs.size(), rows, seconds, [&](std::size_t i) { module.forward({inputs[i]}); });
  return fmt::format(R"({{"value": {}}})", value);
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) give_up("bench_int8_models ours|loaded|frozen|optimized FOLDER MODEL ROWS SECONDS");
  ds::train::prepare_process();
  ds::train::use_threads(1);
  const std::string who = words[1], folder = words[2], model = words[3];
  const auto rows = std::strtoll(words[4], nullptr, 10);
  const double seconds = std::strtod(words[5], nullptr);
  fmt::print("{}\n", who == "ours" ? run_ours(folder, model, rows, seconds)
                                   : run_torch(who, folder, model, rows, seconds));
  return 0;
}
