"""From the SIGKILL of a worker to the next step that is done: ours, and torchrun with a checkpoint every 20 steps."""

import json
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

HERE = Path(__file__).resolve().parent.parent
PATIENCE = 60
KILLS = 3  # a round

JOB = """
version: 1
kind: train
name: recovery
workers: {{min: 1, max: 2}}
model: {{zoo: mlp, hidden: [512], dropout: 0}}
data:
  train: {{source: {folder}/train.csv, format: csv, columns: {{features: [{names}], label: kind}}}}
  shards: {shards}
batch: {{global: 128}}
optimizer: {{name: adamw, lr: 1e-3}}
until: {{steps: 100000000}}
checkpoint: {{every: 20 steps}}
"""


def case(programs):
    return Case("recovery", "s", True, [
        Contender("ours", "ds", lambda: _ours(programs)),
        Contender("peer", "torchrun", _torchrun),
    ], must=6)


def _wait(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.002)
    raise Failure(f"{what}: not within {PATIENCE} s")


class Trial:
    """A cluster of ours with one job of two workers, gone at the end. `keys`: further lines of the job file."""

    def __init__(self, programs, keys="", shards=0):
        self._programs = programs
        self._keys = keys
        self._shards = shards

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="ds-bench-")
        self._processes = Processes().__enter__()
        try:
            up = json.loads(self.submit("up", "--nodes", "1", "--slots", "2", "-o", "json"))
            names = _write_rows(self._folder)
            text = JOB.format(folder=self._folder, names=", ".join(names), shards=self._shards) + self._keys
            Path(self._folder, "job.yaml").write_text(text, encoding="utf-8")
            job = self.submit("submit", "-f", f"{self._folder}/job.yaml", "-o", "json")
            self.name = json.loads(job)["id"]
            self._url = f"http://{up['head']}/api/v1/jobs/{self.name}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.submit("down", "--purge")
        finally:
            self._processes.__exit__()
            shutil.rmtree(self._folder, ignore_errors=True)

    def submit(self, *words):
        return self._processes.run(
            [self._programs / "ds-submit", *words], PATIENCE, {"DS_HOME": f"{self._folder}/cluster"})

    def status(self):
        # Not a process each time: thousands of answers are wanted, soon.
        with urllib.request.urlopen(self._url, timeout=PATIENCE) as answer:
            return json.load(answer)

    wait = staticmethod(_wait)


def _ours(programs):
    with Trial(programs) as trial:
        times = []
        for _ in range(KILLS):
            def both_train():
                now = trial.status()
                workers = [worker for worker in now["workers"] if worker["state"] == "TRAINING"]
                return now if now["state"] == "RUNNING" and len(workers) == 2 and now["step"] > 0 else None

            before = _wait(both_train, "two workers train")
            os.kill(random.choice(before["workers"])["pid"], signal.SIGKILL)
            killed = time.monotonic()

            def goes_on():
                now = trial.status()
                return now["generation"] > before["generation"] and now["state"] == "RUNNING" and now["step"]

            reached = _wait(goes_on, "the gang goes on")
            _wait(lambda: trial.status()["step"] > reached, "a step is done")
            times.append(time.monotonic() - killed)
        return statistics.median(times)


def _write_rows(folder):
    names = [f"x{number}" for number in range(256)]
    generator = random.Random(1)
    with open(f"{folder}/train.csv", "w", encoding="ascii") as file:
        file.write(",".join([*names, "kind"]) + "\n")
        for _ in range(2000):
            values = ",".join(f"{generator.gauss(0, 1):.3f}" for _ in names)
            file.write(f"{values},{generator.randrange(10)}\n")
    return names


def _torchrun():
    folder = tempfile.mkdtemp(prefix="ds-bench-")
    try:
        with Processes() as processes:
            # Without its log redirection Debian's torchrun does not start on Python 3.11.
            processes.start(
                ["/usr/bin/python3", "-m", "torch.distributed.run", "-r", "1", "-t", "1", "--log_dir", folder,
                 "--nproc_per_node", "2", "--max_restarts", "1000", "--rdzv_backend", "c10d",
                 "--rdzv_endpoint", "127.0.0.1:0", HERE / "recovery_torch.py", folder], {"OMP_NUM_THREADS": "1"})
            steps = Path(folder, "steps")

            def done():
                return steps.stat().st_size if steps.exists() else 0

            times = []
            for _ in range(KILLS):
                pids = {Path(folder, f"pid.{rank}") for rank in range(2)}
                reached = done()
                _wait(lambda: all(pid.exists() and pid.stat().st_size for pid in pids) and done() > reached + 200,
                      "two workers train")
                victim = int(random.choice(sorted(pids)).read_text(encoding="ascii"))
                for pid in pids:
                    pid.unlink()
                os.kill(victim, signal.SIGKILL)
                killed = time.monotonic()
                _wait(lambda: all(pid.exists() for pid in pids), "torchrun starts them again")
                before = done()
                _wait(lambda: done() > before, "a step is done")
                times.append(time.monotonic() - killed)
            return statistics.median(times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
