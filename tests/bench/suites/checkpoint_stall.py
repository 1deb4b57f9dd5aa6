"""Steps a second of a job on a cluster of ours, with a checkpoint every 10 steps and without."""

import json
import shutil
import tempfile
import time
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

PATIENCE = 60
WARM_STEPS = 40


def case(programs, seconds, job, data):
    def steps_a_second(every):
        return lambda: _measure(programs, 5 * seconds, f"{job}\ncheckpoint: {{{{every: {every} steps}}}}\n", data)

    return Case("checkpoint_stall", "steps/s", False, [
        Contender("ours", "ds, a checkpoint every 10 steps", steps_a_second(10)),
        Contender("peer", "ds, none", steps_a_second(1_000_000)),
    ], 0.95)


def _measure(programs, seconds, job, data):
    folder = tempfile.mkdtemp(prefix="ds-bench-")
    environment = {"DS_HOME": f"{folder}/cluster"}
    with Processes() as processes:
        def submit(*words):
            return processes.run([programs / "ds-submit", *words], PATIENCE, environment)

        submit("up", "--nodes", "1", "--slots", "1")
        try:
            text = job.format(workers=1, batch=64, folder=folder, data=data)
            Path(folder, "job.yaml").write_text(text, encoding="utf-8")
            name = json.loads(submit("submit", "-f", f"{folder}/job.yaml", "-o", "json"))["id"]

            def new_step(after):
                """When the head hears of a step beyond `after`, and which."""
                deadline = time.monotonic() + PATIENCE
                while time.monotonic() < deadline:
                    step = json.loads(submit("status", name, "-o", "json"))["step"]
                    if step > after:
                        return time.monotonic(), step
                    time.sleep(0.01)
                raise Failure(f"no step beyond {after} within {PATIENCE} s")

            # Steps are told ten times a second: both ends are moments at which one was heard of.
            _, warm = new_step(WARM_STEPS)
            begin, first = new_step(warm)
            while True:
                time.sleep(seconds / 10)
                end, last = new_step(first)
                if end - begin >= seconds:
                    return (last - first) / (end - begin)
        finally:
            submit("down", "--purge")
            shutil.rmtree(folder, ignore_errors=True)
