#include "clients/job_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "clients/exit_code.hpp"
#include "clients/json_fields.hpp"
#include "clients/model_view.hpp"
#include "clients/printable.hpp"
#include "clients/progress_line.hpp"
#include "clients/text_table.hpp"
#include "clients/time_text.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

std::string format_part(const json& job) {
  const std::int64_t total = integer_at(job, "total_steps");
  if (total <= 0) return "-";
  return fmt::format("{}/{}", format_count(integer_at(job, "step")), format_count(total));
}

std::string format_percent(const json& object, const std::string& path) {
  const auto value = number_at(object, path);
  return value ? fmt::format("{:.1f}%", *value * 100) : "-";
}

std::string format_ago(std::int64_t then_ms, std::int64_t now_ms) {
  return then_ms > 0 ? format_duration((now_ms - then_ms) / 1000) + " ago" : "-";
}

Cell state_cell(const json& object) {
  const std::string state = text_at(object, "state");
  return {state, colour_of_state(state)};
}

void add_line(std::string& out, std::string_view name, const std::string& value) {
  if (!value.empty()) out += fmt::format("{:<11} {}\n", name, value);
}

/// `-` for what is not known yet: the rank of a worker that has no place in the gang, a pid not told.
std::string format_number(const json& object, const std::string& field) {
  const auto value = number_at(object, field);
  return value ? std::to_string(static_cast<std::int64_t>(*value)) : "-";
}

/// Whole where it is: `2`, `0.5`.
std::string format_slots(const json& object, const std::string& field) {
  const auto value = number_at(object, field);
  return value && std::trunc(*value) != *value ? fmt::format("{}", *value) : format_number(object, field);
}

std::string format_places(const json& places, const std::string& what, bool coloured) {
  if (places.empty()) return {};
  std::vector<std::vector<Cell>> rows;
  for (const auto& place : places) {
    const std::string name = what == "RANK" ? format_number(place, "rank") : text_at(place, "role");
    rows.push_back({{name},
                    {text_at(place, "node")},
                    {format_number(place, "pid"), Colour::none, true},
                    state_cell(place)});
  }
  return "\n" + format_table({what, "NODE", "PID", "STATE"}, rows, coloured);
}

/// What an evaluation may hold besides its loss, and the column's title.
constexpr std::array<std::pair<const char*, const char*>, 5> kShareColumns{
    {{"accuracy", "ACCURACY"},
     {"f1", "F1"},
     {"auc", "AUC"},
     {"dice", "DICE"},
     {"majority_accuracy", "BASELINE"}}};

std::string format_job_evaluations(const json& evaluations, bool coloured) {
  if (evaluations.empty()) return {};
  std::vector<std::string> head{"EPOCH", "STEP", "LOSS"};
  std::vector<std::string> shares;  // the columns after these
  for (const auto& [name, title] : kShareColumns) {
    if (number_at(evaluations.front(), name)) shares.emplace_back(name), head.emplace_back(title);
  }
  std::vector<std::vector<Cell>> rows;
  for (const auto& evaluation : evaluations) {
    const auto loss = number_at(evaluation, "loss");
    auto& row = rows.emplace_back();
    row.push_back({std::to_string(integer_at(evaluation, "epoch")), Colour::none, true});
    row.push_back({format_count(integer_at(evaluation, "step")), Colour::none, true});
    row.push_back({loss ? fmt::format("{:.3f}", *loss) : "-", Colour::none, true});
    for (const std::string& name : shares)
      row.push_back({format_percent(evaluation, name), Colour::none, true});
  }
  return "\n" + format_table(head, rows, coloured);
}

/// Of a size that was measured, where the batch may grow: ` for 256 samples`
std::string format_batch_of(const json& size) {
  const auto batch = integer_at(size, "batch");
  return batch > 0 ? " for " + format_count(batch) + " samples" : "";
}

