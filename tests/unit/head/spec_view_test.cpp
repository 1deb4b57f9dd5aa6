#include "actors/head/spec_view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// The order of a mapping's keys means nothing.
void sort_columns(JobSpec& spec) {
  std::ranges::sort(spec.data.train.columns, {}, &FieldColumns::field);
  if (spec.data.validate) std::ranges::sort(spec.data.validate->columns, {}, &FieldColumns::field);
}

JobSpec read(const std::string& text, const std::string& directory) {
  auto parsed = parse_job_file(text, directory);
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const auto& error : *errors) ADD_FAILURE() << format_spec_error(error, "job") << "\nin\n" << text;
    return {};
  }
  auto spec = std::get<ParsedJob>(std::move(parsed)).spec;
  sort_columns(spec);
  return spec;
}

/// A field that is missing here is to be added to `spec_view`, also one that a later version has.
void expect_the_same_job(const std::string& text, const std::string& directory = "/jobs") {
  const JobSpec spec = read(text, directory);
  const std::string shown = spec_view(spec).dump(1);
  JobSpec again = read(shown, "/elsewhere");
  // A path that is read from another folder is whole.
  if (spec.serve && again.serve) again.serve->source.text = spec.serve->source.text;
  EXPECT_TRUE(again == spec) << text << "\nis shown as\n" << shown;
}

std::string text_job_with(const std::string& more) {
  return "kind: train\nmodel: {zoo: text_classifier}\nuntil: {epochs: 5}\ndata:\n"
         "  train: {source: a.csv, columns: {text: t, label: l}}\n"
         "  validate: {source: b.csv, columns: {text: t, label: l}}\n" +
         more;
}

std::string job_on(const std::string& train, const std::string& more = {}) {
  return "kind: train\nmodel: {zoo: mlp}\nuntil: {steps: 100}\ndata:\n  train: {" + train + "}\n" + more;
}

TEST(SpecView, IsAJobFileOfTheSameJobForAllThatAreShipped) {
  const std::filesystem::path jobs = std::filesystem::path(DS_SOURCE_DIR) / "deploy" / "jobs";
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(jobs)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream stream(entry.path());
    expect_the_same_job({std::istreambuf_iterator<char>(stream), {}}, jobs.string());
    ++count;
  }
  EXPECT_GT(count, 5U);
}

TEST(SpecView, HasWhatJobsOfAllKindsHave) {
  expect_the_same_job("kind: command\nrun: 'a \"b\" # c'\n");
  expect_the_same_job("kind: command\nrun: [./a, '', '1']\nsetup: |\n  x\n  y\nenv: {A: '', B: 'true'}\n");
  const std::string command = "kind: command\nrun: [x]\n";
  expect_the_same_job(command + "name: a.b\ntenant: t\nqueue: q\npriority: 7\npreemptible: false\n");
  expect_the_same_job(command + "labels: {a: '', b: 'no'}\ndescription: \"two\\nlines\"\nrestart: 0\n");
  expect_the_same_job(command + "resources: {cpus: 3, memory: 1000000001}\nworkers: {min: 2, max: 5}\n");
  expect_the_same_job(command + "resources: {cpus: 0.3}\n");
  expect_the_same_job(command + "resources: {cpus: 1500m}\n");
  expect_the_same_job(command + "resources: {gpu: 2}\nplacement: spread\n");
  expect_the_same_job(command + "resources: {gpu: {H200: 3}}\nplacement: same_node\n");
  expect_the_same_job(command + "resources: {gpu: [H200:3, 'nvidia a100:3']}\n");
  expect_the_same_job(command + "start_after: 90m\ntime_limit: 1500ms\ndepends_on: [a, b]\n");
  expect_the_same_job(command + "start_after: 2030-01-31T08:00:00.25Z\ntime_limit: 2d\n");
  expect_the_same_job(command + "retention: 36h\n");
  expect_the_same_job(command + "time_limit: 2d\ndeadline: 90h\n");
  expect_the_same_job(command + "time_limit: 2d\ndeadline: 2030-01-31T08:00:00.25Z\n");
}

TEST(SpecView, HasEverySettingOfServing) {
  const std::string serve = "kind: serve\n";
  expect_the_same_job(serve + "model: {source: 'file:a.pt'}\n");
  expect_the_same_job(serve + "model: {source: 'registry:a@prod'}\n");
  expect_the_same_job(serve + "model: {source: 'registry:a'}\nreplicas: 3\ntraffic: {prod: 90, 2: 10}\n");
  expect_the_same_job(serve + "model: {source: 'ckpt:a@12'}\nreplicas: 3\nqueue: q\nprecision: bf16\n");
  expect_the_same_job(
      serve +
      "model:\n  source: ckpt:a@newest\n  outputs: [{name: y}]\n"
      "  inputs: [{name: x, datatype: FP32, shape: [-1, 3]}]\n"
      "replicas: {min: 0, max: 4}\n"
      "queue: {name: q, max_depth: 7, max_bytes: 8Mi, timeout: 1500ms}\n"
      "batching: {mode: fixed, max_size: 9, max_delay: 3ms}\nslo: {p99: 20ms}\n"
      "autoscale: {target: 2.5, up_delay: 1s, down_delay: 2m, to_zero_after: 1h}\ndrain: 5s\n");
  const std::string padded = serve + "model: {source: 'file:a.pt'}\nbatching: {padding: {";
  expect_the_same_job(padded + "buckets: [4, 8], value: -1.5, tolerance: 0.01}}\n");
  expect_the_same_job(padded + "buckets: [[4, 8], [2]]}}\n");
  expect_the_same_job(padded + "buckets: 4, value: {tokens: 1, mask: 0}, cut: [tags]}}\n");
}

