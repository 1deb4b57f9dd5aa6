#include "actors/infer/compare_models.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <utility>

#include "kernels/half_bits.hpp"

namespace ds::infer {
namespace {

using serving::Datatype;
using serving::Tensor;
using Tensors = ServedModel::Tensors;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kAnySize = 16;  // for a dimension that may have any
constexpr std::uint32_t kInputSeed = 1;
constexpr int kTimedRuns = 7;
constexpr auto kTimeLimit = std::chrono::seconds(2);  // for a size of batch
constexpr std::size_t kTextLengthBytes = 4;           // before each text

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T, class Draw>
std::string draw_bytes(std::uint64_t count, Draw draw) {
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(draw());
  return bytes_of(values);
}

std::string random_texts(std::uint64_t count, std::mt19937& random) {
  std::string bytes;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string text;
    for (int word = 0; word < 12; ++word) {
      if (word > 0) text += ' ';
      for (std::uint32_t letters = 2 + random() % 6; letters > 0; --letters)
        text += static_cast<char>('a' + random() % 26);
    }
    const auto size = static_cast<std::uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&size), kTextLengthBytes);
    bytes += text;
  }
  return bytes;
}

std::string random_bytes(Datatype type, std::uint64_t count, std::uint32_t below, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const auto number = [&] { return normal(random); };
  const auto whole = [&] { return random() % below; };
  switch (type) {
    case Datatype::fp32:
      return draw_bytes<float>(count, number);
    case Datatype::fp64:
      return draw_bytes<double>(count, number);
    case Datatype::fp16:
      return draw_bytes<std::uint16_t>(count, [&] { return kernels::to_float16_bits(number()); });
    case Datatype::bf16:
      return draw_bytes<std::uint16_t>(count, [&] { return kernels::to_bfloat16_bits(number()); });
    case Datatype::boolean:
      return draw_bytes<std::uint8_t>(count, [&] { return random() % 2; });
    case Datatype::uint8:
    case Datatype::int8:
      return draw_bytes<std::uint8_t>(count, whole);
    case Datatype::uint16:
    case Datatype::int16:
      return draw_bytes<std::uint16_t>(count, whole);
    case Datatype::uint32:
    case Datatype::int32:
      return draw_bytes<std::uint32_t>(count, whole);
    case Datatype::uint64:
    case Datatype::int64:
      return draw_bytes<std::uint64_t>(count, whole);
    case Datatype::bytes:
      break;
  }
  return random_texts(count, random);
}

Tensors random_batch(const serving::ModelMetadata& model, std::uint32_t rows, std::uint32_t below,
                     std::mt19937& random) {
  Tensors tensors;
  for (const serving::TensorSpec& spec : model.inputs) {
    std::vector<std::int64_t> shape = spec.shape;
    std::ranges::replace(shape, -1, kAnySize);
    shape.front() = rows;
    const auto count = serving::count_elements(shape).value_or(0);
    tensors.push_back({spec.name, spec.datatype, shape,
                       Buffer::copy_of(random_bytes(spec.datatype, count, below, random))});
  }
  return tensors;
}

Result<Tensors> run_alone(ServedModel& model, const Tensors& request) {
  const Tensors* const one = &request;
  auto answers = model.run(std::span(&one, 1));
  if (!answers) return tl::unexpected(answers.error());
  return std::move(answers->front());
}

/// Elements of a tensor of floats of any kind; empty: it has others.
std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> numbers;
  const auto read = [&]<class T>(T, auto convert) {
    numbers.resize(tensor.bytes.size() / sizeof(T));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      T value;
      std::memcpy(&value, tensor.bytes.bytes().data() + i * sizeof value, sizeof value);
      numbers[i] = convert(value);
    }
  };
  switch (tensor.datatype) {
    case Datatype::fp32:
      read(float{}, [](float value) { return double{value}; });
      break;
    case Datatype::fp64:
      read(double{}, [](double value) { return value; });
      break;
    case Datatype::fp16:
      read(kernels::Float16{}, [](kernels::Float16 value) { return double{kernels::to_float(value)}; });
      break;
    case Datatype::bf16:
      read(kernels::BFloat16{}, [](kernels::BFloat16 value) { return double{kernels::to_float(value)}; });
      break;
    default:
      break;
  }
  return numbers;
}

