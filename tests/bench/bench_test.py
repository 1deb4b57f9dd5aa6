"""The runner's own arithmetic, tables and tidiness, on recorded numbers. Run by CTest."""

import json
import os
import subprocess
import sys
import time
import unittest

from bench import choose
from contest import Case, Contender, Measured, race
from processes import Failure, Processes
from suites import pollux, sia
from suites.batching_grid import highest_that
from suites.serve import seconds_until_inside
from table import to_json, to_table


def recorded(role, name, values):
    numbers = iter(values)
    return Contender(role, name, lambda: next(numbers))


def latency_row():
    return race(Case("ask", "µs", True, [
        recorded("ours", "ds", [9, 10, 900, 11, 8]),
        recorded("peer", "BASP, default", [300, 310, 290, 5000, 305]),
        recorded("peer", "BASP, sharing", [100, 120, 100, 90, 4000]),
        recorded("limit", "ucx_perftest, tags", [2, 2.5, 2.5, 3, 9]),
    ], must=10, must_against={"BASP, default": 40}), 5).row("fabric")


class Rows(unittest.TestCase):
    def test_medians_ignore_one_bad_round_and_the_best_setting_of_the_peer_counts(self):
        row = latency_row()
        self.assertEqual((row["ours"], row["peer"], row["peer_name"]), (10, 100, "BASP, sharing"))
        self.assertEqual((row["ratio"], row["must"]), (10, 10))

    def test_a_limit_is_a_share_that_we_reach(self):
        row = latency_row()
        self.assertEqual((row["limit"], row["limit_name"], row["ours_of_limit"]), (2.5, "ucx_perftest, tags", 0.25))

    def test_ratios_above_one_are_better_for_rates_too(self):
        row = race(Case("send", "messages/s", False, [
            recorded("ours", "ds", [50, 60, 70]), recorded("peer", "BASP", [20, 30, 40])]), 3).row("fabric")
        self.assertEqual(row["ratio"], 2)
        self.assertNotIn("limit", row)

    def test_each_family_of_peers_is_compared_by_its_best_and_a_setting_by_name(self):
        row = race(Case("sum", "µs", True, [
            recorded("ours", "ds", [10]), recorded("peer", "Gloo, ring", [500]), recorded("peer", "Gloo, tree", [400]),
            recorded("peer", "Open MPI", [5])], must_against={"Gloo, ring": 1}), 1).row("allreduce")
        self.assertEqual(row["against"], {"Gloo": 40, "Gloo, ring": 50, "Open MPI": 0.5})

    def test_phases_are_the_medians_of_the_contender_that_counts(self):
        def rounds(*numbers):
            return [Measured(value, {"data": ms, "forward": 2 * ms}) for value, ms in numbers]

        row = race(Case("train", "samples/s", False, [
            recorded("ours", "ds, a", rounds((10, 1), (20, 5), (30, 3))),
            recorded("ours", "ds, b", rounds((1, 7), (2, 7), (3, 7))),
            recorded("peer", "PyTorch", [5, 10, 20])]), 3).row("train")
        self.assertEqual((row["ours"], row["ratio"]), (20, 2))
        self.assertEqual(row["phases"], {"data": 3, "forward": 6})
        self.assertEqual(row["rounds"]["ds, b"], [1, 2, 3])
        self.assertIn("data 3, forward 6", to_table([row]))
        self.assertNotIn("phases", latency_row())

    def test_contenders_alternate(self):
        order = []
        contenders = [Contender("peer", name, lambda name=name: order.append(name) or 1.0) for name in "abc"]
        race(Case("x", "s", True, contenders), 2)
        self.assertEqual("".join(order), "abcabc")


class Prints(unittest.TestCase):
    def test_json_is_one_line_with_the_agreed_keys(self):
        text = to_json(latency_row())
        self.assertNotIn("\n", text)
        self.assertLessEqual({"suite", "case", "ours", "peer", "peer_name", "unit", "ratio"}, json.loads(text).keys())

    def test_the_table_lines_up(self):
        lines = to_table([latency_row()]).splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0].index("peer is"), lines[1].index("BASP, sharing"))
        self.assertIn("25%", lines[1])
        self.assertNotIn("ours is", lines[0])  # there is only one


