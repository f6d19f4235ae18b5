"""Targets of the portal's speed, compared with the measurements."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import targets
from bench.figures import ByName, Ratio, ratio

# The number of connections for all targets.
CONNECTIONS = 8
OPERATIONS = ("billing", "dashboard", "tiny")
# The least ratio of the portal's requests a second to each peer's.
OVER = {
    targets.BY_HAND.name: (0.90, 0.95, 0.85),
    targets.MERCURIUS.name: (2.0, 2.5, 1.0),
    targets.POSTGRAPHILE.name: (2.5, 3.5, 2.0),
    targets.IDIOMATIC.name: (20.0, 30.0, 5.0),
}
# The most that the billing page in the smallest practice may be faster than in a larger one.
GROWS = 1.3


@dataclass(frozen=True)
class Kept:
    """A target and its outcome; None if it was not measured."""

    what: str
    operation: str
    promised: str
    measured: Ratio | None
    is_kept: bool | None


def kept(measured: Mapping[str, ByName], growth: ByName) -> Iterator[Kept]:
    """Yield all targets, by the servers' rounds of each operation, and by the practices' sizes."""
    for name, factors in OVER.items():
        for operation, least in zip(OPERATIONS, factors, strict=True):
            found = over(measured.get(operation, {}), name)
            is_kept = found.median >= least if found else None
            yield Kept(described(name), operation, f"≥ {least:g}", found, is_kept)
    found = slowest(growth)
    is_kept = found.median <= GROWS if found else None
    yield Kept("small practice / large one", "billing", f"≤ {GROWS:g}", found, is_kept)


def described(name: str) -> str:
    return "of the limit" if name == targets.BY_HAND.name else f"over {name}"


def over(servers: ByName, name: str) -> Ratio | None:
    portal, other = servers.get(targets.PORTAL.name), servers.get(name)
    return ratio(portal, other) if portal and other else None


def slowest(growth: ByName) -> Ratio | None:
    """Return the ratio of the first practice, which is the smallest, to the slowest other one."""
    first, *others = growth.values() or [[]]
    ratios = [found for other in others if (found := ratio(first, other))]
    return max(ratios, key=lambda found: found.median, default=None)
