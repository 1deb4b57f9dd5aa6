#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/scheduler/settings_reading.hpp"

namespace ds::scheduler {
namespace {

/// A section, and the errors it leads to, without the place.
struct Fault {
  std::string section;
  std::vector<std::string> errors;
};

void expect_faults(const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    std::vector<std::string> errors;
    for (const std::string& error : testing::read_settings(testing::text_job_with(fault.section)).errors) {
      errors.push_back(error.substr(error.find(": ") + 2));
    }
    EXPECT_EQ(errors, fault.errors) << "in\n" << testing::text_job_with(fault.section);
  }
}

std::string train(const std::string& source, const std::string& more = "") {
  return "model: {zoo: mlp}\ndata:\n  train: {" + source + "}\n" + more;
}

TEST(DataSettingsErrors, SayWhatAFormatNeedsAndDoesNotTake) {
  expect_faults({
      {train("source: cats"),
       {"data.train.format: required, but missing\n  the name of the first source does not tell it; such as "
        "image_folder"}},
      {train("source: a-idx3-ubyte"),
       {"data.train.labels: required, but missing\n  the files with the labels or masks, in the order of "
        "source"}},
      {train("source: a.npy, labels: b.npy, columns: {features: x, label: y}"),
       {"data.train.columns: a source of format npy has no columns\n  remove it"}},
      {train("source: a.raw, labels: b.raw"),
       {"data.train.shape: required, but missing\n  of one sample, such as [1, 28, 28]",
        "data.train.element: required, but missing\n  such as uint8 or float32"}},
      {train("source: a.csv"),
       {"data.train.columns: required, but missing\n  such as {text: utterance, label: intent}"}},
      {train("source: a.csv, columns: {label: l}"),
       {"data.train.columns: expected a column for the model beside label\n  such as text: COLUMN"}},
      {train("source: a.csv, columns: {featurs: f, label: l}"),
       {"data.train.columns.featurs: unknown field\n  did you mean \"features\"?"}},
      {train("source: a.csv, header: false, columns: {features: [1, h], label: 3}"),
       {"data.train.columns.features: expected the number of a column, from 1, got \"h\"\n"
        "  without a header columns have no names"}},
      {train("source: [], columns: {features: f, label: l}"),
       {"data.train.source: expected a list of 1 to 1024, got a list of 0"}},
      {train("source: [a.csv, [b]], columns: {features: f, label: l}"),
       {"data.train.source[1]: expected text, got a list"}},
      {train("source: [a.csv, s3://b], columns: {features: f, label: l}"),
       {"data.train.source[1]: expected the path of a file, got \"s3://b\"\n"
        "  other sources are not supported by this version yet"}},
      {train("source: a.csv, columns: {features: f, label: l}, records: {from: 9, to: 9}"),
       {"data.train.records.to: expected more than from (9), got 9"}},
      {train("source: a.csv, columns: {features: f, label: l}", "  on_bad_record: [1]\n"),
       {"data.on_bad_record: expected fail, skip or {skip: NUMBER}, got a list"}},
      {train("source: a.csv, columns: {features: f, label: l}", "  on_bad_record: {skp: 1}\n"),
       {"data.on_bad_record.skip: required, but missing\n  how many may be skipped, such as {skip: 50}",
        "data.on_bad_record.skp: unknown field\n  did you mean \"skip\"?"}},
      {train("source: a.csv, columns: {features: f, label: l}", "  shards: 1025\n"),
       {"data.shards: expected a number from 0 to 1024, got 1025"}},
  });
}

TEST(DataSettingsErrors, PointAtFieldsThatAreNotThere) {
  expect_faults({
      {train("source: a.csv, columns: {features: f, label: l}",
             "  validate: {source: b.csv, columns: {text: t, label: l}}\n"),
       {"data.validate: expected the fields of data.train (features, label), got (label, text)"}},
      {train("source: a.csv, columns: {features: f, label: l}", "  transforms: [noise: {field: image}]\n"),
       {"data.transforms[0]: data.train.columns has no field image\n  fields there: features, label"}},
      {"data: {train: {source: a.csv, columns: {features: f, label: l}}}",
       {"data.train.columns: expected a column for text, which text_classifier reads\n"
        "  such as {text: utterance, label: intent}"}},
  });
}

TEST(DataSettingsErrors, PointAtTransformsThatCannotBe) {
  const auto transforms = [](const std::string& list) {
    return train("source: images/", "  transforms: " + list + "\n");
  };
  expect_faults({
      {transforms("[flip: {axes: [sideways]}]"),
       {"data.transforms[0].flip.axes[0]: expected one of horizontal, vertical, depth, got \"sideways\""}},
      {transforms("[flip: {axes: [depth, depth]}]"),
       {"data.transforms[0].flip.axes[1]: given twice\n  name each once"}},
      {transforms("[flip: {probability: 1.5}]"),
       {"data.transforms[0].flip.probability: expected a number from 0 to 1, got 1.5"}},
      {transforms("[crop: {}]"),
       {"data.transforms[0].crop.size: required, but missing\n  such as [28, 28], height first"}},
      {transforms("[resize: {size: 28}]"),
       {"data.transforms[0].resize.size: expected a list of 2 to 3, got 28"}},
      {transforms("[resize: {size: [28]}]"),
       {"data.transforms[0].resize.size: expected a list of 2 to 3, got a list of 1"}},
      {transforms("[normalize: {mean: [1, 2], deviation: 1}]"),
       {"data.transforms[0].normalize.deviation: expected as many numbers as mean has (2), got 1"}},
      {transforms("[normalize: {mean: 1, per_sample: true}]"),
       {"data.transforms[0].normalize.mean: given beside per_sample\n  keep one of the two"}},
      {transforms("[normalize: {mean: 1}]"),
       {"data.transforms[0].normalize.deviation: required, but missing\n"
        "  such as {mean: 0.13, deviation: 0.31}, or normalize: per_sample"}},
      {transforms("[rotate: {degrees: 0}]"),
       {"data.transforms[0].rotate.degrees: expected a number above 0 to 180, got 0"}},
      {transforms("[rotat: {}]"), {"data.transforms[0].rotat: unknown field\n  did you mean \"rotate\"?"}},
  });
}

TEST(ModelSettingsErrors, ComeFromTheTableOfTheModel) {
  const auto model = [](const std::string& text) {
    return "model: {" + text + "}\ndata: {train: {source: a.csv, columns: {text: t, label: l}}}";
  };
  expect_faults({
      {model("zoo: transfomer"),
       {"model.zoo: expected one of text_classifier, bag_of_words, mlp, resnet, transformer, lstm, unet, got "
        "\"transfomer\"\n"
        "  did you mean \"transformer\"?"}},
      {model("zoo: mlp, width: 3"),
       {"model.width: unknown field\n  known here: zoo, torchscript, plugin, hidden, dropout"}},
      {model("zoo: mlp, hiden: 3"), {"model.hiden: unknown field\n  did you mean \"hidden\"?"}},
      {model("zoo: mlp, hidden: [1, 0]"), {"model.hidden[1]: expected a number from 1 to 65536, got 0"}},
      {model("zoo: resnet, blocks: []"), {"model.blocks: expected a list of 1 to 8, got a list of 0"}},
      {model("zoo: lstm, width: [3]"), {"model.width: expected a number, got a list"}},
      {model("zoo: lstm, bidirectional: 2"), {"model.bidirectional: expected a number from 0 to 1, got 2"}},
      {model("zoo: unet, depth: 7"), {"model.depth: expected a number from 1 to 6, got 7"}},
      {model("zoo: transformer, width: 10, heads: 4"),
       {"model.heads: expected a divisor of width (10), got 4\n  each head takes an equal part of the "
        "width"}},
      {model("zoo: transformer, width: 10"),
       {"model.heads: expected a divisor of width (10), got 4\n  each head takes an equal part of the "
        "width"}},
      {model("zoo: mlp, torchscript: a.pt"),
       {"model.torchscript: given beside zoo\n  a model is one of the two"}},
      {model("plugin: a.so, torchscript: a.pt"),
       {"model.plugin: given beside torchscript\n  a plugin is for models of zoo"}},
      {model("plugin: a.so"), {"model.zoo: required, but missing\n  such as text_classifier"}},
      {model("torchscript: a.pt, width: 3"),
       {"model.width: unknown field\n  known here: zoo, torchscript, plugin"}},
      {model("torchscript: http://a/b"),
       {"model.torchscript: expected the path of a file, got \"http://a/b\"\n"
        "  other sources are not supported by this version yet"}},
      {model("zoo: mine, plugin: a.so, depth: deep"), {"model.depth: expected a number, got \"deep\""}},
  });
}

TEST(LossSettingsErrors, SayWhichLossHasASetting) {
  expect_faults({
      {"loss: hinge", {"loss: expected one of cross_entropy, bce, mse, dice, focal, got \"hinge\""}},
      {"loss: {mse: 0}", {"loss.mse: expected a number above 0, got 0"}},
      {"loss: {dize: 1}", {"loss.dize: unknown field\n  did you mean \"dice\"?"}},
      {"loss: []", {"loss: expected a list of 1 to 16, got a list of 0"}},
      {"loss: [dice]", {"loss[0]: expected a mapping, got \"dice\"\n  such as {name: focal, weight: 0.5}"}},
      {"loss: [{name: mse, gamma: 2}]", {"loss[0].gamma: mse has no gamma\n  focal has it"}},
      {"loss: {name: focal, label_smoothing: 0.1}",
       {"loss.label_smoothing: focal has no label_smoothing\n  cross_entropy has it"}},
      {"loss: {name: cross_entropy, label_smoothing: 1}",
       {"loss.label_smoothing: expected a number from 0 to below 1, got 1"}},
      {"loss: [{weight: 2}]",
       {"loss[0].name: required, but missing\n  one of cross_entropy, bce, mse, dice, focal"}},
  });
}

TEST(OptimizerSettingsErrors, SayWhatTheOptimizerHas) {
  expect_faults({
      {"optimizer: {name: sgd, beta1: 0.9}",
       {"optimizer.beta1: sgd has no beta1\n"
        "  sgd takes lr, momentum, nesterov, weight_decay, clip_norm, clip_value"}},
      {"optimizer: {name: adam, momentum: 0.9}",
       {"optimizer.momentum: adam has no momentum\n"
        "  adam takes lr, beta1, beta2, betas, eps, weight_decay, clip_norm, clip_value"}},
      {"optimizer: {name: sgd, nesterov: true}",
       {"optimizer.nesterov: expected momentum beside it\n  such as momentum: 0.9"}},
      {"optimizer: {clip_norm: 0}", {"optimizer.clip_norm: expected a number above 0, got 0"}},
      {"schedule: step",
       {"schedule: step needs every or at\n  such as {name: step, every: 1000 steps, factor: 0.1}"}},
      {"schedule: {name: step}",
       {"schedule.every: step needs every or at\n  such as {name: step, every: 1000 steps, factor: 0.1}"}},
      {"schedule: {name: step, every: 3, at: 4}",
       {"schedule.every: given beside at\n  such as {name: step, every: 1000 steps, factor: 0.1}"}},
      {"schedule: {name: step, at: [5, 5]}", {"schedule.at: expected rising steps, got 5 after 5"}},
      {"schedule: {name: cosine, factor: 0.5}",
       {"schedule.factor: cosine has no factor\n  cosine takes warmup, final"}},
      {"schedule: {warmup: 10m}",
       {"schedule.name: required, but missing\n  one of constant, linear, cosine, step",
        "schedule.warmup: durations are not supported by this version yet\n  such as 200 steps"}},
      {"until: {steps: 10}\nschedule: {name: cosine, warmup: 11}",
       {"schedule.warmup: expected at most until.steps (10), got 11"}},
  });
}

TEST(ValidationSettingsErrors, PointAtGoalsThatCannotBeReached) {
  const std::string no_validation = "data: {train: {source: a.csv, columns: {text: t, label: l}}}";
  const std::string missing =
      ": expected data.validate, which is missing\n  there is nothing to judge by without it";
  expect_faults({
      {"validate: {every: often}",
       {"validate.every: expected a number of steps, got \"often\"\n  such as 200 steps"}},
      {"validate: {every: 0 epochs}", {"validate.every: expected a number from 1 to 1000000, got 0"}},
      {"validate: {metrics: [accuracy, accuracy]}", {"validate.metrics[1]: given twice\n  name each once"}},
      {"validate: {metrics: recall}",
       {"validate.metrics: expected one of loss, accuracy, f1, auc, dice, got \"recall\""}},
      {"validate: {metrics: f1}\nearly_stop: {metric: auc}",
       {"early_stop.metric: auc is not among validate.metrics\n  add it there"}},
      {"until: {metric: {accuracy: 0.9}}",
       {"until: expected epochs or steps beside metric, got neither\n"
        "  such as {epochs: 5, metric: {accuracy: 0.95}}"}},
      {"until: {epochs: 1, metric: {}}",
       {"until.metric: expected a metric and its target, got none\n  such as {accuracy: 0.95}"}},
      {"until: {epochs: 1, metric: {accuracy: 0.9, f1: 0.9}}",
       {"until.metric: expected one metric, got several\n  such as {accuracy: 0.95}"}},
      {"until: {epochs: 1, metric: {accuracy: 95}}",
       {"until.metric.accuracy: expected a number from 0 to 1, got 95"}},
      {no_validation + "\nvalidate: {every: 5}", {"validate" + missing}},
      {no_validation + "\nearly_stop: {}", {"early_stop" + missing}},
      {no_validation + "\nuntil: {epochs: 1, metric: {loss: 0.1}}", {"until.metric" + missing}},
  });
}

TEST(StrategySettingsErrors, SayWhichStrategyHasASetting) {
  expect_faults({
      {"servers: 2", {"servers: allreduce has no servers\n  strategy: parameter_server has it"}},
      {"compression: int8",
       {"compression: allreduce has no compression\n  strategy: parameter_server has it"}},
      {"strategy: parameter_server\nstaleness: 2",
       {"staleness: sync has no staleness\n  consistency: bounded has it"}},
      {"strategy: parameter_server\ncompression: {name: int8, share: 0.1}",
       {"compression.share: int8 has no share\n  top_k has it"}},
      {"strategy: parameter_server\nworkers: {min: 1, max: 49}\nbatch: {global: 98}\ncompression: int8",
       {"compression: goes with at most 48 workers, workers.max is 49\n  compression: none has no such "
        "limit"}},
      {"strategy: parameter_server\ncompression: {name: top_k, share: 0}",
       {"compression.share: expected a number above 0 to 1, got 0"}},
      {"batch: {global: 64, max_global: 256}",
       {"batch.max_global: needs workers.max or batch.accumulate of at least 2: the batch grows by the "
        "gradient's noise, which is measured between the micro-batches of a step\n  such as accumulate: 2"}},
      {"strategy: parameter_server\nconsistency: bounded\nbatch: {global: 64, accumulate: 2, max_global: "
       "256}",
       {"batch.max_global: goes with consistency: sync, got bounded\n  with bounded each worker's share is "
        "an "
        "update of its own: no sum of a whole batch tells the gradient's noise"}},
      {"strategy: parameter_server\ncompression: int8\nbatch: {global: 64, accumulate: 2, max_global: 256}",
       {"batch.max_global: goes without compression, got int8\n  the gradient's noise can't be told from "
        "what a "
        "lossy push leaves out"}},
      {"on_nan: ignore", {"on_nan: expected one of fail, skip, got \"ignore\""}},
  });
}

}  // namespace
}  // namespace ds::scheduler
