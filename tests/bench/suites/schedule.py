"""Scheduling policies in simulated time, against the figures that others published for the same traces."""

import csv
import functools
import json
import statistics
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes
from suites import live_head, plan_times, slurm

TARGETS = ("ds-sim", *plan_times.TARGETS, *live_head.TARGETS, *slurm.TARGETS)

TRACES = Path(__file__).resolve().parents[4] / "shared" / "traces"
POLLUX = TRACES / "pollux-osdi21"
SHOCKWAVE = TRACES / "shockwave-nsdi23"
ELASTICFLOW = TRACES / "elasticflow-asplos23"
PHILLY = TRACES / "philly-jobs" / "philly-until-2017-10-22.csv"
OPENB = TRACES / "openb-fgd-atc23"
SIA = TRACES / "sia-sosp23"
WORKLOADS = ("1", "2", "3", "6")
LOADS = ("1.0", "0.5", "1.5", "2.0")
MUST = 1 / 0.85  # of Pollux's average on load 1.0
POLLUX_REPLAN_MS = 2200  # its median on 64 GPUs, published with Sia (SOSP 2023)
MUST_REPLAN_MS = 5
SHOCKWAVE_BARS = {  # field, unit, column of the published figures, what is wanted at most
    "makespan_s": ("s", "makespan_s", 25000),
    "average_jct_s": ("s", "avg_jct_s", 9958),
    "worst_finish_time_ratio": ("", "worst_rho", 1.78),
}
SIA_PUBLISHED_H = {"philly": 0.6, "saturn": 0.7, "newtrace": 0.7}  # Sia's mean of the averages, over more workloads than we have
ELASTICFLOW_PUBLISHED = {"elasticflow": 142, "tiresias_queues": 56, "edf": 23, "gandiva": 18}  # deadlines met of the 195 of elasticVpollux_e
SIA_ONE_KIND_H = 1.9  # of the Philly workloads on 64 T4
OPENB_PODS = ("default", "cpu100", "cpu250", "gpushare40", "gpushare80", "gpuspec10", "gpuspec25", "multigpu20", "multigpu40")
OPENB_SEEDS = range(42, 52)
OPENB_MUST = 95.4  # percent of the GPUs, with the default pods


