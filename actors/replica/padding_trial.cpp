#include "actors/replica/padding_trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "actors/serving/answer_difference.hpp"
#include "actors/serving/padding.hpp"

namespace ds::replica {
namespace {

using serving::Padding;
using serving::Tensor;
using Tensors = infer::ServedModel::Tensors;

/// Whole numbers below these, the largest first: a model looks some of them up in a table.
constexpr std::array<std::int64_t, 3> kAboveAll{100, 10, 2};
constexpr std::uint64_t kSeed = 20'240'607;
constexpr std::size_t kMostTried = 3;  // lengths of a bucket

tl::unexpected<Error> refuse(std::string problem, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, "batching.padding: " + std::move(problem), std::move(hint));
}

std::string list_lengths(std::int64_t length, std::int64_t bucket) {
  return fmt::format("at length {} padded to {}", length, bucket);
}

class Trial {
 public:
  Trial(infer::ServedModel& model, Padding padding, double tolerance)
      : model_(model), padding_(std::move(padding)), tolerance_(tolerance) {}

  Result<Padding> run() {
    if (auto chosen = choose_numbers(); !chosen) return tl::unexpected(chosen.error());
    std::int64_t before = 0;
    for (const std::int64_t bucket : padding_.buckets) {
      // Every length that goes there is the bucket's own: nothing is ever padded to it.
      const bool is_never_padded_to = bucket == before + 1;
      const auto tried = is_never_padded_to ? Result<void>() : try_bucket(before + 1, bucket);
      if (!tried) return tl::unexpected(tried.error());
      before = bucket;
    }
    return padding_;
  }

 private:
  struct Try {
    std::int64_t length = 0;
    Tensors inputs, answer;  ///< alone, as it is
  };

  /// Which whole numbers the model takes.
  Result<void> choose_numbers() {
    Error last;
    for (const std::int64_t above : kAboveAll) {
      above_ = above;
      const auto inputs = random_inputs(padding_.buckets.back());
      const auto answer = run_one(inputs);
      if (answer) return {};
      last = answer.error();
    }
    return refuse("the model fails on random inputs, so that padding can't be tried: " + last.message);
  }

  Result<void> try_bucket(std::int64_t shortest, std::int64_t bucket) {
    std::vector<Try> tries;
    Error last;
    for (const std::int64_t length : {shortest, shortest + (bucket - shortest) / 2, bucket - 1}) {
      if (!tries.empty() && tries.back().length == length) continue;
      auto inputs = random_inputs(length);
      auto answer = run_one(inputs);
      if (answer) {
        tries.push_back({length, std::move(inputs), *std::move(answer)});
      } else {
        last = answer.error();
      }
    }
    if (tries.empty()) {
      return refuse(
          fmt::format("the model takes none of the lengths below {} that were tried as they are: {}", bucket,
                      last.message));
    }
    std::vector<Tensors> padded;
    for (const Try& one : tries) pad_inputs(padding_, padded.emplace_back(one.inputs));
    const std::size_t rows =
        std::min<std::size_t>(std::max(model_.metadata().max_batch_size, 1U), kMostTried);
    for (std::size_t first = 0; first < tries.size(); first += rows) {
      std::vector<const Tensors*> batch;
      for (std::size_t i = first; i < std::min(first + rows, tries.size()); ++i) batch.push_back(&padded[i]);
      auto answers = model_.run(batch);
      if (!answers) {
        return refuse(fmt::format("the model fails {}: {}", list_lengths(tries[first].length, bucket),
                                  answers.error().message));
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (auto same = compare(tries[first + i], bucket, (*answers)[i]); !same) return same;
      }
    }
    return {};
  }

  Result<void> compare(const Try& alone, std::int64_t bucket, Tensors& padded) {
    for (std::size_t place = 0; place < alone.answer.size(); ++place) {
      const auto cut = std::ranges::find(padding_.outputs, place, &Padding::Output::place);
      if (cut != padding_.outputs.end()) {
        if (auto found = note_dimensions(*cut, alone, bucket, padded[place]); !found) return found;
      }
    }
    cut_outputs(padding_, alone.length, padded);
    for (std::size_t place = 0; place < alone.answer.size(); ++place) {
      const Tensor& expected = alone.answer[place];
      if (expected.shape != padded[place].shape) {
        return refuse(
            fmt::format("output {} has the shape {}, and {} {}", expected.name,
                        serving::format_shape(expected.shape), serving::format_shape(padded[place].shape),
                        list_lengths(alone.length, bucket)),
            "batching.padding.cut names outputs that are as long as the inputs");
      }
      const double difference = serving::answer_difference(expected, padded[place]);
      if (difference <= tolerance_) continue;
      return refuse(fmt::format("the model's answers change when its inputs are padded: output {} differs by "
                                "{:.2g} {}, and batching.padding.tolerance is {}",
                                expected.name, difference, list_lengths(alone.length, bucket), tolerance_),
                    "only a model that leaves out what stands behind its input's end, say by a mask, can be "
                    "padded: leave batching.padding out");
    }
    return {};
  }

