// When a job may start, how long it may run, and for how long it is kept then.
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

/// A duration from the submission on, or a moment.
void read_moment(const Section& root, const char* key, const char* hint, std::int64_t& after_ms,
                 std::int64_t& at_ms) {
  const YamlNode* node = root.find(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::scalar)
    return root.fail(key, "expected a duration or a time, got " + describe(*node), hint);
  if (is_duration(node->text)) {
    const auto duration = parse_duration_ms(node->text);
    if (!duration || *duration > kMaxDurationMs)
      return root.fail(key, "expected a duration of at most 366d, got " + describe(*node), hint);
    after_ms = *duration;
  } else if (const auto moment = parse_time_ms(node->text)) {
    at_ms = *moment;
  } else {
    root.fail(key, "expected a duration or a time, got " + describe(*node), hint);
  }
}

void read_duration(const Section& root, const char* key, const char* hint, std::int64_t& duration_ms) {
  const YamlNode* node = root.find(key);
  if (node == nullptr) return;
  const auto given = node->kind == YamlNode::Kind::scalar ? parse_duration_ms(node->text) : std::nullopt;
  if (!given) {
    root.fail(key, "expected a duration, got " + describe(*node), hint);
  } else if (*given < 1000 || *given > kMaxDurationMs) {
    root.fail(key, "expected a duration from 1s to 366d, got " + describe(*node));
  } else {
    duration_ms = *given;
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
      root.findings().add_error(path, mark, "given twice", "name each job once");
    }
  }
  jobs = std::move(names);
}

/// What a promise cannot be made of is refused here already.
void check_deadline(const Section& root, const JobSpec& spec) {
  if (!root.has("deadline") || root.findings().has_error_in("deadline")) return;
  if (spec.kind == JobKind::serve) {
    root.fail("deadline", "a job of kind serve has no end, so it has no deadline", "remove it");
  } else if (!root.has("time_limit")) {
    root.fail(
        "deadline", "expected time_limit, which is missing",
        "give the longest time that it may run, such as time_limit: 2h; without it nobody can promise when "
        "it ends");
  } else if (root.has("start_after") || root.has("depends_on")) {
    root.fail("deadline", "goes with neither start_after nor depends_on",
              "nobody can promise when a job starts that waits for something else; submit it then");
  } else if (!spec.has_deadline()) {
    root.fail("deadline", "expected more than 0", "such as 6h after the submission");
  }
}

}  // namespace

void read_start(const Section& root, JobSpec& spec) {
  read_moment(root, "start_after", "such as 2h after the submission, or 2030-01-31T08:00:00Z",
              spec.start_after_ms, spec.start_at_ms);
  read_depends_on(root, spec.depends_on);
  read_duration(root, "time_limit", "such as 90s, 15m or 2h", spec.time_limit_ms);
  read_duration(root, "retention", "such as 12h or 30d, from the job's end on", spec.retention_ms);
  read_moment(root, "deadline", "such as 6h after the submission, or 2030-01-31T08:00:00Z",
              spec.deadline_after_ms, spec.deadline_at_ms);
  check_deadline(root, spec);
}

}  // namespace ds::scheduler
