"""Figures of rounds of requests: medians, percentiles and ratios."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

PERCENT = 100


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU of a server and its database; NaN if unknown."""

    server: float
    database: float

    def __sub__(self, before: "Cpu") -> "Cpu":
        return Cpu(self.server - before.server, self.database - before.database)


UNKNOWN = Cpu(math.nan, math.nan)


@dataclass(frozen=True)
class Round:
    """The number of responses in a round, its seconds, and the requests' times.

    `worked_on`: responses, and requests under way when the round ended. The server worked on all of
    them, so they share its CPU. `by_wrk`: wrk sent the requests.
    """

    answers: int
    lasted: float
    p50: float
    p99: float
    worked_on: int
    cpu: Cpu = UNKNOWN
    by_wrk: bool = False

    @property
    def rate(self) -> float:
        return self.answers / self.lasted


Rounds = Sequence[Round]


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, with the lowest and the highest."""

    median: float
    lowest: float
    highest: float


def ratio(ours: Rounds, theirs: Rounds) -> Ratio | None:
    """Return our requests a second over theirs, in consecutive rounds."""
    pairs = zip(ours, theirs, strict=False)
    each = [our.rate / their.rate for our, their in pairs if their.answers]
    return Ratio(median(each), min(each), max(each)) if each else None


def rate(rounds: Rounds) -> float:
    return median(each.rate for each in rounds)


def p50(rounds: Rounds) -> float:
    return median(each.p50 for each in rounds)


def p99(rounds: Rounds) -> float:
    return median(each.p99 for each in rounds)


def cpu(rounds: Rounds) -> Cpu:
    """Return the CPU seconds of a request."""
    requests = sum(each.worked_on for each in rounds) or math.nan
    server = sum(each.cpu.server for each in rounds)
    database = sum(each.cpu.database for each in rounds)
    return Cpu(server / requests, database / requests)


def percentile(took: Sequence[float], share: int) -> float:
    """Return the time within which this percentage of requests was answered; NaN
    without requests.
    """
    if not took:
        return math.nan
    place = math.ceil(len(took) * share / PERCENT)
    return sorted(took)[max(place, 1) - 1]


def relative_slope(values: Sequence[float]) -> float:
    """Return the growth of a line fitted to values at equal intervals, as a share of their mean:
    0.02 for two percent.
    """
    count, mean = len(values), sum(values) / len(values)
    middle = (count - 1) / 2
    spread = sum((at - middle) ** 2 for at in range(count)) or 1
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread
    return slope * (count - 1) / mean


# The rounds of each server, by name.
ByName = Mapping[str, Rounds]
