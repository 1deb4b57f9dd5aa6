#pragma once

#include <string_view>

namespace ds::scheduler::testing {

/// The example of the interface's page, word for word.
inline constexpr std::string_view kExampleJob = R"(version: 1
kind: train
name: intents
tenant: nlp
resources: {cpus: 1, memory: 2Gi}
workers: {min: 1, max: 4}
model: {zoo: text_classifier, width: 128}
data:
  train:    {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
  validate: {source: test.csv, format: csv, columns: {text: utterance, label: intent}}
  transforms:
    - tokenize: {vocabulary: 8000}
    - pad_sequences: {length: 32}
  shuffle: true
batch: {global: 128, accumulate: 1}
optimizer: {name: adamw, lr: 1e-3}
loss: cross_entropy
strategy: allreduce
precision: fp32
until: {epochs: 5}
checkpoint: {every: 200 steps, keep_last: 3, keep_best: 1}
seed: 7
)";

/// A job with most of what a file can say.
inline constexpr std::string_view kRichJob = R"(kind: train
model: {zoo: transformer, layers: 2, width: 64, heads: 4, feed_forward: 100, dropout: 0.2}
data:
  train:
    source: [a.csv, "b-*.csv.gz"]
    columns: {text: [title, body], label: topic}
    records: {from: 10, to: 20}
  validate: {source: c.tsv, header: false, columns: {text: [1, 2], label: 3}}
  transforms:
    - tokenize: {method: byte_pair, vocabulary: 500, field: text}
    - pad_sequences: {length: 16}
    - one_hot: {classes: 7, field: label}
    - normalize: per_sample
    - normalize: {mean: [0.1, 0.2], deviation: [1, 2]}
    - crop: {size: [28, 28], padding: 2}
    - flip: {axes: [horizontal, depth], probability: 0.5}
    - rotate: {degrees: 10}
  on_bad_record: {skip: 50}
  shards: 2
loss: [{name: focal, gamma: 1, classes: [1, 2]}, {name: dice, weight: 0.5}]
optimizer: {name: sgd, lr: 0.1, momentum: 0.9, nesterov: true, clip_norm: 1}
schedule: {name: step, warmup: 10 steps, at: [100, 200], factor: 0.5}
validate: {every: 2 epochs, metrics: [accuracy, f1]}
until: {steps: 300}
precision: bf16
on_nan: skip
)";

}  // namespace ds::scheduler::testing
