#include "scheduler/spec/overrides.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace ds::scheduler {
namespace {

constexpr const char* kFile = R"(version: 1
kind: train
name: intents
model: {zoo: text_classifier}
data:
  train: {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
  transforms:
    - tokenize: {vocabulary: 8000}
    - pad_sequences: {length: 32}
workers: 4
deadline: 6h
time_limit: 1h
optimizer: {name: adamw, lr: 1e-3}
until: {epochs: 5}
)";

using Errors = std::vector<SpecError>;
using Overrides = std::vector<std::string>;

JobSpec spec_of(const std::string& text) {
  auto parsed = parse_job_file(text, "/data");
  EXPECT_TRUE(std::holds_alternative<ParsedJob>(parsed)) << text;
  return std::holds_alternative<ParsedJob>(parsed) ? std::get<ParsedJob>(parsed).spec : JobSpec{};
}

/// What the file says with these; that what is kept says the same is looked at.
JobSpec spec_with(const Overrides& overrides, const std::string& text = kFile) {
  auto parsed = parse_job_file(text, "/data", overrides);
  if (const auto* errors = std::get_if<Errors>(&parsed)) {
    ADD_FAILURE() << format_spec_error(errors->front(), "f");
    return {};
  }
  const auto& job = std::get<OverriddenJob>(parsed);
  EXPECT_EQ(spec_of(job.text), job.job.spec) << job.text;
  return job.job.spec;
}

Errors errors_with(const Overrides& overrides, const std::string& text = kFile) {
  auto parsed = parse_job_file(text, "/data", overrides);
  return std::holds_alternative<Errors>(parsed) ? std::get<Errors>(parsed) : Errors{};
}

TEST(Overrides, ReplaceWhatTheFileSaysThere) {
  const auto spec = spec_with({"optimizer.lr=3e-2", "until.epochs=3", "resources.cpus=2",
                               "workers={min: 2, max: 8}", "labels.team=search", "until.epochs=7"});
  JobSpec wanted = spec_of(kFile);
  EXPECT_EQ(spec.optimizer.lr, 3e-2);
  EXPECT_EQ(spec.until.epochs, 7u) << "the later one counts";
  EXPECT_EQ(spec.resources.cpus, 2);
  EXPECT_EQ(spec.workers.min, 2u);
  EXPECT_EQ(spec.workers.max, 8u);
  EXPECT_EQ(spec.labels.at("team"), "search");
  EXPECT_EQ(spec.name, wanted.name);
  EXPECT_EQ(spec.data, wanted.data) << "what nothing was said of is as it was";
}

TEST(Overrides, ReachItemsOfListsAndTakeFieldsOut) {
  const auto spec = spec_with({"data.transforms[0].tokenize.vocabulary=500", "deadline=null", "env=null"});
  EXPECT_EQ(spec.deadline_after_ms, 0);
  ASSERT_FALSE(spec.data.transforms.empty());
  auto wanted = spec_of(kFile);
  wanted.deadline_after_ms = 0;
  std::get<Tokenize>(wanted.data.transforms.front().what).vocabulary = 500;
  EXPECT_EQ(spec, wanted);
}

TEST(Overrides, TakeQuotedAndOtherYaml) {
  const std::string file = "version: 1\nkind: command\nname: a\nrun: ./x\nenv: {A: '1'}\n";
  EXPECT_EQ(spec_with({"run=[sh, -c, \"echo 'a: b' # no\"]"}, file).command->arguments.back(),
            "echo 'a: b' # no");
  EXPECT_EQ(spec_with({"run=|\n  a\n  b\n"}, file).command->script, "a\nb\n");
  EXPECT_EQ(spec_with({"env.B=\"0x\\x09\\\\ é\""}, file).command->env.at("B"), "0x\t\\ é");
  const std::string braces = R"({"version": 1, "kind": "command", "run": ["true"]})";
  EXPECT_EQ(spec_with({"workers=2"}, braces).workers.max, 2u);
}

TEST(Overrides, ThatAreWrongAreNamedBesideTheFaultsOfTheFile) {
  const std::string wrong = std::string(kFile) + "seed: x\n";
  const auto errors =
      errors_with({"name=other", "optimizer.lr=fast", "optimzer.lr=1", "until.epoch=3"}, wrong);
  ASSERT_EQ(errors.size(), 4u);
  EXPECT_EQ(errors[0].field, "seed");
  EXPECT_EQ(errors[0].mark, (Mark{15, 7}));
  EXPECT_EQ(errors[1].field, "optimizer.lr");
  EXPECT_EQ(errors[1].mark, (Mark{.set = 2}));
  EXPECT_EQ(errors[1].message, "expected a number, got \"fast\"");
  EXPECT_EQ(errors[2].mark, (Mark{.set = 3}));
  EXPECT_EQ(errors[2].hint, "did you mean \"optimizer\"?");
  EXPECT_EQ(errors[3].mark, (Mark{.set = 4}));
  EXPECT_EQ(errors[3].field, "until.epoch");
  EXPECT_EQ(errors[3].hint, "did you mean \"epochs\"?");
}

TEST(Overrides, ThatLeadNowhereSayWhy) {
  const auto message = [](const std::string& one) {
    const auto errors = errors_with({one});
    EXPECT_EQ(errors.size(), 1u) << one;
    return errors.empty() ? "" : errors.front().message;
  };
  EXPECT_EQ(message("workers.max=8"), "workers is 4, which has no fields");
  EXPECT_EQ(errors_with({"workers.max=8"}).front().hint, "--set 'workers={max: …}' replaces the whole of it");
  EXPECT_EQ(message("data.transforms[2]=noise"), "data.transforms has 2 items, the first is [0]");
  EXPECT_EQ(message("until[0]=1"), "until is a mapping, which has no items");
  EXPECT_EQ(message("data.transforms[0]=null"), "an item of a list cannot be taken out");
  EXPECT_EQ(message("optimizer.lr="), "expected a value after the =");
  EXPECT_EQ(message("optimizer.lr"), "expected PATH=VALUE");
  for (const char* path : {"=1", ".lr=1", "optimizer..lr=1", "data.transforms[x]=1", "data.transforms[0=1"})
    EXPECT_EQ(message(path), "expected the path of a field before the =") << path;
  EXPECT_EQ(errors_with({"data.train.source=*.csv"}).front().hint,
            "a text with such characters needs quotes of its own: --set 'data.train.source=\"…\"'");
}

TEST(Overrides, LeadNoDeeperThanAFileIs) {
  const auto path = [](const std::string& step, std::size_t more) {
    std::string steps = "optimizer";
    while (more-- > 0) steps += step;
    return steps + "=1";
  };
  for (const char* step : {".a", "[0]"}) {
    for (const std::size_t more : {32U, 20'000U}) {
      const auto errors = errors_with({path(step, more)});
      ASSERT_EQ(errors.size(), 1U) << step;
      EXPECT_EQ(errors[0].field, "optimizer…");
      EXPECT_EQ(errors[0].message, "the path has more than 32 steps");
      EXPECT_NE(errors[0].hint, "");
      EXPECT_EQ(errors[0].mark, (Mark{.set = 1}));
    }
  }
  EXPECT_EQ(errors_with({path(".a", 31)}).at(0).message, "unknown field");
}

TEST(Overrides, RequiredFieldsMayNotBeTakenOutAndTheFileIsNotAtFault) {
  const auto errors = errors_with({"name=other", "model=null"});
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors.front().field, "model");
  EXPECT_EQ(errors.front().mark, (Mark{.set = 2}));
  const std::string file = "version: 1\nkind: command\nname: a\nrun: ./x\n";
  const auto without = errors_with({"run=null"}, file);
  ASSERT_EQ(without.size(), 1u);
  EXPECT_EQ(without.front().mark, (Mark{.set = 1}));
  EXPECT_EQ(spec_with({"run=null", "run=./y"}, file).command->script, "./y") << "the later one counts";
}

TEST(Overrides, TakeOutNothingThatNoJobFileHas) {
  const auto errors = errors_with({"seed=null", "sead=null", "optimizer.momentun=null", "optimzer.lr=null"});
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0].field, "optimzer");
  EXPECT_EQ(errors[0].mark, (Mark{.set = 4}));
  EXPECT_EQ(errors[1].field, "sead");
  EXPECT_EQ(errors[1].mark, (Mark{.set = 2}));
  EXPECT_EQ(errors[1].message, "unknown field");
  EXPECT_EQ(errors[1].hint, "did you mean \"seed\"?");
  EXPECT_EQ(errors[2].field, "optimizer.momentun");
  EXPECT_EQ(errors[2].mark, (Mark{.set = 3}));
  const std::string misspelt = std::string(kFile) + "sead: 3\n";
  EXPECT_EQ(spec_with({"sead=null"}, misspelt), spec_of(kFile)) << "it was in the file";
  EXPECT_EQ(spec_with({"labels.team=null", "until.steps=null"}), spec_of(kFile));
}

TEST(Overrides, KeepAllElseOfEveryShippedJob) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(DS_SOURCE_DIR) / "deploy/jobs")) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream stream(entry.path());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    JobSpec wanted = spec_of(text);
    wanted.description = "said beside it";
    EXPECT_EQ(spec_with({"description=said beside it"}, text), wanted) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 3);
}

TEST(Overrides, AreNoWayAroundTheSizeOfAFile) {
  const std::string file =
      "version: 1\nkind: command\nname: a\nrun: ./x\n#" + std::string(65'000, ' ') + "\n";
  EXPECT_EQ(spec_with({"workers=2"}, file).workers.max, 2u) << "comments are not kept";
  const std::string almost = "run='" + std::string(40'000, 'x') + "'";
  const std::string run =
      "version: 1\nkind: command\nname: a\nrun: ./x\nsetup: '" + std::string(40'000, 'x') + "'\n";
  EXPECT_EQ(errors_with({"run=./y"}, run), Errors{});
  const auto errors = errors_with({almost}, run);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors.front().message, "with what is set the job file is larger than 64 KiB");
}

}  // namespace
}  // namespace ds::scheduler
