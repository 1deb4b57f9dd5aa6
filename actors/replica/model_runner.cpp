#include "actors/replica/model_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "actors/replica/padding_trial.hpp"
#include "actors/train/models/torch_process.hpp"
#include "storage/codec/sha256.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::replica {
namespace {

constexpr std::size_t kLargestFile = std::size_t{8} << 30U;
constexpr int kWarmUpRuns = 3;
constexpr double kNoFaster = 0.8, kNoSlower = 1.25;              // than the run before
constexpr std::int64_t kTellsAlone_us = 10'000;                  // chance adds little to it
constexpr std::size_t kMostAnswerBytes = std::size_t{64} << 20;  // as of a request's body

using Clock = std::chrono::steady_clock;

std::int64_t micros_since(Clock::time_point start) {
  return std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

Result<std::string> read_source(const std::string& path) {
  auto text = read_archive(path);
  if (text) return text;
  return fail(text.error().code, "model.source: " + text.error().message,
              "a model's file has to be at the same place on every node");
}

Result<void> check_file(const std::string& archive, const std::string& path, FileIdentity& file) {
  file.found = storage::to_hex(storage::sha256(archive));
  if (file.wanted.empty() || file.found == file.wanted) return {};
  return fail(
      ErrorCode::conflict,
      fmt::format("model.source: {} has changed since the job was submitted (SHA-256 {:.12}, not {:.12})",
                  path, file.found, file.wanted),
      "submit the job file again: then this is another version; files of the registry never change "
      "(ds-submit register)");
}

Result<std::string> archive_of(const GivenModel& given) {
  if (!given.state) return std::string(given.archive.text());
  return train::export_model(*given.state, train::ExportFormat::torchscript).map([](const Buffer& archive) {
    return std::string(archive.text());
  });
}

std::vector<serving::TensorSpec> to_specs(const std::vector<scheduler::ServedTensor>& tensors) {
  std::vector<serving::TensorSpec> specs;
  for (const scheduler::ServedTensor& tensor : tensors) {
    specs.push_back({tensor.name, serving::datatype_from(tensor.datatype).value_or(serving::Datatype::fp32),
                     tensor.shape});
  }
  return specs;
}

serving::PaddingWish to_wish(const scheduler::PaddingSpec& spec) {
  serving::PaddingWish wish{{}, spec.value, spec.values, spec.cut, spec.tolerance};
  for (const auto& one : spec.buckets) wish.buckets.emplace_back(one.begin(), one.end());
  return wish;
}

/// Rows of zeros, or of empty texts.
infer::ServedModel::Tensors make_zeros(const serving::ModelMetadata& model, std::int64_t rows) {
  infer::ServedModel::Tensors tensors;
  for (const serving::TensorSpec& spec : model.inputs) {
    std::vector<std::int64_t> shape = spec.shape;
    shape.front() = rows;
    std::ranges::replace(shape, -1, 1);
    const std::size_t size =
        std::max<std::size_t>(serving::size_of(spec.datatype), 4);  // of a text: its length
    const std::string zeros(serving::count_elements(shape).value_or(0) * size, '\0');
    tensors.push_back({spec.name, spec.datatype, shape, Buffer::copy_of(zeros)});
  }
  return tensors;
}

Result<infer::ServedModel::Tensors> bounded(infer::ServedModel::Tensors answer) {
  std::size_t bytes = 0;
  for (const serving::Tensor& tensor : answer) bytes += tensor.bytes.size();
  if (bytes <= kMostAnswerBytes) return answer;
  return fail(ErrorCode::internal,
              fmt::format("the model's answer has {} bytes, and {} is the most that is sent", bytes,
                          kMostAnswerBytes),
              "ask for fewer rows at a time");
}

Result<std::unique_ptr<infer::ServedModel>> load(const scheduler::JobSpec& spec, const GivenModel* given,
                                                 const std::string& origin,
                                                 const QuantizationContext& context, FileIdentity* file) {
  const scheduler::ServeSpec& serve = *spec.serve;
  auto archive = given == nullptr ? read_source(serve.source.path) : archive_of(*given);
  if (!archive) return tl::unexpected(archive.error());
  if (given == nullptr && file != nullptr) {
    if (const auto right = check_file(*archive, serve.source.path, *file); !right)
      return tl::unexpected(right.error());
  }
  infer::ModelSource source{*std::move(archive), origin, to_specs(serve.inputs), to_specs(serve.outputs)};
  infer::ModelOptions options;
  options.name = spec.name;
  options.threads = spec.resources.threads();
  options.max_batch_size = serve.batching.max_size;
  options.bf16 = spec.precision == "bf16";
  if (spec.resources.gpus > 0) options.device = "cuda:0";  // of those that its node shows it
  const train::StateImage* state = given != nullptr && given->state ? &*given->state : nullptr;
  auto model = serve.quantize ? load_quantized(std::move(source), options, *serve.quantize, state, context)
                              : infer::ServedModel::load(std::move(source), options);
  if (!model || !serve.batching.padding) return model;
  if (const auto tried = use_padding(**model, to_wish(*serve.batching.padding)); !tried)
    return tl::unexpected(tried.error());
  return model;
}

}  // namespace

Result<std::string> read_archive(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  using enum std::filesystem::file_type;
  // A pipe would be waited for, and a device might never end.
  if (kind == fifo || kind == character || kind == block || kind == socket)
    return fail(ErrorCode::invalid_argument, path + " is no file");
  auto text = storage::read_file(path, kLargestFile);
  if (text) return text;
  return fail(ErrorCode::not_found, fmt::format("{}: {}", path, text.error().message));
}

Result<std::unique_ptr<infer::ServedModel>> load_model(const scheduler::JobSpec& spec,
                                                       const GivenModel* given,
                                                       const QuantizationContext& context,
                                                       FileIdentity* file) {
  const std::string& origin =
      given == nullptr || given->origin.empty() ? spec.serve->source.text : given->origin;
  return train::guarded(fmt::format("model.source: {}", origin), ErrorCode::internal,
                        [&] { return load(spec, given, origin, context, file); });
}

std::vector<Observation> warm_up(infer::ServedModel& model) {
  std::vector<Observation> seen;
  for (const std::uint32_t rows : {1U, model.metadata().max_batch_size}) {
    const auto zeros = train::guarded(
        "zeros to warm up", ErrorCode::internal, [&]() -> Result<std::vector<infer::ServedModel::Tensors>> {
          return std::vector<infer::ServedModel::Tensors>{make_zeros(model.metadata(), rows)};
        });
    if (!zeros) break;
    std::int64_t last_us = 0, least_us = 0;
    for (int run = 0; run < kWarmUpRuns; ++run) {
      const BatchOutcome outcome = run_batch(model, *zeros);
      if (!outcome.answers.front()) break;
      // The first run of so many rows is slow; of one row it is not: the model was loaded with it.
      const bool tells_alone = rows == 1 && outcome.took_us >= kTellsAlone_us;
      if (run > 0 || tells_alone)
        least_us = least_us == 0 ? outcome.took_us : std::min(least_us, outcome.took_us);
      if (tells_alone) break;
      const double ratio = run == 0 ? 0 : static_cast<double>(outcome.took_us) / static_cast<double>(last_us);
      if (ratio > kNoFaster && ratio < kNoSlower) break;
      last_us = std::max<std::int64_t>(outcome.took_us, 1);
    }
    if (least_us > 0) seen.push_back({rows, least_us});
  }
  return seen;
}

namespace {

using Requests = std::vector<infer::ServedModel::Tensors>;

/// Pads copies, runs them, and takes the padding away again.
Result<std::vector<infer::ServedModel::Tensors>> run_padded(
    infer::ServedModel& model, std::span<const infer::ServedModel::Tensors* const> requests,
    serving::PaddedElements& elements) {
  if (!model.padding() || model.padding()->inputs.empty()) {
    auto answers = model.run(requests);
    elements += model.text_elements();
    return answers;
  }
  const serving::Padding& padding = *model.padding();
  return train::guarded("padding", ErrorCode::internal, [&]() -> Result<Requests> {
    Requests padded;
    std::vector<const infer::ServedModel::Tensors*> all;
    for (const auto* request : requests) elements += pad_inputs(padding, padded.emplace_back(*request));
    for (const auto& request : padded) all.push_back(&request);
    auto answers = model.run(all);
    if (!answers) return answers;
    for (std::size_t i = 0; i < answers->size(); ++i)
      cut_outputs(padding, lengths_of(padding, *requests[i]), (*answers)[i]);
    return answers;
  });
}

using Sources = std::span<const infer::ServedModel::Tensors* const>;

void run_parts(infer::ServedModel& model, Sources requests, BatchOutcome& outcome);

/// What has failed together: in halves where memory was short, else each alone, for one of them is at fault.
void run_apart(infer::ServedModel& model, Sources requests, const Error& why, BatchOutcome& outcome) {
  if (requests.size() == 1 || model.has_lost_device()) {
    outcome.answers.insert(outcome.answers.end(), requests.size(), tl::unexpected(why));
    return;
  }
  outcome.was_split = true;
  const std::size_t part = why.code == ErrorCode::resource_exhausted ? (requests.size() + 1) / 2 : 1;
  for (std::size_t at = 0; at < requests.size(); at += part)
    run_parts(model, requests.subspan(at, std::min(part, requests.size() - at)), outcome);
}

void run_parts(infer::ServedModel& model, Sources requests, BatchOutcome& outcome) {
  serving::PaddedElements elements;
  auto answers = run_padded(model, requests, elements);
  if (!answers) return run_apart(model, requests, answers.error(), outcome);
  outcome.elements += elements;
  for (auto& answer : *answers) outcome.answers.push_back(bounded(std::move(answer)));
}

}  // namespace

BatchOutcome run_batch(infer::ServedModel& model, const Requests& requests) {
  BatchOutcome outcome;
  std::vector<const infer::ServedModel::Tensors*> all;
  all.reserve(requests.size());
  outcome.answers.reserve(requests.size());
  for (const auto& request : requests) all.push_back(&request);
  const auto start = Clock::now();
  run_parts(model, all, outcome);
  outcome.took_us = micros_since(start);
  return outcome;
}

}  // namespace ds::replica
