"""Served models: a cluster of ours behind its HTTP gateway, against libtorch alone and a bare HTTP server."""

import functools
import http.client
import os
import tempfile
import time
from pathlib import Path

import serving_cluster
from contest import Case, Contender, Measured
from processes import Failure, Processes
from serving_cluster import PATIENCE, RAW, Cluster, Model, Models, check_all_answered, direct
from suites import batching_grid, int8

TARGETS = (*serving_cluster.TARGETS, "bench_http_echo", *int8.TARGETS)

CONNECTIONS = 64
ECHO_THREADS = 2  # as the gateway has
ADDED_US = 300  # idle_latency at most
COLD_START_S = 1
BURST_S = 5
BURST_TIMES = 8
BURST_OF_CAPACITY = 1.25  # of what libtorch alone reaches on one core: two replicas are needed
BURST_P99_MS = 100
BURST_TARGET = 8  # requests at once of a replica: one is enough before the step
BURST_BEFORE_S, BURST_AFTER_S, BURST_WINDOW_S = 3, 12, 0.25

NOOP = Model("noop", "FP32", (1,))
SMALL = Model("small", "FP32", (64,))
TRANSFORMER = Model("transformer", "INT64", (32,))
IMAGES = Model("images", "FP32", (1, 28, 28))
LARGE = Model("large", "FP32", (1024,))


# ---- throughput ----------------------------------------------------------------------------------


def saturated(programs, models, seconds):
    with Cluster(programs, models) as cluster:
        cluster.serve_and_wait(TRANSFORMER, "batching: {max_size: 128}\n")
        report = cluster.load(TRANSFORMER, "--connections", 256, "--warm", 1, "--seconds", 2 * seconds)
        check_all_answered(report)
        return report["per_s"]


LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def wrk_per_s(processes, folder, url, seconds):
    script = Path(folder, "post.lua")
    script.write_text(LUA % NOOP.json_body().decode(), encoding="ascii")

    def run(duration):
        printed = processes.run(
            ["wrk", "-t", 1, "-c", CONNECTIONS, "-d", f"{duration}s", "-s", script, url], 120 + duration)
        lines = [line.split() for line in printed.splitlines()]
        if any(line[:1] in (["Non-2xx"], ["Socket"]) for line in lines):
            raise Failure(f"wrk at {url}:\n{printed}")
        return next(float(line[1]) for line in lines if line[:1] == ["Requests/sec:"])

    run(1)
    return run(max(1, round(2 * seconds)))


def noop_rps(programs, models, seconds):
    with Cluster(programs, models) as cluster, Processes() as processes:
        cluster.serve_and_wait(NOOP, "batching: {max_size: 128}\n")
        return wrk_per_s(processes, cluster.folder, f"http://{cluster.head}/v2/models/noop/infer", seconds)


def echo_rps(programs, seconds):
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        echo = processes.start([programs / "bench_http_echo", ECHO_THREADS])
        port = int(echo.stdout.readline())
        return wrk_per_s(processes, folder, f"http://127.0.0.1:{port}/", seconds)


# ---- times ---------------------------------------------------------------------------------------


def idle_latency(programs, models, seconds):
    alone_us = direct(programs, models, "call", SMALL, seconds)["p50_us"]
    with Cluster(programs, models) as cluster:
        cluster.serve_and_wait(SMALL)
        report = cluster.load(SMALL, "--connections", 1, "--warm", 0.5, "--seconds", seconds)
        check_all_answered(report)
    added_us = 1000 * report["p50_ms"] - alone_us
    return Measured(added_us, {"direct": alone_us / 1000, "over HTTP": report["p50_ms"]})


def cold_start(programs, models):
    with Cluster(programs, models) as cluster:
        job = cluster.serve(LARGE, "replicas: {min: 0, max: 1}\nautoscale: {to_zero_after: 3s}\n")

        def sleeps():
            status = cluster.get(f"/api/v1/jobs/{job}")
            return status["state"] == "RUNNING" and not status["workers"]

        cluster.wait(sleeps, "the first replica comes and goes")
        Path(models.folder, f"{LARGE.name}.pt").read_bytes()  # into the page cache
        connection = http.client.HTTPConnection(cluster.head, timeout=PATIENCE)
        connection.connect()
        start = time.monotonic()
        connection.request("POST", f"/v2/models/{LARGE.name}/infer", LARGE.raw_body(),
                           dict(header.split(": ") for header in RAW))
        answer = connection.getresponse()
        text = answer.read()
        took_s = time.monotonic() - start
        if answer.status != 200:
            raise Failure(f"the first request: {answer.status} {text[:200]!r}")
        connection.close()
        return took_s


def seconds_until_inside(windows, step_s, window_s, p99_ms):
    """From the step until all windows that follow are inside the objective; a window where all are."""
    outside = [from_s for from_s, _, failed, its_p99_ms in windows if failed or its_p99_ms > p99_ms]
    return max(window_s, max(outside, default=0) + window_s - step_s)


def burst(programs, models, seconds):
    capacity = direct(programs, models, "best", IMAGES, 0.2 * seconds)["per_s"]
    slots = max(2, os.cpu_count())
    with Cluster(programs, models, slots) as cluster:
        cluster.serve_and_wait(IMAGES, f"slo: {{p99: {BURST_P99_MS}ms}}\nreplicas: {{min: 1, max: {slots}}}\n"
                                       f"autoscale: {{target: {BURST_TARGET}}}\n")
        report = cluster.load(
            IMAGES, "--connections", 512, "--rate", capacity * BURST_OF_CAPACITY / BURST_TIMES, "--warm", 1, "--seconds",
            BURST_BEFORE_S + BURST_AFTER_S, "--step-at", BURST_BEFORE_S, "--step-times", BURST_TIMES, "--window",
            BURST_WINDOW_S)
    return seconds_until_inside(report["windows"], BURST_BEFORE_S, BURST_WINDOW_S, BURST_P99_MS)


# ---- all -----------------------------------------------------------------------------------------


def cases(programs, seconds):
    models = Models()

    def wanted(name, unit, bar, measure):
        return Case(name, unit, True, [
            Contender("ours", "ds", measure), Contender("peer", "wanted", lambda: bar)], must=1)

    return [
        Case("saturated", "requests/s", False, [
            Contender("ours", "ds", lambda: saturated(programs, models, seconds)),
            Contender("peer", "libtorch, best batch",
                      lambda: direct(programs, models, "best", TRANSFORMER, 0.3 * seconds)["per_s"])], must=0.85),
        wanted("idle_latency", "µs", ADDED_US, lambda: idle_latency(programs, models, seconds)),
        Case("noop_rps", "requests/s", False, [
            Contender("ours", "ds", lambda: noop_rps(programs, models, seconds)),
            Contender("peer", "Beast echo", lambda: echo_rps(programs, seconds))], must=0.5),
        wanted("burst", "s", BURST_S, lambda: burst(programs, models, seconds)),
        wanted("cold_start", "s", COLD_START_S, lambda: cold_start(programs, models)),
        *batching_grid.cases(functools.partial(Cluster, programs, models),
                             functools.partial(direct, programs, models, "best"), seconds),
        *(int8.case(programs, seconds, name) for name in int8.CASES),
    ]
