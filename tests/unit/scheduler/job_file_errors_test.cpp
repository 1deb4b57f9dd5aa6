#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"
#include "tests/unit/scheduler/example_job.hpp"

namespace ds::scheduler {
namespace {

std::vector<std::string> errors_of(std::string_view text) {
  const auto parsed = parse_job_file(text, "/jobs");
  std::vector<std::string> lines;
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const SpecError& error : *errors) lines.push_back(format_spec_error(error, "f"));
  }
  return lines;
}

const std::string kKnownAtTheRoot =
    "known here: version, kind, name, labels, description, tenant, queue, priority, preemptible, resources, "
    "workers, "
    "gang, placement, time_limit, deadline, start_after, depends_on, restart, retention, model, data, batch, "
    "optimizer, "
    "schedule, "
    "loss, until, precision, on_nan, "
    "strategy, consistency, staleness, servers, replicas, compression, validate, early_stop, checkpoint, "
    "seed, audit";
const std::string kKnownInOptimizer =
    "known here: name, lr, momentum, nesterov, beta1, beta2, betas, eps, weight_decay, clip_norm, clip_value";

/// A change to a good file and what it must lead to.
struct Fault {
  std::string_view find;     ///< in the example
  std::string_view replace;  ///< by this
  std::vector<std::string> errors;
};

void expect_faults(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    std::string text(testing::kExampleJob);
    const std::size_t at = text.find(fault.find);
    ASSERT_NE(at, std::string::npos) << fault.find;
    text.replace(at, fault.find.size(), fault.replace);
    EXPECT_EQ(errors_of(text), fault.errors) << "after " << fault.find << " -> " << fault.replace;
  }
}

TEST(JobFileErrors, PointAtAValueThatIsNoNumber) {
  expect_faults({
      {"1e-3", "fast", {"f:16:30: optimizer.lr: expected a number, got \"fast\""}},
      {"1e-3", "\"1e-3\"", {"f:16:30: optimizer.lr: expected a number, got \"1e-3\"\n  remove the quotes"}},
      {"1e-3", "[1]", {"f:16:30: optimizer.lr: expected a number, got a list"}},
      {"1e-3", "{a: 1}", {"f:16:30: optimizer.lr: expected a number, got a mapping"}},
      {"1e-3", "~", {"f:16:30: optimizer.lr: expected a number, got nothing"}},
      {"lr: 1e-3", "lr: ", {"f:16:26: optimizer.lr: expected a number, got nothing"}},
      {"1e-3", ".inf", {"f:16:30: optimizer.lr: expected a finite number, got .inf"}},
      {"1e-3", "-.NaN", {"f:16:30: optimizer.lr: expected a finite number, got -.NaN"}},
      {"1e-3", "1e999", {"f:16:30: optimizer.lr: expected a number above 0, got 1e999"}},
      {"1e-3", "0", {"f:16:30: optimizer.lr: expected a number above 0, got 0"}},
      {"1e-3", "-1", {"f:16:30: optimizer.lr: expected a number above 0, got -1"}},
      {"1e-3", "1_0", {"f:16:30: optimizer.lr: expected a number, got \"1_0\""}},
      {"1e-3", "010", {"f:16:30: optimizer.lr: expected a number without leading zeros, got 010"}},
      {"seed: 7", "seed: 0x10", {"f:22:7: seed: expected a number, got \"0x10\""}},
      {"seed: 7", "seed: 0o10", {"f:22:7: seed: expected a number, got \"0o10\""}},
      {"seed: 7", "seed: 010", {"f:22:7: seed: expected a number without leading zeros, got 010"}},
      {"seed: 7", "seed: 1.5", {"f:22:7: seed: expected a whole number, got 1.5"}},
      {"seed: 7", "seed: 1e3", {"f:22:7: seed: expected a whole number, got 1e3"}},
      {"seed: 7", "seed: -7", {"f:22:7: seed: expected a number from 0 to 18446744073709551615, got -7"}},
      {"seed: 7",
       "seed: 18446744073709551616",
       {"f:22:7: seed: expected a number from 0 to 18446744073709551615, got 18446744073709551616"}},
      {"seed: 7", "seed:", {"f:22:1: seed: expected a number, got nothing"}},
      {"width: 128", "width: 9000", {"f:7:38: model.width: expected a number from 1 to 8192, got 9000"}},
      {"width: 128",
       "width: 8, dropout: 1",
       {"f:7:50: model.dropout: expected a number from 0 to below 1, got 1"}},
      {"epochs: 5",
       "epochs: 4294967296",
       {"f:20:17: until.epochs: expected a number from 1 to 1000000, got 4294967296"}},
      {"max: 4", "max: 2000", {"f:6:24: workers.max: expected a number from 1 to 1024, got 2000"}},
      {"{min: 1, max: 4}", "0", {"f:6:10: workers: expected a number from 1 to 1024, got 0"}},
      {"seed: 7",
       "priority: 2000000",
       {"f:22:11: priority: expected a number from 0 to 1000000, got 2000000"}},
      {"seed: 7", "priority: -1", {"f:22:11: priority: expected a number from 0 to 1000000, got -1"}},
      {"seed: 7",
       "priority: hihg",
       {"f:22:11: priority: expected one of low, normal, high, critical, got \"hihg\"\n  did you mean "
        "\"high\"?"}},
      {"{min: 1, max: 4}", "many", {"f:6:10: workers: expected a number, got \"many\""}},
      {"keep_last: 3",
       "keep_last: 0",
       {"f:21:43: checkpoint.keep_last: expected a number from 1 to 1000, got 0"}},
      {"length: 32",
       "length: 2",
       {"f:13:31: data.transforms[1].pad_sequences.length: expected a number from 3 to 65536, got 2"}},
      {"vocabulary: 8000",
       "vocabulary: 2",
       {"f:12:30: data.transforms[0].tokenize.vocabulary: expected a number from 3 to 10000000, got 2"}},
      {"vocabulary: 8000",
       "ngrams: 4",
       {"f:12:26: data.transforms[0].tokenize.ngrams: expected a number from 1 to 3, got 4"}},
  });
}

