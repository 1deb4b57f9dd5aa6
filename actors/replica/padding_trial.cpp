#include "actors/replica/padding_trial.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

using Clock = std::chrono::steady_clock;
using serving::Padding;
using serving::Tensor;
using Tensors = infer::ServedModel::Tensors;

/// Whole numbers below these, the largest first: a model looks some of them up in a table. On a GPU, which
/// one too large would lose, the smallest first.
constexpr std::array<std::int64_t, 3> kAboveAll{100, 10, 2};
constexpr std::uint64_t kSeed = 20'240'607;
constexpr std::size_t kMostTogether = 3;  // requests of a batch

tl::unexpected<Error> refuse(std::string problem, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, "batching.padding: " + std::move(problem), std::move(hint));
}

using Lengths = std::vector<std::int64_t>;

std::string list_lengths(const Lengths& lengths, const Lengths& bucket) {
  if (lengths.size() == 1) return fmt::format("at length {} padded to {}", lengths.front(), bucket.front());
  return fmt::format("at lengths {} padded to {}", fmt::join(lengths, " x "), fmt::join(bucket, " x "));
}

/// Lengths that go to the bucket, the shortest that do being `shortest`: these, those in the middle, and for
/// each length one below it, where the others are the bucket's own: so is seen which of them an output
/// carries.
std::vector<Lengths> lengths_below(const Lengths& shortest, const Lengths& bucket) {
  std::vector<Lengths> all{shortest, shortest};
  for (std::size_t k = 0; k < bucket.size(); ++k) {
    all[1][k] += (bucket[k] - shortest[k]) / 2;
    if (bucket[k] == shortest[k]) continue;  // it is never padded to
    all.push_back(bucket);
    --all.back()[k];
  }
  std::vector<Lengths> unlike;
  for (Lengths& one : all) {
    if (one != bucket && std::ranges::find(unlike, one) == unlike.end()) unlike.push_back(std::move(one));
  }
  return unlike;
}

/// What trials have shown of an output that is to be cut.
struct Carried {
  std::vector<bool> is_padded;               ///< by dimension: it has been longer than without padding
  std::vector<std::vector<bool>> may_carry;  ///< by dimension: this length, as far as is known
};

class Trial {
 public:
  Trial(infer::ServedModel& model, Padding padding, double tolerance, std::chrono::milliseconds longest)
      : model_(model),
        padding_(std::move(padding)),
        tolerance_(tolerance),
        longest_(longest),
        carried_(padding_.outputs.size()) {}

  Result<Padding> run() {
    if (auto chosen = choose_numbers(); !chosen) return tl::unexpected(chosen.error());
    Lengths shortest(padding_.buckets.size()), bucket(padding_.buckets.size());
    if (auto tried = try_buckets(0, shortest, bucket); !tried) return tl::unexpected(tried.error());
    if (auto found = note_dimensions(); !found) return tl::unexpected(found.error());
    return padding_;
  }

 private:
  struct Try {
    Lengths lengths;
    Tensors inputs, answer;  ///< alone, as it is
  };

  /// Every bucket of the lengths from `next` on with those that are chosen before it.
  Result<void> try_buckets(std::size_t next, Lengths& shortest, Lengths& bucket) {
    if (next == bucket.size()) {
      auto tried = try_bucket(shortest, bucket);
      ++tried_;
      return tried;
    }
    std::int64_t before = 0;
    for (const std::int64_t one : padding_.buckets[next]) {
      shortest[next] = before + 1;
      bucket[next] = before = one;
      if (auto tried = try_buckets(next + 1, shortest, bucket); !tried) return tried;
    }
    return {};
  }

  Result<void> check_time() const {
    if (Clock::now() - start_ < longest_) return {};
    std::size_t shapes = 1;
    for (const serving::Buckets& one : padding_.buckets) shapes *= one.size();
    return refuse(fmt::format("trying the buckets took longer than {} s: {} of {} shapes were tried",
                              std::chrono::duration<double>(longest_).count(), tried_, shapes),
                  "give fewer buckets, or shorter ones");
  }

  /// Which whole numbers the model takes.
  Result<void> choose_numbers() {
    Error last;
    auto all = kAboveAll;
    if (model_.is_on_gpu()) std::ranges::reverse(all);
    for (const std::int64_t above : all) {
      if (auto early = check_time(); !early) return early;
      above_ = above;
      Lengths longest;
      for (const serving::Buckets& one : padding_.buckets) longest.push_back(one.back());
      const auto inputs = random_inputs(longest);
      const auto answer = run_one(inputs);
      if (answer) return {};
      last = answer.error();
      if (model_.has_lost_device()) break;
    }
    return refuse("the model fails on random inputs, so that padding can't be tried: " + last.message);
  }

