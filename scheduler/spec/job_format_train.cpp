// The fields of training jobs.
#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/spec/job_format.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/zoo_settings.hpp"

namespace ds::scheduler::format {
namespace {

FormatType type_of(const ZooSetting& setting) {
  if (setting.kind == ZooSetting::Kind::flag) return flag();
  const FormatType number =
      setting.kind == ZooSetting::Kind::below_one ? real(kBelowOne) : whole(setting.low, setting.high);
  return setting.most == 1 ? number : list(number, setting.fewest, setting.most);
}

std::string default_of(const ZooSetting& setting) {
  std::string text;
  for (std::size_t i = 0; i < setting.count; ++i) {
    std::string number = std::to_string(setting.values.at(i));
    while (number.back() == '0') number.pop_back();
    if (number.back() == '.') number.pop_back();
    text += (text.empty() ? "" : ", ") + number;
  }
  if (setting.kind == ZooSetting::Kind::flag) return text == "1" ? "true" : text.empty() ? "" : "false";
  return setting.most == 1 ? text : "[" + text + "]";
}

/// The settings of all models of ours: what each means is the model's, so of each is said which have it, and
/// with what default.
std::vector<FormatField> zoo_fields() {
  std::vector<FormatField> fields;
  for (const Known& zoo : keys::kZoo) {
    for (const ZooSetting& setting : find_zoo_settings(zoo.name)) {
      auto field = std::ranges::find(fields, setting.name, &FormatField::name);
      if (field == fields.end())
        field = fields.insert(field, {.name = setting.name, .meaning = "A setting of"});
      const std::string otherwise = default_of(setting);
      field->meaning += (field->types.empty() ? " " : ", ") + std::string(zoo.name) +
                        (otherwise.empty() ? "" : " (" + otherwise + ")");
      field->types.push_back(type_of(setting));
    }
  }
  for (FormatField& field : fields) field.meaning += "; actors/train/models/README.md says what it does.";
  return fields;
}

FormatField model() {
  FormatType mapping = format::mapping(
      keys::kModel, {{.name = "zoo",
                      .types = {choice(keys::kZoo), name()},
                      .meaning = "A model of ours, or one of the plugin's. Its settings stand beside it.",
                      .example = "text_classifier"},
                     {.name = "torchscript",
                      .types = {text("the path of a file")},
                      .meaning = "Instead of zoo: any module that was scripted with PyTorch.",
                      .example = "model.pt"},
                     {.name = "plugin",
                      .types = {text("the path of a file")},
                      .meaning = "A shared library that has further models for zoo.",
                      .example = "models.so"}});
  for (FormatField& field : zoo_fields()) mapping.fields.push_back(std::move(field));
  mapping.noun = "a mapping of zoo or torchscript, plugin, and the model's settings";
  mapping.others = {real(kAnyReal), flag(), list(real(kAnyReal), 0, 1024)};  // a plugin's
  return {.name = "model",
          .types = {std::move(mapping)},
          .meaning = "What is trained.",
          .example = "{zoo: text_classifier, width: 128}",
          .is_required = true};
}

FormatField batch() {
  return {.name = "batch",
          .types = {mapping(
              keys::kBatch,
              {{.name = "global",
                .types = {whole(1, 1'048'576)},
                .otherwise = "128",
                .meaning = "Samples of a step, over all workers, however many there are.",
                .example = "256"},
               {.name = "accumulate",
                .types = {whole(1, 1024)},
                .otherwise = "1",
                .meaning = "Parts that a worker computes its share in, to need less memory.",
                .example = "4"},
               {.name = "max_global",
                .types = {whole(1, 1'048'576)},
                .meaning = "A step may grow to so many samples, global times a power of two, where that "
                           "gains; else it never does.",
                .example = "1024"}})},
          .meaning = "How many samples a step takes.",
          .example = "{global: 256}"};
}

FormatField optimizer() {
  const auto number = [](const char* key, RealRange range, const char* otherwise, const char* meaning,
                         const char* example) {
    return FormatField{
        .name = key, .types = {real(range)}, .otherwise = otherwise, .meaning = meaning, .example = example};
  };
  return {
      .name = "optimizer",
      .types = {mapping(
          keys::kOptimizer,
          {{.name = "name",
            .types = {choice(keys::kOptimizers)},
            .otherwise = "adamw",
            .meaning = "How weights follow from gradients.",
            .example = "sgd"},
           number("lr", kAboveZero, "1e-3", "The learning rate.", "1e-3"),
           number("momentum", kBelowOne, "0", "Of sgd.", "0.9"),
           {.name = "nesterov",
            .types = {flag()},
            .otherwise = "false",
            .meaning = "Of sgd, with momentum.",
            .example = "true"},
           number("beta1", kBelowOne, "0.9", "Of adam and adamw.", "0.9"),
           number("beta2", kBelowOne, "0.999", "Of adam and adamw.", "0.999"),
           {.name = "betas",
            .types = {list(real(kBelowOne), 2, 2)},
            .otherwise = "[0.9, 0.999]",
            .meaning = "beta1 and beta2 in one.",
            .example = "[0.9, 0.999]"},
           number("eps", kAboveZero, "1e-8", "Of adam and adamw: keeps steps finite.", "1e-8"),
           number("weight_decay", kNotNegative, "", "How fast weights shrink: 0.01 of adamw, 0 of others.",
                  "0.01"),
           number("clip_norm", kAboveZero, "", "The gradient's L2 norm is cut to this; else it is not.", "1"),
           number("clip_value", kAboveZero, "", "Each of its elements is cut to this; else none is.", "1")})},
      .meaning = "How the model learns.",
      .example = "{name: adamw, lr: 1e-3}"};
}

FormatField schedule() {
  return {
      .name = "schedule",
      .types = {choice(keys::kSchedules),
                mapping(keys::kSchedule, {{.name = "name",
                                           .types = {choice(keys::kSchedules)},
                                           .meaning = "How the rate changes.",
                                           .example = "cosine",
                                           .is_required = true},
                                          {.name = "warmup",
                                           .types = {steps()},
                                           .otherwise = "0",
                                           .meaning = "Steps in which it rises from 0.",
                                           .example = "100 steps"},
                                          {.name = "final",
                                           .types = {real(kUpToOne)},
                                           .otherwise = "0",
                                           .meaning = "Of linear and cosine: the factor at the last step.",
                                           .example = "0.1"},
                                          {.name = "every",
                                           .types = {steps()},
                                           .meaning = "Of step: between two cuts.",
                                           .example = "1000 steps"},
                                          {.name = "factor",
                                           .types = {real(kShare)},
                                           .otherwise = "0.1",
                                           .meaning = "Of step: of a cut.",
                                           .example = "0.1"},
                                          {.name = "at",
                                           .types = one_or_list(whole(1, 1e12), 1024),
                                           .meaning = "Of step, instead of every: the steps of the cuts.",
                                           .example = "[1000, 2000]"}})},
      .otherwise = "constant",
      .meaning = "How optimizer.lr changes over the steps.",
      .example = "{name: cosine, warmup: 100 steps}"};
}

FormatField loss() {
  const FormatType term = mapping(
      keys::kLoss, {{.name = "name",
                     .types = {choice(keys::kLosses)},
                     .meaning = "Which loss.",
                     .example = "focal",
                     .is_required = true},
                    {.name = "weight",
                     .types = {real(kAboveZero)},
                     .otherwise = "1",
                     .meaning = "What it is multiplied by.",
                     .example = "0.5"},
                    {.name = "gamma",
                     .types = {real(kNotNegative)},
                     .otherwise = "2",
                     .meaning = "Of focal: how little easy samples count.",
                     .example = "2"},
                    {.name = "label_smoothing",
                     .types = {real(kBelowOne)},
                     .otherwise = "0",
                     .meaning = "Of cross_entropy.",
                     .example = "0.1"},
                    {.name = "classes",
                     .types = {list(real(kNotNegative), 2, 65'536)},
                     .meaning = "Of cross_entropy and focal: a weight for each class; else all are 1.",
                     .example = "[1, 2]"}});
  std::vector<FormatField> weights;
  for (const Known& one : keys::kLosses) {
    weights.push_back({.name = one.name,
                       .types = {real(kAboveZero)},
                       .meaning = "Its weight in the sum.",
                       .example = "0.5"});
  }
  return {
      .name = "loss",
      .types = {choice(keys::kLosses), term, mapping(keys::kLosses, std::move(weights)), list(term, 1, 16)},
      .otherwise = "cross_entropy",
      .meaning = "What is made small: one loss, or a sum of several.",
      .example = "{cross_entropy: 1, dice: 0.5}"};
}

FormatField until() {
  std::vector<FormatField> goals;
  for (const Known& goal : keys::kGoals) {
    goals.push_back({.name = goal.name,
                     .types = {real(goal.name == "loss" ? kNotNegative : kUpToOne)},
                     .meaning = goal.name == "loss" ? "Ends at this or less." : "Ends at this or more.",
                     .example = "0.95"});
  }
  return {.name = "until",
          .types = {mapping(keys::kUntil, {{.name = "epochs",
                                            .types = {whole(1, 1'000'000)},
                                            .meaning = "Passes over the training data. This or steps.",
                                            .example = "5"},
                                           {.name = "steps",
                                            .types = {whole(1, 1e12)},
                                            .meaning = "Steps. This or epochs.",
                                            .example = "1000"},
                                           {.name = "metric",
                                            .types = {mapping(keys::kGoals, std::move(goals))},
                                            .meaning = "Ends earlier when a validation reaches this.",
                                            .example = "{accuracy: 0.95}"}})},
          .meaning = "When training ends.",
          .example = "{epochs: 5}",
          .is_required = true};
}

FormatField validate() {
  std::vector<FormatType> metrics{choice(keys::kMetrics),
                                  list(choice(keys::kMetrics), 1, keys::kMetrics.size())};
  return {
      .name = "validate",
      .types = {mapping(
          keys::kValidate,
          {{.name = "every",
            .types = {pattern("a number of steps or epochs, such as 200 steps or 2 epochs",
                              "[0-9]+( (steps?|epochs?))?")},
            .otherwise = "1 epoch",
            .meaning = "How often the model is evaluated.",
            .example = "200 steps"},
           {.name = "metrics",
            .types = std::move(metrics),
            .meaning =
                "What is measured beside the loss; else what fits the loss. The first says which checkpoint "
                "is best.",
            .example = "[accuracy, f1]"}})},
      .meaning = "When and by what the model is evaluated, on data.validate.",
      .example = "{every: 200 steps, metrics: [accuracy]}"};
}

FormatField early_stop() {
  return {.name = "early_stop",
          .types = {mapping(keys::kEarlyStop, {{.name = "metric",
                                                .types = {choice(keys::kGoals)},
                                                .otherwise = "loss",
                                                .meaning = "What has to get better.",
                                                .example = "accuracy"},
                                               {.name = "patience",
                                                .types = {whole(1, 1'000'000)},
                                                .otherwise = "3",
                                                .meaning = "Validations in a row without that.",
                                                .example = "5"},
                                               {.name = "min_delta",
                                                .types = {real(kNotNegative)},
                                                .otherwise = "0",
                                                .meaning = "By more than this.",
                                                .example = "0.001"}})},
          .meaning = "Ends training when validations get no better.",
          .example = "{metric: accuracy, patience: 5}"};
}

FormatField checkpoint() {
  return {.name = "checkpoint",
          .types = {mapping(keys::kCheckpoint, {{.name = "every",
                                                 .types = {steps()},
                                                 .otherwise = "200 steps",
                                                 .meaning = "How often the state is saved.",
                                                 .example = "200 steps"},
                                                {.name = "keep_last",
                                                 .types = {whole(1, 1000)},
                                                 .otherwise = "3",
                                                 .meaning = "The newest that are kept.",
                                                 .example = "3"},
                                                {.name = "keep_best",
                                                 .types = {whole(0, 1000)},
                                                 .otherwise = "1",
                                                 .meaning = "The best that are kept beside them.",
                                                 .example = "1"}})},
          .meaning = "When the job's state is saved, and what of it is kept.",
          .example = "{every: 200 steps, keep_last: 3}"};
}

std::vector<FormatField> strategy() {
  return {{.name = "strategy",
           .types = {choice(keys::kStrategies)},
           .otherwise = "allreduce",
           .meaning = "How workers put their gradients together.",
           .example = "allreduce"},
          {.name = "consistency",
           .types = {choice(keys::kConsistencies)},
           .otherwise = "sync",
           .meaning = "Of parameter_server: whether workers may run ahead of each other.",
           .example = "bounded"},
          {.name = "staleness",
           .types = {whole(1, 1'000'000)},
           .otherwise = "1",
           .meaning = "Of consistency bounded: by so many steps.",
           .example = "4"},
          {.name = "servers",
           .types = {whole(1, 1024)},
           .otherwise = "1",
           .meaning = "Of parameter_server: processes that hold the parameters.",
           .example = "2"},
          {.name = "replicas",
           .types = {whole(0, 7)},
           .otherwise = "1",
           .meaning = "Of parameter_server: further copies of what each holds.",
           .example = "1"},
          {.name = "compression",
           .types = {choice(keys::kCompressions),
                     mapping(keys::kCompression, {{.name = "name",
                                                   .types = {choice(keys::kCompressions)},
                                                   .meaning = "How.",
                                                   .example = "top_k",
                                                   .is_required = true},
                                                  {.name = "share",
                                                   .types = {real(kShare)},
                                                   .otherwise = "0.01",
                                                   .meaning = "Of top_k: of the elements that are sent.",
                                                   .example = "0.01"}})},
           .otherwise = "none",
           .meaning = "Of parameter_server: shrinks the gradients that are pushed.",
           .example = "float16"}};
}

}  // namespace

std::vector<FormatField> train_fields() {
  std::vector<FormatField> fields{
      model(),
      data_field(),
      batch(),
      optimizer(),
      schedule(),
      loss(),
      until(),
      validate(),
      early_stop(),
      checkpoint(),
      {.name = "precision",
       .types = {choice(keys::kPrecisions)},
       .otherwise = "fp32",
       .meaning = "What the model computes with; weights and sums stay fp32.",
       .example = "bf16"},
      {.name = "on_nan",
       .types = {choice(keys::kTolerances),
                 mapping(keys::kTolerance, {{.name = "skip",
                                             .types = {whole(1, 1e12)},
                                             .meaning = "So many are skipped at most.",
                                             .example = "50",
                                             .is_required = true}})},
       .otherwise = "fail",
       .meaning = "What to do about a step whose loss or gradient is not finite: fail, or skip it (100 at "
                  "most, or so "
                  "many as are said).",
       .example = "skip"},
      {.name = "seed",
       .types = {whole(0, 18'446'744'073'709'551'615.0)},
       .otherwise = "0",
       .meaning = "Of all that is random: the same seed gives the same weights to the bit.",
       .example = "7"},
      {.name = "audit",
       .types = {flag()},
       .otherwise = "false",
       .meaning = "Workers record which samples each step took; ds-submit audit JOB checks that.",
       .example = "true"}};
  for (FormatField& field : strategy()) fields.push_back(std::move(field));
  return fields;
}

}  // namespace ds::scheduler::format
