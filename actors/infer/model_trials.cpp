// What a model is found to take and give before anybody asks it, and whether it may compute otherwise.
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>

#include "actors/infer/bf16_pass.hpp"
#include "actors/infer/tensor_bridge.hpp"
#include "actors/infer/torch_served_model.hpp"
#include "actors/serving/answer_difference.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::infer {
namespace {

using serving::TensorSpec;

constexpr const char* kInputsHint = "model.inputs says what a model takes, in the order of its forward";

/// Sizes that are tried for a dimension which may have any.
constexpr std::array<std::int64_t, 4> kTriedSizes{1, 8, 64, 256};

constexpr std::uint64_t kSeed = 1;
constexpr double kMostRounding = 0.3;  // BF16 alone costs hundredths: beyond it something else is computed

constexpr std::size_t kMostOutputs = 60;  // each travels as a piece of one message, which has 64

/// What rounding has made of an output, relative to it: infinite where that is 0 and was not to be. Numbers
/// that are none in fp32 are left out.
double rounding_error(const at::Tensor& exact, const at::Tensor& rounded) {
  const at::Tensor want = exact.to(at::kDouble), have = rounded.to(at::kDouble);
  const at::Tensor counts = at::isfinite(want), zeros = at::zeros_like(want);
  const auto wrong = at::where(counts, have - want, zeros).square().sum().item<double>();
  const auto all = at::where(counts, want, zeros).square().sum().item<double>();
  if (all > 0) return std::sqrt(wrong / all);
  return wrong == 0 ? 0 : std::numeric_limits<double>::infinity();
}

/// Throws what is wrong with it.
void check_rounded(const Named& exact, const Named& rounded) {
  const at::Tensor &want = exact.tensor, &have = rounded.tensor;
  TORCH_CHECK(have.scalar_type() == want.scalar_type(), "output ", exact.name, " has the type ",
              have.scalar_type(), ", and ", want.scalar_type(), " in fp32");
  TORCH_CHECK(have.sizes() == want.sizes(), "output ", exact.name, " has the shape ", have.sizes(), ", and ",
              want.sizes(), " in fp32");
  if (!want.is_floating_point()) return;
  const double error = rounding_error(want, have);
  TORCH_CHECK(error < kMostRounding, "output ", exact.name, " is ", error * 100, " % off that in fp32");
}

}  // namespace

tl::unexpected<Error> refuse_model(const std::string& origin, const std::string& problem, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("model.source: {}: {}", origin, problem),
              std::move(hint));
}

Result<void> TorchServedModel::check_signature() const {
  if (metadata_.inputs.empty()) return refuse_model(origin_, "nothing says what it takes", kInputsHint);
  const auto& arguments = module_.get_method("forward").function().getSchema().arguments();
  const auto needed = std::ranges::count_if(
      arguments, [](const c10::Argument& argument) { return !argument.default_value().has_value(); });
  const auto inputs = metadata_.inputs.size();
  if (static_cast<std::size_t>(needed) > inputs + 1 || arguments.size() < inputs + 1) {
    return refuse_model(
        origin_,
        fmt::format("its forward takes {} arguments, and {} inputs are given", arguments.size() - 1, inputs),
        kInputsHint);
  }
  for (std::size_t i = 0; i < inputs; ++i) {
    const TensorSpec& input = metadata_.inputs[i];
    if (encoded() == i || scalar_type_of(input.datatype)) continue;
    return refuse_model(origin_, fmt::format("input {} has the datatype {}, which torch has not", input.name,
                                             to_string(input.datatype)));
  }
  return {};
}

at::Tensor TorchServedModel::zeros_for(std::size_t input, std::int64_t rows, std::int64_t size) const {
  if (encoded() == input)
    return at::zeros({rows, static_cast<std::int64_t>(files_.encoder->length())}, at::kLong);
  const TensorSpec& spec = metadata_.inputs[input];
  std::vector<std::int64_t> shape = spec.shape;
  shape.front() = rows;
  for (std::int64_t& length : shape) {
    if (length < 0) length = size;
  }
  return at::zeros(shape, *scalar_type_of(spec.datatype));
}

std::vector<c10::IValue> TorchServedModel::zeros(std::int64_t rows, std::int64_t size) const {
  std::vector<c10::IValue> inputs;
  for (std::size_t i = 0; i < metadata_.inputs.size(); ++i) inputs.emplace_back(zeros_for(i, rows, size));
  return inputs;
}