/// `256 samples a step, of 64 to 512`
std::string format_batch(const json& job) {
  const auto now = integer_at(job, "batch.now");
  if (now <= 0) return {};
  return fmt::format("{} samples a step, of {} to {}", format_count(now),
                     format_count(integer_at(job, "batch.min")), format_count(integer_at(job, "batch.max")));
}

/// How long steps took with how many workers: `1: 120 ms, 2: 65 ms; a resize takes 0.8 s`
std::string format_speeds(const json& job) {
  std::string text;
  for (const auto& size : array_at(job, "speeds")) {
    const auto seconds = number_at(size, "step_seconds");
    if (seconds)
      text += fmt::format("{}{}: {:.3g} ms{}", text.empty() ? "" : ", ", integer_at(size, "workers"),
                          *seconds * 1000, format_batch_of(size));
  }
  if (text.empty()) return {};
  const auto resize = number_at(job, "resize_seconds");
  return text + (resize ? fmt::format(" a step; a resize takes {:.2g} s", *resize) : " a step");
}

/// `1,240 samples`
std::string format_noise_scale(const json& job) {
  const auto scale = number_at(job, "metrics.gradient_noise_scale");
  if (!scale) return {};
  const bool is_plain = *scale >= 10 && *scale < 1e15;
  return (is_plain ? format_count(std::llround(*scale)) : fmt::format("{:.2g}", *scale)) + " samples";
}

bool is_true(const json& job, const char* name) {
  const auto found = job.find(name);
  return found != job.end() && found->is_boolean() && found->get<bool>();
}

/// What has become of the promise that it ends before its deadline.
std::string format_promise(const json& job, std::int64_t now_ms) {
  if (is_true(job, "deadline_missed")) return ", missed";
  if (const auto why = printable_line(text_at(job, "promise_broken")); !why.empty()) {
    if (integer_at(job, "ended_ms") == 0) return ", can no longer be kept for certain: " + why;
    return text_at(job, "state") == "SUCCEEDED" ? ", kept all the same" : "";
  }
  if (!text_at(job, "promise_given_up").empty()) return ", promised no more since it was paused";
  if (!is_true(job, "deadline_promised")) return "";
  const auto starts_by = format_time(integer_at(job, "starts_by_ms"));
  if (integer_at(job, "started_ms") > 0 && !is_true(job, "promised_again")) return ", promised";
  if (!is_true(job, "promise_at_risk")) return ", promised; it starts by " + starts_by;
  const auto latest_ms = integer_at(job, "latest_start_ms");  // 0: of an older head
  return fmt::format(
      ", promised, and at risk: {} by {}{}",
      now_ms > integer_at(job, "starts_by_ms") ? "it was to start" : "it can't start now, and was to",
      starts_by,
      latest_ms > 0 ? "; the promise is broken if it has not started by " + format_time(latest_ms) : "");
}

std::string format_reasons(const json& why) {
  std::string out;
  for (const auto& reason : array_at(why, "reasons")) {
    out += fmt::format("  {}: {}\n", printable_line(text_at(reason, "code")),
                       printable_line(text_at(reason, "text")));
    std::string names;
    for (const auto& job : array_at(reason, "blocking")) {
      if (job.is_string()) names += (names.empty() ? "" : ", ") + job.get<std::string>();
    }
    const auto named = array_at(reason, "blocking").size();
    const auto count =
        static_cast<std::size_t>(std::max<std::int64_t>(0, integer_at(reason, "blocking_count")));
    if (count > named) names += fmt::format(" ({} of {})", named, count);
    if (!names.empty()) out += fmt::format("    in the way: {}\n", printable_line(names));
  }
  return out;
}

/// `stage=prod, team=search`
std::string format_job_labels(const json& job) {
  const auto labels = job.is_object() ? job.find("labels") : job.end();
  if (labels == job.end() || !labels->is_object()) return {};
  std::string text;
  for (const auto& [key, value] : labels->items()) {
    if (value.is_string())
      text += fmt::format("{}{}={}", text.empty() ? "" : ", ", key, value.get<std::string>());
  }
  return text;
}