  Result<void> try_bucket(const Lengths& shortest, const Lengths& bucket) {
    const auto below = lengths_below(shortest, bucket);
    std::vector<Try> tries;
    Error last;
    for (const Lengths& lengths : below) {
      if (auto early = check_time(); !early) return early;
      auto inputs = random_inputs(lengths);
      auto answer = run_one(inputs);
      if (answer) {
        tries.push_back({lengths, std::move(inputs), *std::move(answer)});
      } else {
        last = answer.error();
        if (model_.has_lost_device()) return tl::unexpected(last);
      }
    }
    if (tries.empty() && !below.empty()) {
      return refuse(
          fmt::format("the model takes none of the lengths below {} that were tried as they are: {}",
                      fmt::join(bucket, " x "), last.message));
    }
    std::vector<Tensors> padded;
    for (const Try& one : tries) pad_inputs(padding_, padded.emplace_back(one.inputs));
    const std::size_t rows =
        std::min<std::size_t>(std::max(model_.metadata().max_batch_size, 1U), kMostTogether);
    for (std::size_t first = 0; first < tries.size(); first += rows) {
      std::vector<const Tensors*> batch;
      for (std::size_t i = first; i < std::min(first + rows, tries.size()); ++i) batch.push_back(&padded[i]);
      if (auto early = check_time(); !early) return early;
      auto answers = model_.run(batch);
      if (!answers) {
        return refuse(fmt::format("the model fails {}: {}", list_lengths(tries[first].lengths, bucket),
                                  answers.error().message));
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (auto same = compare(tries[first + i], bucket, (*answers)[i]); !same) return same;
      }
    }
    return {};
  }

  Result<void> compare(const Try& alone, const Lengths& bucket, Tensors& padded) {
    for (std::size_t i = 0; i < padding_.outputs.size(); ++i) {
      const std::size_t place = padding_.outputs[i].place;
      if (auto noted = note(carried_[i], alone, bucket, place, padded[place]); !noted) return noted;
      padded[place] = cut_to(padded[place], alone.answer[place].shape);
    }
    for (std::size_t place = 0; place < alone.answer.size(); ++place) {
      const Tensor& expected = alone.answer[place];
      if (expected.shape != padded[place].shape) {
        return refuse(
            fmt::format("output {} has the shape {}, and {} {}", expected.name,
                        serving::format_shape(expected.shape), serving::format_shape(padded[place].shape),
                        list_lengths(alone.lengths, bucket)),
            "batching.padding.cut names outputs that are as long as the inputs");
      }
      const double difference = serving::answer_difference(expected, padded[place]);
      if (difference <= tolerance_) continue;
      return refuse(fmt::format("the model's answers change when its inputs are padded: output {} differs by "
                                "{:.2g} {}, and batching.padding.tolerance is {}",
                                expected.name, difference, list_lengths(alone.lengths, bucket), tolerance_),
                    "only a model that leaves out what stands behind its input's end, say by a mask, can be "
                    "padded: leave batching.padding out");
    }
    return {};
  }

  tl::unexpected<Error> refuse_cut(std::size_t place, const std::string& what) const {
    return refuse(fmt::format("cut: output {} is not as long as the inputs: {}",
                              model_.metadata().outputs[place].name, what));
  }

  /// Which lengths each of the output's dimensions may be.
  Result<void> note(Carried& carried, const Try& alone, const Lengths& bucket, std::size_t place,
                    const Tensor& padded) const {
    const auto &whole = alone.answer[place].shape, &longer = padded.shape;
    if (carried.is_padded.empty()) {
      carried.is_padded.resize(whole.size());
      carried.may_carry.assign(whole.size(), std::vector<bool>(bucket.size(), true));
    }
    if (whole.size() != carried.is_padded.size() || longer.size() != whole.size()) {
      return refuse_cut(place,
                        fmt::format("its shape is {}, and {} {}", serving::format_shape(whole),
                                    serving::format_shape(longer), list_lengths(alone.lengths, bucket)));
    }
    for (std::size_t i = 1; i < whole.size(); ++i) {
      if (whole[i] != longer[i]) carried.is_padded[i] = true;
      bool is_any = false;
      for (std::size_t k = 0; k < bucket.size(); ++k) {
        const bool carries = whole[i] == alone.lengths[k] && longer[i] == bucket[k];
        if (!carries) carried.may_carry[i][k] = false;
        is_any |= carries;
      }
      if (whole[i] != longer[i] && !is_any) {
        return refuse_cut(place,
                          fmt::format("its shape is {}, and {} {}", serving::format_shape(whole),
                                      serving::format_shape(longer), list_lengths(alone.lengths, bucket)));
      }
    }
    return {};
  }

  static Tensor cut_to(const Tensor& tensor, const std::vector<std::int64_t>& shape) {
    Tensor part = tensor;
    for (std::size_t i = 1; i < std::min(shape.size(), tensor.shape.size()); ++i) {
      if (part.shape[i] > shape[i]) part = serving::cut(part, i, shape[i]);
    }
    return part;
  }

