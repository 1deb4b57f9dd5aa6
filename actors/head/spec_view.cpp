#include "actors/head/spec_view.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "scheduler/ledger/slot_count_json.hpp"
#include "scheduler/spec/gpu_kind_name.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/source_format.hpp"

namespace ds::head {
namespace {

using namespace scheduler;
using nlohmann::json;

/// In the largest unit in which it is a whole number.
std::string duration_text(std::int64_t ms) {
  for (const auto& [unit, size] :
       {std::pair{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}}) {
    if (ms != 0 && ms % size == 0) return fmt::format("{}{}", ms / size, unit);
  }
  return fmt::format("{}ms", ms);
}

std::string moment_text(std::int64_t unix_ms) {
  std::string text = to_time_text(unix_ms);
  const auto ms = ((unix_ms % 1000) + 1000) % 1000;
  if (ms != 0) text.insert(text.size() - 1, fmt::format(".{:03}", ms));
  return text;
}

/// Whole numbers without a fraction: where one is wanted, 8.0 is none.
json number_view(double number) {
  constexpr double kExact = 9'007'199'254'740'992;
  if (number == std::trunc(number) && std::abs(number) < kExact) return static_cast<std::int64_t>(number);
  return number;
}

json numbers_view(const std::vector<double>& numbers) {
  json list = json::array();
  for (const double number : numbers) list.push_back(number_view(number));
  return list.size() == 1 ? list.front() : list;
}

json tolerance_view(const Tolerance& tolerance) {
  return tolerance.skip ? json{{"skip", tolerance.most}} : json("fail");
}

json model_view(const ModelSpec& model) {
  json view = json::object();
  for (const auto& [name, numbers] : model.settings) view[name] = numbers_view(numbers);
  if (!model.zoo.empty()) view["zoo"] = model.zoo;
  if (!model.torchscript.empty()) view["torchscript"] = model.torchscript;
  if (!model.plugin.empty()) view["plugin"] = model.plugin;
  return view;
}

json source_view(const SourceSpec& source) {
  json view{{"source", source.paths}, {"format", source.format}};
  for (const auto& field : source.columns) view["columns"][field.field] = field.columns;
  const auto* format = find_source_format(source.format);
  if (format != nullptr && format->has_header) view["header"] = source.header;
  if (!source.labels.empty()) view["labels"] = source.labels;
  if (!source.shape.empty()) view["shape"] = source.shape;
  if (!source.element.empty()) view["element"] = source.element;
  if (source.records.from != 0 || source.records.to) view["records"]["from"] = source.records.from;
  if (source.records.to) view["records"]["to"] = *source.records.to;
  return view;
}

// Of each transform its name and its settings.
std::pair<const char*, json> settings_of(const Tokenize& it) {
  json view{{"method", it.method}, {"vocabulary", it.vocabulary}};
  if (it.method == "word") view["ngrams"] = it.ngrams;
  return {"tokenize", std::move(view)};
}
std::pair<const char*, json> settings_of(const PadSequences& it) {
  return {"pad_sequences", {{"length", it.length}}};
}
std::pair<const char*, json> settings_of(const Normalize& it) {
  if (it.per_sample) return {"normalize", {{"per_sample", true}}};
  return {"normalize", {{"mean", numbers_view(it.mean)}, {"deviation", numbers_view(it.deviation)}}};
}
std::pair<const char*, json> settings_of(const OneHot& it) {
  return {"one_hot", it.classes == 0 ? json::object() : json{{"classes", it.classes}}};
}
std::pair<const char*, json> settings_of(const scheduler::Resize& it) {
  return {"resize", {{"size", it.size}}};
}
std::pair<const char*, json> settings_of(const Crop& it) {
  return {"crop", {{"size", it.size}, {"padding", it.padding}, {"random", it.random}}};
}
std::pair<const char*, json> settings_of(const Flip& it) {
  return {"flip", {{"axes", it.axes}, {"probability", it.probability}}};
}
std::pair<const char*, json> settings_of(const Rotate& it) {
  return {"rotate", {{"degrees", it.degrees}}};
}
std::pair<const char*, json> settings_of(const ElasticDeform& it) {
  return {"elastic_deform", {{"alpha", it.alpha}, {"sigma", it.sigma}}};
}
std::pair<const char*, json> settings_of(const Noise& it) {
  return {"noise", {{"deviation", it.deviation}}};
}

json data_view(const DataSpec& data) {
  json view{{"train", source_view(data.train)},
            {"transforms", json::array()},
            {"shuffle", data.shuffle},
            {"on_bad_record", tolerance_view(data.on_bad_record)},
            {"shards", data.shards}};
  if (data.validate) view["validate"] = source_view(*data.validate);
  for (const auto& transform : data.transforms) {
    auto [name, settings] = std::visit([](const auto& what) { return settings_of(what); }, transform.what);
    if (!transform.field.empty()) settings["field"] = transform.field;
    view["transforms"].push_back({{name, std::move(settings)}});
  }
  return view;
}

json optimizer_view(const OptimizerSpec& optimizer) {
  json view{{"name", optimizer.name}, {"lr", optimizer.lr}, {"weight_decay", optimizer.weight_decay}};
  if (optimizer.name == "sgd") {
    view.update({{"momentum", optimizer.momentum}, {"nesterov", optimizer.nesterov}});
  } else {
    view.update({{"beta1", optimizer.beta1}, {"beta2", optimizer.beta2}, {"eps", optimizer.eps}});
  }
  if (optimizer.clip_norm) view["clip_norm"] = *optimizer.clip_norm;
  if (optimizer.clip_value) view["clip_value"] = *optimizer.clip_value;
  return view;
}

json schedule_view(const ScheduleSpec& schedule) {
  json view{{"name", schedule.name}, {"warmup", schedule.warmup}};
  if (schedule.name == "linear" || schedule.name == "cosine") view["final"] = schedule.final;
  if (schedule.name != "step") return view;
  view["factor"] = schedule.factor;
  schedule.at.empty() ? view["every"] = schedule.every : view["at"] = schedule.at;
  return view;
}

json loss_view(const std::vector<LossTerm>& terms) {
  json list = json::array();
  for (const auto& term : terms) {
    json& view = list.emplace_back(json{{"name", term.name}, {"weight", term.weight}});
    if (term.name == "focal") view["gamma"] = term.gamma;
    if (term.name == "cross_entropy") view["label_smoothing"] = term.label_smoothing;
    if (!term.classes.empty()) view["classes"] = term.classes;
  }
  return list;
}

void add_strategy(const StrategySpec& strategy, json& view) {
  view["strategy"] = strategy.name;
  if (strategy.name != "parameter_server") return;
  view["consistency"] = strategy.consistency;
  if (strategy.consistency == "bounded") view["staleness"] = strategy.staleness;
  view["servers"] = strategy.servers;
  view["replicas"] = strategy.replicas;
  view["compression"]["name"] = strategy.compression.name;
  if (strategy.compression.name == "top_k") view["compression"]["share"] = strategy.compression.share;
}

void add_validation(const JobSpec& spec, json& view) {
  if (!spec.data.validate) return;
  const auto& validate = spec.validate;
  view["validate"]["every"] = validate.every_steps ? fmt::format("{} steps", *validate.every_steps)
                                                   : fmt::format("{} epochs", validate.every_epochs);
  if (!validate.metrics.empty()) view["validate"]["metrics"] = validate.metrics;
  if (!spec.early_stop) return;
  view["early_stop"] = {{"metric", spec.early_stop->goal.metric},
                        {"patience", spec.early_stop->patience},
                        {"min_delta", spec.early_stop->min_delta}};
}

json until_view(const Until& until) {
  json view = json::object();
  if (until.epochs) view["epochs"] = *until.epochs;
  if (until.steps) view["steps"] = *until.steps;
  if (until.metric) view["metric"][until.metric->metric] = until.target;
  return view;
}

void add_training(const JobSpec& spec, json& view) {
  view["model"] = model_view(spec.model);
  view["data"] = data_view(spec.data);
  view["batch"] = {{"global", spec.batch.global}, {"accumulate", spec.batch.accumulate}};
  if (spec.batch.max_global > 0) view["batch"]["max_global"] = spec.batch.max_global;
  view["optimizer"] = optimizer_view(spec.optimizer);
  view["schedule"] = schedule_view(spec.schedule);
  view["loss"] = loss_view(spec.loss);
  add_strategy(spec.strategy, view);
  add_validation(spec, view);
  view["until"] = until_view(spec.until);
  view["checkpoint"] = {{"every", spec.checkpoint.every_steps},
                        {"keep_last", spec.checkpoint.keep_last},
                        {"keep_best", spec.checkpoint.keep_best}};
  view["precision"] = spec.precision;
  view["on_nan"] = tolerance_view(spec.on_nan);
  view["seed"] = spec.seed;
  view["audit"] = spec.audit;
}

json worker_resources_view(const Resources& resources) {
  json view{{"cpus", resources.cpus}, {"memory", to_size_text(resources.memory_bytes)}};
  if (resources.gpus > 0 && resources.gpu_kind.empty()) view["gpu"] = resources.gpus;
  json kinds = json::array();
  for (const std::string_view kind : split_gpu_kinds(resources.gpu_kind))
    kinds.push_back(fmt::format("{}:{}", kind, resources.gpus));
  if (resources.gpus > 0 && kinds.size() == 1) view["gpu"] = kinds.front();
  if (resources.gpus > 0 && kinds.size() > 1) view["gpu"] = kinds;
  return view;
}

const char* placement_text(PlacementRule rule) {
  switch (rule) {
    case PlacementRule::spread:
      return "spread";
    case PlacementRule::same_node:
      return "same_node";
    case PlacementRule::pack:
      break;
  }
  return "pack";
}

void add_command(const CommandSpec& command, json& view) {
  view["run"] = command.arguments.empty() ? json(command.script) : json(command.arguments);
  if (!command.setup.empty()) view["setup"] = command.setup;
  if (!command.env.empty()) view["env"] = command.env;
}

json tensors_view(const std::vector<ServedTensor>& tensors) {
  json list = json::array();
  for (const auto& tensor : tensors) {
    json& one = list.emplace_back(json{{"name", tensor.name}});
    if (tensor.datatype.empty()) continue;
    one["datatype"] = tensor.datatype;
    one["shape"] = tensor.shape;
  }
  return list;
}

json padding_view(const PaddingSpec& padding) {
  json view{{"tolerance", number_view(padding.tolerance)}};
  view["buckets"] = padding.buckets.size() == 1 ? json(padding.buckets.front()) : json(padding.buckets);
  if (padding.values.empty()) view["value"] = number_view(padding.value);
  for (const auto& [input, value] : padding.values) view["value"][input] = number_view(value);
  if (!padding.cut.empty()) view["cut"] = padding.cut;
  return view;
}

/// Of `view` the workers are replicas, and the queue is that of requests.
void add_serving(const ServeSpec& serve, json& view) {
  view["replicas"] = std::move(view["workers"]);
  view.erase("workers");
  const bool is_file = serve.source.kind == ServedSource::Kind::file;
  view["model"]["source"] = is_file ? "file:" + serve.source.path : serve.source.text;
  for (const auto& part : serve.traffic) view["traffic"][part.reference] = part.share;
  if (!serve.inputs.empty()) view["model"]["inputs"] = tensors_view(serve.inputs);
  if (!serve.outputs.empty()) view["model"]["outputs"] = tensors_view(serve.outputs);
  view["queue"] = {{"name", view["queue"]},
                   {"max_depth", serve.queue.max_depth},
                   {"max_bytes", serve.queue.max_bytes},
                   {"timeout", duration_text(serve.queue.timeout_ms)}};
  view["batching"] = {{"mode", serve.batching.mode},
                      {"max_size", serve.batching.max_size},
                      {"max_delay", duration_text(serve.batching.max_delay_ms)}};
  if (serve.batching.padding) view["batching"]["padding"] = padding_view(*serve.batching.padding);
  if (serve.quantize) {
    view["quantize"] = {{"to", "int8"},
                        {"max_loss", number_view(serve.quantize->max_loss)},
                        {"max_error", number_view(serve.quantize->max_error)}};
    if (serve.quantize->eval) view["quantize"]["eval"] = source_view(*serve.quantize->eval);
  }
  if (serve.p99_ms != 0) view["slo"]["p99"] = duration_text(serve.p99_ms);
  const AutoscaleSpec& autoscale = serve.autoscale;
  view["autoscale"] = {{"target", number_view(autoscale.target)},
                       {"up_delay", duration_text(autoscale.up_delay_ms)},
                       {"down_delay", duration_text(autoscale.down_delay_ms)},
                       {"to_zero_after", duration_text(autoscale.to_zero_after_ms)}};
  view["drain"] = duration_text(serve.drain_ms);
}

}  // namespace

json spec_view(const JobSpec& spec) {
  json view{{"version", 1},
            {"kind", to_string(spec.kind)},
            {"name", spec.name},
            {"tenant", spec.tenant},
            {"queue", spec.queue},
            {"priority", spec.priority},
            {"preemptible", spec.preemptible},
            {"resources", worker_resources_view(spec.resources)},
            {"placement", placement_text(spec.placement)},
            {"workers", {{"min", spec.workers.min}, {"max", spec.workers.max}}},
            {"restart", spec.restart_limit},
            {"retention", duration_text(spec.retention_ms)}};
  if (!spec.description.empty()) view["description"] = spec.description;
  if (!spec.labels.empty()) view["labels"] = spec.labels;
  if (spec.start_at_ms != 0) {
    view["start_after"] = moment_text(spec.start_at_ms);
  } else if (spec.start_after_ms != 0) {
    view["start_after"] = duration_text(spec.start_after_ms);
  }
  if (!spec.depends_on.empty()) view["depends_on"] = spec.depends_on;
  if (spec.time_limit_ms != 0) view["time_limit"] = duration_text(spec.time_limit_ms);
  if (spec.deadline_at_ms != 0) {
    view["deadline"] = moment_text(spec.deadline_at_ms);
  } else if (spec.deadline_after_ms != 0) {
    view["deadline"] = duration_text(spec.deadline_after_ms);
  }
  switch (spec.kind) {
    case JobKind::train:
      add_training(spec, view);
      break;
    case JobKind::command:
      add_command(*spec.command, view);
      break;
    case JobKind::serve:
      add_serving(*spec.serve, view);
      view["precision"] = spec.precision;
      break;
  }
  return view;
}

}  // namespace ds::head