Result<void> TorchServedModel::try_out() {
  if (auto fits = check_signature(); !fits) return fits;
  Result<void> tried;
  for (const std::int64_t size : kTriedSizes) {
    tried = train::guarded(fmt::format("model.source: {}: tried with zeros", origin_),
                           ErrorCode::invalid_argument, [&]() -> Result<void> {
                             std::array<std::vector<Named>, 2> outputs;
                             for (const std::int64_t rows : {1, 2})
                               outputs[static_cast<std::size_t>(rows - 1)] = forward(zeros(rows, size));
                             return note_outputs(outputs[0], outputs[1]);
                           });
    tried_size_ = size;
    if (tried) vary_outputs();
    if (tried || !device_.is_usable()) return tried;
  }
  return tried;
}

/// Sizes of outputs that follow those of inputs, and those that nobody can know, may be any.
void TorchServedModel::vary_outputs() {
  for (TensorSpec& output : metadata_.outputs) std::ranges::replace(output.shape, 0, -1);
  const bool may_vary = std::ranges::any_of(
      metadata_.inputs, [](const TensorSpec& input) { return std::ranges::count(input.shape, -1) > 1; });
  // A place that a table of the model's has not would lose the GPU.
  if (!may_vary || device_.is_gpu()) return;
  for (const std::int64_t size : kTriedSizes) {
    if (size == tried_size_) continue;
    const auto other =
        train::guarded("tried with another size", ErrorCode::invalid_argument,
                       [&]() -> Result<std::vector<Named>> { return forward(zeros(1, size)); });
    if (!other) continue;
    for (std::size_t i = 0; i < other->size() && i < metadata_.outputs.size(); ++i) {
      auto& shape = metadata_.outputs[i].shape;
      const auto& tensor = (*other)[i].tensor;
      if (static_cast<std::size_t>(tensor.dim()) != shape.size()) continue;
      for (std::size_t k = 1; k < shape.size(); ++k) {
        if (tensor.size(static_cast<std::int64_t>(k)) != shape[k]) shape[k] = -1;
      }
    }
    return;
  }
}

/// Zeros for whole numbers, which may be places in a table. On a GPU a place that the table has not would
/// lose it, and a model may make whole numbers of these: there they are below a half, and round to 0.
std::vector<c10::IValue> TorchServedModel::random_floats(std::int64_t rows, std::int64_t size) const {
  auto inputs = zeros(rows, size);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(kSeed);
  for (c10::IValue& input : inputs) {
    const at::Tensor tensor = input.toTensor();
    if (!tensor.is_floating_point()) continue;
    const at::Tensor random = device_.is_gpu() ? at::rand(tensor.sizes(), generator, at::kFloat) * 0.49
                                               : at::randn(tensor.sizes(), generator, at::kFloat);
    input = random.to(tensor.scalar_type());
  }
  return inputs;
}

Result<void> TorchServedModel::use_bf16() {
  auto tried = train::guarded(
      fmt::format("model.source: {}: precision: bf16: its trial run failed", origin_),
      ErrorCode::invalid_argument, [&]() -> Result<void> {
        const c10::InferenceMode without_gradients;
        bool is_random = true;  // unless the model takes only some numbers
        auto exact = train::guarded(
            fmt::format("model.source: {}: tried with random numbers", origin_), ErrorCode::invalid_argument,
            [&]() -> Result<std::vector<Named>> { return forward(random_floats(2, tried_size_)); });
        if (!exact && !device_.is_usable()) return tl::unexpected(exact.error());
        if (!exact) exact = forward(zeros(2, tried_size_)), is_random = false;
        auto made = to_bf16(module_, device_.is_gpu());
        if (!made) return fail(made.error().code, origin_ + ": " + made.error().message);
        module_ = *std::move(made);
        for (const Named& output : *exact) given_types_.push_back(output.tensor.scalar_type());
        const auto rounded = forward(is_random ? random_floats(2, tried_size_) : zeros(2, tried_size_));
        TORCH_CHECK(rounded.size() == exact->size(), "it gives ", rounded.size(), " outputs, and ",
                    exact->size(), " in fp32");
        for (std::size_t i = 0; i < rounded.size(); ++i) check_rounded((*exact)[i], rounded[i]);
        return {};
      });
  if (tried || !device_.is_usable()) return tried;
  return fail(tried.error().code, tried.error().message,
              "leave precision out to serve it in fp32: torch has no BF16 for all that it does");
}

