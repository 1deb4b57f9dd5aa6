#include "clients/follow_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "clients/exit_code.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/time_text.hpp"

namespace ds::clients {
namespace {

/// What an evaluation may hold besides its loss.
constexpr std::array<const char*, 4> kShares{"accuracy", "f1", "auc", "dice"};

std::string format_evaluation(const nlohmann::json& evaluation) {
  std::string line = fmt::format("epoch {} evaluated at step {}", integer_at(evaluation, "epoch"),
                                 format_count(integer_at(evaluation, "step")));
  if (const auto loss = number_at(evaluation, "loss")) line += fmt::format(": loss {:.3f}", *loss);
  for (const char* name : kShares) {
    if (const auto share = number_at(evaluation, name))
      line += fmt::format(", {} {:.1f}%", name, *share * 100);
  }
  if (const auto majority = number_at(evaluation, "majority_accuracy")) {
    line += fmt::format(" (always the most frequent label: {:.1f}%)", *majority * 100);
  }
  return line;
}

/// A user's program: it has no steps that the cluster knows of.
bool is_command(const nlohmann::json& job) {
  return text_at(job, "kind") == "command";
}

/// The last evaluation, or the job's own metrics where there was none.
std::optional<double> final_number(const nlohmann::json& job, const std::string& field) {
  const auto& evaluations = array_at(job, "evaluations");
  if (!evaluations.empty()) {
    if (const auto value = number_at(evaluations.back(), field)) return value;
  }
  return number_at(job, "metrics." + field);
}

}  // namespace

std::vector<std::string> FollowReport::observe(const nlohmann::json& job, double now_s) {
  job_ = job;
  eta_.observe(integer_at(job, "step"), now_s);
  std::vector<std::string> lines;
  // The last evaluation comes before the end that it led to, everything else after the state it happened in.
  const bool ended = is_end_state(text_at(job, "state"));
  if (!ended) observe_state(lines);
  observe_gang(lines);
  observe_epochs(lines);
  if (ended) observe_state(lines);
  return lines;
}

void FollowReport::observe_state(std::vector<std::string>& lines) {
  const std::string state = printable_line(text_at(job_, "state"));
  const std::string reason = printable_line(text_at(job_, "reason"));
  // A RUNNING job's reason tells how it came to its size and changes with every plan; it is not what keeps
  // it.
  const bool waits = state != "RUNNING";
  if (state != state_ || (waits && reason != reason_)) {
    lines.push_back(reason.empty() || !waits ? state : state + ": " + reason);
  }
  state_ = state;
  reason_ = reason;
}

void FollowReport::observe_gang(std::vector<std::string>& lines) {
  const std::int64_t restarts = integer_at(job_, "restarts");
  if (restarts > restarts_ && !is_end_state(text_at(job_, "state"))) {
    lines.push_back(is_command(job_)
                        ? fmt::format("restart {}", restarts)
                        : fmt::format("workers were lost and replaced (restart {}), going on from step {}",
                                      restarts, format_count(integer_at(job_, "step"))));
  }
  restarts_ = restarts;
  const std::int64_t generation = integer_at(job_, "generation");
  const std::size_t workers = array_at(job_, "workers").size();
  if (text_at(job_, "state") != "RUNNING") return;
  if (workers > 0 && (generation != generation_ || workers != workers_)) {
    if (workers != workers_) {
      lines.push_back(fmt::format("{} with {} worker{} (generation {})",
                                  is_command(job_) ? "running" : "training", workers, workers == 1 ? "" : "s",
                                  generation));
    }
    generation_ = generation;
    workers_ = workers;
  }
}

void FollowReport::observe_epochs(std::vector<std::string>& lines) {
  for (const auto& evaluation : array_at(job_, "evaluations")) {
    const std::int64_t step = integer_at(evaluation, "step");
    if (step <= evaluated_step_) continue;
    evaluated_step_ = step;
    lines.push_back(format_evaluation(evaluation));
  }
  const std::int64_t epoch = integer_at(job_, "epoch");
  if (epoch > epoch_ && evaluated_step_ < 0)
    lines.push_back(format_progress(job_, std::nullopt, std::nullopt));
  epoch_ = std::max(epoch, epoch_);
}

std::string FollowReport::progress(std::optional<std::size_t> width) const {
  return format_progress(job_, eta_.seconds_left(integer_at(job_, "total_steps")), width);
}

std::string format_outcome(const nlohmann::json& job) {
  const std::string id = printable_line(text_at(job, "id"));
  const std::string state = printable_line(text_at(job, "state"));
  const std::string reason = printable_line(text_at(job, "reason"));
  std::string out = fmt::format("{} {}: {}", printable_line(text_at(job, "name")), id, state);
  if (state != "SUCCEEDED" && !reason.empty()) out += ": " + reason;
  const std::int64_t started = integer_at(job, "started_ms");
  const std::int64_t ended = integer_at(job, "ended_ms");
  if (started > 0 && ended >= started)
    out += fmt::format(" after {}", format_duration((ended - started) / 1000));
  out += "\n";
  for (const std::string name : kShares) {
    const auto share = final_number(job, name);
    if (!share) continue;
    out += fmt::format("{:<10} {:.1f}% on held-out data", name, *share * 100);
    const auto majority = final_number(job, "majority_accuracy");
    if (name == "accuracy" && majority)
      out += fmt::format("; always answering the most frequent label gives {:.1f}%", *majority * 100);
    out += "\n";
  }
  const std::int64_t checkpoint = integer_at(job, "checkpoint.step", -1);
  if (checkpoint >= 0) out += fmt::format("checkpoint step {}\n", format_count(checkpoint));
  if (state == "SUCCEEDED" && !is_command(job)) {
    out += fmt::format("next       ds-submit export {} --format torchscript -o model.pt\n", id);
  } else if (state == "FAILED") {
    out += fmt::format("next       ds-submit logs {}\n", id);
  }
  return out;
}

}  // namespace ds::clients