/// The largest of each row's scores; empty: they are no scores of classes.
std::vector<std::size_t> classes_of(const Tensor& scores, const std::vector<double>& numbers) {
  std::vector<std::size_t> classes;
  if (scores.shape.size() != 2 || scores.shape[1] < 2 || numbers.empty()) return classes;
  const auto width = static_cast<std::size_t>(scores.shape[1]);
  for (std::size_t first = 0; first + width <= numbers.size(); first += width) {
    const auto row = numbers.begin() + static_cast<std::ptrdiff_t>(first);
    classes.push_back(
        static_cast<std::size_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(width)) - row));
  }
  return classes;
}

/// What the model says of each row: a label where it gives them, else the number of a class.
std::vector<std::string> answers_of(const Tensors& outputs, const std::vector<std::size_t>& classes) {
  std::vector<std::string> answers;
  const auto label = std::ranges::find_if(outputs, [](const Tensor& output) {
    return output.name == "label" && output.datatype == Datatype::bytes;
  });
  if (label == outputs.end()) {
    for (const std::size_t one : classes) answers.push_back(std::to_string(one));
    return answers;
  }
  std::string_view rest = label->bytes.text();
  while (rest.size() >= kTextLengthBytes) {
    std::uint32_t size = 0;
    std::memcpy(&size, rest.data(), kTextLengthBytes);
    answers.emplace_back(rest.substr(kTextLengthBytes, size));
    rest.remove_prefix(kTextLengthBytes + size);
  }
  return answers;
}

struct Tally {
  double error = 0, whole = 0;
  bool is_broken = false;  ///< a number has become none
  std::uint64_t rows = 0, scored = 0, same = 0, labelled = 0, right_before = 0, right_after = 0;

  void add(const Tensors& before, const Tensors& after, std::span<const std::string> labels) {
    std::vector<std::size_t> classes_before, classes_after;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const auto old = numbers_of(before[i]), fresh = numbers_of(after[i]);
      for (std::size_t k = 0; k < std::min(old.size(), fresh.size()); ++k) {
        if (!std::isfinite(old[k])) continue;
        is_broken |= !std::isfinite(fresh[k]);
        error += (fresh[k] - old[k]) * (fresh[k] - old[k]);
        whole += old[k] * old[k];
      }
      if (i > 0) continue;
      classes_before = classes_of(before[i], old);
      classes_after = classes_of(after[i], fresh);
    }
    rows += static_cast<std::uint64_t>(before.front().shape.front());
    scored += classes_before.size();
    for (std::size_t r = 0; r < std::min(classes_before.size(), classes_after.size()); ++r)
      same += classes_before[r] == classes_after[r] ? 1 : 0;
    if (labels.empty()) return;
    const auto said_before = answers_of(before, classes_before),
               said_after = answers_of(after, classes_after);
    for (std::size_t r = 0; r < std::min({labels.size(), said_before.size(), said_after.size()}); ++r) {
      ++labelled;
      right_before += said_before[r] == labels[r] ? 1 : 0;
      right_after += said_after[r] == labels[r] ? 1 : 0;
    }
  }
};

double median_ms(std::vector<double>& times) {
  std::ranges::sort(times);
  return times.empty() ? 0 : times[times.size() / 2];
}

/// Both in turns, so that a busy moment hits both.
Result<std::pair<double, double>> time_both(ServedModel& before, ServedModel& after, const Tensors& request) {
  std::vector<double> times_before, times_after;
  const auto start = Clock::now();
  for (int run = 0; run <= kTimedRuns && (run < 2 || Clock::now() - start < kTimeLimit); ++run) {
    for (auto [model, times] : {std::pair(&before, &times_before), std::pair(&after, &times_after)}) {
      const auto began = Clock::now();
      if (const auto answer = run_alone(*model, request); !answer) return tl::unexpected(answer.error());
      const std::chrono::duration<double, std::milli> took = Clock::now() - began;
      if (run > 0) times->push_back(took.count());  // the first finds cold caches
    }
  }
  return std::pair(median_ms(times_before), median_ms(times_after));
}