TEST(SpecView, HasEverySettingOfTraining) {
  expect_the_same_job(text_job_with(""));
  expect_the_same_job(
      text_job_with("optimizer: {name: sgd, lr: 1e-7, momentum: 0.9, nesterov: true}\n"
                    "schedule: {name: step, every: 10, factor: 0.3, warmup: 5}\n"));
  expect_the_same_job(
      text_job_with("optimizer: {name: adam, betas: [0.8, 0.99], eps: 1e-9, clip_norm: 1}\n"
                    "schedule: {name: step, at: [3, 9]}\n"));
  expect_the_same_job(text_job_with("optimizer: {weight_decay: 0.1, clip_value: 0.5}\nschedule: linear\n"));
  expect_the_same_job(
      text_job_with("schedule: {name: cosine, final: 0.25}\nprecision: bf16\nseed: 9\n"
                    "on_nan: {skip: 3}\nbatch: {global: 64, accumulate: 2}\naudit: true\n"));
  expect_the_same_job(text_job_with("loss: {name: focal, gamma: 3, weight: 0.5, classes: [1, 2.5]}\n"));
  expect_the_same_job(text_job_with("loss: {cross_entropy: 1, dice: 0.5}\n"));
  expect_the_same_job(text_job_with("loss: [{name: cross_entropy, label_smoothing: 0.1}]\n"));
  expect_the_same_job(
      text_job_with("strategy: parameter_server\nconsistency: bounded\nstaleness: 4\n"
                    "servers: 2\nreplicas: 0\ncompression: {name: top_k, share: 0.1}\n"));
  expect_the_same_job(text_job_with("strategy: parameter_server\n"));
  expect_the_same_job(
      text_job_with("validate: {every: 2 epochs, metrics: [accuracy, f1]}\n"
                    "early_stop: {metric: f1, patience: 2, min_delta: 0.01}\n"));
  expect_the_same_job(
      text_job_with("validate: {every: 30 steps}\n"
                    "checkpoint: {every: 9, keep_last: 2, keep_best: 0}\n"));
  expect_the_same_job(
      "kind: train\nmodel: {torchscript: m.pt}\nuntil: {epochs: 5, metric: {accuracy: 0.9}}\ndata:\n"
      "  train: {source: a.npy, labels: b.npy}\n  validate: {source: c.npy, labels: d.npy}\n");
  expect_the_same_job(
      "kind: train\nmodel: {zoo: own, plugin: p.so, some: [1, 2.5], none: [], flag: true}\n"
      "until: {steps: 5}\ndata:\n  train: {source: a.npy, labels: b.npy}\n");
}

TEST(SpecView, HasEveryKindOfDataAndTransform) {
  expect_the_same_job(job_on("source: [a.csv, /x/b-*.csv], columns: {label: l, features: [h, w]}"));
  expect_the_same_job(job_on("source: a.tsv, header: false, columns: {features: [1, 2], label: 3}",
                             "  shuffle: false\n  shards: 2\n  on_bad_record: skip\n"));
  expect_the_same_job(
      job_on("source: a.raw, labels: [b.raw], shape: [1, 8, 8], element: int16, records: {to: 3}"));
  expect_the_same_job(job_on("source: a-idx3-ubyte, labels: b-idx1-ubyte, records: {from: 5}"));
  expect_the_same_job(job_on("source: images/",
                             "  transforms:\n"
                             "    - resize: {size: [32, 32]}\n"
                             "    - crop: {size: [28, 28], padding: 2, random: false}\n"
                             "    - flip: {axes: [horizontal, vertical], probability: 0.25}\n"
                             "    - rotate: {degrees: 10}\n"
                             "    - elastic_deform: {alpha: 2, sigma: 3.5}\n"
                             "    - noise: {deviation: 0.05}\n"
                             "    - normalize: {mean: [0.1, 0.2, 0], deviation: [1, 1, 2]}\n"
                             "    - normalize: per_sample\n"
                             "    - normalize: {mean: 0.5, deviation: 2, field: image}\n"
                             "    - one_hot: {classes: 10}\n"
                             "    - one_hot: {}\n"));
  expect_the_same_job(text_job_with("  transforms: [tokenize: {method: byte_pair, vocabulary: 99}]\n"));
  expect_the_same_job(text_job_with("  transforms: [tokenize: {ngrams: 2}, pad_sequences: {length: 7}]\n"));
}

}  // namespace
}  // namespace ds::head
