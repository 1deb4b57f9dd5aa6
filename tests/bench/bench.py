"""Builds a suite's programs, races its cases and prints what came out. Started by tests/bench/run."""

import argparse
import fnmatch
import signal
import subprocess
import sys
from pathlib import Path

import contest
import suites.allreduce
import suites.data
import suites.fabric
import suites.int8
import suites.schedule
import suites.serve
import suites.slurm
import suites.train
import table
from processes import Failure, Processes

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
SUITES = {
    "fabric": suites.fabric, "allreduce": suites.allreduce, "train": suites.train, "data": suites.data,
    "schedule": suites.schedule, "slurm": suites.slurm, "serve": suites.serve, "int8": suites.int8,
}


def build(targets):
    """With the release preset's flags, in a folder of its own."""
    jobs = subprocess.run([ROOT / "deploy" / "build_jobs"], check=True, capture_output=True, text=True).stdout.strip()
    log = BUILD / "bench.log"
    BUILD.mkdir(parents=True, exist_ok=True)
    for words in (
            ("cmake", "--preset", "release", "-S", ROOT, "-B", BUILD, "-DDS_BUILD_TESTS=ON"),
            ("cmake", "--build", BUILD, "--parallel", jobs, "--target", *targets)):
        with Processes() as processes:
            child = processes.start(["sh", "-c", 'cd "$1" && log=$2 && shift 2 && exec "$@" >"$log" 2>&1', "sh", ROOT,
                                     log, *words])
            if child.wait() != 0:
                end = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
                raise Failure(f"the build failed; all of it is in {log}\n  {end}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measures ours against its peers.")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--json", action="store_true", help="an object a line instead of a table")
    parser.add_argument("--only", action="append", metavar="CASE", help="only this case, or those like 'pollux_1.0_*'; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each measures in a round (1)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 0.01 <= arguments.seconds <= 60:
        parser.error("at least one round, and 0.01 to 60 seconds")
    return arguments


def choose(cases, only):
    """Those that a pattern of `only` names, or all where it has none."""
    names = [case.name for case in cases]
    unknown = [pattern for pattern in only if not fnmatch.filter(names, pattern)]
    if unknown:
        raise Failure(f"no case {', '.join(unknown)}; there are {', '.join(names)}")
    return [case for case in cases if not only or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in only)]


def measure(arguments):
    suite = SUITES[arguments.suite]
    tell = (lambda text: print(f"\r\033[K{text} ", end="", file=sys.stderr, flush=True)) if sys.stderr.isatty() else (
        lambda text: None)
    cases = choose(suite.cases(BUILD / "bin", arguments.seconds), arguments.only or ())
    tell("building")
    build(suite.TARGETS)
    rows = []
    try:
        for case in cases:
            row = contest.race(case, arguments.rounds, tell).row(arguments.suite)
            tell("")
            if arguments.json:
                print(table.to_json(row), flush=True)
            rows.append(row)
    finally:  # a case that fails takes nobody's figures with it
        if rows and not arguments.json:
            print(table.to_table(rows))


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    try:
        measure(arguments)
    except Failure as failure:
        print(f"tests/bench/run: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntests/bench/run: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
