#include <algorithm>
#include <bit>
#include <string>

#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

/// Reports a fault at `field`, or at the nearest section around it that the file has.
void fail(Findings& findings, const std::string& field, std::string message, std::string hint = {}) {
  findings.add_error(field, findings.mark_of(field), std::move(message), std::move(hint));
}

void check_batch(const JobSpec& spec, Findings& findings) {
  if (findings.has_error_in("workers")) return;
  const std::uint64_t samples_needed = std::uint64_t{spec.workers.max} * spec.batch.accumulate;
  if (!findings.has_error_in("batch") && spec.batch.global < samples_needed) {
    fail(findings, "batch.global",
         "expected at least " + std::to_string(samples_needed) + ", got " + std::to_string(spec.batch.global),
         "each of workers.max (" + std::to_string(spec.workers.max) + ") shares needs a sample in each of " +
             std::to_string(spec.batch.accumulate) + " micro-batches");
  }
}

/// What a job needs whose batch may grow: micro-batches to tell the noise by, and one sum a step.
void check_growing_batch(const JobSpec& spec, Findings& findings) {
  const BatchSpec& batch = spec.batch;
  if (batch.max_global == 0 || findings.has_error_in("batch") || findings.has_error_in("workers")) return;
  if (batch.max_global == batch.global) return;  // it never grows
  const bool is_multiple = batch.max_global % batch.global == 0;
  if (!is_multiple || !std::has_single_bit(batch.max_global / batch.global)) {
    const std::uint64_t below = std::bit_floor(std::max(1U, batch.max_global / batch.global));
    std::string near = std::to_string(below * batch.global);
    if (below * batch.global < batch.max_global) near += " or " + std::to_string(2 * below * batch.global);
    fail(findings, "batch.max_global",
         "expected batch.global (" + std::to_string(batch.global) + ") times a power of two, got " +
             std::to_string(batch.max_global),
         "such as " + near);
  } else if (spec.logical_ranks() * std::uint64_t{batch.accumulate} < 2) {
    fail(
        findings, "batch.max_global",
        "needs workers.max or batch.accumulate of at least 2: the batch grows by the gradient's noise, which "
        "is measured between the micro-batches of a step",
        "such as accumulate: 2");
  }
  const StrategySpec& strategy = spec.strategy;
  if (strategy.name != "parameter_server" || findings.has_error_in("strategy")) return;
  if (strategy.consistency != "sync") {
    fail(findings, "batch.max_global", "goes with consistency: sync, got " + strategy.consistency,
         "with " + strategy.consistency +
             " each worker's share is an update of its own: no sum of a whole "
             "batch tells the gradient's noise");
  } else if (strategy.compression.name != "none" && !findings.has_error_in("compression")) {
    fail(findings, "batch.max_global", "goes without compression, got " + strategy.compression.name,
         "the gradient's noise can't be told from what a lossy push leaves out");
  }
}

void check_end(const JobSpec& spec, Findings& findings) {
  const Until& until = spec.until;
  if (findings.has_error_in("until")) return;
  if (until.epochs.has_value() == until.steps.has_value()) {
    const std::string beside = until.metric ? " beside metric" : "";
    fail(findings, "until",
         until.epochs ? "expected one of epochs and steps, got both"
                      : "expected epochs or steps" + beside + ", got neither",
         until.metric ? "such as {epochs: 5, metric: {accuracy: 0.95}}" : "such as {epochs: 5}");
  } else if (until.steps && !findings.has_error_in("schedule") && spec.schedule.warmup > *until.steps) {
    fail(findings, "schedule.warmup",
         "expected at most until.steps (" + std::to_string(*until.steps) + "), got " +
             std::to_string(spec.schedule.warmup));
  }
}

/// Reports a goal at `field` whose metric is not computed.
void check_metric(const JobSpec& spec, const Goal& goal, const std::string& field, Findings& findings) {
  const auto& metrics = spec.validate.metrics;
  if (findings.has_error_in("validate") || metrics.empty() || goal.metric == "loss") return;
  if (std::find(metrics.begin(), metrics.end(), goal.metric) != metrics.end()) return;
  fail(findings, field, goal.metric + " is not among validate.metrics", "add it there");
}

void check_validation(const Section& root, const JobSpec& spec, Findings& findings) {
  if (!spec.data.validate && !findings.has_error_in("data")) {
    const char* hint = "there is nothing to judge by without it";
    if (root.has("validate")) root.fail("validate", "expected data.validate, which is missing", hint);
    if (spec.early_stop) root.fail("early_stop", "expected data.validate, which is missing", hint);
    if (spec.until.metric) fail(findings, "until.metric", "expected data.validate, which is missing", hint);
    return;
  }
  if (spec.early_stop) check_metric(spec, spec.early_stop->goal, "early_stop.metric", findings);
  if (spec.until.metric) check_metric(spec, *spec.until.metric, "until.metric", findings);
}

void check_model(const JobSpec& spec, Findings& findings) {
  const std::string& zoo = spec.model.zoo;
  if ((zoo != "text_classifier" && zoo != "bag_of_words") || findings.has_error_in("data")) return;
  const auto& columns = spec.data.train.columns;
  const bool has_text =
      spec.data.train.format == "text" ||
      std::any_of(columns.begin(), columns.end(), [](const FieldColumns& f) { return f.field == "text"; });
  if (!has_text) {
    fail(findings, "data.train.columns", "expected a column for text, which " + zoo + " reads",
         "such as {text: utterance, label: intent}");
  }
}

/// Shares that are pushed by themselves, or in a lossy form that keeps what it lost, have no sum to scale.
void check_precision(const JobSpec& spec, Findings& findings) {
  const StrategySpec& strategy = spec.strategy;
  if (spec.precision != "fp16" || strategy.name != "parameter_server" || findings.has_error_in("strategy"))
    return;
  if (strategy.compression.name != "none")
    fail(findings, "precision", "fp16 goes without compression", "use fp32 or bf16");
}

/// Without order among steps nobody can say which of them are committed.
void check_audit(const JobSpec& spec, Findings& findings) {
  if (!spec.audit || spec.strategy.name != "parameter_server" || findings.has_error_in("strategy")) return;
  if (spec.strategy.consistency != "sync") {
    fail(findings, "audit", "audit goes with consistency: sync, got " + spec.strategy.consistency,
         "workers run ahead of each other with " + spec.strategy.consistency +
             ", so steps are not done one after the other");
  }
}

/// A worker alone pushes the shares of all logical ranks in one message, which has room for so many.
constexpr std::uint32_t kMostCompressedShares = 48;

void check_compression(const JobSpec& spec, Findings& findings) {
  if (spec.strategy.compression.name == "none" || spec.workers.max <= kMostCompressedShares) return;
  if (findings.has_error_in("compression") || findings.has_error_in("workers")) return;
  fail(findings, "compression",
       "goes with at most " + std::to_string(kMostCompressedShares) + " workers, workers.max is " +
           std::to_string(spec.workers.max),
       "compression: none has no such limit");
}

}  // namespace

void check_rules(const Section& root, const JobSpec& spec) {
  Findings& findings = root.findings();
  check_batch(spec, findings);
  check_growing_batch(spec, findings);
  check_end(spec, findings);
  check_validation(root, spec, findings);
  check_model(spec, findings);
  check_precision(spec, findings);
  check_audit(spec, findings);
  check_compression(spec, findings);
}

}  // namespace ds::scheduler
