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

}  // namespace ds::scheduler::testing