TEST(JobFileErrors, PointAtTheKeyOfAnUnknownFieldAndSuggestTheNearest) {
  expect_faults({
      {"optimizer:", "optimiser:", {"f:16:1: optimiser: unknown field\n  did you mean \"optimizer\"?"}},
      {"lr: 1e-3", "rl: 1e-3", {"f:16:26: optimizer.rl: unknown field\n  did you mean \"lr\"?"}},
      {"accumulate",
       "acumulate",
       {"f:15:22: batch.acumulate: unknown field\n  did you mean \"accumulate\"?"}},
      {"seed: 7", "banana: 7", {"f:22:1: banana: unknown field\n  " + kKnownAtTheRoot}},
      {"length: 32",
       "width: 32",
       {"f:13:23: data.transforms[1].pad_sequences.width: unknown field\n  known here: length, field"}},
      {"cpus: 1",
       "\"cpu\\e[31ms\": 1",
       {"f:5:13: resources.\"cpu\\x1b[31ms\": unknown field\n  known here: cpus, memory, gpu"}},
      {"- tokenize",
       "- tokenise",
       {"f:12:7: data.transforms[0].tokenise: unknown field\n  did you mean \"tokenize\"?"}},
      {"{epochs: 5}",
       "{epochs: 5, <<: 6}",
       {"f:20:20: until.\"<<\": unknown field\n  known here: epochs, steps, metric"}},
  });
}

TEST(JobFileErrors, PointAtTheSecondOfTwoEqualKeys) {
  expect_faults({
      {"seed: 7", "seed: 7\nseed: 8", {"f:23:1: seed: given twice\n  first given in line 22"}},
      {"lr: 1e-3", "lr: 1, lr: 2", {"f:16:33: optimizer.lr: given twice\n  first given in line 16"}},
      {"seed: 7", "labels: {a: 1, a: 2}", {"f:22:16: labels.a: given twice\n  remove one of the two"}},
  });
}

TEST(JobFileErrors, PointAtTheSectionThatLacksAField) {
  expect_faults({
      {"kind: train\n", "", {"f:1:1: kind: required, but missing\n  such as train"}},
      {"until: {epochs: 5}\n", "", {"f:1:1: until: required, but missing\n  such as {epochs: 5}"}},
      {"source: train.csv, ",
       "",
       {"f:9:3: data.train.source: required, but missing\n  the path of a file, a folder or a glob, or a "
        "list "
        "of them"}},
      {"text: utterance, ",
       "",
       {"f:9:55: data.train.columns: expected a column for the model beside label\n  such as text: COLUMN"}},
      {"min: 1, max: 4", "min: 1", {"f:6:1: workers.max: required, but missing\n  such as {min: 1, max: 4}"}},
      {"{zoo: text_classifier, width: 128}",
       "{}",
       {"f:7:1: model.zoo: required, but missing\n  such as text_classifier"}},
  });
}

