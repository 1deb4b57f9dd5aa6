"""`ds` on Pollux's workloads, against what its authors published of each."""

import functools
import statistics

from suites.simulator import ALONE, DS, PERCENTILES, TRACES, WAYS, against, ds_sim, read_rows

FOLDER = TRACES / "pollux-osdi21"
WORKLOADS = ("1", "2", "3", "6")
LOADS = ("1.0", "0.5", "1.5", "2.0")
MUST = 1 / 0.85  # of Pollux's average
MUST_P99 = 1


def read_published():
    """By load, policy and workload."""
    return {(row["load"], row["policy"], row["workload"]): row for row in read_rows(FOLDER / "published_results.csv")}


def simulate(programs, policy, load, workload, *options):
    return ds_sim(
        programs, "--profiles", FOLDER / "profiles", "--workload",
        FOLDER / "workloads" / f"load-{load}" / f"workload-{workload}.csv", "--policy", policy, "--cluster", "16x4",
        *options)


def cases(report, published):
    """`report` gives ds-sim's of a policy, load, workload and more options; `published` is as `read_published` has it."""

    def ours(way, load, workload, field):
        return report(way.policy, load, workload, *way.options)[field]

    def theirs(load, workload, column):
        return float(published[load, "pollux", workload][column])

    def time(way, load, workload, percentile):
        name = f"pollux_{load}_{workload}{way.suffix}" + (f"_{percentile}" if percentile else "")
        must = {"": MUST, "p99": MUST_P99}.get(percentile, 0)
        return against(
            name, "s", way, functools.partial(ours, way, load, workload, f"{percentile or 'average'}_jct_s"),
            "pollux (published)", functools.partial(theirs, load, workload, f"{percentile or 'avg'}_jct_s"), must)

    def worst_ratio(way, load, workload):  # nothing is published
        field = "worst_finish_time_ratio"
        return against(f"pollux_{load}_{workload}{way.suffix}_worst_ratio", "", way,
                       functools.partial(ours, way, load, workload, field), "tiresias",
                       lambda: report("tiresias", load, workload)[field])

    def mean(way, load):
        def of_theirs():
            return statistics.fmean(ours(way, load, workload, "average_jct_s") / theirs(load, workload, "avg_jct_s")
                                    for workload in WORKLOADS)

        return against(f"pollux_{load}_mean{way.suffix}", "of Pollux's", way, of_theirs, "pollux (published)", lambda: 1,
                       MUST)

    rows = []
    for load in LOADS:
        rows += [mean(way, load) for way in WAYS]
        for workload in WORKLOADS:
            rows += [time(way, load, workload, percentile) for way in WAYS for percentile in ("", *PERCENTILES)]
            rows += [worst_ratio(way, load, workload) for way in (DS, ALONE)]
    return rows