std::string format_expected_start(const json& why) {
  const std::string from = printable_line(text_at(why, "expected_start.from"));
  const std::string to = printable_line(text_at(why, "expected_start.to"));
  if (from.empty()) return {};
  return to.empty() ? fmt::format("starts at {} at the earliest; nobody knows by when\n", from)
                    : fmt::format("starts between {} and {}\n", from, to);
}

}  // namespace

std::string format_jobs(const json& jobs, std::int64_t now_ms, bool coloured) {
  if (jobs.empty()) return "no jobs yet; ds-submit run -f job.yaml starts one\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& job : jobs) {
    rows.push_back({{text_at(job, "id")},
                    {text_at(job, "name")},
                    {text_at(job, "tenant")},
                    state_cell(job),
                    {format_part(job), Colour::none, true},
                    {format_percent(job, "metrics.accuracy"), Colour::none, true},
                    {format_ago(integer_at(job, "submitted_ms"), now_ms), Colour::none, true},
                    {text_at(job, "reason")}});
  }
  return format_table({"ID", "NAME", "TENANT", "STATE", "STEP", "ACCURACY", "SUBMITTED", "REASON"}, rows,
                      coloured);
}

std::string format_job(const json& job, std::int64_t now_ms, bool coloured) {
  const std::string state = printable_line(text_at(job, "state"));
  std::string out;
  add_line(out, "job", printable_line(text_at(job, "name") + "  " + text_at(job, "id")));
  add_line(out, "state", coloured ? colour_text(state, colour_of_state(state)) : state);
  add_line(out, "reason", printable_line(text_at(job, "reason")));
  add_line(out, "kind", printable_line(text_at(job, "kind")));
  add_line(out, "tenant", printable_line(text_at(job, "tenant")));
  add_line(out, "labels", printable_line(format_job_labels(job)));
  add_line(out, "description", printable_line(text_at(job, "description")));
  if (number_at(job, "priority")) add_line(out, "priority", format_number(job, "priority"));
  if (integer_at(job, "total_steps") > 0)
    add_line(out, "progress", format_progress(job, std::nullopt, std::nullopt));
  const std::int64_t minimum = integer_at(job, "workers_min");
  const std::int64_t maximum = integer_at(job, "workers_max");
  if (maximum > 0) {
    // Replicas are wanted one by one: their minimum is only how many must be there before the next comes.
    const auto wanted =
        text_at(job, "kind") == "serve" ? std::to_string(maximum) : fmt::format("{} to {}", minimum, maximum);
    add_line(out, "workers", fmt::format("{} now, {} wanted", array_at(job, "workers").size(), wanted));
  }
  add_line(out, "speeds", format_speeds(job));
  add_line(out, "noise scale", format_noise_scale(job));
  add_line(out, "batch", format_batch(job));
  add_line(out, "quantized", printable_line(text_at(job, "quantization.text")));
  if (const auto limit = integer_at(job, "time_limit_ms"); limit > 0) {
    add_line(out, "time",
             fmt::format("has run for {} of {}", format_duration(integer_at(job, "run_ms") / 1000),
                         format_duration(limit / 1000)));
  }
  if (const auto deadline = integer_at(job, "deadline_ms"); deadline > 0)
    add_line(out, "deadline", format_time(deadline) + format_promise(job, now_ms));
  add_line(out, "generation", std::to_string(integer_at(job, "generation")));
  add_line(out, "restarts", std::to_string(integer_at(job, "restarts")));
  const std::int64_t checkpoint = integer_at(job, "checkpoint.step", -1);
  if (checkpoint >= 0) add_line(out, "checkpoint", "step " + format_count(checkpoint));
  add_line(out, "submitted", format_ago(integer_at(job, "submitted_ms"), now_ms));
  const std::int64_t started = integer_at(job, "started_ms");
  const std::int64_t ended = integer_at(job, "ended_ms");
  if (started > 0) add_line(out, "started", format_ago(started, now_ms));
  if (ended > 0) add_line(out, "ended", format_ago(ended, now_ms));
  if (job.is_object() && job.contains("model")) out += format_served(job.at("model"), coloured);
  out += format_places(array_at(job, "workers"), "RANK", coloured);
  out += format_places(array_at(job, "roles"), "ROLE", coloured);
  return out + format_job_evaluations(array_at(job, "evaluations"), coloured);
}

