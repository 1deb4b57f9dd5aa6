"""Adaptive batching against the best of a grid of fixed sizes and delays: the rate held within an objective."""

import dataclasses
import math

from contest import Case, Contender
from serving_cluster import Model

# Cheap by the batch; hardly cheaper; in between.
MODELS = (Model("dense", "FP32", (256,)), Model("images", "FP32", (1, 28, 28)), Model("recurrent", "INT64", (32,)))
P99_MS = (25, 100)
SIZES = (1, 8, 32, 128)
DELAYS_MS = (0, 2, 10)
MUST = 0.9
# The rate is looked for between these parts of what libtorch alone reaches, by so many halvings: to 3 %.
LEAST, MOST, HALVINGS = 0.02, 2.0, 7
TRIES = 2  # of a rate: a busy moment of the machine is not the batching's fault


@dataclasses.dataclass(frozen=True)
class Batching:
    size: int
    delay_ms: int

    def keys(self):
        return f"batching: {{mode: fixed, max_size: {self.size}, max_delay: {self.delay_ms}ms}}\n"

    def __str__(self):
        return f"{self.size} rows, {self.delay_ms} ms"


GRID = [Batching(size, delay_ms) for size in SIZES for delay_ms in (DELAYS_MS if size > 1 else DELAYS_MS[:1])]


def highest_that(holds, low, high):
    """The highest rate between these, to a 128th of their ratio's logarithm; 0: not even the lowest."""
    if low >= high or not holds(low):
        return 0
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


class Setting:
    """One model and objective."""

    def __init__(self, make_cluster, best_alone, model, p99_ms, seconds):
        self.name = f"{model.name}_{p99_ms}ms"
        self._make_cluster, self._best_alone, self._seconds = make_cluster, best_alone, seconds
        self._model, self._p99_ms = model, p99_ms
        self._alone = None
        self._winner = None
        self._known = []  # (ours, peer) of rounds that the worst setting was looked for in

    def adaptive(self):
        return self._held(f"slo: {{p99: {self._p99_ms}ms}}\nbatching: {{max_size: {SIZES[-1]}}}\n")

    def best_fixed(self):
        if self._winner is None:
            self._winner = self._search_grid()
        return self._held(self._winner.keys())

    def ratio(self):
        peer, ours = self.best_fixed(), self.adaptive()
        self._known.append((ours, peer))
        return ours / peer if peer else 1

    def contenders(self):
        """Those of a case of its own; no round is run a second time."""
        ours, peer = iter(self._known), iter(self._known)
        return [Contender("ours", "ds, adaptive", lambda: next(ours)[0] if self._known else self.adaptive()),
                Contender("peer", "best of the grid", lambda: next(peer)[1] if self._known else self.best_fixed())]

    def _search_grid(self):
        """A setting that does not hold a little more than the best so far is out after one look."""
        best, winner = 0, GRID[0]
        for batching in GRID:
            rate = self._held(batching.keys(), floor=1.03 * best)
            if rate > best:
                best, winner = rate, batching
        return winner

    def _held(self, keys, floor=0):
        """The highest rate at which 99 % of the requests take no longer than the objective; 0: less than `floor`."""
        if self._alone is None:
            self._alone = self._best_alone(self._model, 0.2 * self._seconds)["per_s"]
        with self._make_cluster() as cluster:
            cluster.serve_and_wait(self._model, keys)

            def holds(rate):
                for attempt in range(TRIES):
                    report = cluster.load(
                        self._model, "--connections", 256, "--rate", rate, "--warm", 0.3 * self._seconds, "--seconds",
                        self._seconds, "--seed", attempt + 1)
                    if report["ok"] == report["requests"] > 0 and report["p99_ms"] <= self._p99_ms:
                        return True
                return False

            return highest_that(holds, max(floor, LEAST * self._alone), MOST * self._alone)


def cases(make_cluster, best_alone, seconds):
    """A case for each setting, and one for the worst of them, which runs them all."""
    settings = [Setting(make_cluster, best_alone, model, p99_ms, seconds) for model in MODELS for p99_ms in P99_MS]

    return [
        Case("adaptive_vs_grid", "of the grid's best", False, [
            Contender("ours", "ds, worst setting", lambda: min(setting.ratio() for setting in settings)),
            Contender("peer", "best of the grid", lambda: 1)], must=MUST),
        *(Case(f"adaptive_vs_grid_{setting.name}", "requests/s", False, setting.contenders(), must=MUST)
          for setting in settings),
    ]