class Chosen(unittest.TestCase):
    def test_cases_are_named_or_meant_by_a_pattern_and_all_without_any(self):
        cases = [Case(name, "s", True, []) for name in ("pollux_1.0_1", "pollux_1.0_1_p99", "sia_philly")]
        self.assertEqual([case.name for case in choose(cases, ["pollux_1.0_1"])], ["pollux_1.0_1"])
        self.assertEqual(choose(cases, ["pollux_*"]), cases[:2])
        self.assertEqual(choose(cases, []), cases)
        with self.assertRaisesRegex(Failure, "no case openb; there are pollux_1.0_1, "):
            choose(cases, ["sia_*", "openb"])


class Schedules(unittest.TestCase):
    """Rows of policies, on reports and published figures that are made up."""

    TIMES = {"average_jct_s": 100.0, "p50_jct_s": 10.0, "p90_jct_s": 200.0, "p99_jct_s": 900.0, "worst_finish_time_ratio": 2.0}

    @staticmethod
    def rows(cases):
        return {case.name: race(case, 1).row("schedule") for case in cases}

    def pollux_rows(self):
        def report(policy, load, workload, *options):
            slower = {"ds": 1, "ds_alone": 1.5, "tiresias": 3}[policy] - (0.5 if options else 0)
            return {field: slower * int(workload) * value for field, value in self.TIMES.items()}

        figures = {"avg_jct_s": "240", "p50_jct_s": "20", "p90_jct_s": "500", "p99_jct_s": "900"}
        return self.rows(pollux.cases(
            report, {(load, "pollux", workload): figures for load in pollux.LOADS for workload in pollux.WORKLOADS}))

    def test_every_load_and_workload_of_pollux_has_its_average_and_percentiles_in_every_way(self):
        rows = self.pollux_rows()
        for load in ("0.5", "1.0", "1.5", "2.0"):
            for workload in ("1", "2", "3", "6"):
                name = f"pollux_{load}_{workload}"
                for statistic, ratio in (("", 2.4), ("_p50", 2), ("_p90", 2.5), ("_p99", 1)):
                    self.assertAlmostEqual(rows[name + statistic]["ratio"], ratio / int(workload))
                self.assertAlmostEqual(rows[name + "_alone"]["ratio"], 1.6 / int(workload))
                self.assertAlmostEqual(rows[name + "_events_p90"]["ratio"], 5 / int(workload))
                self.assertEqual((rows[name + "_worst_ratio"]["ratio"], rows[name + "_alone_worst_ratio"]["ratio"]), (3, 2))
        self.assertEqual((rows["pollux_1.0_1_alone"]["ours_name"], rows["pollux_1.0_1_alone"]["peer_name"]),
                         ("ds_alone", "pollux (published)"))

    def test_the_bars_are_those_of_average_and_99th_percentile_on_every_load_but_not_of_events(self):
        rows = self.pollux_rows()
        for load in ("0.5", "1.0", "1.5", "2.0"):
            for way in ("", "_alone"):
                self.assertAlmostEqual(rows[f"pollux_{load}_6{way}"]["must"], 1 / 0.85)
                self.assertAlmostEqual(rows[f"pollux_{load}_mean{way}"]["must"], 1 / 0.85)
                self.assertEqual(rows[f"pollux_{load}_6{way}_p99"]["must"], 1)
            self.assertNotIn("must", rows[f"pollux_{load}_6_p50"])
            self.assertFalse([name for name in rows if "_events" in name and "must" in rows[name]])

    def test_the_mean_of_a_load_is_of_what_each_workload_takes_of_its_published_average(self):
        rows = self.pollux_rows()
        self.assertAlmostEqual(rows["pollux_1.0_mean"]["ours"], (100 + 200 + 300 + 600) / 4 / 240)
        self.assertAlmostEqual(rows["pollux_2.0_mean_alone"]["ratio"], 240 / 450)

    def test_sias_rows_are_means_in_hours_against_its_published_ones_or_else_tiresias(self):
        def report(workload, policy, *options):
            hours = workload * {"ds": 1, "ds_alone": 2, "tiresias": 4}[policy] * (0.5 if "--cluster" in options else 1)
            return {field: 3600 * hours for field in self.TIMES}

        rows = self.rows(sia.cases(report, {"philly": {"1": 1, "2": 2}, "newtrace": {"7": 7}}))
        self.assertEqual((rows["sia_philly"]["ours"], rows["sia_philly"]["peer"], rows["sia_philly"]["must"]), (1.5, 0.6, 1))
        self.assertEqual((rows["sia_philly_alone"]["ours"], rows["sia_philly_alone"]["must"]), (3, 1))
        self.assertEqual((rows["sia_philly_p99"]["peer"], rows["sia_newtrace_p99"]["peer"]), (9.5, 4.6))
        self.assertEqual((rows["sia_philly_p50"]["peer_name"], rows["sia_philly_p50"]["ratio"]), ("tiresias", 4))
        self.assertEqual((rows["sia_philly_2_p99"]["ours"], rows["sia_philly_2_p99"]["peer"]), (2, 9.5))
        self.assertEqual((rows["sia_philly_worst_ratio"]["ours"], rows["sia_philly_worst_ratio"]["peer"]), (7200, 28800))
        self.assertEqual((rows["sia_philly_one_kind"]["ours"], rows["sia_philly_one_kind_alone"]["ours"]), (0.75, 1.5))
        self.assertNotIn("must", rows["sia_philly_p99"])
        self.assertNotIn("must", rows["sia_philly_events"])


