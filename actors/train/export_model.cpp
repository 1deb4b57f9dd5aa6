#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "actors/data/vocabulary.hpp"
#include "actors/train/model.hpp"
#include "actors/train/safetensors.hpp"
#include "actors/train/session.hpp"
#include "actors/train/state_description.hpp"
#include "storage/dataset/unpack.hpp"

namespace ds::train {
namespace {

/// One flat vector of a state, aligned.
template <class T>
Result<std::vector<T>> values_of(const StateImage& state, const char* name,
                                 const std::vector<TensorSlot>& slots) {
  const std::size_t count = slots.empty() ? 0 : slots.back().offset + slots.back().size;
  const auto found = std::ranges::find(state.tensors, name, &std::pair<std::string, Buffer>::first);
  const std::size_t bytes = found == state.tensors.end() ? 0 : found->second.size();
  if (bytes != count * sizeof(T)) {
    return fail(ErrorCode::data_loss, fmt::format("the state's {} has {} bytes where its model needs {}",
                                                  name, bytes, count * sizeof(T)));
  }
  std::vector<T> values(count);
  if (count != 0) std::memcpy(values.data(), found->second.bytes().data(), bytes);
  return values;
}

struct StateValues {
  std::vector<float> parameters, buffers;
  std::vector<std::int64_t> counters;
};

Result<StateValues> values_of(const StateImage& state, const StateDescription& description) {
  auto parameters = values_of<float>(state, "parameters", description.parameters);
  if (!parameters) return tl::unexpected(parameters.error());
  auto buffers = values_of<float>(state, "buffers", description.buffers);
  if (!buffers) return tl::unexpected(buffers.error());
  auto counters = values_of<std::int64_t>(state, "counters", description.counters);
  if (!counters) return tl::unexpected(counters.error());
  return StateValues{*std::move(parameters), *std::move(buffers), *std::move(counters)};
}

/// Counters too, as float32: safetensors of ours hold nothing else, and they count batches.
Buffer safetensors_of(const StateImage& state, const StateDescription& description,
                      const StateValues& values) {
  std::vector<NamedFloats> tensors;
  const std::vector<float> counters(values.counters.begin(), values.counters.end());
  const auto add = [&](const std::vector<TensorSlot>& slots, std::span<const float> all) {
    for (const TensorSlot& slot : slots)
      tensors.push_back({slot.name, slot.shape, all.subspan(slot.offset, slot.size)});
  };
  add(description.parameters, values.parameters);
  add(description.buffers, values.buffers);
  add(description.counters, counters);
  return to_safetensors(std::move(tensors), {{"format", "pt"}, {"description", state.description}});
}

/// The field that holds a text's tokens; null when there is none.
const data::FieldShape* tokens_of(const ModelRequest& request) {
  const auto found = std::ranges::find_if(request.fields, [](const data::FieldShape& field) {
    return field.name != "label" && field.element == data::Element::int64 && field.shape.size() == 1;
  });
  return found == request.fields.end() ? nullptr : &*found;
}

const char* name_of(data::Element element) {
  switch (element) {
    case data::Element::int64:
      return "int64";
    case data::Element::uint8:
      return "uint8";
    case data::Element::float32:
      break;
  }
  return "float32";
}

/// What a reader of the archive needs besides the model to turn samples into numbers and numbers into labels.
std::map<std::string, std::string> extra_files_of(const StateDescription& description) {
  std::map<std::string, std::string> files;
  const data::Preprocessing& learnt = description.data.preprocessing;
  if (!learnt.labels.empty()) files["labels.json"] = nlohmann::json(learnt.labels).dump();
  nlohmann::json preprocessing{{"fields", nlohmann::json::array()}};
  for (const data::FieldShape& field : description.request.fields)
    preprocessing["fields"].push_back(
        {{"name", field.name}, {"element", name_of(field.element)}, {"shape", field.shape}});
  if (!learnt.vocabulary.empty()) {
    files["vocabulary.json"] = nlohmann::json(learnt.vocabulary).dump();
    if (const auto* tokens = tokens_of(description.request)) preprocessing["length"] = tokens->shape.front();
    preprocessing["lower_case"] = "ascii";
    preprocessing["word"] = "[A-Za-z0-9\\x80-\\xff]+ over UTF-8 bytes";
    preprocessing["ngrams"] = learnt.ngrams;
    preprocessing["pad"] = data::Vocabulary::kPadding;
    preprocessing["unknown"] = data::Vocabulary::kUnknown;
    if (!learnt.merges.empty()) files["merges.json"] = nlohmann::json(learnt.merges).dump();
  }
  files["preprocessing.json"] = preprocessing.dump();
  return files;
}

/// The TorchScript file that a state carries, as a file again while this lives; without a name of its own, so
/// that nothing is left of it however this process ends.
class ModuleFile {
 public:
  static Result<ModuleFile> write(const Buffer& bytes) {
    auto file = storage::make_temporary_file();
    if (!file) return tl::unexpected(file.error());
    ModuleFile made(file->descriptor);
    const auto written = storage::append_to(*file, bytes.text());
    if (!written) return tl::unexpected(written.error());
    return made;
  }
  ModuleFile(ModuleFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ModuleFile& operator=(ModuleFile&&) = delete;
  ~ModuleFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  explicit ModuleFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

Result<std::unique_ptr<Model>> model_of(const StateImage& state, const StateDescription& description) {
  ModelRequest request = description.request;
  request.threads = 1;
  if (description.module_sha256.empty()) return Model::create(request);
  const auto found = std::ranges::find(state.tensors, "module", &std::pair<std::string, Buffer>::first);
  if (found == state.tensors.end())
    return fail(ErrorCode::data_loss, "the state lacks its TorchScript module");
  const auto file = ModuleFile::write(found->second);
  if (!file) return tl::unexpected(file.error());
  request.model.torchscript = file->path();
  return Model::create(request);
}

}  // namespace

Result<Buffer> export_model(const StateImage& state, ExportFormat format) {
  const Result<StateDescription> description = to_state_description(state.description);
  if (!description) return tl::unexpected(description.error());
  const Result<StateValues> values = values_of(state, *description);
  if (!values) return tl::unexpected(values.error());
  if (format == ExportFormat::safetensors) return safetensors_of(state, *description, *values);
  const Result<std::unique_ptr<Model>> model = model_of(state, *description);
  if (!model) return tl::unexpected(model.error());
  const bool fits = (*model)->parameter_slots() == description->parameters &&
                    (*model)->buffer_slots() == description->buffers &&
                    (*model)->counter_slots() == description->counters;
  if (!fits) return fail(ErrorCode::data_loss, "the state's tensors are not those of its model");
  std::ranges::copy(values->parameters, (*model)->parameters().begin());
  std::ranges::copy(values->buffers, (*model)->buffers().begin());
  std::ranges::copy(values->counters, (*model)->counters().begin());
  if (format == ExportFormat::state_dict) return (*model)->to_state_dict();
  return (*model)->to_torchscript(extra_files_of(*description));
}

}  // namespace ds::train
