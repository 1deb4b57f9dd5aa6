// What a `serve` job has at its root besides what all jobs have.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/served_source.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kReplicas{0, 1024};
constexpr std::size_t kMostTensors = 60, kMostDimensions = 16;
constexpr std::int64_t kMostDurationMs = std::int64_t{24} * 3'600'000;
constexpr std::int64_t kMostTimeoutMs = 100'000;  // the gateway's answer_timeout is 120 s
constexpr std::uint64_t kMostQueueBytes = 1ULL << 40;

void read_duration(const Section& section, std::string_view key, std::int64_t& out, std::int64_t least_ms) {
  const YamlNode* node = section.find(key);
  if (node == nullptr) return;
  const auto time = node->kind == YamlNode::Kind::scalar ? parse_duration_ms(node->text) : std::nullopt;
  if (!time) {
    section.fail(key, "expected a duration, got " + describe(*node), "such as 20ms, 5s or 15m");
  } else if (*time < least_ms || *time > kMostDurationMs) {
    section.fail(
        key, "expected a duration from " + std::to_string(least_ms) + "ms to 24h, got " + describe(*node));
  } else {
    out = *time;
  }
}

void read_served_source(const Section& model, std::string_view directory, ServedSource& source) {
  model.require("source", "such as ckpt:intents@best, or file:model.pt for a TorchScript file");
  model.read_text("source", source.text, {.max_bytes = 4096});
  if (source.text.empty()) return;
  auto parsed = parse_served_source(source.text);
  if (const auto* fault = std::get_if<SourceFault>(&parsed))
    return model.fail("source", fault->message, fault->hint);
  source = std::get<ServedSource>(std::move(parsed));
  if (source.kind != ServedSource::Kind::file) return;
  auto path = resolve_path(source.path, directory, model.path_of("source"), model.find("source")->mark,
                           model.findings());
  if (path) source.path = *std::move(path);
}

void read_shape(const Section& tensor, std::vector<std::int64_t>& shape) {
  std::vector<double> sizes;
  tensor.require("shape", "such as [-1, 784]: the first is the batch, -1 is any size");
  tensor.read_reals("shape", sizes, {.low = -1, .high = 1e9, .words = "from -1"}, {1, kMostDimensions});
  for (const double size : sizes) {
    if (size != static_cast<double>(static_cast<std::int64_t>(size)) || size == 0)
      return tensor.fail("shape", "expected whole numbers from 1, or -1");
    shape.push_back(static_cast<std::int64_t>(size));
  }
  if (!shape.empty() && shape.front() != -1)
    tensor.fail("shape", "expected -1 as the first size, got " + std::to_string(shape.front()),
                "it is the batch, which may have any size");
}

void read_tensor(const Section& model, const YamlNode& node, const std::string& path, bool is_input,
                 std::vector<ServedTensor>& tensors) {
  if (node.kind != YamlNode::Kind::mapping) {
    return model.findings().add_error(path, node.mark, "expected a mapping, got " + describe(node),
                                      "such as {name: x, datatype: FP32, shape: [-1, 784]}");
  }
  const Section section(
      node, path, node.mark,
      is_input ? std::span<const Known>(keys::kServedInput) : std::span<const Known>(keys::kServedOutput),
      model.findings());
  ServedTensor tensor;
  section.require("name");
  section.read_text("name", tensor.name, {.max_bytes = 256});
  if (is_input) {
    section.require("datatype", "such as FP32");
    section.read_choice("datatype", tensor.datatype, keys::kDatatypes);
    read_shape(section, tensor.shape);
  }
  const bool is_known = std::ranges::find(tensors, tensor.name, &ServedTensor::name) != tensors.end();
  if (is_known)
    section.fail("name", "given twice: " + to_quoted(tensor.name), "tensors of a model have different names");
  tensors.push_back(std::move(tensor));
}

void read_tensors(const Section& model, std::string_view key, bool is_input,
                  std::vector<ServedTensor>& tensors) {
  const YamlNode* node = model.find(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::sequence || node->items.empty() || node->items.size() > kMostTensors)
    return model.fail(key, "expected a list of 1 to 60 tensors, got " + describe(*node));
  for (std::size_t i = 0; i < node->items.size(); ++i)
    read_tensor(model, node->items[i], model.path_of(key) + "[" + std::to_string(i) + "]", is_input, tensors);
}

