#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/gpu_kind_name.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

using Words = std::vector<std::string>;

JobSpec parse_good(const std::string& rest) {
  auto parsed = parse_job_file("kind: command\n" + rest, "/jobs");
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const SpecError& error : *errors) ADD_FAILURE() << format_spec_error(error, "job.yaml");
    return {};
  }
  return std::get<ParsedJob>(parsed).spec;
}

/// The first error, as a user sees it.
std::string first_error(const std::string& rest) {
  const auto parsed = parse_job_file("kind: command\n" + rest, "/jobs");
  const auto* errors = std::get_if<std::vector<SpecError>>(&parsed);
  return errors == nullptr ? "none" : format_spec_error(errors->front(), "f");
}

TEST(CommandJob, RunsATextInAShell) {
  const JobSpec spec = parse_good("run: |\n  echo a\n  echo b\n");
  EXPECT_EQ(spec.kind, JobKind::command);
  ASSERT_TRUE(spec.command);
  EXPECT_EQ(to_arguments(*spec.command), (Words{"/bin/sh", "-c", "echo a\necho b\n"}));
  EXPECT_EQ(spec.name.rfind("command-", 0), 0U) << spec.name;
}

TEST(CommandJob, RunsAListAsItIs) {
  const JobSpec spec = parse_good("run: [./train, --lr, 0.1, \"a  $b\", \"\"]\n");
  EXPECT_EQ(to_arguments(*spec.command), (Words{"./train", "--lr", "0.1", "a  $b", ""}));
}

TEST(CommandJob, RunsItsSetupInTheSameShellFirst) {
  const JobSpec spec = parse_good("setup: . venv/bin/activate\nrun: [python3, train.py]\n");
  const Words arguments = to_arguments(*spec.command);
  ASSERT_EQ(arguments.size(), 7U);
  EXPECT_EQ(arguments[4], ". venv/bin/activate");
  EXPECT_EQ(arguments[5], "python3");
}

TEST(CommandJob, HasWhatAllJobsHave) {
  const JobSpec spec = parse_good(
      "run: x\nname: mine\nworkers: {min: 2, max: 4}\nresources: {cpus: 3, memory: 1Gi}\nrestart: 0\n"
      "tenant: nlp\npriority: high\nenv: {A: b, OMP_NUM_THREADS: 2, EMPTY: \"\"}\n");
  EXPECT_EQ(spec.name, "mine");
  EXPECT_EQ(spec.workers, (WorkerCount{2, 4}));
  EXPECT_EQ(spec.resources.cpus, 3U);
  EXPECT_EQ(spec.restart_limit, 0U);
  EXPECT_EQ(spec.priority, kHighPriority);
  EXPECT_EQ(spec.command->env,
            (std::map<std::string, std::string>{{"A", "b"}, {"OMP_NUM_THREADS", "2"}, {"EMPTY", ""}}));
  EXPECT_EQ(spec.count_of(Role::server), 0U);
  EXPECT_EQ(spec.count_of(Role::shard), 0U);
}

TEST(CommandJob, MayHaveAPartOfASlot) {
  const auto slots = [](const std::string& text) {
    return parse_good("run: x\nresources: {cpus: " + text + "}\n").resources.cpus;
  };
  EXPECT_EQ(slots("2"), 2);
  EXPECT_EQ(slots("0.5"), SlotCount::of_thousandths(500));
  EXPECT_EQ(slots("1.125"), SlotCount::of_thousandths(1125));
  EXPECT_EQ(slots("500m"), SlotCount::of_thousandths(500));
  EXPECT_EQ(slots("\"1500m\""), SlotCount::of_thousandths(1500));
  EXPECT_EQ(slots("0.01"), kLeastSlots);
  EXPECT_EQ(slots("10m"), kLeastSlots);
  EXPECT_EQ(slots("0.011"), SlotCount::of_thousandths(11));
  EXPECT_EQ(slots("1024"), 1024);
  const auto error = [](const std::string& text) {
    return first_error("run: x\nresources: {cpus: " + text + "}\n");
  };
  EXPECT_EQ(
      error("0.0105"),
      "f:3:19: resources.cpus: expected a number from 0.01 to 1024 with at most 3 decimals, got 0.0105\n"
      "  slots for each worker, or a part of one: such as 2, 0.5 or 500m");
  EXPECT_EQ(error("\"2\""),
            "f:3:19: resources.cpus: expected a number from 0.01 to 1024 with at most 3 decimals, got \"2\"\n"
            "  remove the quotes");
  for (const std::string text :
       {"0",        "-1",  "0.009", "9m",   "0m",  "m",  "1.5m", "1025",  "1024.001",
        "1024001m", "010", "\"2\"", "half", "[1]", "{}", ".inf", "1e300", "99999999999999999999m",
        "true",     "\"\""}) {
    EXPECT_NE(error(text).find("resources.cpus: expected a number from 0.01 to"), std::string::npos) << text;
  }
}

TEST(CommandJob, GivesAPartOfASlotOneThread) {
  const auto threads = [](const std::string& text) {
    return parse_good("run: x\nresources: {cpus: " + text + "}\n").resources.threads();
  };
  EXPECT_EQ(threads("0.5"), 1U);
  EXPECT_EQ(threads("1"), 1U);
  EXPECT_EQ(threads("2.5"), 2U);
  EXPECT_EQ(threads("4"), 4U);
}

