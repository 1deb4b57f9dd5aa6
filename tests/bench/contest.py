"""A case is raced by contenders in alternation; its row holds the medians and who won."""

import statistics
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Measured:
    """A round's value, and where the time of a step went: milliseconds by phase."""

    value: float
    phases: dict


@dataclass
class Contender:
    """Somebody who takes part: ours, a peer in one of its settings, or a limit that nobody can beat."""

    role: str  # "ours", "peer" or "limit"
    name: str
    measure: Callable[[], "float | Measured"]  # one round

    @property
    def family(self):
        """Who it is, in whatever setting."""
        return self.name.partition(",")[0]


@dataclass
class Case:
    name: str
    unit: str
    less_is_better: bool
    contenders: list
    must: float = 0  # the ratio to the best peer that the project wants at least; 0: none
    must_against: dict = field(default_factory=dict)  # the same for a peer's name or family


@dataclass
class Results:
    """One value a round of every contender."""

    case: Case
    values: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)  # a list of every round's, of those contenders that tell

    def add(self, who, measured):
        if isinstance(measured, Measured):
            self.phases.setdefault(who, []).append(measured.phases)
            measured = measured.value
        self.values[who].append(measured)

    def best(self, role, who=None):
        """Name and median of the best contender of a role, and of that name or family; None without any."""
        medians = {
            contender.name: statistics.median(self.values[contender.name])
            for contender in self.case.contenders
            if contender.role == role and who in (None, contender.name, contender.family)
        }
        if not medians:
            return None
        name = (min if self.case.less_is_better else max)(medians, key=medians.get)
        return name, medians[name]

    def row(self, suite):
        """What is printed of a case. Ratios above 1 mean that ours is better."""
        name, ours = self.best("ours")
        peer_name, peer = self.best("peer")
        row = {
            "suite": suite, "case": self.case.name, "ours": ours, "ours_name": name, "peer": peer,
            "peer_name": peer_name, "unit": self.case.unit, "ratio": self._better_by(ours, peer),
        }
        if self.case.must:
            row["must"] = self.case.must
        families = {contender.family for contender in self.case.contenders if contender.role == "peer"}
        shown = sorted(families | set(self.case.must_against))
        row["against"] = {who: self._better_by(ours, self.best("peer", who)[1]) for who in shown}
        if self.case.must_against:
            row["must_against"] = self.case.must_against
        limit = self.best("limit")
        if limit:
            row.update(limit=limit[1], limit_name=limit[0], ours_of_limit=self._better_by(ours, limit[1]))
        if name in self.phases:
            row["phases"] = {
                phase: statistics.median(each[phase] for each in self.phases[name]) for phase in self.phases[name][0]}
        row["rounds"] = self.values
        return row

    def _better_by(self, ours, other):
        return other / ours if self.case.less_is_better else ours / other


def race(case, rounds, tell=lambda text: None):
    """Lets every contender run once a round, one after the other, so that a busy moment hits all alike."""
    results = Results(case, {contender.name: [] for contender in case.contenders})
    for number in range(1, rounds + 1):
        for contender in case.contenders:
            tell(f"{case.name}, round {number} of {rounds}: {contender.name}")
            results.add(contender.name, contender.measure())
    return results