TEST(JobFileErrors, RefuseWhatThisVersionDoesNotRun) {
  expect_faults({
      {"kind: train",
       "kind: tune",
       {"f:2:7: kind: \"tune\" is not supported by this version yet\n  use train, serve, command"}},
      {"kind: train",
       "kind: trian",
       {"f:2:7: kind: expected one of train, serve, command, got \"trian\"\n  did you mean \"train\"?"}},
      {"version: 1",
       "version: 2",
       {"f:1:10: version: expected 1, got 2\n  this version reads job files of version 1 only"}},
      {"cpus: 1",
       "gpu: H200:1",
       {"f:5:18: resources.gpu: workers of kind train use no GPU in this version, got \"H200:1\"\n"
        "  remove it; programs of kind command and replicas of kind serve are given GPUs"}},
      {"seed: 7", "env: {A: b}", {"f:22:1: env: not supported by this version yet\n  remove it"}},
      {"seed: 7",
       "start_after: soon",
       {"f:22:14: start_after: expected a duration or a time, got \"soon\"\n  such as 2h after the "
        "submission, or "
        "2030-01-31T08:00:00Z"}},
      {"seed: 7",
       "start_after: 400d",
       {"f:22:14: start_after: expected a duration of at most 366d, got \"400d\"\n  such as 2h after the "
        "submission, "
        "or 2030-01-31T08:00:00Z"}},
      {"seed: 7",
       "depends_on: [a, B/c, a]",
       {"f:22:17: depends_on[1]: expected a job's name or id, got \"B/c\"\n  it has 1 to 63 of a-z, 0-9, "
        "'.', '_', "
        "'-'; ds-submit list shows them",
        "f:22:22: depends_on[2]: given twice\n  name each job once"}},
      {"seed: 7", "depends_on: {a: b}", {"f:22:13: depends_on: expected text or a list, got a mapping"}},
      {"seed: 7",
       "time_limit: 90",
       {"f:22:13: time_limit: expected a duration, got 90\n  such as 90s, 15m or 2h"}},
      {"seed: 7",
       "time_limit: 999ms",
       {"f:22:13: time_limit: expected a duration from 1s to 366d, got \"999ms\""}},
      {"seed: 7",
       "retention: 400d",
       {"f:22:12: retention: expected a duration from 1s to 366d, got \"400d\""}},
      {"seed: 7",
       "deadline: 2h",
       {"f:22:11: deadline: expected time_limit, which is missing\n  give the longest time that it may run, "
        "such "
        "as time_limit: 2h; without it nobody can promise when it ends"}},
      {"seed: 7",
       "time_limit: 1h\ndeadline: soon",
       {"f:23:11: deadline: expected a duration or a time, got \"soon\"\n  such as 6h after the submission, "
        "or "
        "2030-01-31T08:00:00Z"}},
      {"seed: 7",
       "time_limit: 1h\ndeadline: 2h\ndepends_on: a",
       {"f:23:11: deadline: goes with neither start_after nor depends_on\n  nobody can promise when a job "
        "starts "
        "that waits for something else; submit it then"}},
      {"zoo: text_classifier, width: 128",
       "init_from: m.pt",
       {"f:7:9: model.init_from: not supported by this version yet\n  remove it"}},
      {"200 steps",
       "10m",
       {"f:21:21: checkpoint.every: durations are not supported by this version yet\n  such as 200 steps"}},
      {"seed: 7",
       "placement: same-node",
       {"f:22:12: placement: expected one of pack, spread, same_node, got \"same-node\"\n  did you mean "
        "\"same_node\"?"}},
      {"seed: 7",
       "gang: false",
       {"f:22:7: gang: expected true, got \"false\"\n  other values are not supported by this version yet"}},
      {"max: 4",
       "max: 4, preferred: 2",
       {"f:6:38: workers.preferred: expected 4 (workers.max), got 2\n"
        "  a job grows to its maximum; other values are not supported by this version yet"}},
  });
}

