"""Push and pull of parameters: ours, two workers and a server, against Gloo's reduce and broadcast of the same bytes."""

from contest import Case, Contender
from suites.allreduce import race

BYTES = 100_000_000


def case(programs, seconds):
    def contender(role, called, program, timed):
        def commands(folder):
            return [[programs / program, rank, 3, BYTES // 4, seconds, folder] for rank in range(3)]
        return Contender(role, called, lambda: race(timed, commands, seconds))

    # With Gloo the root is one of three that have a vector; with ours the server has none and takes no times.
    return Case("ps_push_pull", "µs", True, [
        contender("ours", "ds", "bench_servers_ds", 2),
        contender("peer", "Gloo, reduce and broadcast", "bench_servers_gloo", 3),
    ], 2)
