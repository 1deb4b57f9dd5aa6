#include "scheduler/spec/job_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "tests/unit/scheduler/example_job.hpp"

namespace ds::scheduler {
namespace {

/// The least that a training job must say.
constexpr std::string_view kLeast =
    "kind: train\n"
    "model: {zoo: text_classifier}\n"
    "data: {train: {source: a.csv, columns: {text: t, label: l}}}\n"
    "until: {steps: 10}\n";

ParsedJob parse_good(const std::string& text, std::string_view directory = "/jobs") {
  auto parsed = parse_job_file(text, directory);
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const SpecError& error : *errors)
      ADD_FAILURE() << format_spec_error(error, "job.yaml") << "\nin\n" << text;
    return {};
  }
  return std::get<ParsedJob>(parsed);
}

JobSpec parse_least_and(const std::string& more) {
  return parse_good(std::string(kLeast) + more).spec;
}

SourceSpec csv(std::string path, std::string text, std::string label) {
  SourceSpec source;
  source.paths = {std::move(path)};
  source.format = "csv";
  source.columns = {{"text", {std::move(text)}}, {"label", {std::move(label)}}};
  return source;
}

/// What texts need, when the file does not say otherwise.
std::vector<TransformSpec> text_transforms(std::uint32_t vocabulary = 8000, std::uint32_t length = 32) {
  return {{Tokenize{"word", vocabulary}, {}}, {PadSequences{length}, {}}};
}

JobSpec text_job() {
  JobSpec spec;
  spec.model.zoo = "text_classifier";
  spec.model.settings = {{"width", {128}}, {"dropout", {0.1}}};
  spec.data.transforms = text_transforms();
  spec.optimizer.weight_decay = 0.01;
  return spec;
}

TEST(JobFile, ReadsHowLongAJobMayRun) {
  EXPECT_EQ(parse_least_and("").time_limit_ms, 0);
  EXPECT_EQ(parse_least_and("time_limit: 2h\n").time_limit_ms, 7'200'000);
}

