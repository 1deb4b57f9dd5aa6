"""Scheduling policies in simulated time, against the figures that others published for the same traces."""

import functools
import statistics

from contest import Case, Contender
from processes import Failure
from suites import live_head, plan_times, pollux, sia, slurm
from suites.simulator import DS, EVENTS, PERCENTILES, TRACES, against, ds_sim, read_rows

TARGETS = ("ds-sim", *plan_times.TARGETS, *live_head.TARGETS, *slurm.TARGETS)

SHOCKWAVE = TRACES / "shockwave-nsdi23"
ELASTICFLOW = TRACES / "elasticflow-asplos23"
PHILLY = TRACES / "philly-jobs" / "philly-until-2017-10-22.csv"
OPENB = TRACES / "openb-fgd-atc23"
POLLUX_REPLAN_MS = 2200  # its median on 64 GPUs, published with Sia (SOSP 2023)
MUST_REPLAN_MS = 5
SHOCKWAVE_BARS = {  # field, unit, column of the published figures, what is wanted at most
    "makespan_s": ("s", "makespan_s", 25000),
    "average_jct_s": ("s", "avg_jct_s", 9958),
    "worst_finish_time_ratio": ("", "worst_rho", 1.78),
}
ELASTICFLOW_PUBLISHED = {"elasticflow": 142, "tiresias_queues": 56, "edf": 23, "gandiva": 18}  # deadlines met of the 195 of elasticVpollux_e
OPENB_PODS = ("default", "cpu100", "cpu250", "gpushare40", "gpushare80", "gpuspec10", "gpuspec25", "multigpu20", "multigpu40")
OPENB_SEEDS = range(42, 52)
OPENB_MUST = 95.4  # percent of the GPUs, with the default pods


def shockwave_cases(programs):
    theirs = {row["policy"]: row for row in read_rows(SHOCKWAVE / "published_32gpu.csv")}["shockwave"]

    @functools.cache
    def simulated(policy, *options):
        return ds_sim(programs, "--family", "shockwave", "--workload", SHOCKWAVE / "trace-120jobs-epochs.csv", "--policy",
                      policy, *options)

    def case(way, field, unit, column, most):
        """Where nothing is published the rule of Tiresias takes the peer's place."""
        figure = float(theirs[column]) if column in theirs else None
        return against(
            f"shockwave_120{way.suffix}_{field.removesuffix('_s')}", unit, way,
            lambda: simulated(way.policy, *way.options)[field],
            "tiresias" if figure is None else "shockwave (published)",
            lambda: simulated("tiresias")[field] if figure is None else figure, figure / most if most else 0)

    rows = []
    for way in (DS, EVENTS):
        rows += [case(way, field, *bar) for field, bar in SHOCKWAVE_BARS.items()]
        rows += [case(way, f"{percentile}_jct_s", "s", f"{percentile}_jct_s", None) for percentile in PERCENTILES]
    return rows


def deadlines_met(programs, policy, *options):
    """`ds` admits or refuses, and a late one would be none met."""
    report = ds_sim(programs, "--family", "elasticflow", "--profiles", ELASTICFLOW / "throughputs_T4", "--workload",
                    ELASTICFLOW / "elasticVpollux_e.csv", "--policy", policy, *options)
    if report.get("late", 0) > 0:
        raise Failure(f"{report['late']} jobs were admitted and late")
    return report["deadlines_met"]


def short_rounds_case(programs):
    """Deadlines are promised by rounds: this stands for planning at events."""
    return Case("deadlines_10s_rounds", "jobs", False, [
        Contender("ours", "ds, rounds of 10 s", lambda: deadlines_met(programs, "ds", "--round", "10")),
        Contender("peer", "elasticflow (published)", lambda: ELASTICFLOW_PUBLISHED["elasticflow"])])


def elasticflow_cases(programs):
    simulated = functools.cache(functools.partial(deadlines_met, programs))

    def case(name, policy, peer):
        return Case(name, "jobs", False, [
            Contender("ours", policy, lambda: simulated(policy)),
            Contender("peer", f"{peer} (published)", lambda: ELASTICFLOW_PUBLISHED[peer])], must=1)

    return [case("deadlines", "ds", "elasticflow"), case("deadlines_tiresias", "tiresias_queues", "tiresias_queues"),
            case("deadlines_edf", "edf", "edf"), case("deadlines_gandiva", "gandiva", "gandiva")]


def philly_cases(programs):
    """Nothing is published for these; the peer is the rule of Tiresias."""

    @functools.cache
    def simulated(policy, *options):
        return ds_sim(programs, "--family", "philly", "--workload", PHILLY, "--policy", policy, *options)

    def case(way, name, unit, field):
        return against(f"philly_jobs{way.suffix}_{name}", unit, way,
                       lambda: simulated(way.policy, *way.options)[field], "tiresias", lambda: simulated("tiresias")[field])

    rows = []
    for way in (DS, EVENTS):
        rows += [case(way, name, "s", f"{name}_jct_s") for name in ("average", *PERCENTILES)]
        rows.append(case(way, "worst_ratio", "", "worst_finish_time_ratio"))
    return rows


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
    theirs = pollux.read_published()
    # Simulated time is the same in every round.
    simulated = functools.cache(functools.partial(pollux.simulate, programs))

    def published_rule(policy, load, workload):
        figure = float(theirs[load, policy, workload]["avg_jct_s"])
        return Case(f"{policy}_{load}_{workload}", "s", True, [
            Contender("ours", policy, lambda: simulated(policy, load, workload)["average_jct_s"]),
            Contender("peer", f"{policy} (published)", lambda: figure)], must=1)

    def replan():
        return pollux.simulate(programs, "ds", "1.0", "2")["decision_ms_p50"]

    rows = pollux.cases(simulated, theirs)
    rows += [published_rule(policy, load, workload)
             for policy in ("tiresias", "optimus") for load in pollux.LOADS for workload in pollux.WORKLOADS]
    rows.append(Case("replan_64", "ms", True, [
        Contender("ours", "ds", replan), Contender("peer", "pollux (published)", lambda: POLLUX_REPLAN_MS)],
        must=POLLUX_REPLAN_MS / MUST_REPLAN_MS))
    rows += sia.cases(functools.cache(functools.partial(sia.simulate, programs)), sia.find_workloads())
    return (rows + plan_times.cases(programs, seconds) + shockwave_cases(programs) + elasticflow_cases(programs)
            + [short_rounds_case(programs)] + philly_cases(programs) + openb_cases(programs)
            + live_head.cases(programs, PHILLY) + slurm.cases(programs, seconds))
