#include "actors/replica/evaluation_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <variant>

#include "actors/data/dataset.hpp"
#include "actors/data/source.hpp"
#include "actors/train/state_description.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::replica {
namespace {

using infer::Evaluation;
using serving::Datatype;
using serving::Tensor;
using serving::TensorSpec;

constexpr std::uint32_t kMostBatchRows = 32;
constexpr std::uint32_t kRandomRows = 256;

tl::unexpected<Error> refuse(const std::string& problem, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, "quantize.eval: " + problem, std::move(hint));
}

std::uint32_t batch_rows(const infer::ServedModel& model) {
  return std::clamp(model.metadata().max_batch_size, 1U, kMostBatchRows);
}

/// Numbers of records from all over a source, in its order.
std::vector<std::uint64_t> choose_records(std::uint64_t size) {
  const std::uint64_t count = std::min(size, kMostEvaluationRows);
  std::vector<std::uint64_t> records;
  for (std::uint64_t i = 0; i < count; ++i) records.push_back(i * size / count);
  return records;
}

std::string name_of(const scheduler::SourceSpec& source) {
  const auto name = source.paths.empty() ? "nothing" : std::filesystem::path(source.paths.front()).filename();
  return source.paths.size() > 1 ? name.string() + " …" : name.string();
}

/// One input of a batch, row by row.
class Column {
 public:
  explicit Column(const TensorSpec& spec) : spec_(spec) {}

  Result<void> add(const data::Value& value) {
    if (spec_.datatype == Datatype::bytes) return add_text(value);
    if (!fits(value)) {
      return refuse(fmt::format("a row of the data has {} numbers where the model's input {} takes shape {}",
                                value.count(), spec_.name, serving::format_shape(spec_.shape)));
    }
    switch (spec_.datatype) {
      case Datatype::fp32:
        return add_numbers<float>(value);
      case Datatype::fp64:
        return add_numbers<double>(value);
      case Datatype::int64:
        return add_numbers<std::int64_t>(value);
      case Datatype::int32:
        return add_numbers<std::int32_t>(value);
      default:
        break;
    }
    return refuse(fmt::format("the model's input {} has the datatype {}, which no data is read as",
                              spec_.name, to_string(spec_.datatype)),
                  "FP32, FP64, INT32, INT64 and BYTES are");
  }

  Tensor take(std::int64_t rows) {
    std::vector<std::int64_t> shape{rows};
    shape.insert(shape.end(), row_shape_.begin(), row_shape_.end());
    Tensor tensor{spec_.name, spec_.datatype, std::move(shape), Buffer::copy_of(bytes_)};
    bytes_.clear();
    return tensor;
  }

 private:
  /// Remembers the shape of the first row.
  bool fits(const data::Value& value) {
    std::vector<std::int64_t> shape(spec_.shape.begin() + 1, spec_.shape.end());
    const auto varies = std::ranges::count(shape, -1);
    if (varies == 0) {
      const auto count = serving::count_elements(shape);
      if (!count || *count != value.count()) return false;
    } else {
      if (shape.size() != value.shape.size()) return false;
      for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] != -1 && shape[i] != value.shape[i]) return false;
      }
      shape = value.shape;
    }
    if (bytes_.empty()) row_shape_ = shape;
    return shape == row_shape_;
  }

  template <class T>
  Result<void> add_numbers(const data::Value& value) {
    const auto put = [&](auto one) {
      const auto number = static_cast<T>(one);
      bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
    };
    if (value.form == data::Form::whole) {
      for (const std::int64_t one : value.whole) put(one);
    } else if (value.form == data::Form::numbers) {
      for (const float one : value.numbers) put(one);
    } else {
      return refuse(fmt::format("the data has texts where the model's input {} takes numbers", spec_.name));
    }
    return {};
  }

  Result<void> add_text(const data::Value& value) {
    if (value.form != data::Form::text)
      return refuse(fmt::format("the data has numbers where the model's input {} takes texts", spec_.name));
    const auto size = static_cast<std::uint32_t>(value.text.size());
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes_ += value.text;
    return {};
  }

  const TensorSpec& spec_;
  std::vector<std::int64_t> row_shape_;
  std::string bytes_;
};

/// A class's name or number; none: the label is no class.
std::optional<std::string> class_of(const data::Value& label) {
  if (label.form == data::Form::text) return std::string(label.text);
  if (label.form == data::Form::whole && label.whole.size() == 1) return std::to_string(label.whole.front());
  return std::nullopt;
}

/// The field of each input: by its name, or the only one.
Result<std::vector<std::size_t>> match_fields(const std::vector<data::FieldPlan>& fields,
                                              const std::vector<TensorSpec>& inputs) {
  std::vector<std::size_t> places;
  const bool has_label = !fields.empty() && fields.back().name == "label";
  const std::size_t others = fields.size() - (has_label ? 1 : 0);
  for (const TensorSpec& input : inputs) {
    const auto found = std::ranges::find(fields, input.name, &data::FieldPlan::name);
    if (found != fields.end()) {
      places.push_back(static_cast<std::size_t>(found - fields.begin()));
    } else if (inputs.size() == 1 && others == 1) {
      places.push_back(0);
    } else {
      return refuse(fmt::format("the data has no field {}, which the model takes", input.name));
    }
  }
  return places;
}