TEST(JobFile, ReadsWhenAJobMayStart) {
  EXPECT_EQ(parse_least_and("start_after: 15m\n").start_after_ms, 900'000);
  EXPECT_EQ(parse_least_and("start_after: 2000-02-29T13:34:56+01:00\n").start_at_ms, 951'827'696'000);
  EXPECT_EQ(parse_least_and("depends_on: prepare-x2y3z4\n").depends_on,
            std::vector<std::string>{"prepare-x2y3z4"});
  EXPECT_EQ(parse_least_and("depends_on: [a, b]\n").depends_on, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(parse_least_and("depends_on: []\n").depends_on.empty());
  const auto marks = parse_good(std::string(kLeast) + "depends_on: [a, b]\n").marks;
  EXPECT_EQ(marks.at("depends_on[1]").line, 5U);
  EXPECT_EQ(marks.at("depends_on[1]").column, 17U);
}

TEST(JobFile, MayAskForALargestBatchThatIsTheOnlyOne) {
  const auto spec = parse_least_and(
      "batch: {global: 64, max_global: 64}\nstrategy: parameter_server\n"
      "consistency: async\n");
  EXPECT_EQ(spec.batch.most_batches(), 1U);
}

TEST(JobFile, ReadsADeadlineAfterTheSubmissionOrAtAMoment) {
  EXPECT_FALSE(parse_least_and("time_limit: 1h\n").has_deadline());
  const auto after = parse_least_and("time_limit: 1h\ndeadline: 2h\n");
  EXPECT_TRUE(after.has_deadline());
  EXPECT_EQ(after.deadline_ms(1000), 7'201'000);
  const auto at = parse_least_and("time_limit: 1h\ndeadline: 2000-02-29T13:34:56+01:00\n");
  EXPECT_EQ(at.deadline_ms(1000), 951'827'696'000);
}

TEST(JobFile, ReadsTheExampleOfTheInterface) {
  JobSpec expected = text_job();
  expected.name = "intents";
  expected.tenant = "nlp";
  expected.resources = {1, 2ULL << 30};
  expected.workers = {1, 4};
  expected.data.train = csv("/jobs/train.csv", "utterance", "intent");
  expected.data.validate = csv("/jobs/test.csv", "utterance", "intent");
  expected.batch = {128, 1};
  expected.optimizer.lr = 1e-3;
  expected.until.epochs = 5;
  expected.checkpoint = {200, 3, 1};
  expected.seed = 7;
  EXPECT_EQ(parse_good(std::string(testing::kExampleJob)).spec, expected);
}

TEST(JobFile, ReadsJson) {
  const JobSpec spec = parse_good(R"({
    "kind": "train", "name": "j", "model": {"zoo": "text_classifier", "width": 16, "dropout": 0.5},
    "data": {"train": {"source": "/d/a.csv", "columns": {"text": "t", "label": "l"}},
             "transforms": [{"tokenize": {"vocabulary": 50}}], "shuffle": false},
    "resources": {"memory": "512Mi"}, "until": {"steps": 3}, "seed": 18446744073709551615})")
                           .spec;
  const std::map<std::string, std::vector<double>> settings{{"width", {16}}, {"dropout", {0.5}}};
  EXPECT_EQ(spec.model.settings, settings);
  EXPECT_EQ(spec.data.train.paths, std::vector<std::string>{"/d/a.csv"});
  EXPECT_EQ(spec.data.transforms, text_transforms(50));
  EXPECT_FALSE(spec.data.shuffle);
  EXPECT_EQ(spec.resources.memory_bytes, 512ULL << 20);
  EXPECT_EQ(spec.seed, 18446744073709551615ULL);
}

TEST(JobFile, ReadsJsonOnOneLongLine) {
  const std::string description(3000, 'x');
  const JobSpec spec = parse_good(R"({"kind":"train","description":")" + description +
                                  R"(","model":{"zoo":"text_classifier"},"data":{"train":{"source":"a.csv",)"
                                  R"("columns":{"text":"t","label":"l"}}},"until":{"epochs":2}})")
                           .spec;
  EXPECT_EQ(spec.description, description);
  EXPECT_EQ(spec.until.epochs, 2U);
}

TEST(JobFile, FillsInDefaults) {
  JobSpec expected = text_job();
  expected.name = parse_least_and("").name;
  expected.data.train = csv("/jobs/a.csv", "t", "l");
  expected.until.steps = 10;
  EXPECT_EQ(parse_least_and(""), expected);
}

TEST(JobFile, NamesANamelessJobAfterItsText) {
  const std::string name = parse_least_and("").name;
  EXPECT_EQ(name.size(), std::string("train-01234567").size());
  EXPECT_TRUE(name.starts_with("train-"));
  EXPECT_EQ(name, parse_least_and("").name);
  EXPECT_NE(name, parse_least_and("seed: 1\n").name);
}

TEST(JobFile, TakesOneNumberOfWorkersForBothEnds) {
  EXPECT_EQ(parse_least_and("workers: 3\n").workers, (WorkerCount{3, 3}));
  EXPECT_EQ(parse_least_and("workers: {max: 3}\n").workers, (WorkerCount{1, 3}));
  EXPECT_EQ(parse_least_and("workers: {min: 2, max: 3, preferred: 3}\n").workers, (WorkerCount{2, 3}));
}

TEST(JobFile, TakesBothSpellingsOfBetas) {
  const OptimizerSpec list = parse_least_and("optimizer: {betas: [0.8, 0.95]}\n").optimizer;
  EXPECT_EQ(list.beta1, 0.8);
  EXPECT_EQ(list.beta2, 0.95);
  EXPECT_EQ(list, parse_least_and("optimizer: {beta1: 0.8, beta2: .95}\n").optimizer);
}

TEST(JobFile, TakesBothSpellingsOfTheCheckpointInterval) {
  EXPECT_EQ(parse_least_and("checkpoint: {every: 1 step}\n").checkpoint.every_steps, 1U);
  EXPECT_EQ(parse_least_and("checkpoint: {every: 50}\n").checkpoint.every_steps, 50U);
  EXPECT_EQ(parse_least_and("checkpoint: {every: \"50 steps\"}\n").checkpoint.every_steps, 50U);
}

TEST(JobFile, AcceptsSettingsThatSayWhatHappensAnyway) {
  const std::string harmless =
      "queue: default\npriority: normal\npreemptible: true\ngang: true\nplacement: pack\nversion: 1\n";
  JobSpec spec = parse_least_and(harmless);
  spec.name = parse_least_and("").name;
  EXPECT_EQ(spec, parse_least_and(""));
}

TEST(JobFile, ReadsWhereItsWorkersGo) {
  EXPECT_EQ(parse_least_and("").placement, PlacementRule::pack);
  EXPECT_EQ(parse_least_and("placement: spread\n").placement, PlacementRule::spread);
  EXPECT_EQ(parse_least_and("placement: same_node\n").placement, PlacementRule::same_node);
}

TEST(JobFile, ReadsAPriorityAsAWordOrANumber) {
  EXPECT_EQ(parse_least_and("priority: low\n").priority, 100U);
  EXPECT_EQ(parse_least_and("priority: normal\n").priority, 500U);
  EXPECT_EQ(parse_least_and("priority: high\n").priority, 800U);
  EXPECT_EQ(parse_least_and("priority: critical\n").priority, 1000U);
  EXPECT_EQ(parse_least_and("priority: 650\n").priority, 650U);
  EXPECT_EQ(parse_least_and("").priority, 500U);
  EXPECT_FALSE(parse_least_and("preemptible: false\n").preemptible);
}

TEST(JobFile, ReadsLabelsAndDescription) {
  const JobSpec spec =
      parse_least_and("labels: {team: search, cost-centre: 42}\ndescription: |\n  two\n  lines\n");
  EXPECT_EQ(spec.labels, (std::map<std::string, std::string>{{"team", "search"}, {"cost-centre", "42"}}));
  EXPECT_EQ(spec.description, "two\nlines\n");
  EXPECT_EQ(parse_least_and("restart: 0\n").restart_limit, 0U);
}

TEST(JobFile, TakesPathsFromTheDirectoryOfTheFile) {
  const auto path_in = [](const std::string& source, std::string_view directory) {
    return parse_good(
               "kind: train\nmodel: {zoo: text_classifier}\nuntil: {steps: 1}\ndata: {train: {source: '" +
                   source + "', columns: {text: t, label: l}}}\n",
               directory)
        .spec.data.train.paths.at(0);
  };
  EXPECT_EQ(path_in("a.csv", "/jobs"), "/jobs/a.csv");
  EXPECT_EQ(path_in("../x/./a.csv", "/jobs/deep/"), "/jobs/x/a.csv");
  EXPECT_EQ(path_in("/data/../a.csv", "/jobs"), "/a.csv");
  EXPECT_EQ(path_in("../../../a.csv", "/jobs"), "/a.csv");
  EXPECT_EQ(path_in("größe.csv", "/jobs"), "/jobs/größe.csv");
}

TEST(JobFile, RemembersWhereFieldsStand) {
  const auto marks = parse_good(std::string(testing::kExampleJob)).marks;
  EXPECT_EQ(marks.at("optimizer.lr"), (Mark{16, 30}));
  EXPECT_EQ(marks.at("data.train.source"), (Mark{9, 22}));
  EXPECT_EQ(marks.at("data.transforms[1].pad_sequences.length"), (Mark{13, 31}));
  EXPECT_EQ(marks.at("data"), (Mark{8, 1}));
  EXPECT_FALSE(marks.contains("restart"));
}

TEST(JobFile, IgnoresAByteOrderMarkAndWindowsLineEnds) {
  EXPECT_EQ(parse_good("\xEF\xBB\xBFkind: train\r\nmodel: {zoo: text_classifier}\r\nuntil: {steps: 10}\r\n"
                       "data: {train: {source: a.csv, columns: {text: t, label: l}}}\r\n")
                .spec.data.train,
            csv("/jobs/a.csv", "t", "l"));
}

TEST(JobFile, FormatsAnErrorForATerminal) {
  EXPECT_EQ(format_spec_error({"optimizer.lr", {7, 12}, "expected a number, got \"fast\"", ""}, "job.yaml"),
            "job.yaml:7:12: optimizer.lr: expected a number, got \"fast\"");
  EXPECT_EQ(format_spec_error({"", {1, 1}, "the job file is empty", "write one"}, "-"),
            "-:1:1: the job file is empty\n  write one");
  EXPECT_EQ(format_spec_error({"seed", {}, "bad", ""}, "job.yaml"), "job.yaml: seed: bad");
}

}  // namespace
}  // namespace ds::scheduler