TEST(JobFileErrors, PointAtAValueOfTheWrongKind) {
  expect_faults({
      {"shuffle: true", "shuffle: yes", {"f:14:12: data.shuffle: expected true or false, got \"yes\""}},
      {"shuffle: true", "shuffle: True", {"f:14:12: data.shuffle: expected true or false, got \"True\""}},
      {"shuffle: true", "shuffle: 1", {"f:14:12: data.shuffle: expected true or false, got 1"}},
      {"{name: adamw, lr: 1e-3}",
       "adamw",
       {"f:16:12: optimizer: expected a mapping, got \"adamw\"\n"
        "  " +
        kKnownInOptimizer}},
      {"adamw",
       "adamx",
       {"f:16:19: optimizer.name: expected one of sgd, adam, adamw, got \"adamx\"\n  did you mean "
        "\"adam\"?"}},
      {"format: csv",
       "format: parquet",
       {"f:9:41: data.train.format: expected one of csv, tsv, jsonl, text, idx, image_folder, npy, npz, "
        "nifti, "
        "raw, got \"parquet\""}},
      {"name: intents",
       "name: Intents/../x",
       {"f:3:7: name: expected a name, got \"Intents/../x\"\n"
        "  a name has 1 to 63 of a-z, 0-9, '.', '_', '-' and starts with a letter or digit"}},
      {"source: train.csv",
       "source: \"a\\0b\"",
       {"f:9:22: data.train.source: control characters are not allowed, got \"a\\x00b\""}},
      {"source: train.csv",
       "source: s3://b/k",
       {"f:9:22: data.train.source: expected the path of a file, got \"s3://b/k\"\n"
        "  other sources are not supported by this version yet"}},
      {"text: utterance", "text: \"\"", {"f:9:62: data.train.columns.text: expected text, got \"\""}},
      {"2Gi", "2GB", {"f:5:30: resources.memory: expected a size, got \"2GB\"\n  such as 512Mi or 8Gi"}},
      {"2Gi",
       "2",
       {"f:5:30: resources.memory: expected a size from 1Mi to 1Pi, got 2\n"
        "  a size without a unit is in bytes; such as 512Mi or 8Gi"}},
      {"200 steps",
       "often",
       {"f:21:21: checkpoint.every: expected a number of steps, got \"often\"\n  such as 200 steps"}},
      {"200 steps",
       "0 steps",
       {"f:21:21: checkpoint.every: expected a number from 1 to 1000000000000, got 0"}},
  });
}

TEST(JobFileErrors, PointAtFieldsThatContradictEachOther) {
  expect_faults({
      {"min: 1", "min: 5", {"f:6:16: workers.min: expected at most workers.max (4), got 5"}},
      {"global: 128",
       "global: 3",
       {"f:15:17: batch.global: expected at least 4, got 3\n"
        "  each of workers.max (4) shares needs a sample in each of 1 micro-batches"}},
      {"global: 128, accumulate: 1",
       "global: 7, accumulate: 2",
       {"f:15:17: batch.global: expected at least 8, got 7\n"
        "  each of workers.max (4) shares needs a sample in each of 2 micro-batches"}},
      {"accumulate: 1",
       "max_global: 500",
       {"f:15:34: batch.max_global: expected batch.global (128) times a power of two, got 500\n  such as 256 "
        "or "
        "512"}},
      {"accumulate: 1",
       "max_global: 64",
       {"f:15:34: batch.max_global: expected batch.global (128) times a power of two, got 64\n  such as "
        "128"}},
      {"accumulate: 1",
       "max_global: 0",
       {"f:15:34: batch.max_global: expected a number from 1 to 1048576, got 0"}},
      {"epochs: 5",
       "epochs: 5, steps: 10",
       {"f:20:1: until: expected one of epochs and steps, got both\n  such as {epochs: 5}"}},
      {"{epochs: 5}", "{}", {"f:20:1: until: expected epochs or steps, got neither\n  such as {epochs: 5}"}},
      {"lr: 1e-3",
       "beta1: 0.9, betas: [0.9, 0.9]",
       {"f:16:45: optimizer.betas: given beside beta1 or beta2\n  keep one of the two spellings"}},
      {"lr: 1e-3",
       "betas: [0.9, 1]",
       {"f:16:39: optimizer.betas[1]: expected a number from 0 to below 1, got 1"}},
      {"lr: 1e-3",
       "betas: [0.9]",
       {"f:16:33: optimizer.betas: expected a list of two numbers, got a list of 1\n  such as [0.9, 0.999]"}},
      {"- pad_sequences: {length: 32}",
       "- tokenize: {}",
       {"f:13:7: data.transforms[1].tokenize: given twice\n  each transform is applied once"}},
      {"- tokenize: {vocabulary: 8000}\n    - pad_sequences: {length: 32}",
       "- pad_sequences: {length: 32}\n    - tokenize: {vocabulary: 8000}",
       {"f:13:7: data.transforms[1].tokenize: expected before pad_sequences\n  texts are cut into tokens "
        "first"}},
      {"{vocabulary: 8000}",
       "{method: byte_pair, ngrams: 2}",
       {"f:12:45: data.transforms[0].tokenize.ngrams: given with method: byte_pair\n  n-grams are made of "
        "whole words: leave out one of the two"}},
      {"- tokenize: {vocabulary: 8000}",
       "- tokenize",
       {"f:12:7: data.transforms[0]: expected one transform with its settings, got \"tokenize\"\n"
        "  such as tokenize: {vocabulary: 8000}"}},
  });
}