/// The records as they stand in the file.
Result<Evaluation> read_records(const scheduler::SourceSpec& spec, infer::ServedModel& model) {
  auto source = data::open_source(spec, "quantize.eval", {});
  if (!source) return tl::unexpected(source.error());
  const auto& inputs = model.metadata().inputs;
  const auto& fields = (*source)->fields();
  const auto places = match_fields(fields, inputs);
  if (!places) return tl::unexpected(places.error());
  Evaluation evaluation;
  evaluation.name = name_of(spec);
  std::vector<Column> columns(inputs.begin(), inputs.end());
  data::Sample sample;
  bool has_labels = !fields.empty() && fields.back().name == "label";
  std::int64_t rows = 0;
  const auto end_batch = [&] {
    if (rows == 0) return;
    infer::ServedModel::Tensors& batch = evaluation.batches.emplace_back();
    for (Column& column : columns) batch.push_back(column.take(rows));
    rows = 0;
  };
  for (const std::uint64_t record : choose_records((*source)->size())) {
    if (const auto read = (*source)->read(record, sample); !read) return tl::unexpected(read.error());
    for (std::size_t i = 0; i < columns.size(); ++i) {
      data::Value& value = sample.fields[(*places)[i]];
      value.to_numbers();
      if (const auto added = columns[i].add(value); !added) return tl::unexpected(added.error());
    }
    if (has_labels) {
      auto label = class_of(sample.fields.back());
      has_labels = label.has_value();
      if (label) evaluation.labels.push_back(*std::move(label));
    }
    if (++rows == batch_rows(model)) end_batch();
  }
  end_batch();
  if (!has_labels) evaluation.labels.clear();
  return evaluation;
}

Datatype datatype_of(data::Element element) {
  switch (element) {
    case data::Element::int64:
      return Datatype::int64;
    case data::Element::uint8:
      return Datatype::uint8;
    case data::Element::float32:
      break;
  }
  return Datatype::fp32;
}

/// What the training job's transforms make of the records.
Result<Evaluation> read_transformed(const scheduler::DataSpec& spec, const train::StateImage& state,
                                    infer::ServedModel& model) {
  const auto description = train::to_state_description(state.description);
  if (!description) return tl::unexpected(description.error());
  const data::Preprocessing& learnt = description->data.preprocessing;
  const auto dataset = data::Dataset::open_validation(spec, learnt, {});
  if (!dataset) return tl::unexpected(dataset.error());
  Evaluation evaluation;
  evaluation.name = name_of(*spec.validate);
  bool has_labels = true;
  const auto records = choose_records((*dataset)->size());
  for (std::size_t first = 0; first < records.size(); first += batch_rows(model)) {
    const auto count = std::min<std::size_t>(batch_rows(model), records.size() - first);
    const auto made = (*dataset)->make_batch(std::span(records).subspan(first, count), std::nullopt);
    if (!made) return tl::unexpected(made.error());
    if (made->rows == 0) continue;
    infer::ServedModel::Tensors& batch = evaluation.batches.emplace_back();
    for (const TensorSpec& input : model.metadata().inputs) {
      const data::HostTensor* tensor = made->find(input.name);
      if (tensor == nullptr || datatype_of(tensor->element) != input.datatype)
        return refuse(fmt::format("the data has no field {} as the model takes it", input.name));
      batch.push_back({input.name, input.datatype, tensor->shape, tensor->bytes});
    }
    const data::HostTensor* label = made->find("label");
    has_labels =
        has_labels && label != nullptr && label->element == data::Element::int64 && label->shape.size() == 1;
    for (std::uint64_t row = 0; has_labels && row < made->rows; ++row) {
      std::int64_t number = 0;
      std::memcpy(&number, label->bytes.bytes().data() + row * sizeof number, sizeof number);
      const bool is_named = number >= 0 && static_cast<std::size_t>(number) < learnt.labels.size();
      evaluation.labels.push_back(is_named ? learnt.labels[static_cast<std::size_t>(number)]
                                           : std::to_string(number));
    }
  }
  if (!has_labels) evaluation.labels.clear();
  return evaluation;
}

/// What the training job's file says of its data; none: there is no such job.
std::optional<scheduler::DataSpec> data_of(const QuantizationContext& context) {
  if (context.training_text.empty()) return std::nullopt;
  auto parsed = scheduler::parse_job_file(context.training_text, context.training_directory);
  auto* job = std::get_if<scheduler::ParsedJob>(&parsed);
  if (job == nullptr || job->spec.kind != scheduler::JobKind::train) return std::nullopt;
  return std::move(job->spec.data);
}

bool takes_texts(const infer::ServedModel& model) {
  return std::ranges::any_of(model.metadata().inputs,
                             [](const TensorSpec& input) { return input.datatype == Datatype::bytes; });
}

}  // namespace

Result<Evaluation> choose_evaluation(const scheduler::QuantizeSpec& quantize, const train::StateImage* state,
                                     const QuantizationContext& context, infer::ServedModel& model) {
  auto data = state != nullptr ? data_of(context) : std::nullopt;
  const auto source = quantize.eval ? quantize.eval : data ? data->validate : std::nullopt;
  if (!source) return infer::make_random_evaluation(model, kRandomRows);
  const auto read = [&]() -> Result<Evaluation> {
    if (!data || takes_texts(model)) return read_records(*source, model);
    data->validate = source;
    return read_transformed(*data, *state, model);
  };
  auto evaluation = read();
  if (evaluation || quantize.eval) return evaluation;
  auto random = infer::make_random_evaluation(model, kRandomRows);
  random.name += fmt::format(", for {} can't be read: {}", name_of(*source), evaluation.error().message);
  return random;
}

}  // namespace ds::replica
