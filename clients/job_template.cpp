#include "clients/job_template.hpp"

namespace ds::clients {
namespace {

constexpr std::string_view kCommon = R"(# tenant: nlp                 # ds-submit tenants lists them
# priority: normal            # low, normal, high, critical or a number; larger is more urgent
)";

constexpr std::string_view kTrain = R"(version: 1
kind: train
name: my-model
workers: {min: 1, max: 4}     # it runs with any number in between, with the same results
resources: {cpus: 1, memory: 2Gi}   # for each worker
model: {zoo: text_classifier}       # or {torchscript: model.pt}
data:                         # paths are relative to this file
  train:    {source: train.csv, format: csv, columns: {text: text, label: label}}
  validate: {source: test.csv, format: csv, columns: {text: text, label: label}}
  transforms:
    - tokenize: {vocabulary: 8000}
    - pad_sequences: {length: 32}
batch: {global: 128}
optimizer: {name: adamw, lr: 1e-3}
loss: cross_entropy
until: {epochs: 5}
checkpoint: {every: 200 steps, keep_last: 3, keep_best: 1}
seed: 7
)";

constexpr std::string_view kServe = R"(version: 1
kind: serve
name: my-model                # asked at /v2/models/my-model, or by ds-submit predict my-model TEXT
model: {source: "ckpt:my-model@best"}   # of a training job; or @newest, @STEP; or file:model.pt
replicas: {min: 1, max: 4}    # min: 0 sleeps without requests
autoscale: {target: 2}        # requests under way a replica
batching: {mode: adaptive, max_size: 32}
queue: {timeout: 60s, max_depth: 1000}
resources: {cpus: 1, memory: 2Gi}   # for each replica; cpus: 0.5 for half a slot
)";

constexpr std::string_view kCommand = R"(version: 1
kind: command
name: my-program
workers: 1                    # the program runs once on each; or {min: 2, max: 4}
resources: {cpus: 1, memory: 2Gi}   # for each worker; gpu: 1 for a GPU each
run: python3 train.py --lr 0.1
restart: 3
# setup: . venv/bin/activate  # in the same shell before `run`
# env: {OMP_NUM_THREADS: 1}
)";

}  // namespace

std::string job_template(std::string_view kind) {
  const std::string_view own = kind == "train"     ? kTrain
                               : kind == "serve"   ? kServe
                               : kind == "command" ? kCommand
                                                   : std::string_view();
  if (own.empty()) return {};
  std::string text(own);
  text += kCommon;
  if (kind != "serve") text += "# time_limit: 8h              # the longest time that it may run\n";
  return text;
}

}  // namespace ds::clients