TEST(JobFileErrors, RefuseYamlThatJobFilesDoWithout) {
  expect_faults({
      {"lr: 1e-3",
       "lr: &a 1e-3",
       {"f:16:30: anchors (&name) are not allowed in a job file\n  write the value out"}},
      {"lr: 1e-3",
       "lr: !!float 1e-3",
       {"f:16:30: tags (!name) are not allowed in a job file\n  remove the tag"}},
      {"{epochs: 5}",
       "!x {epochs: 5}",
       {"f:20:8: tags (!name) are not allowed in a job file\n  remove the tag"}},
      {"seed: 7\n",
       "seed: 7\n---\nseed: 8\n",
       {"f:23:1: a job file holds one document, this is a second one\n  remove it, or check the "
        "indentation"}},
      {"{epochs: 5}",
       "{[a]: 5}",
       {"f:20:9: expected a name before the colon\n  a name is plain text; is a [ or { not closed?"}},
      {"{epochs: 5}",
       "{~: 5}",
       {"f:20:9: expected a name before the colon\n  a name is plain text; is a [ or { not closed?"}},
      {"nlp", "n\x04p", {"f:4:10: control character \"\\x04\" is not allowed"}},
      {"nlp", "\xC3\xA9\xFF", {"f:4:10: the file is not UTF-8 here\n  save it as UTF-8"}},
  });
  EXPECT_EQ(errors_of(std::string_view("a: \0", 4)),
            std::vector<std::string>{"f:1:4: a NUL byte is not allowed"});
}

TEST(JobFileErrors, SayWhatMayBeWrongWithTheSyntax) {
  expect_faults({
      {"{epochs: 5}",
       "{epochs: 5",
       {"f:21:11: YAML syntax error: end of map flow not found\n  a { is not closed, or a comma is missing"}},
      {"seed: 7",
       "description: \"seven",
       {"f:23:1: YAML syntax error: illegal EOF in scalar\n  a quote is not closed"}},
      {"seed: 7",
       "description: 'seven",
       {"f:23:1: YAML syntax error: illegal EOF in scalar\n  a quote is not closed"}},
      {"  shuffle",
       "\tshuffle",
       {"f:14:2: YAML syntax error: end of map not found\n  indent with spaces, not with tabs"}},
      {"nlp",
       "a: b",
       {"f:4:10: YAML syntax error: illegal map value\n"
        "  check the indentation; a value with a colon and a space inside needs quotes"}},
      {"nlp",
       "@nlp",
       {"f:4:9: YAML syntax error: unknown token\n  a value that starts with @, ` or % needs quotes"}},
      {"nlp", "\"\\q\"", {"f:4:12: YAML syntax error: unknown escape character: q"}},
  });
}

TEST(JobFileErrors, CountColumnsInCharacters) {
  EXPECT_EQ(errors_of("kind: train\nlabels: {ä: ö, é: 1}\nname: [\n").front().substr(0, 4), "f:4:");
  expect_faults({{"{name: adamw, lr: 1e-3}",
                  "{name: adamw, \"größe\": 1}",
                  {"f:16:26: optimizer.\"größe\": unknown field\n"
                   "  " +
                   kKnownInOptimizer}},
                 {"{text: utterance, label: intent}",
                  "{text: äöü, label: []}",
                  {"f:9:74: data.train.columns.label: expected a list of 1 to 1024, got a list of 0"}}});
}

