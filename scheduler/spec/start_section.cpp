// When a job may start, and how long it may run.
#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxDependencies = 64;
constexpr std::int64_t kMaxDurationMs = std::int64_t{366} * 24 * 3'600'000;

void read_start_after(const Section& root, JobSpec& spec) {
  const YamlNode* node = root.find("start_after");
  if (node == nullptr) return;
  const char* hint = "such as 2h after the submission, or 2030-01-31T08:00:00Z";
  if (node->kind != YamlNode::Kind::scalar)
    return root.fail("start_after", "expected a duration or a time, got " + describe(*node), hint);
  if (is_duration(node->text)) {
    const auto duration = parse_duration_ms(node->text);
    if (!duration || *duration > kMaxDurationMs)
      return root.fail("start_after", "expected a duration of at most 366d, got " + describe(*node), hint);
    spec.start_after_ms = *duration;
  } else if (const auto moment = parse_time_ms(node->text)) {
    spec.start_at_ms = *moment;
  } else {
    root.fail("start_after", "expected a duration or a time, got " + describe(*node), hint);
  }
}

void read_time_limit(const Section& root, JobSpec& spec) {
  const YamlNode* node = root.find("time_limit");
  if (node == nullptr) return;
  const auto limit = node->kind == YamlNode::Kind::scalar ? parse_duration_ms(node->text) : std::nullopt;
  if (!limit) {
    root.fail("time_limit", "expected a duration, got " + describe(*node), "such as 90s, 15m or 2h");
  } else if (*limit < 1000 || *limit > kMaxDurationMs) {
    root.fail("time_limit", "expected a duration from 1s to 366d, got " + describe(*node));
  } else {
    spec.time_limit_ms = *limit;
  }
}

void read_depends_on(const Section& root, std::vector<std::string>& jobs) {
  std::vector<std::string> names;
  root.read_texts("depends_on", names, {.max_bytes = 63}, {.low = 0, .high = kMaxDependencies});
  const YamlNode* node = root.find("depends_on");
  if (node == nullptr || root.findings().has_error_in("depends_on")) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string path = "depends_on[" + std::to_string(i) + "]";
    const Mark mark = node->kind == YamlNode::Kind::sequence ? node->items[i].mark : node->mark;
    root.findings().add_mark(path, mark);
    if (!is_identifier(names[i])) {
      root.findings().add_error(path, mark, "expected a job's name or id, got " + to_quoted(names[i]),
                                "it has 1 to 63 of a-z, 0-9, '.', '_', '-'; ds-submit list shows them");
    } else if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
               names.begin() + static_cast<std::ptrdiff_t>(i)) {
      root.findings().add_error(path, mark, "given twice");
    }
  }
  jobs = std::move(names);
}

}  // namespace

void read_start(const Section& root, JobSpec& spec) {
  read_start_after(root, spec);
  read_depends_on(root, spec.depends_on);
  read_time_limit(root, spec);
}

}  // namespace ds::scheduler
