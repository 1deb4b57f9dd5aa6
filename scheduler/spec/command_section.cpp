// What a `command` job has at its root besides what all jobs have.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxVariables = 256;
constexpr TextRule kScript{.max_bytes = 64 << 10, .may_have_lines = true};
constexpr TextRule kArgument{.max_bytes = 64 << 10, .may_be_empty = true, .may_have_lines = true};

/// Set for each process by its place in the gang.
constexpr auto kReserved = std::to_array<std::string_view>(
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
     "CUDA_VISIBLE_DEVICES", "DS_JOB", "DS_GENERATION"});

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

void read_variable(const YamlEntry& entry, Findings& findings, std::map<std::string, std::string>& env) {
  const std::string path = join_path("env", entry.key);
  if (!is_variable_name(entry.key)) {
    findings.add_error(path, entry.key_mark, "expected a variable's name, got " + to_quoted(entry.key),
                       "it has letters, digits and '_', and begins with no digit");
  } else if (std::ranges::find(kReserved, entry.key) != kReserved.end()) {
    findings.add_error(path, entry.key_mark, "is set by ds for each worker", "remove it");
  } else if (env.contains(entry.key)) {
    findings.add_error(path, entry.key_mark, "given twice", "remove one of the two");
  } else if (auto value = read_text(entry.value, path, kArgument, findings)) {
    findings.add_mark(path, entry.value.mark);
    env.emplace(entry.key, *std::move(value));
  }
}

void read_env(const Section& root, std::map<std::string, std::string>& env) {
  const YamlNode* node = root.find("env");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    root.fail("env", "expected a mapping, got " + describe(*node), "such as {OMP_NUM_THREADS: 2}");
  } else if (node->entries.size() > kMaxVariables) {
    root.fail("env", "expected at most " + std::to_string(kMaxVariables) + " variables, got " +
                         std::to_string(node->entries.size()));
  } else {
    for (const YamlEntry& entry : node->entries) read_variable(entry, root.findings(), env);
  }
}

void read_run(const Section& root, CommandSpec& command) {
  const YamlNode* node = root.find("run");
  if (node == nullptr) return root.require("run", "such as run: ./train --lr 0.1");
  if (node->kind == YamlNode::Kind::scalar) return root.read_text("run", command.script, kScript);
  root.read_texts("run", command.arguments, kArgument, {1, 4096});
  if (!command.arguments.empty() && command.arguments.front().empty())
    root.fail("run", "the program's name is empty", "such as [./train, --lr, \"0.1\"]");
}

}  // namespace

void read_command_job(const Section& root, JobSpec& spec) {
  read_common(root, spec);
  CommandSpec& command = spec.command.emplace();
  read_run(root, command);
  root.read_text("setup", command.setup, kScript);
  read_env(root, command.env);
}

}  // namespace ds::scheduler