def read_rows(path):
    try:
        with open(path, encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise Failure(f"the traces are needed: {error}") from error


def ds_sim(programs, *arguments):
    with Processes() as processes:
        return json.loads(processes.run([programs / "ds-sim", *arguments, "--json"], 600))


def simulate(programs, policy, load, workload):
    return ds_sim(
        programs, "--profiles", POLLUX / "profiles", "--workload",
        POLLUX / "workloads" / f"load-{load}" / f"workload-{workload}.csv", "--policy", policy, "--cluster", "16x4")


def shockwave_cases(programs):
    theirs = {row["policy"]: row for row in read_rows(SHOCKWAVE / "published_32gpu.csv")}["shockwave"]

    @functools.cache
    def simulated():
        return ds_sim(programs, "--family", "shockwave", "--workload", SHOCKWAVE / "trace-120jobs-epochs.csv")

    def case(field, unit, column, most):
        figure = float(theirs[column])
        return Case(f"shockwave_120_{field.removesuffix('_s')}", unit, True, [
            Contender("ours", "ds", lambda: simulated()[field]),
            Contender("peer", "shockwave (published)", lambda: figure)], must=figure / most)

    return [case(field, *bar) for field, bar in SHOCKWAVE_BARS.items()]


def sia_cases(programs):
    @functools.cache
    def simulated_h(workload, *cluster):
        return ds_sim(programs, "--family", "sia", "--profiles", SIA / "profiles", "--workload", workload,
                      *cluster)["average_jct_s"] / 3600

    def workloads(family):
        there = sorted((SIA / "workloads" / family).glob("workload-*.csv"))
        if not there:
            raise Failure(f"the traces are needed: {SIA / 'workloads' / family} has no workload")
        return there

    def case(name, figure, measure, must):
        return Case(f"sia_{name}", "h", True, [
            Contender("ours", "ds", measure), Contender("peer", "sia (published mean)", lambda: figure)], must=must)

    def mean(name, figure, family, *cluster):
        return case(name, figure, lambda: statistics.fmean(simulated_h(one, *cluster) for one in workloads(family)), 1)

    def each(family, figure):
        return [case(f"{family}_{one.stem.removeprefix('workload-')}", figure, functools.partial(simulated_h, one), 0)
                for one in sorted((SIA / "workloads" / family).glob("workload-*.csv"))]

    rows = []
    for family, figure in SIA_PUBLISHED_H.items():
        rows += [mean(family, figure, family), *each(family, figure)]
    return rows + [mean("philly_one_kind", SIA_ONE_KIND_H, "philly", "--cluster", "16x4:aws")]


def elasticflow_cases(programs):
    """Deadlines met; `ds` admits or refuses, and a late one would be none met."""

    @functools.cache
    def simulated(policy):
        report = ds_sim(programs, "--family", "elasticflow", "--profiles", ELASTICFLOW / "throughputs_T4", "--workload",
                        ELASTICFLOW / "elasticVpollux_e.csv", "--policy", policy)
        if report.get("late", 0) > 0:
            raise Failure(f"{report['late']} jobs were admitted and late")
        return report["deadlines_met"]

    def case(name, policy, peer):
        return Case(name, "jobs", False, [
            Contender("ours", policy, lambda: simulated(policy)),
            Contender("peer", f"{peer} (published)", lambda: ELASTICFLOW_PUBLISHED[peer])], must=1)

    return [case("deadlines", "ds", "elasticflow"), case("deadlines_tiresias", "tiresias_queues", "tiresias_queues"),
            case("deadlines_edf", "edf", "edf"), case("deadlines_gandiva", "gandiva", "gandiva")]


def philly_cases(programs):
    """Nothing is published for these; the peer is the rule of Tiresias."""

    @functools.cache
    def simulated(policy):
        return ds_sim(programs, "--family", "philly", "--workload", PHILLY, "--policy", policy)

    def case(field):
        return Case(f"philly_jobs_{field.removesuffix('_jct_s')}", "s", True, [
            Contender("ours", "ds", lambda: simulated("ds")[field]),
            Contender("peer", "tiresias", lambda: simulated("tiresias")[field])], must=0)

    return [case("average_jct_s"), case("p99_jct_s")]


def openb_cases(programs):
    """GPUs allocated at 130 % load, the mean over the seeds as published."""
    theirs = {(row["workload"], row["sc_policy"]): float(row["130"])
              for row in read_rows(OPENB / "expected_gpu_allocation_pct.csv")}

    @functools.cache
    def allocated(policy, pods):
        return 100 * statistics.fmean(
            ds_sim(programs, "--family", "openb", "--profiles", OPENB / "openb_node_list_gpu_node.csv", "--workload",
                   OPENB / f"openb_pod_list_{pods}.csv", "--policy", policy, "--seed", str(seed))["allocated_share"]
            for seed in OPENB_SEEDS)

    def case(name, policy, pods, peer, must=0):
        figure = theirs[f"openb_pod_list_{pods}", peer]
        return Case(name, "%", False, [
            Contender("ours", policy, lambda: allocated(policy, pods)),
            Contender("peer", f"{peer[3:]} (published)", lambda: figure)], must=must)

    must = OPENB_MUST / theirs["openb_pod_list_default", "06-FGD"]
    return [case(f"openb_{pods}", "ds", pods, "06-FGD", must if pods == "default" else 0) for pods in OPENB_PODS] + [
        case("openb_default_random", "random", "default", "01-Random"),
        case("openb_default_best_fit", "best_fit", "default", "05-BestFit")]


def cases(programs, seconds):
    theirs = {(row["load"], row["policy"], row["workload"]): row for row in read_rows(POLLUX / "published_results.csv")}
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
    rows += [case(f"{policy}_{load}_{workload}", policy, load, workload, "average_jct_s", "avg_jct_s", 1)
             for policy in ("tiresias", "optimus") for load in LOADS for workload in WORKLOADS]
    rows.append(Case("replan_64", "ms", True, [
        Contender("ours", "ds", replan), Contender("peer", "pollux (published)", lambda: POLLUX_REPLAN_MS)],
        must=POLLUX_REPLAN_MS / MUST_REPLAN_MS))
    return (rows + plan_times.cases(programs, seconds) + shockwave_cases(programs) + sia_cases(programs)
            + elasticflow_cases(programs) + philly_cases(programs) + openb_cases(programs) + live_head.cases(programs, PHILLY)
            + slurm.cases(programs, seconds))