namespace {

/// `1/4 NVIDIA H200`: in use, of how many.
std::string format_gpus(const json& node) {
  const auto total = integer_at(node, "gpus_total");
  if (total == 0) return "0";
  return fmt::format("{}/{} {}", integer_at(node, "gpus_used"), total, text_at(node, "gpu_kind"));
}

/// `free GPUs: 3 of 8 NVIDIA A100, 4 of 4 NVIDIA H200` on the nodes that take workers; empty without GPUs.
std::string format_free_gpus(const json& nodes) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> kinds;  // free, all
  for (const auto& node : nodes) {
    const auto total = integer_at(node, "gpus_total"), used = integer_at(node, "gpus_used");
    if (total == 0 || text_at(node, "state") != "UP" || !text_at(node, "reason").empty()) continue;
    auto& [free, all] = kinds[text_at(node, "gpu_kind")];
    free += std::max<std::int64_t>(0, total - used);
    all += total;
  }
  std::string text;
  for (const auto& [kind, count] : kinds)
    text +=
        fmt::format("{}{} of {} {}", text.empty() ? "free GPUs: " : ", ", count.first, count.second, kind);
  return text.empty() ? text : text + "\n";
}

}  // namespace

std::string format_nodes(const json& nodes, bool coloured) {
  if (nodes.empty()) return "no nodes; ds-submit up starts some here, ds-node --head HOST:PORT joins one\n";
  std::vector<std::vector<Cell>> rows;
  const bool has_reasons = std::any_of(nodes.begin(), nodes.end(),
                                       [](const auto& node) { return !text_at(node, "reason").empty(); });
  std::vector<std::string> head{"NODE", "ADDRESS", "STATE", "SLOTS", "CORES", "GPUS", "MEMORY", "PID"};
  if (has_reasons) head.emplace_back("REASON");
  for (const auto& node : nodes) {
    // Nobody may take one for a machine.
    const bool pretends = node.is_object() && node.contains("pretends") && node.at("pretends") == true;
    rows.push_back({{text_at(node, "id") + (pretends ? " (pretends)" : "")},
                    {text_at(node, "address")},
                    state_cell(node),
                    {fmt::format("{}/{}", format_slots(node, "slots_used"), format_slots(node, "slots")),
                     Colour::none, true},
                    {format_number(node, "cores"), Colour::none, true},
                    {format_gpus(node), Colour::none, true},
                    {format_bytes(integer_at(node, "memory_bytes")), Colour::none, true},
                    {std::to_string(integer_at(node, "pid")), Colour::none, true}});
    if (has_reasons) rows.back().push_back({text_at(node, "reason")});
  }
  return format_table(head, rows, coloured) + format_free_gpus(nodes);
}

