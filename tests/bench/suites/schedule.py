"""Scheduling policies in simulated time, against the figures that others published for the same traces."""

import csv
import functools
import json
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

TARGETS = ("ds-sim",)

TRACES = Path(__file__).resolve().parents[4] / "shared" / "traces" / "pollux-osdi21"
WORKLOADS = ("1", "2", "3", "6")
LOADS = ("1.0", "0.5", "1.5", "2.0")
MUST = 1 / 0.85  # of Pollux's average on load 1.0
POLLUX_REPLAN_MS = 2200  # its median on 64 GPUs, published with Sia (SOSP 2023)
MUST_REPLAN_MS = 5


def published():
    """Rows of the authors' own simulations by load, policy and workload."""
    try:
        with open(TRACES / "published_results.csv", encoding="utf-8") as file:
            return {(row["load"], row["policy"], row["workload"]): row for row in csv.DictReader(file)}
    except OSError as error:
        raise Failure(f"the traces are needed: {error}") from error


def simulate(programs, policy, load, workload):
    with Processes() as processes:
        return json.loads(processes.run([
            programs / "ds-sim", "--profiles", TRACES / "profiles", "--workload",
            TRACES / "workloads" / f"load-{load}" / f"workload-{workload}.csv", "--policy", policy, "--cluster", "16x4",
            "--json"], 600))


def cases(programs, _seconds):
    theirs = published()
    # Simulated time is the same in every round.
    simulated = functools.cache(functools.partial(simulate, programs))

    def case(name, policy, load, workload, field, column, must=0):
        peer = policy if policy != "ds" else "pollux"
        figure = float(theirs[load, peer, workload][column])
        return Case(name, "s", True, [
            Contender("ours", policy, lambda: simulated(policy, load, workload)[field]),
            Contender("peer", f"{peer} (published)", lambda: figure)], must=must)

    def replan():
        return simulate(programs, "ds", "1.0", "2")["decision_ms_p50"]

    rows = []
    for load in LOADS:
        for workload in WORKLOADS:
            name = f"pollux_{load}_{workload}"
            on_bar = load == "1.0"
            rows.append(case(name, "ds", load, workload, "average_jct_s", "avg_jct_s", MUST if on_bar else 0))
            rows.append(case(f"{name}_p99", "ds", load, workload, "p99_jct_s", "p99_jct_s", 1 if on_bar else 0))
    rows += [case(f"{policy}_1.0_{workload}", policy, "1.0", workload, "average_jct_s", "avg_jct_s", 1)
             for policy in ("tiresias", "optimus") for workload in WORKLOADS]
    rows.append(Case("replan_64", "ms", True, [
        Contender("ours", "ds", replan), Contender("peer", "pollux (published)", lambda: POLLUX_REPLAN_MS)],
        must=POLLUX_REPLAN_MS / MUST_REPLAN_MS))
    return rows
