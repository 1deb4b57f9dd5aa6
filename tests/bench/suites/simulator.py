"""ds-sim, the traces that it runs, and the ways in which `ds` takes part."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

TRACES = Path(__file__).resolve().parents[4] / "shared" / "traces"
PERCENTILES = ("p50", "p90", "p99")


@dataclass(frozen=True)
class Way:
    """In which ours takes part."""

    suffix: str  # of the names of its cases
    name: str
    policy: str
    options: tuple = ()
    has_bar: bool = True  # bars are for the rounds of the papers


DS = Way("", "ds", "ds")
ALONE = Way("_alone", "ds_alone", "ds_alone")  # a job's own past only
EVENTS = Way("_events", "ds, events", "ds", ("--events",), False)
WAYS = (DS, ALONE, EVENTS)


def against(name, unit, way, measure, peer_name, measure_peer, must=0):
    """A case in which less is better; what is wanted counts where the way has a bar."""
    return Case(name, unit, True, [Contender("ours", way.name, measure), Contender("peer", peer_name, measure_peer)],
                must=must if way.has_bar else 0)


def read_rows(path):
    try:
        with open(path, encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise Failure(f"the traces are needed: {error}") from error


def ds_sim(programs, *arguments):
    with Processes() as processes:
        return json.loads(processes.run([programs / "ds-sim", *arguments, "--json"], 600))
