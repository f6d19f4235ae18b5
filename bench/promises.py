"""What is promised of the portal, beside what was measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import targets
from bench.figures import ByName, Ratio, ratio

# Connections of all that is promised.
CONNECTIONS = 8
OPERATIONS = ("billing", "dashboard", "tiny")
# The portal's requests a second over those of each, at least.
OVER = {
    targets.BY_HAND.name: (0.92, 0.88, 0.80),
    targets.MERCURIUS.name: (2.0, 2.5, 1.0),
    targets.POSTGRAPHILE.name: (2.5, 3.5, 2.0),
    targets.IDIOMATIC.name: (20.0, 30.0, 5.0),
}
# Requests a second of the billing page in the smallest practice over those in any other, at most.
GROWS = 1.3


@dataclass(frozen=True)
class Kept:
    """A promise, and what came of it; None where it was not measured."""

    what: str
    operation: str
    promised: str
    measured: Ratio | None
    is_kept: bool | None


def kept(measured: Mapping[str, ByName], growth: ByName) -> Iterator[Kept]:
    """All of them: by operation what each server did at so many connections, and by size."""
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
    """The practice in which pages take longest, beside the first, which is the smallest."""
    first, *others = growth.values() or [[]]
    ratios = [found for other in others if (found := ratio(first, other))]
    return max(ratios, key=lambda found: found.median, default=None)
