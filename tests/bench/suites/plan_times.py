"""How long the live scheduler's plans take. There is no peer with published figures of this kind: what is wanted stands for one."""

import json

from contest import Case, Contender
from processes import Processes

TARGETS = ("bench_plan_times",)

# GPUs, jobs, the figure of a whole plan, and what it may take at most, in milliseconds
SIZES = ((64, 160, "plan_p50", 5), (2048, 5120, "plan_p99", 500), (16384, 40000, "plan_p99", 5000))
EVENT_MS = 10
WHAT_IF_MS = 50  # it keeps the head from other things for so long


def cases(programs, seconds):
    def measure(gpus, jobs, field):
        with Processes() as processes:
            times = processes.run([programs / "bench_plan_times", str(gpus), str(jobs), str(seconds)], 600)
        return json.loads(times)[field]

    def case(name, gpus, jobs, field, most):
        return Case(name, "ms", True, [
            Contender("ours", field, lambda: measure(gpus, jobs, field)),
            Contender("peer", "wanted", lambda: most)], must=1)

    return [row for gpus, jobs, field, most in SIZES for row in (
        case(f"plan_{gpus}", gpus, jobs, field, most),
        case(f"event_{gpus}", gpus, jobs, "event_p99", EVENT_MS),
        case(f"node_lost_{gpus}", gpus, jobs, "node_lost_p99", EVENT_MS),
        case(f"node_back_{gpus}", gpus, jobs, "node_back_p99", EVENT_MS),
        case(f"node_drained_{gpus}", gpus, jobs, "node_drained_p99", EVENT_MS),
        case(f"what_if_{gpus}", gpus, jobs, "what_if_p99", WHAT_IF_MS))]