/// What two runs agree on is fixed.
Result<void> TorchServedModel::note_outputs(const std::vector<Named>& one, const std::vector<Named>& two) {
  std::vector<TensorSpec> found;
  if (one.size() != two.size() || one.empty())
    return refuse_model(origin_, "it gives no outputs, or not always");
  for (std::size_t i = 0; i < one.size(); ++i) {
    const auto type = datatype_of(one[i].tensor.scalar_type());
    if (!type)
      return refuse_model(origin_, fmt::format("output {} has a type that nothing can be sent as", i));
    if (one[i].tensor.dim() == 0 || one[i].tensor.size(0) != 1 || two[i].tensor.size(0) != 2) {
      return refuse_model(origin_,
                          fmt::format("output {} has the shape {} for one row and {} for two", one[i].name,
                                      one[i].tensor.sizes().vec(), two[i].tensor.sizes().vec()),
                          "the first dimension of every input and output is the batch");
    }
    TensorSpec output{one[i].name, *type, one[i].tensor.sizes().vec()};
    output.shape.front() = -1;
    found.push_back(std::move(output));
  }
  if (!metadata_.outputs.empty() && metadata_.outputs.size() != found.size()) {
    return refuse_model(origin_, fmt::format("it gives {} outputs, and model.outputs names {}", found.size(),
                                             metadata_.outputs.size()));
  }
  for (std::size_t i = 0; i < metadata_.outputs.size(); ++i) found[i].name = metadata_.outputs[i].name;
  if (has_labels(one)) {
    found.push_back({"label", serving::Datatype::bytes, {-1}});
    metadata_.classes = std::make_shared<const std::vector<std::string>>(files_.labels);
  }
  if (found.size() > kMostOutputs) {
    return refuse_model(
        origin_, fmt::format("it gives {} outputs, and {} are the most that an answer may have", found.size(),
                             kMostOutputs));
  }
  metadata_.outputs = std::move(found);
  return {};
}

Result<void> TorchServedModel::use_text_buckets(std::span<const std::int64_t> buckets, double tolerance,
                                                std::chrono::milliseconds longest) {
  const auto start = std::chrono::steady_clock::now();
  const auto length = static_cast<std::int64_t>(files_.encoder->length());
  std::vector<std::int64_t> shorter;
  std::ranges::copy_if(buckets, std::back_inserter(shorter), [&](auto bucket) { return bucket < length; });
  if (shorter.empty()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("batching.padding.buckets: none is below the {} tokens of a text in training", length));
  }
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    const std::int64_t bucket = shorter[i];
    if (std::chrono::steady_clock::now() - start >= longest) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("batching.padding: trying the buckets took longer than {} s: {} of {} were tried",
                      std::chrono::duration<double>(longest).count(), i, shorter.size()),
          "give fewer buckets, or shorter ones");
    }
    const auto tried = train::guarded(
        fmt::format("batching.padding: the model fails on texts of {} tokens, where in training they had {}",
                    bucket, length),
        ErrorCode::invalid_argument, [&] { return try_text_bucket(bucket, tolerance); });
    if (!tried && !device_.is_usable()) {
      has_lost_device_ = true;
      return fail(ErrorCode::unavailable, tried.error().message);
    }
    if (!tried) return tried;
  }
  text_buckets_ = std::move(shorter);
  text_buckets_.push_back(length);
  set_padding({{text_buckets_}, {}, {}});
  return {};
}

/// A text of so many random tokens and one of half of them, padded to the bucket and as in training.
Result<void> TorchServedModel::try_text_bucket(std::int64_t bucket, double tolerance) {
  const auto length = static_cast<std::int64_t>(files_.encoder->length());
  at::Tensor tokens = at::zeros({2, length}, at::kLong);
  std::mt19937_64 random(static_cast<std::uint64_t>(bucket));
  std::uniform_int_distribution<std::int64_t> token(1,
                                                    std::max<std::int64_t>(1, files_.encoder->tokens() - 1));
  auto* out = tokens.data_ptr<std::int64_t>();
  std::generate_n(out, bucket, [&] { return token(random); });
  std::generate_n(out + length, (bucket + 1) / 2, [&] { return token(random); });
  const auto outputs_of = [&](const at::Tensor& texts) {
    std::vector<c10::IValue> inputs;
    for (std::size_t i = 0; i < metadata_.inputs.size(); ++i)
      inputs.emplace_back(encoded() == i ? texts : zeros_for(i, 2, 1));
    return forward(std::move(inputs));
  };
  const auto expected = outputs_of(tokens), got = outputs_of(tokens.narrow(1, 0, bucket).contiguous());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = serving::answer_difference(slice(expected[i].tensor, expected[i].name, 0, 2),
                                                         slice(got.at(i).tensor, expected[i].name, 0, 2));
    if (difference <= tolerance) continue;
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("batching.padding: the model's answers depend on what texts are padded to: output {} "
                    "differs by {:.2g} where {} tokens stand for {}, and batching.padding.tolerance is {}",
                    metadata_.outputs[i].name, difference, bucket, length, tolerance),
        "leave batching.padding out");
  }
  return {};
}

}  // namespace ds::infer