  /// Along which dimensions the output is as long as the input, always the same ones.
  Result<void> note_dimensions(Padding::Output& output, const Try& alone, std::int64_t bucket,
                               const Tensor& padded) const {
    const Tensor& whole = alone.answer[output.place];
    std::vector<std::size_t> found;
    for (std::size_t i = 1; i < std::min(whole.shape.size(), padded.shape.size()); ++i) {
      if (whole.shape[i] == alone.length && padded.shape[i] == bucket) found.push_back(i);
    }
    const bool is_other = !output.dimensions.empty() && found != output.dimensions;
    if (found.empty() || is_other) {
      return refuse(fmt::format("cut: output {} is not as long as the inputs: its shape is {}, and {} {}",
                                whole.name, serving::format_shape(whole.shape),
                                serving::format_shape(padded.shape), list_lengths(alone.length, bucket)));
    }
    output.dimensions = std::move(found);
    return {};
  }

  Result<Tensors> run_one(const Tensors& inputs) {
    const Tensors* alone = &inputs;
    auto answers = model_.run(std::span(&alone, 1));
    if (!answers) return tl::unexpected(answers.error());
    return std::move(answers->front());
  }

  /// One row; no element is the value that the input is padded with, or a mask would see its end too early.
  Tensors random_inputs(std::int64_t length) {
    Tensors tensors;
    const auto& specs = model_.metadata().inputs;
    for (std::size_t place = 0; place < specs.size(); ++place) {
      const auto padded = std::ranges::find(padding_.inputs, place, &Padding::Input::place);
      std::vector<std::int64_t> shape = specs[place].shape;
      shape.front() = 1;
      std::optional<double> left_out;
      if (padded != padding_.inputs.end()) {
        shape[padded->dimension] = length;
        left_out = padded->value;
      }
      tensors.push_back(random_tensor(specs[place], std::move(shape), left_out));
    }
    return tensors;
  }

  Tensor random_tensor(const serving::TensorSpec& spec, std::vector<std::int64_t> shape,
                       std::optional<double> left_out) {
    const auto elements = static_cast<std::size_t>(serving::count_elements(shape).value_or(0));
    const std::size_t size = serving::size_of(spec.datatype);
    std::string bytes(elements * size, '\0');
    for (std::size_t i = 0; i < elements; ++i) {
      double value = random_value(spec.datatype);
      for (int again = 0; again < 100 && value == left_out; ++again) value = random_value(spec.datatype);
      const auto element = serving::element_of(spec.datatype, value);
      if (element) std::memcpy(bytes.data() + i * size, element->data(), size);
    }
    return {spec.name, spec.datatype, std::move(shape), Buffer::copy_of(std::string_view(bytes))};
  }

  double random_value(serving::Datatype type) {
    using enum serving::Datatype;
    if (type == fp16 || type == bf16 || type == fp32 || type == fp64)
      return std::uniform_real_distribution<double>(-1, 1)(random_);
    const std::int64_t above = type == boolean ? 2 : above_;
    return static_cast<double>(std::uniform_int_distribution<std::int64_t>(0, above - 1)(random_));
  }

  infer::ServedModel& model_;
  Padding padding_;
  const double tolerance_;
  std::mt19937_64 random_{kSeed};
  std::int64_t above_ = kAboveAll.front();
};

}  // namespace

Result<void> use_padding(infer::ServedModel& model, const scheduler::PaddingSpec& wanted) {
  const std::vector<std::int64_t> buckets(wanted.buckets.begin(), wanted.buckets.end());
  if (model.takes_texts()) return model.use_text_buckets(buckets, wanted.tolerance);
  const auto& metadata = model.metadata();
  auto planned = serving::plan_padding({buckets, wanted.value, wanted.values, wanted.cut}, metadata.inputs,
                                       metadata.outputs);
  if (!planned) return tl::unexpected(planned.error());
  auto padding = Trial(model, *std::move(planned), wanted.tolerance).run();
  if (!padding) return tl::unexpected(padding.error());
  model.set_padding(*std::move(padding));
  return {};
}

}  // namespace ds::replica
