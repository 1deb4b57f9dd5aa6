#!/usr/bin/env python3
"""Kills processes of a running job at random moments and tells how long until the next step is done.

    tests/bench/recovery_times.py --role worker|server|shard --kills 100 [--programs build/bench/bin]

A job of two workers; with servers, two hold two key ranges twice; with shards, two. The next kill comes when all are
there again. Prints the median, the 95th percentile and the longest. It fails when a checkpoint is read, or when a
generation begins before a step that was committed at the kill: nothing of what was done may be done again.
"""

import argparse
import json
import os
import random
import re
import signal
import statistics
import sys
import time
from pathlib import Path

from processes import Failure
from suites.recovery import Trial

HERE = Path(__file__).resolve().parent
JOINED = re.compile(r"generation (\d+): rank 0 .*, step (\d+)")
KEYS = {"worker": "", "server": "strategy: parameter_server\nservers: 2\n", "shard": ""}
COUNT = {"worker": 2, "server": 2, "shard": 2}


def pids_of(status, role):
    if role == "worker":
        return [one["pid"] for one in status["workers"] if one["state"] == "TRAINING" and one["pid"]]
    return [one["pid"] for one in status["roles"] if one["role"] == role and one["pid"]]


def all_serve(trial, generation):
    """Both servers hold both ranges in the newest generation: then one of them may be lost."""
    return trial.submit("logs", trial.name).count(f"generation {generation}: serves 2 key ranges") == 2


def check_nothing_lost(log, kills):
    """`kills`: generation and step that the head told of at each."""
    if "from the checkpoint" in log:
        raise Failure("a checkpoint was read: " + next(line for line in log.splitlines() if "from the checkpoint" in line))
    formed = [(int(generation), int(step)) for generation, step in JOINED.findall(log)]
    for generation, step in kills:
        for later, resumed_at in formed:
            if later > generation and resumed_at < step:
                raise Failure(f"generation {later} began at step {resumed_at}, but step {step} had been committed in "
                              f"generation {generation}")
    return len(formed)


def measure(trial, role, generator):
    """One kill: seconds to the next step, and the generation and the step that had been committed."""
    def whole():
        now = trial.status()
        there = len(pids_of(now, role)) == COUNT[role] and len(pids_of(now, "worker")) == 2
        if now["state"] != "RUNNING" or not there or now["step"] == 0:
            return None
        return now if role != "server" or all_serve(trial, now["generation"]) else None

    # A newcomer has its share of the state once the gang has changed and gone on.
    settled = trial.wait(whole, "all processes are there")
    trial.wait(lambda: trial.status()["step"] > settled["step"] + 20, "the job goes on")
    before = trial.wait(whole, "all processes are there")
    time.sleep(generator.random() * 0.1)  # anywhere in a step
    os.kill(generator.choice(pids_of(before, role)), signal.SIGKILL)
    killed = time.monotonic()
    at_kill = trial.status()["step"]

    def goes_on():
        now = trial.status()
        changed = role == "shard" or now["generation"] > before["generation"]
        return now["state"] == "RUNNING" and changed and now["step"] > at_kill

    trial.wait(goes_on, "the next step")
    return time.monotonic() - killed, (before["generation"], at_kill)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=sorted(KEYS), default="worker")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--programs", type=Path, default=HERE.parent.parent / "build/bench/bin")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    shards = 2 if arguments.role == "shard" else 0
    with Trial(arguments.programs.resolve(), KEYS[arguments.role], shards) as trial:
        measured = [measure(trial, arguments.role, generator) for _ in range(arguments.kills)]
        final = trial.status()
        formed = check_nothing_lost(trial.submit("logs", trial.name), [before for _, before in measured])
    if arguments.role != "shard" and formed <= arguments.kills:
        raise Failure(f"{arguments.kills} kills, but the log tells of {formed} generations only")
    times = sorted(seconds for seconds, _ in measured)
    print(json.dumps({
        "role": arguments.role, "kills": len(times), "seed": arguments.seed,
        "p50_s": round(statistics.median(times), 3),
        "p95_s": round(times[max(0, -(-len(times) * 95 // 100) - 1)], 3),
        "max_s": round(times[-1], 3), "generations": final["generation"], "steps": final["step"],
    }))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