/// The first row of each tensor.
Tensors first_row(const Tensors& batch) {
  Tensors row = batch;
  for (Tensor& tensor : row) {
    const auto rows = static_cast<std::size_t>(std::max<std::int64_t>(tensor.shape.front(), 1));
    std::size_t bytes = tensor.bytes.size() / rows;
    if (tensor.datatype == Datatype::bytes) {
      std::uint32_t size = 0;
      std::memcpy(&size, tensor.bytes.bytes().data(), kTextLengthBytes);
      bytes = kTextLengthBytes + size;
    }
    tensor.shape.front() = 1;
    tensor.bytes = tensor.bytes.slice(0, bytes);
  }
  return row;
}

}  // namespace

Evaluation make_random_evaluation(ServedModel& model, std::uint32_t rows) {
  Evaluation evaluation;
  evaluation.name = fmt::format("random inputs (seed {})", kInputSeed);
  const auto batch = std::clamp(model.metadata().max_batch_size, 1U, 32U);
  for (const std::uint32_t below : {100U, 10U, 2U, 1U}) {
    std::mt19937 random(kInputSeed);
    evaluation.batches = {random_batch(model.metadata(), batch, below, random)};
    if (!run_alone(model, evaluation.batches.front())) continue;  // say an index out of range
    for (std::uint32_t done = batch; done < rows; done += batch)
      evaluation.batches.push_back(
          random_batch(model.metadata(), std::min(batch, rows - done), below, random));
    break;
  }
  return evaluation;
}

Result<QuantizationReport> compare_models(ServedModel& before, ServedModel& after,
                                          const Evaluation& evaluation, std::chrono::milliseconds limit) {
  Tally tally;
  const auto start = Clock::now();
  std::size_t row = 0;
  for (const Tensors& batch : evaluation.batches) {
    if (tally.rows > 0 && Clock::now() - start > limit) break;
    const auto old = run_alone(before, batch);
    if (!old) return tl::unexpected(old.error());
    const auto fresh = run_alone(after, batch);
    if (!fresh) return tl::unexpected(fresh.error());
    const auto rows = static_cast<std::size_t>(batch.front().shape.front());
    std::span<const std::string> labels = evaluation.labels;
    if (!labels.empty()) labels = labels.subspan(row, rows);
    tally.add(*old, *fresh, labels);
    row += rows;
  }
  if (tally.rows == 0)
    return fail(ErrorCode::invalid_argument, fmt::format("quantize.eval: {} has no rows", evaluation.name));
  QuantizationReport report;
  report.rows = tally.rows;
  report.compared_on = fmt::format("{} rows of {}", tally.rows, evaluation.name);
  report.relative_error = tally.whole > 0 ? std::sqrt(tally.error / tally.whole) : std::sqrt(tally.error);
  if (tally.is_broken) report.relative_error = std::numeric_limits<double>::infinity();
  const auto share = [](std::uint64_t part, std::uint64_t all) {
    return static_cast<double>(part) / static_cast<double>(all);
  };
  if (tally.scored > 0) report.agreement = share(tally.same, tally.scored);
  if (tally.labelled > 0) {
    report.accuracy_before = share(tally.right_before, tally.labelled);
    report.accuracy_after = share(tally.right_after, tally.labelled);
  }
  const Tensors& batch = evaluation.batches.front();
  report.batch_rows = static_cast<std::uint32_t>(batch.front().shape.front());
  const auto one = time_both(before, after, first_row(batch));
  if (!one) return tl::unexpected(one.error());
  const auto many = time_both(before, after, batch);
  if (!many) return tl::unexpected(many.error());
  std::tie(report.one_ms_before, report.one_ms_after) = *one;
  std::tie(report.batch_ms_before, report.batch_ms_after) = *many;
  return report;
}

}  // namespace ds::infer