void read_served_model(const Section& root, std::string_view directory, ServeSpec& serve) {
  root.require("model", "such as {source: \"ckpt:intents@best\"}");
  const auto model = root.open("model", keys::kServedModel);
  if (!model) return;
  read_served_source(*model, directory, serve.source);
  read_tensors(*model, "inputs", true, serve.inputs);
  read_tensors(*model, "outputs", false, serve.outputs);
}

/// `queue: prod` is the tenant's queue, as in jobs of other kinds; a mapping is about requests that wait.
void read_request_queue(const Section& root, JobSpec& spec) {
  const YamlNode* node = root.find("queue");
  if (node == nullptr || node->kind != YamlNode::Kind::mapping)
    return read_queue_name(root, "queue", spec.queue);
  const auto section = root.open("queue", keys::kRequestQueue);
  RequestQueueSpec& queue = spec.serve->queue;
  read_queue_name(*section, "name", spec.queue);
  section->read("max_depth", queue.max_depth, {1, 1'000'000});
  read_duration(*section, "timeout", queue.timeout_ms, 1);
  if (queue.timeout_ms > kMostTimeoutMs) {
    section->fail("timeout", "expected at most 100s, got " + describe(*section->find("timeout")),
                  "after 120s the head answers in the model's place");
  }
  const YamlNode* bytes = section->find("max_bytes");
  if (bytes == nullptr) return;
  const auto size = bytes->kind == YamlNode::Kind::scalar ? parse_size(bytes->text) : std::nullopt;
  if (!size || *size == 0 || *size > kMostQueueBytes) {
    section->fail("max_bytes", "expected a size of at most 1Ti, got " + describe(*bytes), "such as 256Mi");
  } else {
    queue.max_bytes = *size;
  }
}

void read_replicas(const Section& root, WorkerCount& replicas) {
  const YamlNode* node = root.find("replicas");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    root.read("replicas", replicas.max, {1, kReplicas.high});
    replicas.min = replicas.max;
    return;
  }
  const auto section = root.open("replicas", keys::kReplicas);
  section->require("max", "such as {min: 1, max: 4}");
  section->read("min", replicas.min, kReplicas);
  section->read("max", replicas.max, {1, kReplicas.high});
  if (replicas.min > replicas.max && !root.findings().has_error_in("replicas"))
    section->fail("min", "expected at most replicas.max (" + std::to_string(replicas.max) + "), got " +
                             std::to_string(replicas.min));
}

}  // namespace

void read_serve_job(const Section& root, std::string_view directory, JobSpec& spec) {
  ServeSpec& serve = spec.serve.emplace();
  spec.preemptible = false;
  read_common(root, spec);
  if (root.has("workers"))
    root.fail("workers", "a serve job has replicas", "such as replicas: {min: 1, max: 4}");
  read_replicas(root, spec.workers);
  read_served_model(root, directory, serve);
  read_traffic(root, spec);
  read_request_queue(root, spec);
  root.read_choice("precision", spec.precision, keys::kServedPrecisions);
  if (const auto batching = root.open("batching", keys::kBatching)) {
    batching->read_choice("mode", serve.batching.mode, keys::kBatchingModes);
    batching->read("max_size", serve.batching.max_size, {1, 65'536});
    read_duration(*batching, "max_delay", serve.batching.max_delay_ms, 0);
    read_padding(*batching, spec);
  }
  read_quantize(root, directory, serve.quantize);
  if (serve.quantize && spec.precision == "bf16") {
    root.fail("precision", "bf16 goes without quantize, whose layers compute with whole numbers and fp32",
              "leave one of the two out");
  }
  if (serve.quantize && spec.resources.gpus > 0) {
    root.fail("quantize", "int8 layers compute on the CPU, and resources.gpu gives each replica a GPU",
              "leave one of the two out; on a GPU, precision: bf16 is the fast one");
  }
  if (const auto slo = root.open("slo", keys::kSlo)) read_duration(*slo, "p99", serve.p99_ms, 1);
  if (const auto autoscale = root.open("autoscale", keys::kAutoscale)) {
    autoscale->read("target", serve.autoscale.target, kAboveZero);
    read_duration(*autoscale, "up_delay", serve.autoscale.up_delay_ms, 0);
    read_duration(*autoscale, "down_delay", serve.autoscale.down_delay_ms, 0);
    read_duration(*autoscale, "to_zero_after", serve.autoscale.to_zero_after_ms, 1000);
  }
  read_duration(root, "drain", serve.drain_ms, 0);
}

}  // namespace ds::scheduler
