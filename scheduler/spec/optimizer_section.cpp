#include <algorithm>
#include <array>
#include <string>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

/// Fields that only some optimizers, or schedules, have.
struct Owned {
  std::string_view key;
  std::string_view owners;  ///< names with a space on both sides of each
};
constexpr auto kOptimizerFields = std::to_array<Owned>({{"momentum", " sgd "},
                                                        {"nesterov", " sgd "},
                                                        {"beta1", " adam adamw "},
                                                        {"beta2", " adam adamw "},
                                                        {"betas", " adam adamw "},
                                                        {"eps", " adam adamw "}});
constexpr auto kScheduleFields = std::to_array<Owned>(
    {{"final", " linear cosine "}, {"every", " step "}, {"factor", " step "}, {"at", " step "}});

bool owns(const Owned& field, const std::string& name) {
  return field.owners.find(" " + name + " ") != std::string_view::npos;
}

/// Reports fields that `name` does not have; `all` are those of the section.
void refuse_foreign(const Section& section, const std::string& name, std::span<const Owned> owned,
                    std::span<const Known> all) {
  std::string takes = name + " takes";
  const char* separator = " ";
  for (const Known& key : all) {
    const auto field =
        std::find_if(owned.begin(), owned.end(), [&](const Owned& o) { return o.key == key.name; });
    if (key.name == "name" || (field != owned.end() && !owns(*field, name))) continue;
    takes.append(separator).append(key.name);
    separator = ", ";
  }
  for (const Owned& field : owned) {
    if (!section.has(field.key) || owns(field, name)) continue;
    section.fail(field.key, name + " has no " + std::string(field.key), takes);
  }
}

void read_betas(const Section& section, OptimizerSpec& optimizer) {
  section.read("beta1", optimizer.beta1, kBelowOne);
  section.read("beta2", optimizer.beta2, kBelowOne);
  const YamlNode* betas = section.find("betas");
  if (betas == nullptr) return;
  if (section.has("beta1") || section.has("beta2")) {
    section.fail("betas", "given beside beta1 or beta2", "keep one of the two spellings");
  } else if (betas->kind != YamlNode::Kind::sequence || betas->items.size() != 2) {
    section.fail(
        "betas",
        "expected a list of two numbers, got " + (betas->kind == YamlNode::Kind::sequence
                                                      ? "a list of " + std::to_string(betas->items.size())
                                                      : describe(*betas)),
        "such as [0.9, 0.999]");
  } else {
    const std::string path = section.path_of("betas");
    Findings& findings = section.findings();
    optimizer.beta1 = read_real(betas->items[0], path + "[0]", kBelowOne, findings).value_or(optimizer.beta1);
    optimizer.beta2 = read_real(betas->items[1], path + "[1]", kBelowOne, findings).value_or(optimizer.beta2);
  }
}

void read_limit(const Section& section, std::string_view key, std::optional<double>& limit) {
  double value = 0;
  section.read(key, value, kAboveZero);
  if (value > 0) limit = value;
}

/// Reads `at: [1000, 2000]`, the steps at which the rate is cut.
void read_cuts(const Section& section, ScheduleSpec& schedule) {
  section.read_wholes("at", schedule.at, kStepRange, {1, 1024});
  const auto unordered = std::adjacent_find(schedule.at.begin(), schedule.at.end(), std::greater_equal<>());
  if (unordered != schedule.at.end()) {
    section.fail("at", "expected rising steps, got " + std::to_string(*std::next(unordered)) + " after " +
                           std::to_string(*unordered));
  }
  if (section.has("at") == section.has("every")) {
    section.fail("every", section.has("at") ? "given beside at" : "step needs every or at",
                 "such as {name: step, every: 1000 steps, factor: 0.1}");
  }
}

}  // namespace

void read_optimizer(const Section& root, OptimizerSpec& optimizer) {
  optimizer.weight_decay = 0.01;  // of adamw, which is the default
  const auto section = root.open("optimizer", keys::kOptimizer);
  if (!section) return;
  section->read_choice("name", optimizer.name, keys::kOptimizers);
  refuse_foreign(*section, optimizer.name, kOptimizerFields, keys::kOptimizer);
  if (optimizer.name != "adamw") optimizer.weight_decay = 0;
  section->read("lr", optimizer.lr, kAboveZero);
  section->read("momentum", optimizer.momentum, kBelowOne);
  section->read("nesterov", optimizer.nesterov);
  if (optimizer.name == "sgd" && optimizer.nesterov && optimizer.momentum == 0) {
    section->fail("nesterov", "expected momentum beside it", "such as momentum: 0.9");
  }
  read_betas(*section, optimizer);
  section->read("eps", optimizer.eps, kAboveZero);
  section->read("weight_decay", optimizer.weight_decay, kNotNegative);
  read_limit(*section, "clip_norm", optimizer.clip_norm);
  read_limit(*section, "clip_value", optimizer.clip_value);
}

void read_schedule(const Section& root, ScheduleSpec& schedule) {
  const YamlNode* node = root.find("schedule");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar) {
    root.read_choice("schedule", schedule.name, keys::kSchedules);
    if (schedule.name == "step") {
      root.fail("schedule", "step needs every or at", "such as {name: step, every: 1000 steps, factor: 0.1}");
    }
    return;
  }
  const auto section = root.open("schedule", keys::kSchedule);
  if (!section) return;
  section->require("name", "one of " + list_names(keys::kSchedules));
  section->read_choice("name", schedule.name, keys::kSchedules);
  if (section->has("name") && !section->findings().has_error_in(section->path())) {
    refuse_foreign(*section, schedule.name, kScheduleFields, keys::kSchedule);
  }
  section->read_steps("warmup", schedule.warmup, {0, kStepRange.high});
  section->read("final", schedule.final, kUpToOne);
  section->read_steps("every", schedule.every, kStepRange);
  section->read("factor", schedule.factor, kShare);
  if (schedule.name == "step") read_cuts(*section, schedule);
}

}  // namespace ds::scheduler
