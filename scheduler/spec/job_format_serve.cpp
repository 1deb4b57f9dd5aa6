// The fields of jobs that serve a model.
#include "scheduler/spec/job_format.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler::format {
namespace {

FormatField model() {
  const FormatType input =
      mapping(keys::kServedInput, {{.name = "name",
                                    .types = {text()},
                                    .meaning = "The tensor's name.",
                                    .example = "x",
                                    .is_required = true},
                                   {.name = "datatype",
                                    .types = {choice(keys::kDatatypes)},
                                    .meaning = "As the Open Inference Protocol names it.",
                                    .example = "FP32",
                                    .is_required = true},
                                   {.name = "shape",
                                    .types = {whole(-1, -1), list(whole(-1, 1e9), 1, 16)},
                                    .meaning = "The first size is the batch, -1; -1 is any size.",
                                    .example = "[-1, 784]",
                                    .is_required = true}});
  const FormatType output = mapping(keys::kServedOutput, {{.name = "name",
                                                           .types = {text()},
                                                           .meaning = "The tensor's name.",
                                                           .example = "y",
                                                           .is_required = true}});
  return {.name = "model",
          .types = {mapping(
              keys::kServedModel,
              {{.name = "source",
                .types = {text("ckpt:JOB@best, @newest or @STEP, registry:NAME@TAG, or file:PATH")},
                .meaning = "Of a training job's checkpoint, of the registry, or a TorchScript file.",
                .example = "\"ckpt:intents@best\"",
                .is_required = true},
               {.name = "inputs",
                .types = {list(input, 1, 60)},
                .meaning = "What the model takes, where its file does not say it.",
                .example = "[{name: x, datatype: FP32, shape: [-1, 784]}]"},
               {.name = "outputs",
                .types = {list(output, 1, 60)},
                .meaning = "What it gives, likewise.",
                .example = "[{name: y}]"}})},
          .meaning = "What answers the requests.",
          .example = "{source: \"ckpt:intents@best\"}",
          .is_required = true};
}

FormatType padding() {
  const FormatType lengths = list(whole(1, 1'048'576), 1, 16);
  const RealRange values{.low = -1e30, .high = 1e30, .words = "from -1e30 to 1e30"};
  return mapping(
      keys::kPadding,
      {{.name = "buckets",
        .types = {whole(1, 1'048'576), lengths, list(lengths, 1, 4)},
        .meaning =
            "Lengths that inputs are padded to: the first that holds them. A list for each variable size.",
        .example = "[16, 32, 64]",
        .is_required = true},
       {.name = "value",
        .types = {real(values), mapping_of(real(values), "names of inputs and numbers")},
        .otherwise = "0",
        .meaning = "What stands behind an input's end.",
        .example = "0"},
       {.name = "cut",
        .types = one_or_list(text("the name of an output"), 60),
        .meaning = "Outputs that are as long as the inputs: each request gets its own part.",
        .example = "[tags]"},
       {.name = "tolerance",
        .types = {real({.low = 0, .low_open = true, .high = 0.1, .words = "above 0, at most 0.1"})},
        .otherwise = "1e-4",
        .meaning = "By how much answers may differ when it is tried, of the largest number; with bf16 0.02.",
        .example = "1e-3"}});
}

FormatField batching() {
  return {.name = "batching",
          .types = {mapping(
              keys::kBatching,
              {{.name = "mode",
                .types = {choice(keys::kBatchingModes)},
                .otherwise = "adaptive",
                .meaning = "adaptive: waits as long as it pays; fixed: by max_delay; off: one by one.",
                .example = "fixed"},
               {.name = "max_size",
                .types = {whole(1, 65'536)},
                .otherwise = "32",
                .meaning = "Rows of a batch at most.",
                .example = "64"},
               {.name = "max_delay",
                .types = {duration()},
                .meaning = "For so long a request waits for others at most, up to 24h.",
                .example = "5ms"},
               {.name = "padding",
                .types = {padding()},
                .meaning = "Lets requests of unlike lengths share a batch.",
                .example = "{buckets: [16, 32, 64]}"}})},
          .meaning = "How requests are put together.",
          .example = "{mode: adaptive, max_size: 32}"};
}

FormatField quantize() {
  return {
      .name = "quantize",
      .types = {choice(keys::kQuantizations),
                mapping(keys::kQuantize,
                        {{.name = "to",
                          .types = {choice(keys::kQuantizations)},
                          .otherwise = "int8",
                          .meaning = "What the layers compute with.",
                          .example = "int8"},
                         {.name = "eval",
                          .types = {source()},
                          .meaning = "Data that it is compared with fp32 on; else what it was validated on.",
                          .example = "{source: test.csv, columns: {text: utterance, label: intent}}"},
                         {.name = "max_loss",
                          .types = {real(kUpToOne)},
                          .otherwise = "0.01",
                          .meaning = "Of accuracy, at most.",
                          .example = "0.01"},
                         {.name = "max_error",
                          .types = {real(kUpToOne)},
                          .otherwise = "0.05",
                          .meaning = "Where there are no labels: of the outputs, at most.",
                          .example = "0.05"}})},
      .meaning = "Linear and LSTM layers compute with whole numbers of 8 bits.",
      .example = "int8"};
}

FormatField request_queue() {
  return {.name = "queue",
          .types = {queue(), mapping(keys::kRequestQueue,
                                     {{.name = "name",
                                       .types = {queue()},
                                       .otherwise = "default",
                                       .meaning = "The tenant's queue.",
                                       .example = "prod"},
                                      {.name = "max_depth",
                                       .types = {whole(1, 1'000'000)},
                                       .otherwise = "1000",
                                       .meaning = "Requests that may wait; further ones are refused at once.",
                                       .example = "1000"},
                                      {.name = "max_bytes",
                                       .types = {size()},
                                       .otherwise = "256Mi",
                                       .meaning = "Their size, at most 1Ti.",
                                       .example = "256Mi"},
                                      {.name = "timeout",
                                       .types = {duration()},
                                       .otherwise = "60s",
                                       .meaning = "Of a request that names no time of its own, at most 100s.",
                                       .example = "30s"}})},
          .otherwise = "default",
          .meaning = "Of the tenant; or how many requests wait, and for how long.",
          .example = "{timeout: 60s, max_depth: 1000}"};
}

FormatField autoscale() {
  const auto delay = [](const char* key, const char* otherwise, const char* meaning) {
    return FormatField{
        .name = key, .types = {duration()}, .otherwise = otherwise, .meaning = meaning, .example = otherwise};
  };
  return {
      .name = "autoscale",
      .types = {mapping(
          keys::kAutoscale,
          {{.name = "target",
            .types = {real(kAboveZero)},
            .otherwise = "2",
            .meaning = "Requests under way a replica, those that wait too.",
            .example = "4"},
           delay("up_delay", "0s", "For so long more are wanted before there are more."),
           delay("down_delay", "60s", "For so long fewer are wanted before there are fewer."),
           delay("to_zero_after", "5m", "With replicas.min 0: without a request for so long it sleeps.")})},
      .meaning = "How many replicas there are, between replicas.min and max.",
      .example = "{target: 2}"};
}

FormatField replicas() {
  return {.name = "replicas",
          .types = {whole(1, 1024),
                    mapping(keys::kReplicas,
                            {{.name = "min",
                              .types = {whole(0, 1024)},
                              .otherwise = "1",
                              .meaning = "0: it sleeps without requests, and the next one wakes it.",
                              .example = "0"},
                             {.name = "max",
                              .types = {whole(1, 1024)},
                              .meaning = "As many as its load needs, up to this.",
                              .example = "4",
                              .is_required = true}})},
          .otherwise = "1",
          .meaning = "How many processes serve the model.",
          .example = "{min: 1, max: 4}"};
}

}  // namespace

std::vector<FormatField> serve_fields() {
  return {model(),
          batching(),
          {.name = "precision",
           .types = {choice(keys::kServedPrecisions)},
           .otherwise = "fp32",
           .meaning = "What the model computes with.",
           .example = "bf16"},
          quantize(),
          {.name = "slo",
           .types = {mapping(keys::kSlo, {{.name = "p99",
                                           .types = {duration()},
                                           .meaning = "What nearly all requests should take at most.",
                                           .example = "50ms"}})},
           .meaning = "What batching and autoscaling hold.",
           .example = "{p99: 50ms}"},
          request_queue(),
          replicas(),
          autoscale(),
          {.name = "traffic",
           .types = {mapping_of(whole(1, 100), "tags or versions of the model and hundredths, 100 together")},
           .meaning = "Shares the requests among versions of a model of the registry.",
           .example = "{prod: 90, canary: 10}"},
          {.name = "drain",
           .types = {duration()},
           .otherwise = "30s",
           .meaning = "What a replica that has to go has for what it has begun.",
           .example = "30s"}};
}

}  // namespace ds::scheduler::format
