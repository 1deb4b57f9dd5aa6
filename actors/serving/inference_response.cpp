#include "actors/serving/inference_response.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/serving/classification.hpp"
#include "actors/serving/json_text.hpp"
#include "actors/serving/tensor_json.hpp"

namespace ds::serving {
namespace {

/// Makes the body as it goes: JSON first, the binary outputs gathered behind it.
class ResponseWriter {
 public:
  Result<void> begin(std::string_view model_name, std::string_view model_version, std::string_view id) {
    json_.reserve(kUsualBytes);
    json_ = "{\"model_name\":";
    if (auto done = append(model_name, "the model's name"); !done) return done;
    if (!model_version.empty()) {
      json_ += ",\"model_version\":";
      if (auto done = append(model_version, "the model's version"); !done) return done;
    }
    if (!id.empty()) {
      json_ += ",\"id\":";
      if (auto done = append(id, "the request's id"); !done) return done;
    }
    json_ += ",\"outputs\":[";
    return {};
  }

  Result<void> add(const Tensor& tensor, bool binary) {
    if (!is_first_) json_ += ',';
    is_first_ = false;
    json_ += "{\"name\":";
    if (auto done = append(tensor.name, "an output's name"); !done) return done;
    json_ += ",\"datatype\":\"";
    json_ += to_string(tensor.datatype);
    json_ += "\",\"shape\":[";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      if (i > 0) json_ += ',';
      json_ += std::to_string(tensor.shape[i]);
    }
    json_ += ']';
    if (binary) {
      if (const std::string fault = find_fault(tensor); !fault.empty())
        return fail(ErrorCode::internal, fmt::format("output '{}': {}", tensor.name, fault));
      fmt::format_to(std::back_inserter(json_), ",\"parameters\":{{\"binary_data_size\":{}}}",
                     tensor.bytes.size());
      binary_.push_back(tensor.bytes);
      has_binary_ = true;
    } else {
      json_ += ",\"data\":";
      if (auto done = append_tensor_data(json_, tensor); !done) return done;
    }
    json_ += '}';
    return {};
  }

  EncodedResponse finish() {
    json_ += "]}";
    EncodedResponse response;
    if (has_binary_) response.json_length = json_.size();
    response.body = std::move(json_);
    std::size_t size = response.body.size();
    for (const Buffer& part : binary_) size += part.size();
    response.body.reserve(size);
    for (const Buffer& part : binary_) response.body += part.text();
    return response;
  }

 private:
  static constexpr std::size_t kUsualBytes = 256;

  Result<void> append(std::string_view text, std::string_view what) {
    if (append_json_string(json_, text)) return {};
    return fail(ErrorCode::internal, fmt::format("{} is no UTF-8: '{}'", what, excerpt(text)));
  }

  std::string json_;
  std::vector<Buffer> binary_;
  bool is_first_ = true;
  bool has_binary_ = false;
};

std::span<const std::string> find_labels(const ClassLabels& labels, std::string_view output) {
  const auto found = labels.find(output);
  return found == labels.end() ? std::span<const std::string>() : found->second;
}

Result<void> add_requested(ResponseWriter& writer, const RequestedOutput& wanted,
                           const std::vector<Tensor>& outputs, const ClassLabels& labels,
                           std::string_view model_name) {
  const auto found = std::find_if(outputs.begin(), outputs.end(),
                                  [&](const Tensor& output) { return output.name == wanted.name; });
  if (found == outputs.end())
    return fail(ErrorCode::invalid_argument,
                fmt::format("unexpected inference output '{}' for model '{}'", wanted.name, model_name));
  if (wanted.classes == 0) return writer.add(*found, wanted.binary);
  const auto best = classify(*found, wanted.classes, find_labels(labels, wanted.name));
  if (!best) return tl::unexpected(best.error());
  return writer.add(*best, wanted.binary);
}

}  // namespace

Result<EncodedResponse> encode_response(std::string_view model_name, std::string_view model_version,
                                        const InferenceRequest& request, const std::vector<Tensor>& outputs,
                                        const ClassLabels& labels) {
  ResponseWriter writer;
  if (auto done = writer.begin(model_name, model_version, request.id); !done)
    return tl::unexpected(done.error());
  for (const RequestedOutput& wanted : request.outputs) {
    if (auto done = add_requested(writer, wanted, outputs, labels, model_name); !done)
      return tl::unexpected(done.error());
  }
  if (request.outputs.empty()) {
    for (const Tensor& output : outputs) {
      if (auto done = writer.add(output, request.binary_outputs); !done) return tl::unexpected(done.error());
    }
  }
  return writer.finish();
}

}  // namespace ds::serving
