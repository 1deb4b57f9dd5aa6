#include "actors/serving/model_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ds::serving {
namespace {

template <class... Arguments>
tl::unexpected<Error> refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return fail(ErrorCode::invalid_argument, fmt::format(format, std::forward<Arguments>(arguments)...));
}

template <class Named>
const Named* find_named(const std::vector<Named>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

template <class Named>
std::string list_names(const std::vector<Named>& all) {
  std::string names;
  for (const Named& one : all) names += (names.empty() ? "'" : ",'") + one.name + "'";
  return names;
}

bool fits(std::span<const std::int64_t> shape, std::span<const std::int64_t> wanted) {
  return std::equal(shape.begin(), shape.end(), wanted.begin(), wanted.end(),
                    [](std::int64_t size, std::int64_t want) { return want < 0 || size == want; });
}

Result<void> check_names(const ModelMetadata& model, const InferenceRequest& request) {
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const std::string& name = request.inputs[i].name;
    if (find_named(model.inputs, name) == nullptr)
      return refuse("unexpected inference input '{}' for model '{}'. Its inputs are [{}]", name, model.name,
                    list_names(model.inputs));
    if (find_named(request.inputs, name) != &request.inputs[i])
      return refuse("input '{}' already exists in request", name);
  }
  std::vector<TensorSpec> missing;
  for (const TensorSpec& spec : model.inputs) {
    if (find_named(request.inputs, spec.name) == nullptr) missing.push_back(spec);
  }
  if (!missing.empty())
    return refuse(
        "expected {} inputs but got {} inputs for model '{}'. Got input(s) [{}], but missing required "
        "input(s) "
        "[{}]. Please provide all required input(s).",
        model.inputs.size(), request.inputs.size(), model.name, list_names(request.inputs),
        list_names(missing));
  if (model.outputs.empty()) return {};
  for (const RequestedOutput& output : request.outputs) {
    if (find_named(model.outputs, output.name) == nullptr)
      return refuse("unexpected inference output '{}' for model '{}'. Its outputs are [{}]", output.name,
                    model.name, list_names(model.outputs));
  }
  return {};
}

Result<void> check_input(const ModelMetadata& model, const TensorSpec& spec, const Tensor& input) {
  if (input.datatype != spec.datatype)
    return refuse("inference input '{}' data-type is '{}', but model '{}' expects '{}'", input.name,
                  to_string(input.datatype), model.name, to_string(spec.datatype));
  if (fits(input.shape, spec.shape)) return {};
  const bool lacks_batch = model.max_batch_size > 0 &&
                           fits(input.shape, std::span(spec.shape).subspan(spec.shape.empty() ? 0 : 1));
  return refuse("unexpected shape for input '{}' for model '{}'. Expected {}, got {}{}", input.name,
                model.name, format_shape(spec.shape), format_shape(input.shape),
                lacks_batch ? ". NOTE: the first dimension is the batch" : "");
}

}  // namespace

Result<std::uint64_t> check_inputs(const ModelMetadata& model, const InferenceRequest& request) {
  if (auto checked = check_names(model, request); !checked) return tl::unexpected(checked.error());
  std::optional<std::int64_t> rows;
  for (const Tensor& input : request.inputs) {
    const TensorSpec& spec = *find_named(model.inputs, input.name);
    if (auto checked = check_input(model, spec, input); !checked) return tl::unexpected(checked.error());
    if (model.max_batch_size == 0) continue;
    if (input.shape.empty())
      return refuse("input '{}' has no shape but model requires batch dimension for '{}'", input.name,
                    model.name);
    if (rows.value_or(input.shape[0]) != input.shape[0])
      return refuse("input '{}' batch size does not match other inputs for '{}': expected {}, got {}",
                    input.name, model.name, *rows, input.shape[0]);
    rows = input.shape[0];
  }
  if (model.padding) {
    if (auto fits = check_lengths(*model.padding, model.inputs, request.inputs); !fits)
      return tl::unexpected(fits.error());
  }
  const auto count = static_cast<std::uint64_t>(rows.value_or(1));
  if (count == 0) return refuse("inference request batch-size must be >= 1 for '{}'", model.name);
  if (model.max_batch_size > 0 && count > model.max_batch_size)
    return refuse("inference request batch-size must be <= {} for '{}', got {}", model.max_batch_size,
                  model.name, count);
  return count;
}

std::string format_shape(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

}  // namespace ds::serving
