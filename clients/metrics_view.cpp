#include "clients/metrics_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "clients/job_view.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr const char* kOfJob[] = {"id",          "name",  "kind",    "state",      "step",
                                  "total_steps", "epoch", "metrics", "generation", "restarts"};
constexpr const char* kOfWholeJob[] = {"evaluations", "speeds", "resize_seconds", "run_ms"};

void copy_fields(const json& from, std::span<const char* const> names, json& to) {
  for (const char* name : names) {
    if (from.contains(name)) to[name] = from.at(name);
  }
}

/// `+Inf` and the like have no number in JSON.
json value_of(double value) {
  return std::isfinite(value) ? json(value) : json(fmt::format("{}", value));
}

json samples_document(std::span<const Sample> samples) {
  json list = json::array();
  for (const Sample& sample : samples) {
    list.push_back({{"name", sample.name},
                    {"labels", sample.labels},
                    {"value", value_of(sample.value)},
                    {"type", sample.type},
                    {"help", sample.help}});
  }
  return list;
}

std::string format_value(const json& value) {
  if (value.is_string()) return printable_line(value.get<std::string>());
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  return value.is_number() ? fmt::format("{:.6g}", value.get<double>()) : "-";
}

/// Numbers by their dotted names: `phase_seconds.forward`.
void flatten(const json& value, const std::string& name, std::vector<std::vector<Cell>>& rows) {
  if (value.is_object()) {
    for (const auto& [key, below] : value.items())
      flatten(below, name.empty() ? key : name + "." + key, rows);
  } else if (value.is_number() || value.is_string()) {
    rows.push_back({{printable_line(name)}, {format_value(value), Colour::none, true}});
  }
}

/// `model=intents stage=queue`
std::string format_labels(const json& sample, std::string_view without = {}) {
  std::string text;
  const auto labels = sample.find("labels");
  if (labels == sample.end() || !labels->is_object()) return text;
  for (const auto& [name, value] : labels->items()) {
    if (name != without && value.is_string())
      text += (text.empty() ? "" : " ") + name + "=" + value.get<std::string>();
  }
  return printable_line(text);
}

/// Of a histogram: how many, and what they are on average; its buckets are for `-o json` and Prometheus.
std::string format_samples(const json& samples, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  std::map<std::pair<std::string, std::string>, double> sums;
  for (const json& sample : samples) {
    const std::string name = text_at(sample, "name");
    if (name.ends_with("_sum"))
      sums[{name.substr(0, name.size() - 4), format_labels(sample)}] = number_at(sample, "value").value_or(0);
  }
  for (const json& sample : samples) {
    const std::string name = text_at(sample, "name"), labels = format_labels(sample);
    const bool is_histogram = text_at(sample, "type") == "histogram";
    if (is_histogram && !name.ends_with("_count")) continue;
    const json value = sample.value("value", json());
    rows.push_back({{printable_line(name)}, {labels}, {format_value(value), Colour::none, true}});
    if (!is_histogram) continue;
    const std::string family = name.substr(0, name.size() - 6);
    const double count = number_at(sample, "value").value_or(0);
    const auto sum = sums.find({family, labels});
    if (count > 0 && sum != sums.end()) {
      rows.push_back({{printable_line(family) + " (mean)"},
                      {labels},
                      {fmt::format("{:.6g}", sum->second / count), Colour::none, true}});
    }
  }
  return rows.empty() ? std::string() : format_table({"METRIC", "LABELS", "VALUE"}, rows, coloured);
}