std::string format_tenants(const json& tenants, bool coloured) {
  std::vector<std::vector<Cell>> rows;
  const auto number = [](const json& tenant, const char* field) {
    return Cell{format_number(tenant, field), Colour::none, true};
  };
  const auto slots = [](const json& tenant, const char* field) {
    return Cell{format_slots(tenant, field), Colour::none, true};
  };
  const bool has_gpus = std::ranges::any_of(tenants, [](const json& tenant) {
    return integer_at(tenant, "gpus_used") > 0 || integer_at(tenant, "gpu_limit", -1) >= 0;
  });
  const bool has_own_gpus = std::ranges::any_of(
      tenants, [](const json& tenant) { return integer_at(tenant, "guaranteed_gpus") > 0; });
  for (const auto& tenant : tenants) {
    const auto weight = number_at(tenant, "weight");
    rows.push_back({{text_at(tenant, "name") + (is_true(tenant, "removed") ? " (removed)" : "")},
                    number(tenant, "guaranteed"),
                    slots(tenant, "used"),
                    slots(tenant, "borrowed"),
                    number(tenant, "borrowing_limit"),
                    number(tenant, "lending_limit"),
                    {weight ? fmt::format("{:g}", *weight) : "-", Colour::none, true},
                    {format_percent(tenant, "share"), Colour::none, true},
                    {format_percent(tenant, "recent_share"), Colour::none, true},
                    number(tenant, "running"),
                    number(tenant, "waiting")});
    if (has_own_gpus) {
      for (const char* field : {"guaranteed_gpus", "gpus_used", "borrowed_gpus", "gpu_limit"})
        rows.back().push_back(number(tenant, field));
      continue;
    }
    if (!has_gpus) continue;
    rows.back().push_back(number(tenant, "gpus_used"));
    rows.back().push_back(number(tenant, "gpu_limit"));
  }
  std::vector<std::string> head{"TENANT", "GUARANTEED", "USED",   "BORROWED", "MAY BORROW", "LENDS",
                                "WEIGHT", "SHARE",      "LATELY", "RUNNING",  "WAITING"};
  if (has_own_gpus) {
    head.insert(head.end(), {"GUARANTEED GPUS", "USED GPUS", "BORROWED GPUS", "MOST GPUS"});
  } else if (has_gpus) {
    head.insert(head.end(), {"GPUS", "MOST GPUS"});
  }
  return format_table(head, rows, coloured);
}

std::string format_removed(const json& tenants) {
  std::string text;
  for (const auto& tenant : tenants) {
    const auto running = integer_at(tenant, "running");
    if (!is_true(tenant, "removed") || running == 0) continue;
    std::string jobs;
    for (const auto& job : array_at(tenant, "jobs")) {
      if (job.is_string()) jobs += (jobs.empty() ? "" : ", ") + printable_line(job.get<std::string>());
    }
    const auto named = static_cast<std::int64_t>(array_at(tenant, "jobs").size());
    text += fmt::format(
        "warning: {} is named no more, and {} of its jobs run{}: {}{}; {} what {} but can't grow "
        "or start again\n",
        printable_line(text_at(tenant, "name")), running, running == 1 ? "s" : "", jobs,
        running > named ? ", …" : "", running == 1 ? "it keeps" : "they keep",
        running == 1 ? "it has" : "they have");
  }
  return text;
}

std::string format_checkpoints(const json& checkpoints, bool coloured) {
  if (checkpoints.empty()) return "no checkpoint yet\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& checkpoint : checkpoints) {
    const auto loss = number_at(checkpoint, "metrics.loss");
    if (!checkpoint.is_object()) continue;
    const auto best = checkpoint.find("best");
    rows.push_back(
        {{format_count(integer_at(checkpoint, "step")), Colour::none, true},
         {format_bytes(integer_at(checkpoint, "bytes")), Colour::none, true},
         {text_at(checkpoint, "time")},
         {loss ? fmt::format("{:.3f}", *loss) : "-", Colour::none, true},
         {format_percent(checkpoint, "metrics.accuracy"), Colour::none, true},
         {best != checkpoint.end() && best->is_boolean() && best->get<bool>() ? "best" : "", Colour::green}});
  }
  return format_table({"STEP", "SIZE", "TIME", "LOSS", "ACCURACY", ""}, rows, coloured);
}

