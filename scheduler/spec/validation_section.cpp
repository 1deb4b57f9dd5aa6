#include <string>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

constexpr WholeRange kEpochRange{1, 1'000'000};

Goal goal_of(std::string metric) {
  const bool larger = metric != "loss";
  return {std::move(metric), larger};
}

/// Reads `200 steps`, `200` or `2 epochs`.
void read_interval(const Section& section, ValidateSpec& validate) {
  const YamlNode* node = section.find("every");
  if (node == nullptr) return;
  for (const std::string_view unit : {" epochs", " epoch"}) {
    if (!node->text.ends_with(unit)) continue;
    YamlNode number = *node;
    number.text.resize(number.text.size() - unit.size());
    number.is_quoted = false;  // "2 epochs" is a text in YAML anyway
    const auto epochs = read_whole(number, section.path_of("every"), kEpochRange, section.findings());
    if (epochs) validate.every_epochs = static_cast<std::uint32_t>(*epochs);
    return;
  }
  std::uint64_t steps = 0;
  section.read_steps("every", steps, kStepRange);
  if (steps != 0) validate.every_steps = steps;
}

/// Reads `{accuracy: 0.95}`.
void read_target(const Section& section, Until& until) {
  const auto target = section.open("metric", keys::kGoals);
  if (!target) return;
  for (const Known& goal : keys::kGoals) {
    if (!target->has(goal.name)) continue;
    if (until.metric) {
      section.fail("metric", "expected one metric, got several", "such as {accuracy: 0.95}");
      return;
    }
    until.metric = goal_of(std::string(goal.name));
    target->read(goal.name, until.target, goal.name == "loss" ? kNotNegative : kUpToOne);
  }
  if (!until.metric && !section.findings().has_error_in(target->path())) {
    section.fail("metric", "expected a metric and its target, got none", "such as {accuracy: 0.95}");
  }
}

}  // namespace

void read_validate(const Section& root, ValidateSpec& validate) {
  const auto section = root.open("validate", keys::kValidate);
  if (!section) return;
  read_interval(*section, validate);
  section->read_choices("metrics", validate.metrics, keys::kMetrics);
}

void read_early_stop(const Section& root, std::optional<EarlyStop>& early_stop) {
  const auto section = root.open("early_stop", keys::kEarlyStop);
  if (!section) return;
  EarlyStop read;
  std::string metric = read.goal.metric;
  section->read_choice("metric", metric, keys::kGoals);
  read.goal = goal_of(std::move(metric));
  section->read("patience", read.patience, {1, 1'000'000});
  section->read("min_delta", read.min_delta, kNotNegative);
  early_stop = std::move(read);
}

void read_until(const Section& root, Until& until) {
  root.require("until", "such as {epochs: 5}");
  const auto section = root.open("until", keys::kUntil);
  if (!section) return;
  std::uint32_t epochs = 0;
  std::uint64_t steps = 0;
  section->read("epochs", epochs, kEpochRange);
  section->read("steps", steps, kStepRange);
  if (epochs != 0) until.epochs = epochs;
  if (steps != 0) until.steps = steps;
  read_target(*section, until);
}

}  // namespace ds::scheduler