class Serving(unittest.TestCase):
    def test_a_burst_is_over_when_no_later_window_is_outside(self):
        windows = [[0, 9, 0, 90], [1, 9, 0, 5], [2, 9, 0, 90], [3, 9, 0, 5], [4, 9, 0, 90], [5, 9, 0, 5], [6, 9, 0, 5]]
        self.assertEqual(seconds_until_inside(windows, 2, 1, 50), 3)
        self.assertEqual(seconds_until_inside(windows[:2] + windows[5:], 2, 1, 50), 1)
        self.assertEqual(seconds_until_inside([*windows, [7, 9, 1, 5]], 2, 1, 50), 6)  # one was not answered

    def test_the_highest_rate_is_found_to_a_few_percent(self):
        self.assertAlmostEqual(highest_that(lambda rate: rate <= 437, 20, 1100) / 437, 1, delta=0.04)
        self.assertEqual(highest_that(lambda rate: False, 20, 1100), 0)
        self.assertEqual(highest_that(lambda rate: True, 1100, 1100), 0)


class LeavesNoProcess(unittest.TestCase):
    # A shell whose child has a process group of its own, as mpirun's have.
    NEST = ["bash", "-c", "set -m; sleep 600 & echo $!; wait"]

    def assert_gone(self, pid):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        return
            except OSError:
                return
            time.sleep(0.01)
        self.fail(f"process {pid} is left")

    def test_when_a_contender_fails(self):
        with self.assertRaisesRegex(Failure, "(?s)exit code 3.*out of luck"):
            with Processes() as processes:
                nest = processes.start(self.NEST)
                pid = int(nest.stdout.readline())
                processes.wait([nest, processes.start(["sh", "-c", "echo out of luck >&2; exit 3"])], 60)
        self.assert_gone(pid)

    def test_when_it_takes_too_long(self):
        with self.assertRaisesRegex(Failure, "still running after"):
            with Processes() as processes:
                nest = processes.start(self.NEST)
                pid = int(nest.stdout.readline())
                processes.wait([nest], 0.1)
        self.assert_gone(pid)

    def test_when_interrupted(self):
        program = ("from processes import Processes\n"
                   "with Processes() as processes:\n"
                   f"    nest = processes.start({self.NEST!r})\n"
                   "    print(nest.stdout.readline().decode().strip(), flush=True)\n"
                   "    processes.wait([nest], 600)\n")
        child = subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, cwd=os.path.dirname(__file__))
        pid = int(child.stdout.readline())
        child.send_signal(2)
        self.assertNotEqual(child.wait(60), 0)
        child.stdout.close()
        self.assert_gone(pid)

    def test_a_program_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(Failure, "cannot start /no/such/program"):
            with Processes() as processes:
                processes.run(["/no/such/program"], 10)


if __name__ == "__main__":
    unittest.main()
