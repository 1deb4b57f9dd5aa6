#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduler/spec/source_format.hpp"
#include "tests/unit/scheduler/settings_reading.hpp"

namespace ds::scheduler {
namespace {

using Paths = std::vector<std::string>;
using Settings = std::map<std::string, std::vector<double>>;

JobSpec read_good(const std::string& more) {
  const std::string text = testing::text_job_with(more);
  testing::Reading reading = testing::read_settings(text);
  for (const std::string& error : reading.errors) ADD_FAILURE() << error << "\nin\n" << text;
  return reading.spec;
}

DataSpec read_data_of(const std::string& train, const std::string& more = "") {
  return read_good("model: {zoo: mlp}\ndata:\n  train: {" + train + "}\n" + more).data;
}

TEST(DataSettings, TakeOneSourceOrSeveral) {
  const SourceSpec source =
      read_data_of("source: [a.csv, /x/b-*.csv], columns: {features: [h, w], label: l}").train;
  EXPECT_EQ(source.paths, (Paths{"/jobs/a.csv", "/x/b-*.csv"}));
  EXPECT_EQ(source.format, "csv");
  EXPECT_EQ(source.columns, (std::vector<FieldColumns>{{"features", {"h", "w"}}, {"label", {"l"}}}));
}

TEST(DataSettings, TellTheFormatFromTheName) {
  const std::map<std::string, std::string> expected{{"a.csv", "csv"},
                                                    {"a.tsv.gz", "tsv"},
                                                    {"a.jsonl.zst", "jsonl"},
                                                    {"a.txt", "text"},
                                                    {"a.npy", "npy"},
                                                    {"a.npz", "npz"},
                                                    {"a.nii.gz", "nifti"},
                                                    {"v/*.raw", "raw"},
                                                    {"cats/", "image_folder"},
                                                    {"cats", ""},
                                                    {"train-images-idx3-ubyte.gz", "idx"},
                                                    {"a.csv.bz2", ""}};
  for (const auto& [name, format] : expected) EXPECT_EQ(format_of_name(name), format) << name;
  for (const Known& format : keys::kFormats)
    EXPECT_NE(find_source_format(format.name), nullptr) << format.name;
}

TEST(DataSettings, TakeANamelessFormatWithColumnsForCsv) {
  EXPECT_EQ(read_data_of("source: data, columns: {features: f, label: l}").train.format, "csv");
}

TEST(DataSettings, ReadEachKindOfSource) {
  EXPECT_EQ(read_data_of("source: images/").train.paths, Paths{"/jobs/images"});
  const SourceSpec idx =
      read_data_of("source: a-idx3-ubyte.gz, labels: b-idx1-ubyte.gz, records: {from: 5, to: 9}").train;
  EXPECT_EQ(idx.labels, Paths{"/jobs/b-idx1-ubyte.gz"});
  EXPECT_EQ(idx.records, (RecordRange{5, 9}));
  const SourceSpec raw =
      read_data_of("source: a.raw, labels: [b.raw], shape: [1, 8, 8], element: int16, records: {to: 3}")
          .train;
  EXPECT_EQ(raw.shape, (std::vector<std::int64_t>{1, 8, 8}));
  EXPECT_EQ(raw.element, "int16");
  EXPECT_EQ(raw.records, (RecordRange{0, 3}));
  const SourceSpec numbered =
      read_data_of("source: a.tsv, header: false, columns: {features: [1, 2], label: 3}").train;
  EXPECT_FALSE(numbered.header);
  EXPECT_EQ(numbered.columns, (std::vector<FieldColumns>{{"features", {"1", "2"}}, {"label", {"3"}}}));
}

TEST(DataSettings, ReadEveryTransformInOrder) {
  const auto transforms =
      read_data_of("source: images/",
                   "  transforms:\n"
                   "    - resize: {size: [32, 32]}\n"
                   "    - crop: {size: [28, 28], padding: 2, random: false}\n"
                   "    - flip: {}\n"
                   "    - flip: {axes: [vertical, depth], probability: 0.1, field: image}\n"
                   "    - rotate: {degrees: 10}\n"
                   "    - elastic_deform: {alpha: 3, sigma: 2}\n"
                   "    - noise: {deviation: 0.5}\n"
                   "    - normalize: per_sample\n"
                   "    - normalize: {mean: 0.13, deviation: 0.31}\n"
                   "    - normalize: {mean: [0, -1.5], deviation: [1, 2]}\n"
                   "    - one_hot: {classes: 10, field: label}\n")
          .transforms;
  const std::vector<TransformSpec> expected{{Resize{{32, 32}}, ""},
                                            {Crop{{28, 28}, 2, false}, ""},
                                            {Flip{}, ""},
                                            {Flip{{"vertical", "depth"}, 0.1}, "image"},
                                            {Rotate{10}, ""},
                                            {ElasticDeform{3, 2}, ""},
                                            {Noise{0.5}, ""},
                                            {Normalize{{}, {}, true}, ""},
                                            {Normalize{{0.13}, {0.31}, false}, ""},
                                            {Normalize{{0, -1.5}, {1, 2}, false}, ""},
                                            {OneHot{10}, "label"}};
  EXPECT_EQ(transforms, expected);
}

TEST(DataSettings, FillInWhatTextsNeed) {
  const auto transforms = [](const std::string& list) {
    return read_data_of("source: a.csv, columns: {text: t, label: l}", "  transforms: " + list + "\n")
        .transforms;
  };
  const TransformSpec tokenize{Tokenize{}, ""}, pad{PadSequences{}, ""}, one_hot{OneHot{}, ""};
  EXPECT_EQ(transforms("[]"), (std::vector{tokenize, pad}));
  EXPECT_EQ(transforms("[one_hot: {}]"), (std::vector{tokenize, pad, one_hot}));
  EXPECT_EQ(transforms("[one_hot: {}, pad_sequences: {}]"), (std::vector{tokenize, one_hot, pad}));
  const TransformSpec pieces{Tokenize{"byte_pair", 500}, ""};
  EXPECT_EQ(transforms("[tokenize: {method: byte_pair, vocabulary: 500}, one_hot: {}]"),
            (std::vector{pieces, pad, one_hot}));
  const TransformSpec pairs{Tokenize{"word", 8000, 2}, ""};
  EXPECT_EQ(transforms("[tokenize: {ngrams: 2}]"), (std::vector{pairs, pad}));
  EXPECT_NE(pairs, tokenize);
  EXPECT_TRUE(read_data_of("source: images/").transforms.empty());
}

TEST(DataSettings, BoundWhatIsSkipped) {
  const auto tolerance = [](const std::string& text) { return read_good("on_nan: " + text).on_nan; };
  EXPECT_EQ(tolerance("fail"), (Tolerance{false, 100}));
  EXPECT_EQ(tolerance("skip"), (Tolerance{true, 100}));
  EXPECT_EQ(tolerance("{skip: 10}"), (Tolerance{true, 10}));
  EXPECT_EQ(read_data_of("source: images/", "  on_bad_record: {skip: 50}").on_bad_record,
            (Tolerance{true, 50}));
}

TEST(DataSettings, SayHowManyShardsThereAre) {
  EXPECT_EQ(read_data_of("source: images/").shards, 0U);
  EXPECT_EQ(read_data_of("source: images/", "  shards: 1024").shards, 1024U);
}

TEST(ModelSettings, AreFilledInForEachModelOfOurs) {
  const auto settings = [](const std::string& model) {
    return read_good("model: {" + model + "}\ndata: {train: {source: a.csv, columns: {text: t, label: l}}}")
        .model.settings;
  };
  EXPECT_EQ(settings("zoo: text_classifier, width: 16"), (Settings{{"width", {16}}, {"dropout", {0.1}}}));
  EXPECT_EQ(settings("zoo: mlp"), (Settings{{"hidden", {256, 128}}, {"dropout", {0}}}));
  EXPECT_EQ(settings("zoo: mlp, hidden: []"), (Settings{{"hidden", {}}, {"dropout", {0}}}));
  EXPECT_EQ(settings("zoo: mlp, hidden: 7, dropout: .5"), (Settings{{"hidden", {7}}, {"dropout", {0.5}}}));
  EXPECT_EQ(settings("zoo: resnet, blocks: [1, 1]"), (Settings{{"blocks", {1, 1}}, {"width", {64}}}));
  EXPECT_EQ(
      settings("zoo: transformer, width: 64"),
      (Settings{
          {"layers", {2}}, {"width", {64}}, {"heads", {4}}, {"feed_forward", {256}}, {"dropout", {0.1}}}));
  EXPECT_EQ(settings("zoo: transformer, feed_forward: 100").at("feed_forward"), std::vector<double>{100});
  EXPECT_EQ(settings("zoo: lstm, bidirectional: 1"),
            (Settings{{"layers", {1}}, {"width", {128}}, {"dropout", {0}}, {"bidirectional", {1}}}));
  EXPECT_EQ(settings("zoo: lstm, bidirectional: true").at("bidirectional"), std::vector<double>{1});
  EXPECT_EQ(settings("zoo: lstm, embedding: 32, last: true").at("embedding"), std::vector<double>{32});
  EXPECT_EQ(settings("zoo: lstm, embedding: 32, last: true").at("last"), std::vector<double>{1});
  EXPECT_EQ(settings("zoo: transformer, first_token: true").at("first_token"), std::vector<double>{1});
  EXPECT_EQ(settings("zoo: unet, width: 8"), (Settings{{"width", {8}}, {"depth", {3}}, {"stride", {1}}}));
}

TEST(ModelSettings, ComeFromAScriptOrAPlugin) {
  const ModelSpec script = read_good("model: {torchscript: m.pt}").model;
  EXPECT_EQ(script.torchscript, "/jobs/m.pt");
  EXPECT_EQ(script.zoo, "");
  const ModelSpec plugin =
      read_good("model: {zoo: my_net, plugin: ../my.so, layers: [1, 2.5], bias: true, scale: -3}").model;
  EXPECT_EQ(plugin.zoo, "my_net");
  EXPECT_EQ(plugin.plugin, "/my.so");
  EXPECT_EQ(plugin.settings, (Settings{{"layers", {1, 2.5}}, {"bias", {1}}, {"scale", {-3}}}));
  const ModelSpec ours = read_good("model: {zoo: text_classifier, plugin: my.so}").model;
  EXPECT_EQ(ours.settings.size(), 2U) << "a model of ours has its settings, plugin or not";
}

TEST(LossSettings, TakeANameWeightsOrTerms) {
  const auto loss = [](const std::string& text) { return read_good("loss: " + text).loss; };
  EXPECT_EQ(loss("mse"), (std::vector<LossTerm>{{.name = "mse", .classes = {}}}));
  EXPECT_EQ(loss("{dice: 0.5, bce: 2}"),
            (std::vector<LossTerm>{{.name = "bce", .weight = 2, .classes = {}},
                                   {.name = "dice", .weight = 0.5, .classes = {}}}));
  EXPECT_EQ(loss("{name: focal, gamma: 1}"),
            (std::vector<LossTerm>{{.name = "focal", .gamma = 1, .classes = {}}}));
  EXPECT_EQ(loss("[{name: cross_entropy, label_smoothing: 0.1, classes: [1, 2]}, {name: dice, weight: 3}]"),
            (std::vector<LossTerm>{{.name = "cross_entropy", .label_smoothing = 0.1, .classes = {1, 2}},
                                   {.name = "dice", .weight = 3, .classes = {}}}));
  EXPECT_EQ(read_good("").loss, std::vector<LossTerm>{LossTerm{}});
}

TEST(OptimizerSettings, HaveTheDefaultsOfTheirOptimizer) {
  const auto optimizer = [](const std::string& text) { return read_good("optimizer: " + text).optimizer; };
  EXPECT_EQ(read_good("").optimizer.weight_decay, 0.01);
  EXPECT_EQ(optimizer("{name: adamw}").weight_decay, 0.01);
  EXPECT_EQ(optimizer("{name: adam}").weight_decay, 0);
  const OptimizerSpec sgd = optimizer(
      "{name: sgd, lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 1e-4, clip_norm: 1, clip_value: 2}");
  OptimizerSpec expected;
  expected.name = "sgd";
  expected.lr = 0.1;
  expected.momentum = 0.9;
  expected.nesterov = true;
  expected.weight_decay = 1e-4;
  expected.clip_norm = 1;
  expected.clip_value = 2;
  EXPECT_EQ(sgd, expected);
}

TEST(ScheduleSettings, TakeANameOrASection) {
  const auto schedule = [](const std::string& text) { return read_good("schedule: " + text).schedule; };
  EXPECT_EQ(schedule("cosine").name, "cosine");
  const ScheduleSpec linear = schedule("{name: linear, warmup: 100 steps, final: 0.1}");
  EXPECT_EQ(linear.warmup, 100U);
  EXPECT_EQ(linear.final, 0.1);
  EXPECT_EQ(schedule("{name: step, every: 50, factor: 0.5}").every, 50U);
  EXPECT_EQ(schedule("{name: step, at: [10, 20]}").at, (std::vector<std::uint64_t>{10, 20}));
}

TEST(ValidationSettings, ReadIntervalsMetricsAndGoals) {
  EXPECT_EQ(read_good("validate: {every: 200 steps}").validate.every_steps, 200U);
  EXPECT_EQ(read_good("validate: {every: 7}").validate.every_steps, 7U);
  const ValidateSpec epochs = read_good("validate: {every: 2 epochs, metrics: [accuracy, auc]}").validate;
  EXPECT_EQ(epochs.every_steps, std::nullopt);
  EXPECT_EQ(epochs.every_epochs, 2U);
  EXPECT_EQ(epochs.metrics, (Paths{"accuracy", "auc"}));
  const auto with_loss = read_good("validate: {metrics: [loss, f1]}");
  EXPECT_EQ(with_loss.validate.metrics, (Paths{"loss", "f1"}));
  EXPECT_EQ(best_goal(with_loss), (Goal{"loss", false}));
  EXPECT_EQ(best_goal(read_good("validate: {metrics: [f1, loss]}")), (Goal{"f1", true}));
  EXPECT_EQ(read_good("early_stop: {}").early_stop, (EarlyStop{{"loss", false}, 3, 0}));
  EXPECT_EQ(read_good("early_stop: {metric: f1, patience: 5, min_delta: 0.01}").early_stop,
            (EarlyStop{{"f1", true}, 5, 0.01}));
  const Until until = read_good("until: {epochs: 9, metric: {accuracy: 0.95}}").until;
  EXPECT_EQ(until.epochs, 9U);
  EXPECT_EQ(until.metric, (Goal{"accuracy", true}));
  EXPECT_EQ(until.target, 0.95);
  EXPECT_EQ(read_good("until: {steps: 9, metric: {loss: 1.5}}").until.metric, (Goal{"loss", false}));
}

TEST(StrategySettings, ReadParameterServers) {
  const StrategySpec strategy =
      read_good(
          "strategy: parameter_server\nconsistency: bounded\nstaleness: 4\nservers: 2\nreplicas: 0\n"
          "compression: {name: top_k, share: 0.05}")
          .strategy;
  EXPECT_EQ(strategy, (StrategySpec{"parameter_server", "bounded", 4, 2, 0, {"top_k", 0.05}}));
  EXPECT_EQ(read_good("strategy: parameter_server\ncompression: int8").strategy.compression.name, "int8");
  for (const char* precision : {"fp32", "bf16", "fp16"})
    EXPECT_EQ(read_good(std::string("precision: ") + precision).precision, precision);
}

TEST(StrategySettings, TakeFp16WithoutCompression) {
  const std::string servers = "precision: fp16\nstrategy: parameter_server\n";
  for (const char* consistency : {"sync", "bounded", "async"})
    EXPECT_EQ(read_good(servers + "consistency: " + consistency).precision, "fp16");
  const auto errors = testing::read_settings(testing::text_job_with(servers + "compression: int8")).errors;
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find("precision: fp16 goes without compression"), std::string::npos) << errors[0];
}

TEST(AuditSettings, AreOffUnlessAskedFor) {
  EXPECT_FALSE(read_good("seed: 1").audit);
  EXPECT_TRUE(read_good("audit: true").audit);
  EXPECT_EQ(audit_folder("/data/jobs", "1f3a"), "/data/jobs/audit-1f3a");
}

TEST(AuditSettings, AreRefusedWhereWorkersRunAheadOfEachOther) {
  const std::string servers = "audit: true\nstrategy: parameter_server\n";
  EXPECT_TRUE(read_good(servers + "consistency: sync").audit);
  for (const char* consistency : {"bounded", "async"}) {
    const auto errors =
        testing::read_settings(testing::text_job_with(servers + "consistency: " + consistency)).errors;
    ASSERT_EQ(errors.size(), 1U) << consistency;
    EXPECT_NE(errors[0].find(std::string("audit: audit goes with consistency: sync, got ") + consistency +
                             "\n  workers run ahead of each other"),
              std::string::npos)
        << errors[0];
  }
}

}  // namespace
}  // namespace ds::scheduler
