#include "actors/serving/route_bodies.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "actors/serving/json_reader.hpp"

namespace ds::serving {
namespace {

using Json = nlohmann::ordered_json;

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json make_tensors(const std::vector<TensorSpec>& specs) {
  Json tensors = Json::array();
  for (const TensorSpec& spec : specs)
    tensors.push_back({{"name", spec.name}, {"datatype", to_string(spec.datatype)}, {"shape", spec.shape}});
  return tensors;
}

std::string make_version(std::uint64_t version) {
  return std::to_string(version);
}

/// The names of Triton's configurations differ from the protocol's in this one only.
std::string make_data_type(Datatype type) {
  return fmt::format("TYPE_{}", type == Datatype::bytes ? "STRING" : to_string(type));
}

Json make_config_tensors(const std::vector<TensorSpec>& specs, bool has_batch) {
  Json tensors = Json::array();
  for (const TensorSpec& spec : specs) {
    Json dims = Json::array();
    for (std::size_t i = has_batch ? 1 : 0; i < spec.shape.size(); ++i) dims.push_back(spec.shape[i]);
    tensors.push_back(
        {{"name", spec.name}, {"data_type", make_data_type(spec.datatype)}, {"dims", std::move(dims)}});
  }
  return tensors;
}

/// Triton's configurations have texts under names of one's own.
Json make_padding(const ModelMetadata& model) {
  const Padding& padding = *model.padding;
  std::string buckets, values, cut;
  for (const Buckets& one : padding.buckets)
    buckets += fmt::format("{}{}", buckets.empty() ? "" : ";", fmt::join(one, ","));
  for (const Padding::Input& one : padding.inputs)
    values += fmt::format("{}{}={}", values.empty() ? "" : ",", model.inputs.at(one.place).name, one.value);
  for (const Padding::Output& one : padding.outputs)
    cut += fmt::format("{}{}", cut.empty() ? "" : ",", model.outputs.at(one.place).name);
  Json parameters = {{"padding_buckets", {{"string_value", buckets}}}};
  if (!values.empty()) parameters["padding_values"] = {{"string_value", values}};
  if (!cut.empty()) parameters["padding_cut"] = {{"string_value", cut}};
  return parameters;
}

Json make_times(const TimeSum& times) {
  return {{"count", times.count}, {"ns", times.ns}};
}

Json make_model_statistics(const NamedStatistics& named) {
  const ModelStatistics& model = named.statistics;
  Json batches = Json::array();
  for (const auto& [size, batch] : model.batches) {
    batches.push_back({{"batch_size", size},
                       {"compute_input", make_times(batch.compute_input)},
                       {"compute_infer", make_times(batch.compute_infer)},
                       {"compute_output", make_times(batch.compute_output)}});
  }
  return {{"name", named.name},
          {"version", make_version(named.version)},
          {"last_inference", model.last_inference_ms},
          {"inference_count", model.inference_count},
          {"execution_count", model.execution_count},
          {"inference_stats",
           {{"success", make_times(model.success)},
            {"fail", make_times(model.fail)},
            {"queue", make_times(model.queue)},
            {"compute_input", make_times(model.compute_input)},
            {"compute_infer", make_times(model.compute_infer)},
            {"compute_output", make_times(model.compute_output)},
            {"cache_hit", make_times({})},
            {"cache_miss", make_times({})}}},
          {"batch_stats", std::move(batches)}};
}

}  // namespace

std::string server_metadata_body(std::string_view version, std::span<const std::string_view> extensions) {
  Json names = Json::array();
  for (const std::string_view extension : extensions) names.push_back(extension);
  return to_text({{"name", "ds"}, {"version", version}, {"extensions", std::move(names)}});
}

std::string live_body(bool live) {
  return to_text({{"live", live}});
}

std::string ready_body(bool ready) {
  return to_text({{"ready", ready}});
}

std::string model_metadata_body(const ModelMetadata& model) {
  Json versions = Json::array();
  for (const std::uint64_t version : model.versions) versions.push_back(make_version(version));
  Json body{{"name", model.name},
            {"versions", std::move(versions)},
            {"platform", model.platform},
            {"inputs", make_tensors(model.inputs)},
            {"outputs", make_tensors(model.outputs)}};
  if (!model.quantization.empty()) body["parameters"] = {{"quantization", model.quantization}};
  return to_text(body);
}

std::string model_ready_body(std::string_view name, bool ready) {
  return to_text({{"name", name}, {"ready", ready}});
}

std::string model_config_body(const ModelMetadata& model, const ModelConfiguration& configuration) {
  const bool has_batch = model.max_batch_size > 0;
  Json config = {{"name", model.name},
                 {"platform", model.platform},
                 {"backend", "pytorch"},
                 {"version_policy", {{"specific", {{"versions", model.versions}}}}},
                 {"max_batch_size", model.max_batch_size},
                 {"input", make_config_tensors(model.inputs, has_batch)},
                 {"output", make_config_tensors(model.outputs, has_batch)},
                 {"instance_group", Json::array({{{"name", model.name},
                                                  {"kind", configuration.on_gpu ? "KIND_GPU" : "KIND_CPU"},
                                                  {"count", configuration.replicas}}})}};
  if (configuration.has_dynamic_batching)
    config["dynamic_batching"] = {{"preferred_batch_size", configuration.preferred_batch_sizes},
                                  {"max_queue_delay_microseconds", configuration.max_queue_delay_us}};
  if (model.padding) config["parameters"] = make_padding(model);
  return to_text(config);
}

std::string statistics_body(std::span<const NamedStatistics> models) {
  Json all = Json::array();
  for (const NamedStatistics& model : models) all.push_back(make_model_statistics(model));
  return to_text({{"model_stats", std::move(all)}});
}

Result<bool> wants_only_ready(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return false;
  JsonReader reader(body);
  bool only_ready = false;
  std::string_view key;
  if (reader.peek() != JsonReader::Kind::object) {
    reader.fail_here("the body must be an object, such as {\"ready\": true}, or empty");
  } else {
    reader.begin_object();
  }
  while (!reader.failed() && reader.next_member(key)) {
    if (key != "ready") {
      reader.skip_value();
    } else if (reader.peek() == JsonReader::Kind::boolean) {
      reader.read_boolean(only_ready);
    } else {
      reader.fail_here("'ready' must be true or false");
    }
  }
  if (reader.failed() || !reader.expect_end()) return tl::unexpected(reader.error());
  return only_ready;
}

std::string repository_index_body(std::span<const IndexEntry> entries) {
  Json all = Json::array();
  for (const IndexEntry& entry : entries) {
    Json one = {{"name", entry.name}};
    if (entry.version) one["version"] = make_version(*entry.version);
    one["state"] = entry.ready ? "READY" : "UNAVAILABLE";
    one["reason"] = entry.reason;
    all.push_back(std::move(one));
  }
  return to_text(all);
}

std::string error_body(const Error& error) {
  if (error.hint.empty()) return error_body(error.message);
  return error_body(fmt::format("{}; {}", error.message, error.hint));
}

std::string error_body(std::string_view message) {
  return to_text({{"error", message}});
}

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::resource_exhausted:
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::deadline_exceeded:
      return 504;
    case ErrorCode::unsupported:
      return 501;
    case ErrorCode::cancelled:
      return 499;
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      break;
  }
  return 500;
}

}  // namespace ds::serving
