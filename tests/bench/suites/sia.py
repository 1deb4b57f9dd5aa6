"""`ds` on Sia's workloads, against the means that its authors published, over more workloads than we have."""

import functools
import statistics

from processes import Failure
from suites.simulator import ALONE, DS, PERCENTILES, TRACES, WAYS, against, ds_sim

FOLDER = TRACES / "sia-sosp23"
AVERAGE_H = {"philly": 0.6, "saturn": 0.7, "newtrace": 0.7}
P99_H = {"philly": 9.5, "saturn": 10.9, "newtrace": 4.6}
ONE_KIND_H = {"": 1.9, "p99": 18.1}  # the Philly workloads on 64 T4
MUST = 1  # of the averages


def simulate(programs, workload, policy, *options):
    return ds_sim(programs, "--family", "sia", "--profiles", FOLDER / "profiles", "--workload", workload, "--policy", policy,
                  *options)


def find_workloads():
    """Of each family, by their numbers."""
    found = {family: {path.stem.removeprefix("workload-"): path
                      for path in sorted((FOLDER / "workloads" / family).glob("workload-*.csv"))} for family in AVERAGE_H}
    for family, there in found.items():
        if not there:
            raise Failure(f"the traces are needed: {FOLDER / 'workloads' / family} has no workload")
    return found


def cases(report, workloads):
    """`report` gives ds-sim's of a workload, policy and more options; `workloads` are as `find_workloads` has them."""

    def hours(policy, options, percentile, workload):
        return report(workload, policy, *options)[f"{percentile or 'average'}_jct_s"] / 3600

    def mean_h(family, policy, options, percentile):
        return statistics.fmean(hours(policy, options, percentile, one) for one in workloads[family].values())

    def named(name, way, percentile):
        return f"sia_{name}{way.suffix}" + (f"_{percentile}" if percentile else "")

    def mean(name, family, way, percentile, figures, *cluster):
        """Where nothing is published the rule of Tiresias takes the peer's place."""
        def measure(policy, options):
            return mean_h(family, policy, (*cluster, *options), percentile)

        ours = functools.partial(measure, way.policy, way.options)
        if percentile in figures:
            return against(named(name, way, percentile), "h", way, ours, "sia (published mean)",
                           lambda: figures[percentile], 0 if percentile else MUST)
        return against(named(name, way, percentile), "h", way, ours, "tiresias", lambda: measure("tiresias", ()))

    def each(family, number, way, percentile, figure):
        return against(named(f"{family}_{number}", way, percentile), "h", way,
                       functools.partial(hours, way.policy, way.options, percentile, workloads[family][number]),
                       "sia (published mean)", lambda: figure)

    def worst_ratio(family, way):  # of all its workloads
        def worst(policy, options):
            return max(report(one, policy, *options)["worst_finish_time_ratio"] for one in workloads[family].values())

        return against(named(f"{family}", way, "worst_ratio"), "", way,
                       functools.partial(worst, way.policy, way.options), "tiresias", lambda: worst("tiresias", ()))

    rows = []
    for family in workloads:
        figures = {"": AVERAGE_H[family], "p99": P99_H[family]}
        rows += [mean(family, family, way, percentile, figures) for way in WAYS for percentile in ("", *PERCENTILES)]
        rows += [worst_ratio(family, way) for way in (DS, ALONE)]
        rows += [each(family, number, way, percentile, figures[percentile])
                 for number in workloads[family] for way in WAYS for percentile in ("", "p99")]
    return rows + [mean("philly_one_kind", "philly", way, percentile, ONE_KIND_H, "--cluster", "16x4:aws")
                   for way in WAYS for percentile in ("", "p99")]
