"""Data sets to batches: ours against PyTorch's DataLoader, whose best number of workers counts."""

import atexit
import json
import shutil
import tempfile
from pathlib import Path

from contest import Case, Contender
from processes import Processes

TARGETS = ("bench_data_loading",)

PYTHON = "/usr/bin/python3"  # the one that Debian's python3-torch is for
HERE = Path(__file__).resolve().parents[1]
WORKERS = (0, 1, 2)

# name: threads of ours (0: the loop's own), and the ratio that is wanted at least
CASES = {
    "data_csv": ((0,), 10),  # rows a second of one core
    "data_mnist_augment": ((0, 2), 10),
    "data_jpeg": ((0, 2), 2),
}


def cases(programs, seconds):
    folders = []

    def folder():
        """Made once, when it is needed first."""
        if not folders:
            folders.append(tempfile.mkdtemp(prefix="ds-bench-data-"))
            atexit.register(shutil.rmtree, folders[0], ignore_errors=True)
            with Processes() as processes:
                processes.run([PYTHON, "-B", HERE / "data_files.py", folders[0]], 300)
        return folders[0]

    def measure(name, program, threads):
        place = folder()
        with Processes() as processes:
            return json.loads(processes.run([*program, name, place, seconds, threads], 120 + 10 * seconds))["value"]

    def contender(role, called, name, program, threads):
        return Contender(role, called, lambda: measure(name, program, threads))

    def case(name, ours, must):
        contenders = [contender("ours", f"ds, {threads} threads", name, [programs / "bench_data_loading"], threads)
                      for threads in ours]
        contenders += [contender("peer", f"DataLoader, {workers} workers", name,
                                 [PYTHON, "-B", HERE / "data_peer.py"], workers) for workers in WORKERS]
        return Case(name, "samples/s", False, contenders, must=must)

    return [case(name, ours, must) for name, (ours, must) in CASES.items()]
