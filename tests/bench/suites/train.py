"""Training: ours against plain PyTorch and, with two workers, against DistributedDataParallel over Gloo."""

import json
import shutil
import tempfile
from pathlib import Path

from contest import Case, Contender, Measured
from processes import Failure, Processes
from suites import checkpoint_stall, recovery, servers

TARGETS = ("bench_train_ds", "bench_servers_ds", "bench_servers_gloo", "ds-head", "ds-node", "ds-actor", "ds-submit")

HERE = Path(__file__).resolve().parent.parent
DATA = HERE.parent.parent.parent / "shared" / "data"

# What is measured a second of budget; all cases train with AdamW, one thread and batches of 64 a rank.
STEPS = {"mlp": 60, "cnn": 40, "transformer": 40}
# Of the peer's DataLoader, a rank: ours makes batches on a thread of its own, so the peer may use a process.
LOADER_WORKERS = (0, 1)

IMAGES = """
data:
  train: {{source: {data}/mnist/train-images-idx3-ubyte.gz, labels: {data}/mnist/train-labels-idx1-ubyte.gz, format: idx}}
"""
TEXTS = """
data:
  train: {{source: {data}/banking77/train.csv, format: csv, columns: {{text: text, label: category}}}}
  transforms: [tokenize: {{vocabulary: 8000}}, pad_sequences: {{length: 32}}]
"""
MODELS = {
    "mlp": ("{{zoo: mlp, hidden: [1024, 1024, 1024], dropout: 0}}", IMAGES),
    "cnn": ("{{torchscript: {folder}/cnn.pt}}", IMAGES),
    "transformer": ("{{zoo: transformer, layers: 2, width: 128, heads: 4, feed_forward: 512, dropout: 0.1}}", TEXTS),
}
JOB = """
version: 1
kind: train
name: benchmark
workers: {workers}
batch: {{global: {batch}}}
optimizer: {{name: adamw, lr: 1e-3}}
until: {{steps: 1000000}}
model: """


def cases(programs, seconds):
    if not DATA.is_dir():
        raise Failure(f"the data sets are not there: {DATA}")

    def case(name, model, ranks, must):
        steps = max(int(STEPS[model] * seconds), 10)

        def ours(folder):
            _write_job(folder, model, ranks, ranks)
            return [[programs / "bench_train_ds", f"{folder}/job.yaml", rank, ranks, steps, folder]
                    for rank in range(ranks)]

        def torch(workers):
            def commands(folder):
                return [["/usr/bin/python3", HERE / "train_torch.py", model, rank, ranks, steps, folder, DATA, workers]
                        for rank in range(ranks)]
            return lambda: _run(commands)

        peer = "PyTorch" if ranks == 1 else "PyTorch DDP over Gloo"
        return Case(name, "samples/s", False, [
            Contender("ours", "ds", lambda: _run(ours)),
            *(Contender("peer", f"{peer}, {workers} loader workers", torch(workers)) for workers in LOADER_WORKERS),
        ], must)

    return [
        case("one_worker_mlp", "mlp", 1, 1),
        case("one_worker_cnn", "cnn", 1, 1),
        case("one_worker_transformer", "transformer", 1, 1),
        case("two_workers_mlp", "mlp", 2, 1.5),
        case("two_workers_cnn", "cnn", 2, 1),
        case("two_workers_transformer", "transformer", 2, 1),
        recovery.case(programs),
        servers.case(programs, seconds),
        *_determinism_costs(programs, seconds),
        checkpoint_stall.case(programs, seconds, JOB + MODELS["mlp"][0] + MODELS["mlp"][1], DATA),
    ]


def _write_job(folder, model, ranks, workers):
    text = (JOB + MODELS[model][0] + MODELS[model][1]).format(
        workers=workers, batch=64 * ranks, folder=folder, data=DATA)
    Path(folder, "job.yaml").write_text(text, encoding="utf-8")


def _determinism_costs(programs, seconds):
    """Two workers of a job that may have one to four (or to two), against what two can do when their number is settled."""
    def case(name, model, most):
        steps = max(int(STEPS[model] * seconds), 10)

        def run(workers, *more):
            def commands(folder):
                _write_job(folder, model, 2, workers)
                return [[programs / "bench_train_ds", f"{folder}/job.yaml", rank, 2, steps, folder, *more]
                        for rank in range(2)]
            return lambda: _run(commands)

        contenders = [Contender("ours", f"ds, {most} logical ranks", run(most))]
        if most != 2:
            contenders.append(Contender("peer", "ds, 2 logical ranks", run(2)))
        contenders.append(Contender("peer", "ds, 2 logical ranks, optimizing executor", run(2, "optimize")))
        return Case(name, "samples/s", False, contenders, 0.9)

    return [
        case("determinism_cost", "mlp", 4),
        case("determinism_cost_cnn", "cnn", 4),
        case("determinism_cost_transformer", "transformer", 4),
        case("determinism_cost_full_size", "mlp", 2),
    ]


def _run(commands):
    """One round, whose first process tells the result."""
    folder = tempfile.mkdtemp(prefix="ds-bench-")
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        with Processes() as processes:
            export = ["/usr/bin/python3", HERE / "train_torch.py", "export", 0, 1, 1, folder, DATA]
            processes.run(export, 120)
            children = [processes.start(command, environment) for command in commands(folder)]
            processes.wait(children, 300)
            told = json.loads(children[0].stdout.read().decode().splitlines()[-1])
            phases = {key.removesuffix("_ms"): value for key, value in told.items() if key.endswith("_ms")}
            return Measured(told["value"], phases) if phases else told["value"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
