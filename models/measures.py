"""Counts and durations of this process, for a monitor: plain numbers that cost next to nothing.

`server/metrics/` reads them. Labels are values of this project's own, never a request's text, so
their number is bounded.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

Labels = tuple[str, ...]
# The upper limits of the buckets of durations, in seconds.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Measure:
    """The name of a measure, its description, and the names of its labels."""

    name: str
    description: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class CountMeasure(Measure):
    """The number of events, by their labels."""

    values: Counter[Labels] = field(default_factory=Counter)

    def add(self, *labels: str) -> None:
        self.values[labels] += 1


@dataclass(frozen=True)
class DurationMeasure(Measure):
    """The durations of events, by their labels: a number for each bucket, and the sum."""

    buckets: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, seconds: float, *labels: str) -> None:
        counts = self.buckets.get(labels)
        if counts is None:
            counts = self.buckets[labels] = [0] * (len(BUCKETS_S) + 1)
        counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sums[labels] = self.sums.get(labels, 0.0) + seconds


STATEMENT_SECONDS = DurationMeasure(
    "portal_statement_seconds",
    "Duration of planned reads in the database, without waiting for a connection.",
    ("lane",),
)
CACHE_LOOKUPS = CountMeasure(
    "portal_cache_lookups",
    "Look-ups in the caches of plans, of prepared requests and of answers.",
    ("cache", "result"),
)
MUTATIONS = CountMeasure(
    "portal_mutations",
    "Fields of mutations that were run, by the type of their result.",
    ("field", "result"),
)
REPLICA_READS = CountMeasure(
    "portal_replica_reads",
    "Reads of dashboards with a replica, by the server that answered, and why it was the primary.",
    ("server", "reason"),
)
REPLICA_LAG = DurationMeasure(
    "portal_replica_lag_seconds", "Age of the newest commit that the replica has, each second.", ()
)
REQUEST_SECONDS = DurationMeasure(
    "portal_request_seconds", "Duration of requests until their response.", ("route", "outcome")
)
MEASURES: tuple[CountMeasure | DurationMeasure, ...] = (
    STATEMENT_SECONDS,
    CACHE_LOOKUPS,
    MUTATIONS,
    REPLICA_READS,
    REPLICA_LAG,
    REQUEST_SECONDS,
)
