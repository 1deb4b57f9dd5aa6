#include "scheduler/spec/job_sections.hpp"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/priority.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/tenant_file.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kWorkerRange{1, 1024};
constexpr std::size_t kMaxLabels = 32;

void read_labels(const Section& root, std::map<std::string, std::string>& labels) {
  const YamlNode* node = root.find("labels");
  if (node == nullptr) return;
  Findings& findings = root.findings();
  if (node->kind != YamlNode::Kind::mapping) {
    root.fail("labels", "expected a mapping, got " + describe(*node), "such as {team: search}");
    return;
  }
  if (node->entries.size() > kMaxLabels) {
    root.fail("labels", "expected at most " + std::to_string(kMaxLabels) + " labels, got " +
                            std::to_string(node->entries.size()));
    return;
  }
  std::set<std::string_view> seen;
  for (const YamlEntry& entry : node->entries) {
    const std::string path = join_path("labels", entry.key);
    if (!is_identifier(entry.key)) {
      findings.add_error(path, entry.key_mark, "expected a name, got " + to_quoted(entry.key),
                         "a label's name has 1 to 63 of a-z, 0-9, '.', '_', '-'");
    } else if (!seen.insert(entry.key).second) {
      findings.add_error(path, entry.key_mark, "given twice", "remove one of the two");
    } else if (auto value = read_text(entry.value, path, {.may_be_empty = true}, findings)) {
      findings.add_mark(path, entry.value.mark);
      labels.emplace(entry.key, *std::move(value));
    }
  }
}

void read_priority(const Section& root, std::uint32_t& priority) {
  const YamlNode* node = root.find("priority");
  if (node == nullptr) return;
  const bool is_number = node->kind == YamlNode::Kind::scalar && !node->is_quoted &&
                         parse_real(node->text).fault != NumberFault::not_a_number;
  if (is_number) return root.read("priority", priority, {0, kMaxPriority});
  std::string word;
  root.read_choice("priority", word, keys::kPriorities);
  priority = priority_from(word).value_or(priority);
}

void read_workers(const Section& root, WorkerCount& workers) {
  const YamlNode* node = root.find("workers");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    root.read("workers", workers.max, kWorkerRange);
    workers.min = workers.max;
    return;
  }
  const auto section = root.open("workers", keys::kWorkers);
  section->require("max", "such as {min: 1, max: 4}");
  section->read("min", workers.min, kWorkerRange);
  section->read("max", workers.max, kWorkerRange);
  std::uint32_t preferred = workers.max;
  section->read("preferred", preferred, kWorkerRange);
  if (preferred != workers.max && !root.findings().has_error_in("workers")) {
    section->fail(
        "preferred",
        "expected " + std::to_string(workers.max) + " (workers.max), got " + std::to_string(preferred),
        "a job grows to its maximum; other values are not supported by this version yet");
  }
}

void read_checkpoint(const Section& root, CheckpointSpec& checkpoint) {
  const auto section = root.open("checkpoint", keys::kCheckpoint);
  if (!section) return;
  section->read_steps("every", checkpoint.every_steps, kStepRange);
  section->read("keep_last", checkpoint.keep_last, {1, 1000});
  section->read("keep_best", checkpoint.keep_best, {0, 1000});
}

}  // namespace

void read_queue_name(const Section& section, std::string_view key, std::string& queue) {
  const YamlNode* node = section.find(key);
  const bool is_path =
      node != nullptr && node->kind == YamlNode::Kind::scalar && node->text.find('/') != std::string::npos;
  if (!is_path) return section.read_identifier(key, queue);
  std::string_view rest = node->text;
  for (std::size_t level = 0; level < kMaxQueueDepth; ++level) {
    const std::size_t slash = rest.find('/');
    if (!is_identifier(rest.substr(0, slash))) break;
    if (slash == std::string_view::npos) {
      queue = node->text;
      return;
    }
    rest.remove_prefix(slash + 1);
  }
  section.fail(key, "expected the name or the path of a queue, got " + describe(*node),
               "such as prod, or nlp/research/prod as ds-submit tenants shows it");
}

void read_common(const Section& root, JobSpec& spec) {
  root.read_identifier("name", spec.name);
  root.read_identifier("tenant", spec.tenant);
  if (!spec.serve) read_queue_name(root, "queue", spec.queue);  // there it may be about requests
  read_priority(root, spec.priority);
  root.read("preemptible", spec.preemptible);
  root.read_text("description", spec.description,
                 {.max_bytes = 4096, .may_be_empty = true, .may_have_lines = true});
  read_labels(root, spec.labels);
  read_resources(root, spec.kind, spec.resources);
  if (!spec.serve) read_workers(root, spec.workers);
  std::string placement;
  root.read_choice("placement", placement, keys::kPlacements);
  if (placement == "spread") spec.placement = PlacementRule::spread;
  if (placement == "same_node") spec.placement = PlacementRule::same_node;
  read_start(root, spec);
  root.read("restart", spec.restart_limit, {0, 1000});
  if (spec.workers.min > spec.workers.max && !root.findings().has_error_in("workers")) {
    Findings& findings = root.findings();
    findings.add_error("workers.min", findings.mark_of("workers.min"),
                       "expected at most workers.max (" + std::to_string(spec.workers.max) + "), got " +
                           std::to_string(spec.workers.min));
  }
}

void read_train_job(const Section& root, std::string_view directory, JobSpec& spec) {
  read_common(root, spec);
  read_model(root, directory, spec.model);
  read_data(root, directory, spec.data);
  if (const auto batch = root.open("batch", keys::kBatch)) {
    batch->read("global", spec.batch.global, {1, 1'048'576});
    batch->read("accumulate", spec.batch.accumulate, {1, 1024});
    batch->read("max_global", spec.batch.max_global, {1, 1'048'576});
  }
  read_optimizer(root, spec.optimizer);
  read_schedule(root, spec.schedule);
  read_loss(root, spec.loss);
  read_strategy(root, spec.strategy);
  root.read_choice("precision", spec.precision, keys::kPrecisions);
  read_tolerance(root, "on_nan", spec.on_nan);
  read_validate(root, spec.validate);
  read_early_stop(root, spec.early_stop);
  read_until(root, spec.until);
  read_checkpoint(root, spec.checkpoint);
  root.read("seed", spec.seed, {});
  root.read("audit", spec.audit);
  check_rules(root, spec);
}

}  // namespace ds::scheduler