TEST(CommandJob, MayHaveGpusOfAKindOrAny) {
  const auto gpus = [](const std::string& text) {
    const JobSpec spec = parse_good("run: x\nresources: {cpus: 2, gpu: " + text + "}\n");
    return std::pair(spec.resources.gpus, spec.resources.gpu_kind);
  };
  using Gpus = std::pair<std::uint32_t, std::string>;
  EXPECT_EQ(gpus("1"), Gpus(1, ""));
  EXPECT_EQ(gpus("0"), Gpus(0, ""));
  EXPECT_EQ(gpus("H200"), Gpus(1, "H200"));
  EXPECT_EQ(gpus("H200:2"), Gpus(2, "H200"));
  EXPECT_EQ(gpus("{H200: 2}"), Gpus(2, "H200"));
  EXPECT_EQ(gpus("{H200:2}"), Gpus(2, "H200"));
  EXPECT_EQ(gpus("\"nvidia h200:4\""), Gpus(4, "nvidia h200"));
  EXPECT_EQ(parse_good("run: x\n").resources.gpus, 0U);
}

TEST(CommandJob, SaysHowToAskForGpus) {
  const auto error = [](const std::string& text) {
    return first_error("run: x\nresources: {gpu: " + text + "}\n");
  };
  EXPECT_EQ(error("H200:0"),
            "f:3:18: resources.gpu: expected GPUs for each worker, at most 1024, got \"H200:0\"\n"
            "  a whole number, a kind or both: such as 1, H200 or H200:2; a kind begins with a letter; or a "
            "list of kinds: [H200:2, A100:2]");
  for (const std::string text : {"-1",          "1.5",
                                 "2000",        "\"H200:\"",
                                 ":2",          "H200:x",
                                 "{}",          "{H200: 1, A100: 1}",
                                 "\"a/b\"",     "{H200: {a: 1}}",
                                 "true",        "No",
                                 "none",        "all:2",
                                 "{ANY: 1}",    "null",
                                 "auto",        "2x",
                                 "1e3",         "0x2",
                                 "4Gi",         "{H200: }",
                                 "{H200: null}"})
    EXPECT_NE(error(text).find("a whole number, a kind or both"), std::string::npos) << text;
  EXPECT_NE(error("H200:"), "") << "to YAML that is a mapping";
}

TEST(CommandJob, MayHaveGpusOfAnyOfSeveralKinds) {
  const auto kinds = [](const std::string& text) {
    const JobSpec spec = parse_good("run: x\nresources: {gpu: " + text + "}\n");
    return std::pair(spec.resources.gpus, spec.resources.gpu_kind);
  };
  using Gpus = std::pair<std::uint32_t, std::string>;
  EXPECT_EQ(kinds("[H200:2, A100:2]"), Gpus(2, "H200|A100"));
  EXPECT_EQ(kinds("[H200, {nvidia l4: 1}, A100]"), Gpus(1, "H200|nvidia l4|A100"));
  EXPECT_EQ(gpu_kinds_text("H200|nvidia l4|A100"), "H200, nvidia l4 or A100");
  EXPECT_EQ(gpu_kinds_text("H200"), "H200");
  EXPECT_EQ(gpu_kinds_text(""), "");
  const auto error = [](const std::string& text) {
    return first_error("run: x\nresources: {gpu: " + text + "}\n");
  };
  EXPECT_EQ(
      error("[H200:2, A100]"),
      "f:3:27: resources.gpu[1]: expected 2 of each kind, got \"A100\"\n  a worker has the same number of "
      "GPUs whatever their kind");
  EXPECT_EQ(error("[H200, A100, H200]"),
            "f:3:31: resources.gpu[2]: given twice: \"H200\"\n  each kind once, the most wanted first");
  EXPECT_EQ(error("[H200, 2]"),
            "f:3:25: resources.gpu[1]: expected a kind of GPU, with how many for each worker or without, got "
            "2\n  such as H200 or H200:2; a kind begins with a letter");
  EXPECT_EQ(
      error("[H200]"),
      "f:3:18: resources.gpu: expected 2 to 8 kinds of GPU in a list, got 1\n  such as [H200:2, A100:2], "
      "the most wanted first; or one without a list: H200:2");
  EXPECT_NE(error("[\"H200|A100\", L4]").find("expected a kind of GPU"), std::string::npos);
}

TEST(CommandJob, SaysWhatIsWrongWithItsFile) {
  EXPECT_EQ(first_error("name: a\n"), "f:1:1: run: required, but missing\n  such as run: ./train --lr 0.1");
  EXPECT_EQ(first_error("run: []\n"), "f:2:6: run: expected a list of 1 to 4096, got a list of 0");
  EXPECT_EQ(first_error("run: x\nsteup: y\n"), "f:3:1: steup: unknown field\n  did you mean \"setup\"?");
  EXPECT_EQ(first_error("run: x\nmodel: {zoo: mlp}\n").rfind("f:3:1: model: unknown field", 0), 0U);
  EXPECT_EQ(first_error("run: x\nenv: {RANK: 3}\n"),
            "f:3:7: env.RANK: is set by ds for each worker\n  remove it");
  EXPECT_EQ(first_error("run: x\nenv: {1A: 3}\n").rfind("f:3:7: env.1A: expected a variable's name", 0), 0U);
  EXPECT_EQ(first_error("run: x\nworkers: {min: 3, max: 2}\n"),
            "f:3:16: workers.min: expected at most workers.max (2), got 3");
}

}  // namespace
}  // namespace ds::scheduler
