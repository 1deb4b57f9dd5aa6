"""All-reduce of float32 sums among processes of this host: ours against Open MPI and Gloo."""

import shutil
import statistics
import tempfile
from pathlib import Path

from contest import Case, Contender
from processes import Processes

TARGETS = ("bench_all_reduce_ds", "bench_all_reduce_mpi", "bench_all_reduce_gloo", "bench_all_reduce_direct")

# name: processes, bytes, and the ratios that are wanted at least: to the best peer and to one of them
CASES = {
    "allreduce_2p_4k": (2, 4 << 10, 0, {"Gloo": 50, "Open MPI, yielding": 0.67}),
    "allreduce_2p_64k": (2, 64 << 10, 0, {"Open MPI, yielding": 0.67}),
    "allreduce_2p_4m": (2, 4 << 20, 4, {}),
    "allreduce_2p_64m": (2, 64 << 20, 4, {}),
    "allreduce_4p_4m": (4, 4 << 20, 2, {}),
    "allreduce_4p_64m": (4, 64 << 20, 2, {}),
}


def cases(programs, seconds):
    def case(name, ranks, size, must, must_against):
        def each(*program):
            """One process a rank."""
            return lambda folder: [[*program, rank, ranks, size // 4, seconds, folder] for rank in range(ranks)]

        def mpi(idle):
            return lambda folder: [[
                "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", ranks, "--mca", "mpi_yield_when_idle", idle,
                programs / "bench_all_reduce_mpi", 0, ranks, size // 4, seconds, folder]]

        def direct(folder):
            return [[programs / "bench_all_reduce_direct", 0, ranks, size // 4, seconds, folder]]

        def contender(role, called, commands):
            return Contender(role, called, lambda: race(ranks, commands, seconds))

        ours = programs / "bench_all_reduce_ds"
        gloo = programs / "bench_all_reduce_gloo"
        contenders = [
            contender("ours", "ds, shared memory", each(ours, "shared")),
            contender("ours", "ds, ordinary vectors", each(ours, "ordinary")),
            contender("peer", "Open MPI", mpi(0)),
            contender("peer", "Open MPI, yielding", mpi(1)),
            contender("peer", "Gloo, ring", each(gloo, "ring")),
            contender("peer", "Gloo, halving-doubling", each(gloo, "halving-doubling")),
        ]
        if ranks == 2 and size >= 4 << 20:  # below, its barrier counts and it is no limit
            contenders.append(contender("limit", "plain loop over shared memory", direct))
        return Case(name, "µs", True, contenders, must, must_against)

    return [case(name, *what) for name, what in CASES.items()]


def race(ranks, commands, seconds):
    """The median over blocks of the slowest rank's time an operation."""
    folder = tempfile.mkdtemp(prefix="ds-bench-")
    try:
        with Processes() as processes:
            processes.wait([processes.start(command) for command in commands(folder)], 120 + 10 * seconds)
        times = [
            [float(line) for line in Path(folder, f"times.{rank}").read_text(encoding="ascii").split()]
            for rank in range(ranks)
        ]
        return statistics.median(max(block) for block in zip(*times, strict=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
