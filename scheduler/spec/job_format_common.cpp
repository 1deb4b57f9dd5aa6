// The fields that jobs of all kinds have, and those of programs.
#include "scheduler/spec/job_format.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/priority.hpp"

namespace ds::scheduler::format {
namespace {

FormatType resources(JobKind kind) {
  std::vector<FormatType> gpus{whole(0, kind == JobKind::train ? 0 : kind == JobKind::serve ? 1 : 1024)};
  if (kind != JobKind::train) {
    const FormatType of_kind = pattern("a kind, or a kind and a number, such as H200 or H200:2",
                                       "[A-Za-z][A-Za-z0-9._-]*(:[0-9]+)?");
    const FormatType counted =
        mapping_of(whole(1, kind == JobKind::serve ? 1 : 1024), "a kind and a number, such as {H200: 2}");
    FormatType any_of = list(of_kind, 2, 8);
    any_of.items.push_back(counted);
    gpus.insert(gpus.end(), {of_kind, counted, std::move(any_of)});
  }
  return mapping(
      keys::kResources,
      {{.name = "cpus",
        .types = {real({.low = 0.01, .high = 1024, .words = "from 0.01 to 1024 with at most 3 decimals"}),
                  pattern("thousandths, such as 500m", "[0-9]+m")},
        .otherwise = "1",
        .meaning = "Slots of each worker, or replica: one is a CPU share; less than 1 shares one.",
        .example = "2"},
       {.name = "memory",
        .types = {size()},
        .otherwise = "2Gi",
        .meaning =
            "Memory of each worker, from 1Mi to 1Pi. It is what the scheduler counts and keeps free for it.",
        .example = "8Gi"},
       {.name = "gpu",
        .types = gpus,
        .otherwise = "0",
        .meaning =
            kind == JobKind::train
                ? "GPUs of each worker. Workers of kind train use none in this version."
                : "GPUs of each worker that are its own, of any kind, of one, or of the first in a list "
                  "that has room for all workers: [H200:2, A100:2]. Where no kind has, they are of several.",
        .example = kind == JobKind::train ? "0" : "1"}});
}

FormatType workers() {
  return mapping(keys::kWorkers,
                 {{.name = "min",
                   .types = {whole(1, 1024)},
                   .otherwise = "1",
                   .meaning = "With fewer workers the job does not run: it starts with these or not at all.",
                   .example = "1"},
                  {.name = "max",
                   .types = {whole(1, 1024)},
                   .meaning = "It grows to so many while there is room.",
                   .example = "4",
                   .is_required = true},
                  {.name = "preferred",
                   .types = {whole(1, 1024)},
                   .meaning = "As workers.max; other values are not supported by this version yet.",
                   .example = "4"}});
}

std::string time_limit_meaning(JobKind kind) {
  const std::string meaning =
      "The longest time that it may have workers, from 1s to 366d; then it has failed.";
  if (kind == JobKind::train) return meaning + " All of its time counts, over pauses and preemptions.";
  if (kind == JobKind::serve) return meaning;
  return meaning +
         " It begins anew where the program does after a preemption, pause, drain or lost node; what it ran "
         "until it crashed by itself counts.";
}

/// What it is, and whose.
std::vector<FormatField> identity_fields(JobKind kind) {
  const bool serves = kind == JobKind::serve;
  return {
      {.name = "version",
       .types = {whole(1, 1)},
       .otherwise = "1",
       .meaning = "Version of the job file's format.",
       .example = "1"},
      {.name = "kind",
       .types = {choice(keys::kKinds)},
       .meaning = "What the job does: train trains a model, serve answers requests with one, command runs "
                  "any program.",
       .example = "train",
       .is_required = true},
      {.name = "name",
       .types = {name()},
       .meaning =
           serves
               ? "The job's name, and its model's in /v2/models/NAME. Without one: the kind and a short id."
               : "What the job is called. Without one: the kind and a short id.",
       .example = "intents"},
      {.name = "labels",
       .types = {mapping_of(text(), "names and texts, 32 at most")},
       .otherwise = "{}",
       .meaning = "Names and texts of your own; ds-submit list --label NAME=TEXT shows jobs that have them.",
       .example = "{team: search}"},
      {.name = "description",
       .types = {text()},
       .meaning = "A text for people; ds-submit status shows it.",
       .example = "the weekly run"},
      {.name = "tenant",
       .types = {name()},
       .otherwise = "default",
       .meaning = "Whose job it is, which says what it may use. --tenant goes before it, DS_TENANT after it.",
       .example = "nlp"}};
}

/// Before whom it goes, and who goes before it.
std::vector<FormatField> precedence_fields(JobKind kind) {
  const bool serves = kind == JobKind::serve;
  return {{.name = "priority",
           .types = {choice(keys::kPriorities), whole(0, kMaxPriority)},
           .otherwise = "normal",
           .meaning = "Larger is more urgent: low is 100, normal 500, high 800, critical 1000.",
           .example = "high"},
          {.name = "preemptible",
           .types = {flag()},
           .otherwise = serves ? "false" : "true",
           .meaning =
               "Whether the job may be shrunk, or lose all its workers for a while, for a more urgent one.",
           .example = serves ? "true" : "false"}};
}

/// What its workers have, and where.
std::vector<FormatField> placement_fields(JobKind kind) {
  const bool serves = kind == JobKind::serve;
  return {{.name = "resources",
           .types = {resources(kind)},
           .meaning = serves ? "What each replica has." : "What each worker has.",
           .example = "{cpus: 2, memory: 4Gi}"},
          {.name = "gang",
           .types = {always()},
           .otherwise = "true",
           .meaning = "All workers of the minimum start together or none does. It may only be true.",
           .example = "true"},
          {.name = "placement",
           .types = {choice(keys::kPlacements)},
           .otherwise = "pack",
           .meaning = "pack: on few nodes; spread: on as many as there are; same_node: all on one.",
           .example = "spread"}};
}

/// When it starts.
std::vector<FormatField> start_fields() {
  return {
      {.name = "start_after", .types = {moment()}, .meaning = "It does not start before.", .example = "2h"},
      {.name = "depends_on",
       .types = {name(), list(name(), 0, 64)},
       .meaning = "Jobs that must have succeeded before it starts, by name or id. One of kind serve never "
                  "succeeds, so it is refused.",
       .example = "[prepare]"}};
}

/// When it ends, and what is left.
std::vector<FormatField> ending_fields(JobKind kind) {
  return {{.name = "time_limit", .types = {duration()}, .meaning = time_limit_meaning(kind), .example = "8h"},
          {.name = "restart",
           .types = {whole(0, 1000)},
           .otherwise = "3",
           .meaning =
               "After so many crashes, and one more, the job has failed: of a program in all, else in a row "
               "without progress. Losing a node does not count.",
           .example = "3"},
          {.name = "retention",
           .types = {duration()},
           .otherwise = "30d",
           .meaning = "For so long after its end the job is known, with its logs and checkpoints.",
           .example = "7d"}};
}

/// What only jobs that end by themselves have.
std::vector<FormatField> batch_fields(JobKind kind) {
  if (kind == JobKind::serve) {
    return {{.name = "deadline",
             .types = {},
             .meaning = "A job of kind serve has no end, so it has no deadline."},
            {.name = "workers", .types = {}, .meaning = "A job of kind serve has replicas."}};
  }
  return {
      {.name = "deadline",
       .types = {moment()},
       .meaning = "It is accepted only if it can be promised that it has ended by then; needs time_limit.",
       .example = "6h"},
      {.name = "queue",
       .types = {queue()},
       .otherwise = "default",
       .meaning = "Of the tenant; ds-submit tenants lists them.",
       .example = "prod"},
      {.name = "workers",
       .types = {whole(1, 1024), workers()},
       .otherwise = "1",
       .meaning = "How many workers the job has: a number, or any between a minimum and a maximum.",
       .example = "{min: 1, max: 4}"}};
}

}  // namespace

std::vector<FormatField> common_fields(JobKind kind) {
  std::vector<FormatField> fields;
  for (const auto& part : {identity_fields(kind), precedence_fields(kind), placement_fields(kind),
                           start_fields(), ending_fields(kind), batch_fields(kind)})
    fields.insert(fields.end(), part.begin(), part.end());
  return fields;
}

std::vector<FormatField> command_fields() {
  return {
      {.name = "run",
       .types = {text("a line, or lines, for /bin/sh"), list(text(), 1, 4096)},
       .meaning =
           "The program, which runs once on each worker: a text for /bin/sh, or a list of the program and "
           "its arguments.",
       .example = "python3 train.py --lr 0.1",
       .is_required = true},
      {.name = "setup",
       .types = {text("lines for /bin/sh")},
       .meaning = "Runs before run, in the same shell.",
       .example = ". venv/bin/activate"},
      {.name = "env",
       .types = {mapping_of(text(), "names and texts, 256 at most")},
       .otherwise = "{}",
       .meaning = "Environment variables of the program, beside those that ds sets (RANK, WORLD_SIZE, …).",
       .example = "{OMP_NUM_THREADS: 2}"}};
}

}  // namespace ds::scheduler::format