/// Columns of numbers that evaluations have, in the order of their names.
std::string format_evaluations(const json& evaluations, bool coloured) {
  if (evaluations.empty()) return {};
  std::vector<std::string> names{"epoch", "step", "loss"};
  for (const json& one : evaluations) {
    if (!one.is_object()) return {};
    for (const auto& [name, value] : one.items()) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  std::ranges::sort(names.begin() + 3, names.end());
  std::vector<std::string> header;
  for (std::string name : names) {
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    header.push_back(printable_line(name));
  }
  std::vector<std::vector<Cell>> rows;
  for (const json& one : evaluations) {
    auto& row = rows.emplace_back();
    for (const auto& name : names) row.push_back({format_value(one.value(name, json())), Colour::none, true});
  }
  return "\n" + format_table(header, rows, coloured);
}

std::string format_speeds(const json& metrics, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  for (const json& size : array_at(metrics, "speeds")) {
    const auto seconds = number_at(size, "step_seconds");
    if (!seconds || *seconds <= 0) continue;
    rows.push_back({{std::to_string(integer_at(size, "workers")), Colour::none, true},
                    {std::to_string(integer_at(size, "nodes")), Colour::none, true},
                    {fmt::format("{:.6g}", *seconds), Colour::none, true},
                    {fmt::format("{:.4g}", 1 / *seconds), Colour::none, true}});
  }
  if (rows.empty()) return {};
  return "\n" + format_table({"WORKERS", "NODES", "STEP_SECONDS", "STEPS/S"}, rows, coloured);
}

bool is_of_model(const Sample& sample, const std::string& model) {
  const auto found = sample.labels.find("model");
  return found != sample.labels.end() && found->second == model;
}

Cell number_cell(const json& job, std::string_view path) {
  const auto value = number_at(job, path);
  return {value ? fmt::format("{:.4g}", *value) : "-", Colour::none, true};
}

}  // namespace

json job_metrics(const json& job, std::span<const Sample> samples) {
  json metrics = json::object();
  copy_fields(job, kOfJob, metrics);
  copy_fields(job, kOfWholeJob, metrics);
  metrics["workers"] = array_at(job, "workers").size();
  if (text_at(job, "kind") != "serve") return metrics;
  std::vector<Sample> own;
  std::ranges::copy_if(samples, std::back_inserter(own),
                       [&](const Sample& sample) { return is_of_model(sample, text_at(job, "name")); });
  metrics["samples"] = samples_document(own);
  return metrics;
}

std::string format_job_metrics(const json& metrics, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  for (const char* name : {"step", "total_steps", "epoch", "workers", "generation", "restarts"}) {
    if (metrics.contains(name)) flatten(metrics.at(name), name, rows);
  }
  if (metrics.contains("metrics")) flatten(metrics.at("metrics"), "", rows);
  if (metrics.contains("resize_seconds")) flatten(metrics.at("resize_seconds"), "resize_seconds", rows);
  std::string out = format_table({"METRIC", "VALUE"}, rows, coloured);
  out += format_speeds(metrics, coloured);
  out += format_evaluations(array_at(metrics, "evaluations"), coloured);
  const std::string samples = format_samples(array_at(metrics, "samples"), coloured);
  return samples.empty() ? out : out + "\n" + samples;
}

json cluster_metrics(const json& jobs, std::span<const Sample> samples) {
  json metrics{{"jobs", json::array()}, {"samples", samples_document(samples)}};
  for (const json& job : jobs) {
    json one = json::object();
    copy_fields(job, kOfJob, one);
    metrics["jobs"].push_back(std::move(one));
  }
  return metrics;
}

std::string format_cluster_metrics(const json& metrics, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  for (const json& job : array_at(metrics, "jobs")) {
    const auto found = job.find("metrics");
    if (found == job.end() || found->empty()) continue;
    const std::string state = text_at(job, "state");
    rows.push_back({{printable_line(text_at(job, "id"))},
                    {printable_line(state), colour_of_state(state)},
                    {std::to_string(integer_at(job, "step")), Colour::none, true},
                    number_cell(job, "metrics.loss"),
                    number_cell(job, "metrics.samples_per_s"),
                    number_cell(job, "metrics.validation_loss"),
                    number_cell(job, "metrics.accuracy")});
  }
  const std::string samples = format_samples(array_at(metrics, "samples"), coloured);
  if (rows.empty() && samples.empty()) return "nothing is measured yet; ds-submit list shows the jobs\n";
  if (rows.empty()) return samples;
  const std::string jobs = format_table(
      {"ID", "STATE", "STEP", "LOSS", "SAMPLES/S", "VALIDATION_LOSS", "ACCURACY"}, rows, coloured);
  return samples.empty() ? jobs : jobs + "\n" + samples;
}

}  // namespace ds::clients