TEST(JobFileErrors, ReportAllFaultsInFileOrder) {
  const std::string text =
      "until: {epochs: x}\nworkers: {min: 3, max: 2}\nkind: train\nbogus: 1\n"
      "data: {train: {source: [], columns: {text: t}}}\n";
  const std::string no_label =
      "f:5:28: data.train.columns.label: required, but missing\n  the name of the column with the label";
  const std::vector<std::string> expected{
      "f:1:1: model: required, but missing\n  such as {zoo: text_classifier}",
      "f:1:17: until.epochs: expected a number, got \"x\"",
      "f:2:16: workers.min: expected at most workers.max (2), got 3",
      "f:4:1: bogus: unknown field\n  " + kKnownAtTheRoot,
      "f:5:24: data.train.source: expected a list of 1 to 1024, got a list of 0",
      no_label};
  EXPECT_EQ(errors_of(text), expected);
}

TEST(JobFileErrors, AreOnlyTheKindWhereThatIsWrong) {
  EXPECT_EQ(
      errors_of("version: 1\nkind: comand\nrun: [./x]\nbogus: 1\n"),
      std::vector<std::string>{
          "f:2:7: kind: expected one of train, serve, command, got \"comand\"\n  did you mean \"command\"?"});
  EXPECT_EQ(errors_of("version: 1\nrun: [./x]\n"),
            std::vector<std::string>{"f:1:1: kind: required, but missing\n  such as train"});
}

TEST(JobFileErrors, TellTheFormsOfAQueuesName) {
  const auto with_queue = [](const std::string& queue) {
    return errors_of("version: 1\nkind: command\nrun: [./x]\nqueue: " + queue + "\n");
  };
  for (const char* right : {"prod", "a/x/p", "x/p", "1/2/3/4/5/6/7/8"})
    EXPECT_TRUE(with_queue(right).empty()) << right;
  for (const char* wrong : {"/p", "a/", "a//p", "a/B", "1/2/3/4/5/6/7/8/9"}) {
    ASSERT_EQ(with_queue(wrong).size(), 1U) << wrong;
    EXPECT_NE(with_queue(wrong).front().find("f:4:8: queue: expected the name or the path"),
              std::string::npos)
        << with_queue(wrong).front();
  }
}

TEST(JobFileErrors, StopAtFifty) {
  std::string text = "kind: train\n";
  for (int i = 0; i < 500; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(errors_of(text).size(), 50U);
}

TEST(JobFileErrors, SayWhenThereIsNoMapping) {
  const std::vector<std::string> empty{"f:1:1: the file is empty: expected a job file"};
  EXPECT_EQ(errors_of(""), empty);
  EXPECT_EQ(errors_of("# only a comment\n"), empty);
  EXPECT_EQ(errors_of("train\n"),
            std::vector<std::string>{"f:1:1: expected a mapping, got \"train\"\n  such as kind: train"});
  EXPECT_EQ(errors_of("- a\n"),
            std::vector<std::string>{"f:1:1: expected a mapping, got a list\n  such as kind: train"});
}

TEST(JobFileErrors, RefuseTooManyBytesAndLevels) {
  EXPECT_EQ(errors_of(std::string(65'537, '#')),
            std::vector<std::string>{"f:1:1: a job file may have 65536 bytes, this one has 65537"});
  const std::vector<std::string> too_deep{"f:1:33: more than 32 levels of nesting"};
  EXPECT_EQ(errors_of(std::string(33, '[') + std::string(33, ']')), too_deep);
  EXPECT_EQ(errors_of(std::string(60'000, '[')).size(), 1U);
  EXPECT_EQ(errors_of(std::string(32, '[') + std::string(32, ']')),
            std::vector<std::string>{"f:1:1: expected a mapping, got a list\n  such as kind: train"});
  EXPECT_EQ(errors_of(std::string(102'400, '[')).size(), 1U);
  for (const std::string_view opening : {"- ", "? ", "{a: ", "[{", "{? ", "[? ", "- - ? "}) {
    std::string text;
    while (text.size() + opening.size() < 60'000) text += opening;
    EXPECT_EQ(errors_of(text).size(), 1U) << opening;
  }
}

}  // namespace
}  // namespace ds::scheduler
