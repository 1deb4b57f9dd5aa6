"""Actors of two processes: ours against CAF's BASP; what UCX itself does over the same lanes is the limit."""

import csv
import json
import socket
import time

from contest import Case, Contender
from processes import Failure, Processes

TARGETS = ("bench_actors_fabric", "bench_actors_basp")

# The settings of BASP that were best in at least one case: scheduler policy and helpers for deserialising.
BASP = {
    "BASP, default": ("stealing", 1),
    "BASP, sharing": ("sharing", 1),
    "BASP, sharing, no helpers": ("sharing", 0),
}
LANES = {"shared memory": "sm,self", "TCP": "tcp"}


def cases(programs, seconds):
    def contenders(what, size=0, *settings):
        ours = [programs / "bench_actors_fabric", *settings]
        yield Contender("ours", "ds", lambda: _actors(ours, what, size, seconds))
        for name, way in BASP.items():
            peer = [programs / "bench_actors_basp", *way]
            yield Contender("peer", name, lambda peer=peer: _actors(peer, what, size, seconds))

    def limits(measure):
        for lane, transports in LANES.items():
            for interface, prefix in (("active messages", "ucp_am"), ("tags", "tag")):
                yield Contender("limit", f"ucx_perftest, {interface}, {lane}",
                                lambda tls=transports, prefix=prefix: measure(tls, prefix, seconds))

    def buffer(name, mebibytes):
        size = mebibytes << 20
        rate = lambda *where: _ucx_gigabytes(*where, size)
        return Case(name, "GB/s", False, [*contenders("buffer", size), *limits(rate)], must=8)

    def fresh(name, mebibytes):
        return Case(name, "GB/s", False, [*contenders("fresh", mebibytes << 20)])

    # The 99th percentile of asks beside a stream of buffers, two in flight, to another actor of the process.
    def beside(name, *settings):
        return Case(name, "µs", True, [*contenders("beside", 16 << 20, *settings)])

    return [
        Case("ask_8", "µs", True, [*contenders("ask"), *limits(_ucx_round_trip)], must=10),
        Case("send_8", "messages/s", False, [*contenders("send")], must=5),
        buffer("buffer_1m", 1),
        buffer("buffer_16m", 16),
        fresh("buffer_1m_fresh", 1),
        fresh("buffer_16m_fresh", 16),
        beside("ask_8_beside_16m"),
        beside("ask_8_beside_16m_tcp", "network"),
    ]


def _actors(program, what, size, seconds):
    """One round: a server, a driver that measures, and both are gone afterwards."""
    with Processes() as processes:
        server = processes.start([*program, "serve"])
        address = server.stdout.readline().decode().strip()
        if not address:
            processes.wait([server], 5)
            raise Failure(f"{program[0]} serve: told no address")
        printed = processes.run([*program, "drive", what, seconds, size, address], 30 + 10 * seconds)
        server.stdin.close()
        processes.wait([server], 30)
        return json.loads(printed)["value"]


def _ucx_perftest(transports, test, size, iterations):
    """The last line of its CSV, as a dictionary."""
    environment = {"UCX_TLS": transports}
    with Processes() as processes:
        port = _free_port()
        server = processes.start(["ucx_perftest", "-p", port], environment)
        _wait_until_listening(server, port)
        printed = processes.run(
            ["ucx_perftest", "127.0.0.1", "-p", port, "-t", test, "-s", size, "-n", iterations,
             "-w", max(iterations // 10, 5), "-f", "-v"], 120, environment)
        processes.wait([server], 30)
        return list(csv.DictReader(printed.splitlines()))[-1]


def _ucx_round_trip(transports, prefix, seconds):
    """It reports half of a round trip."""
    row = _ucx_perftest(transports, f"{prefix}_lat", 8, int(20000 * seconds) + 100)
    return 2 * float(row["50.0_percentile_lat"])


def _ucx_gigabytes(transports, prefix, seconds, size):
    iterations = max(int(3e9 * seconds / size), 20)
    row = _ucx_perftest(transports, f"{prefix}_bw", size, iterations)
    return float(row["overall_mr"]) * size / 1e9


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_until_listening(server, port):
    wanted = f":{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with open("/proc/net/tcp", encoding="ascii") as sockets:
            if wanted in sockets.read():
                return
        time.sleep(0.01)
    raise Failure("ucx_perftest did not begin to listen")