  /// Along which dimensions outputs are as long as the inputs, always the same ones.
  Result<void> note_dimensions() {
    for (std::size_t o = 0; o < padding_.outputs.size(); ++o) {
      Padding::Output& output = padding_.outputs[o];
      const Carried& carried = carried_[o];
      if (carried.is_padded.empty()) continue;  // nothing is ever padded
      for (std::size_t i = 1; i < carried.is_padded.size(); ++i) {
        if (!carried.is_padded[i]) continue;
        const auto& may_carry = carried.may_carry[i];
        if (std::ranges::count(may_carry, true) != 1)
          return refuse_cut(output.place, fmt::format("which length its dimension {} is can't be told", i));
        output.dimensions.push_back(i);
        output.lengths.push_back(
            static_cast<std::size_t>(std::ranges::find(may_carry, true) - may_carry.begin()));
      }
      if (output.dimensions.empty()) return refuse_cut(output.place, "its shape stays the same");
    }
    return {};
  }

  Result<Tensors> run_one(const Tensors& inputs) {
    const Tensors* alone = &inputs;
    auto answers = model_.run(std::span(&alone, 1));
    if (!answers) return tl::unexpected(answers.error());
    return std::move(answers->front());
  }

  /// One row; no element is the value that the input is padded with, or a mask would see its end too early.
  Tensors random_inputs(const Lengths& lengths) {
    Tensors tensors;
    const auto& specs = model_.metadata().inputs;
    for (std::size_t place = 0; place < specs.size(); ++place) {
      const auto padded = std::ranges::find(padding_.inputs, place, &Padding::Input::place);
      std::vector<std::int64_t> shape = specs[place].shape;
      shape.front() = 1;
      std::optional<double> left_out;
      if (padded != padding_.inputs.end()) {
        for (std::size_t k = 0; k < lengths.size() && k < padded->dimensions.size(); ++k)
          shape[padded->dimensions[k]] = lengths[k];
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
  const std::chrono::milliseconds longest_;
  const Clock::time_point start_ = Clock::now();
  std::size_t tried_ = 0;         ///< shapes
  std::vector<Carried> carried_;  ///< by the outputs that are cut
  std::mt19937_64 random_{kSeed};
  std::int64_t above_ = kAboveAll.front();
};

/// Of all inputs of a request of one row in the largest buckets.
std::uint64_t largest_row(const Padding& padding, const std::vector<serving::TensorSpec>& inputs) {
  std::uint64_t bytes = 0;
  for (std::size_t place = 0; place < inputs.size(); ++place) {
    std::vector<std::int64_t> shape = inputs[place].shape;
    shape.front() = 1;
    const auto padded = std::ranges::find(padding.inputs, place, &Padding::Input::place);
    if (padded != padding.inputs.end()) {
      for (std::size_t k = 0; k < padded->dimensions.size(); ++k)
        shape[padded->dimensions[k]] = padding.buckets[k].back();
    }
    const auto elements = serving::count_elements(shape).value_or(kMostBatchBytes);
    bytes += std::min(elements, kMostBatchBytes) * serving::size_of(inputs[place].datatype);
  }
  return bytes;
}

Result<void> check_batch(const Padding& padding, const serving::ModelMetadata& model) {
  const auto row = largest_row(padding, model.inputs);
  if (row <= kMostBatchBytes / std::max(model.max_batch_size, 1U)) return {};
  return refuse(
      fmt::format("buckets: a row in the largest has {} bytes of inputs, and a batch has up to {} rows "
                  "(max_size): more than {} bytes together",
                  row, model.max_batch_size, kMostBatchBytes),
      "leave the largest buckets out, or lower max_size");
}

Result<void> try_padding(infer::ServedModel& model, const serving::PaddingWish& wanted,
                         std::chrono::milliseconds longest) {
  if (model.takes_texts()) {
    if (auto right = serving::check_buckets(wanted.buckets); !right) return right;
    if (wanted.buckets.size() > 1)
      return refuse(
          fmt::format("buckets: texts have one length, and there are {} lists", wanted.buckets.size()));
    return model.use_text_buckets(wanted.buckets.front(), wanted.tolerance, longest);
  }
  auto planned = serving::plan_padding(wanted, model.metadata().inputs, model.metadata().outputs);
  if (!planned) return tl::unexpected(planned.error());
  if (auto fits = check_batch(*planned, model.metadata()); !fits) return fits;
  auto padding = Trial(model, *std::move(planned), wanted.tolerance, longest).run();
  if (!padding) return tl::unexpected(padding.error());
  model.set_padding(*std::move(padding));
  return {};
}

}  // namespace

Result<void> use_padding(infer::ServedModel& model, const serving::PaddingWish& wanted,
                         std::chrono::milliseconds longest) {
  auto used = try_padding(model, wanted, longest);
  if (used || !model.has_lost_device()) return used;
  return fail(ErrorCode::unavailable,
              "the GPU was lost while batching.padding was tried, which says nothing of the model: " +
                  used.error().message,
              "another process may use it; if it comes again without batching.padding, see what nvidia-smi "
              "and dmesg say of the GPU");
}

}  // namespace ds::replica