namespace {

/// How a job has ended, and whether it may go on all the same.
std::string format_end(const json& why, const std::string& state) {
  const std::string reason = printable_line(text_at(why, "ended_because")),
                    job = printable_line(text_at(why, "job"));
  std::string out = "it has ended" + (reason.empty() ? "" : ": " + reason) + "\n";
  if (state != "SUCCEEDED")
    out += fmt::format("ds-submit retry {} tries it again, from its newest checkpoint if it has one\n",
                       job.empty() ? "JOB" : job);
  return out;
}

}  // namespace

std::string format_why(const json& why, bool coloured) {
  const std::string state = printable_line(text_at(why, "state"));
  std::string out = (coloured ? colour_text(state, colour_of_state(state)) : state) + "\n";
  if (is_end_state(state)) return out + format_end(why, state);
  if (array_at(why, "reasons").empty()) out += "nothing keeps this job from running\n";
  return out + format_reasons(why) + format_expected_start(why);
}

namespace {

/// Of one with a deadline; without a promise it would be refused.
std::string format_planned_promise(const json& plan) {
  const auto deadline = integer_at(plan, "deadline.deadline_ms");
  if (deadline == 0) return {};
  const auto earliest = integer_at(plan, "deadline.earliest_ms");
  return fmt::format("its deadline {} would be promised: it starts by {} for certain{}\n",
                     format_time(deadline), format_time(integer_at(plan, "deadline.starts_by_ms")),
                     earliest < deadline
                         ? fmt::format("; within a minute {} could be promised too", format_time(earliest))
                         : "");
}

/// Of a job that starts as soon as others have made room.
std::string format_start_after(std::int64_t workers) {
  if (workers == 0) return "would start as soon as the workers that are stopping have left";
  return fmt::format("would start as soon as {} worker{} left", workers, workers == 1 ? " has" : "s have");
}

}  // namespace

std::string format_plan(const json& plan, bool coloured) {
  const std::string outcome = text_at(plan, "outcome");
  const bool room_is_made = outcome == "waits" && is_true(plan, "starts_when_room_is_made");
  const auto paint = [&](const std::string& text, Colour colour) {
    return (coloured ? colour_text(text, colour) : text) + "\n";
  };
  std::string out = outcome == "starts" ? paint("would start now", Colour::green)
                    : room_is_made
                        ? paint(format_start_after(integer_at(plan, "workers_to_leave")), Colour::green)
                    : outcome == "waits" ? paint("would wait", Colour::yellow)
                                         : paint("could never start", Colour::red);
  out += format_reasons(plan);
  if (outcome == "waits" && !room_is_made) out += format_expected_start(plan);
  out += format_planned_promise(plan);
  for (const auto& place : array_at(plan, "placement")) {
    const auto workers = integer_at(place, "workers");
    out += fmt::format("  {} worker{} on {}\n", workers, workers == 1 ? "" : "s",
                       printable_line(text_at(place, "node")));
  }
  for (const auto& job : array_at(plan, "shrinks")) {
    out += fmt::format("  {} would shrink from {} to {} workers\n", printable_line(text_at(job, "job")),
                       integer_at(job, "from"), integer_at(job, "to"));
  }
  for (const auto& move : array_at(plan, "moves")) {
    out += fmt::format("  a worker of {} would move from {} to {}\n", printable_line(text_at(move, "job")),
                       printable_line(text_at(move, "from")), printable_line(text_at(move, "to")));
  }
  for (const auto& job : array_at(plan, "preemptions")) {
    if (job.is_string()) out += printable_line("  " + job.get<std::string>() + " would be preempted") + "\n";
  }
  return out + "nothing was submitted; -o yaml shows the job with all its defaults\n";
}

std::string ways_back(const std::string& id) {
  return fmt::format(
      "  see how it goes  ds-submit status {0}\n  follow its log   ds-submit logs -f {0}\n"
      "  stop it          ds-submit cancel {0}\n",
      id);
}

}  // namespace ds::clients
