"""The real head with nodes that only pretend to run programs: how much it starts, holds, and whether ds-sim is right about it."""

import csv
import datetime
import functools
import http.client
import json
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

TARGETS = ("ds-head", "ds-node", "bench_submit_load")

NODES = 5000
JOBS = 50_000
CONNECTIONS = 64
PLACEMENTS_PER_S = 2000
QUEUED = 1_000_000
QUEUED_GIB = 4
ANSWER_MS = 50
PROBES = 500
PATIENCE = 1800
# The part of Philly's list that is played, on so many nodes and slots, and how much faster than it was.
REPLAY_FROM = datetime.datetime(2017, 10, 12, 8)
REPLAY_HOURS = 8
REPLAY_DURATION_S = (60, 10_800)
REPLAY_NODES, REPLAY_SLOTS = 24, 8
REPLAY_SPEED = 300
REPLAY_ROUND_S = 5  # between two plans of the simulator
REPLAY_APART = 0.01


def job_body(folder, **more):
    text = json.dumps({"kind": "command", "run": ["true"], "resources": {"memory": "1Mi"}, **more})
    return json.dumps({"file": "job.json", "directory": folder, "text": text})


class Cluster:
    """A head, its journal in a folder of its own, and one process that is all nodes."""

    def __init__(self, programs, processes, nodes, slots, speed=1):
        self._temporary = tempfile.TemporaryDirectory(prefix="bench-live-")
        self.folder = self._temporary.name
        self._programs, self._processes = programs, processes
        self._listen = "127.0.0.1:0"
        self.start_head()
        processes.start([programs / "ds-node", "--head", self._listen, "--secret-file", f"{self.folder}/head/cluster.secret",
                         "--name", "many", "--slots", slots, "--pretend", nodes, "--pretend-speed", speed],
                        {"DS_LOG_LEVEL": "warn"})
        self.wait(lambda: len(self.get("nodes")) == nodes, 120)

    def close(self):
        self._temporary.cleanup()

    def start_head(self):
        address = Path(self.folder, "head", "address")
        address.unlink(missing_ok=True)
        self.head = self._processes.start(
            [self._programs / "ds-head", "--data-dir", f"{self.folder}/head", "--listen", self._listen],
            {"DS_LOG_LEVEL": "warn"})
        self.wait(address.exists, PATIENCE)
        self._listen = address.read_text(encoding="utf-8").strip()
        self._connection = http.client.HTTPConnection(self._listen, timeout=PATIENCE)

    def kill_head(self):
        os.kill(self.head.pid, signal.SIGKILL)
        self.head.wait()

    def wait(self, condition, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not condition():
            if self.head.poll() is not None:
                raise Failure("ds-head has ended")
            if time.monotonic() > deadline:
                raise Failure(f"the cluster is not where it should be after {seconds} s")
            time.sleep(0.05)

    def _ask(self, method, path, body=None):
        self._connection.request(method, f"/api/v1/{path}", body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text)

    def get(self, path):
        return self._ask("GET", path)

    def submit(self, body):
        return self._ask("POST", "jobs", body)["id"]

    def submit_many(self, body, jobs):
        self._connection.close()  # the head would, meanwhile: it is opened again when it is needed
        path = Path(self.folder, "body.json")
        path.write_text(body, encoding="utf-8")
        return json.loads(self._processes.run(
            [self._programs / "bench_submit_load", self._listen, path, jobs, CONNECTIONS], PATIENCE))

    def is_idle(self):
        queue = self.get("tenants")[0]
        return queue["running"] + queue["waiting"] == 0

    def ended_jobs(self):
        jobs, after = [], ""
        while after is not None:  # they come in pages
            self._connection.request("GET", f"/api/v1/jobs?after={after}")
            answer = self._connection.getresponse()
            jobs += json.loads(answer.read())
            after = answer.getheader("DS-Next")
        wrong = [job for job in jobs if job["state"] != "SUCCEEDED"]
        if wrong:
            raise Failure(f"{len(wrong)} jobs did not succeed, job {wrong[0]['id']} for one: {wrong[0]['reason']}")
        return jobs

    def resident_gib(self):
        for line in Path(f"/proc/{self.head.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
        raise Failure("the head's memory is not known")


def placements_per_s(programs):
    with Processes() as processes:
        cluster = Cluster(programs, processes, NODES, 1)
        try:
            start = time.monotonic()
            cluster.submit_many(job_body(cluster.folder, name="true"), JOBS)
            cluster.wait(cluster.is_idle)
            seconds = time.monotonic() - start
            if len(cluster.ended_jobs()) != JOBS:
                raise Failure("jobs were lost")
            return JOBS / seconds
        finally:
            cluster.close()


def p99(values):
    return statistics.quantiles(values, n=100)[98]


def timed_ms(action):
    start = time.monotonic()
    result = action()
    return 1000 * (time.monotonic() - start), result


@functools.cache
def queued(programs):
    """A million jobs wait for one slot, which another has for good."""
    with Processes() as processes:
        cluster = Cluster(programs, processes, 1, 1)
        try:
            cluster.submit(job_body(cluster.folder, name="first", env={"DS_PRETEND_SECONDS": "1e8"}))
            load = cluster.submit_many(job_body(cluster.folder, name="waits"), QUEUED)
            submits, whys = [], []
            for _ in range(PROBES):
                ms, last = timed_ms(lambda: cluster.submit(job_body(cluster.folder, name="probe")))
                submits.append(ms)
                whys.append(timed_ms(lambda: cluster.get(f"jobs/{last}/why"))[0])
            gib = cluster.resident_gib()
            cluster.kill_head()
            start = time.monotonic()
            cluster.start_head()
            if cluster.get(f"jobs/{last}")["state"] != "QUEUED":
                raise Failure("the new head does not know the last job")
            return {"gib": gib, "submit": p99(submits), "why": p99(whys), "longest_submit": load["max_ms"] / 1000,
                    "restart": time.monotonic() - start}
        finally:
            cluster.close()


def replayed_rows(trace):
    rows = []
    try:
        with open(trace, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                at_s = (datetime.datetime.fromisoformat(row["timestamp"]) - REPLAY_FROM).total_seconds()
                shortest, longest = REPLAY_DURATION_S
                if 0 <= at_s < 3600 * REPLAY_HOURS and shortest <= float(row["duration"]) <= longest:
                    rows.append((at_s, row))
    except OSError as error:
        raise Failure(f"the traces are needed: {error}") from error
    first_s = rows[0][0]
    return [(at_s - first_s, row) for at_s, row in rows]


def figures_of(times_s, makespan_s, gpu_hours):
    """Under the names of `ds-sim --json`."""
    parts = statistics.quantiles(times_s, n=100, method="inclusive")  # as ds-sim and NumPy have them
    return {"average_jct_s": statistics.fmean(times_s), "p50_jct_s": parts[49], "p90_jct_s": parts[89], "p99_jct_s": parts[98],
            "makespan_s": makespan_s, "gpu_hours": gpu_hours}


def simulated_figures(programs, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file, Processes() as processes:
        writer = csv.DictWriter(file, list(rows[0][1]))
        writer.writeheader()
        writer.writerows(row for _, row in rows)
        file.flush()
        return json.loads(processes.run(
            [programs / "ds-sim", "--family", "philly", "--workload", file.name, "--policy", "live", "--cluster",
             f"{REPLAY_NODES}x{REPLAY_SLOTS}", "--round", REPLAY_ROUND_S, "--restart", 0, "--json"], 600))


def live_figures(programs, rows):
    """From when a job should be submitted to its end, in seconds of the trace; and slots from each start to its end."""
    with Processes() as processes:
        cluster = Cluster(programs, processes, REPLAY_NODES, REPLAY_SLOTS, REPLAY_SPEED)
        try:
            start = time.time() + 0.5
            at_s = {}
            for trace_s, row in rows:
                time.sleep(max(0, start + trace_s / REPLAY_SPEED - time.time()))
                at_s[cluster.submit(job_body(cluster.folder, name="job", workers=int(row["num_gpus"]),
                                             env={"DS_PRETEND_SECONDS": row["duration"]}))] = trace_s
            cluster.wait(cluster.is_idle)
            jobs = cluster.ended_jobs()
            ends_s = [(job["ended_ms"] / 1000 - start) * REPLAY_SPEED for job in jobs]
            held_s = sum(job["workers_max"] * (job["ended_ms"] - job["started_ms"]) / 1000 * REPLAY_SPEED for job in jobs)
            return figures_of([end - at_s[job["id"]] for end, job in zip(ends_s, jobs)], max(ends_s), held_s / 3600)
        finally:
            cluster.close()


def replay_cases(programs, trace):
    simulated = functools.cache(lambda: simulated_figures(programs, replayed_rows(trace)))
    live = functools.cache(lambda: live_figures(programs, replayed_rows(trace)))

    def compared(name, field, unit):
        def measure():
            ours, theirs = live()[field], simulated()[field]
            if abs(ours / theirs - 1) > REPLAY_APART:
                raise Failure(f"{field} is {ours:.4g} {unit} live and {theirs:.4g} {unit} simulated: "
                              f"more than {REPLAY_APART:.0%} apart")
            return ours

        return Case(name, unit, True, [
            Contender("ours", "live", measure), Contender("peer", "ds-sim", lambda: simulated()[field])])

    return [compared("live_replay", "average_jct_s", "s"),
            *(compared(f"live_replay_{part}", f"{part}_jct_s", "s") for part in ("p50", "p90", "p99")),
            compared("live_replay_makespan", "makespan_s", "s"), compared("live_replay_gpu_hours", "gpu_hours", "h")]


def cases(programs, trace):
    def wanted(name, unit, less_is_better, measure, bar):
        return Case(name, unit, less_is_better, [
            Contender("ours", "ds-head", measure), Contender("peer", "wanted", lambda: bar)], must=1)

    def of_queued(name, unit, bar):
        return wanted(f"million_queued_{name}" if name != "gib" else "million_queued", unit, True,
                      lambda: queued(programs)[name], bar)

    return [wanted("live_head", "jobs/s", False, lambda: placements_per_s(programs), PLACEMENTS_PER_S),
            of_queued("gib", "GiB", QUEUED_GIB), of_queued("submit", "ms", ANSWER_MS), of_queued("why", "ms", ANSWER_MS),
            of_queued("longest_submit", "s", 10), of_queued("restart", "s", 60), *replay_cases(programs, trace)]
