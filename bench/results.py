"""Results of a run of the benchmark, and their files."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.figures import ByName

# The rounds of each server, by connections.
ByConnections = Mapping[int, ByName]


@dataclass(frozen=True)
class Growth:
    """Rounds of the billing page in practices of several sizes, and the rows of each."""

    rows: Mapping[str, int]
    rounds: ByName


@dataclass
class Results:
    """All measurements, missing ones with their reason, and wrong responses.

    `sizes`: bytes of a response, by operation and server. `large`: clients of the practice for
    `counted`.
    """

    facts: Mapping[str, str]
    clients: int
    large: int
    seconds: float
    rounds: int
    operations: dict[str, ByConnections] = field(default_factory=dict)
    sizes: dict[str, Mapping[str, int]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    growth: Growth | None = None
    processes: dict[str, ByName] = field(default_factory=dict)

    def at(self, connections: int) -> dict[str, ByName]:
        """Return the rounds of each server over this many connections, by operation."""
        every = self.operations.items()
        return {name: found[connections] for name, found in every if connections in found}

    def keep(self, file: Path) -> None:
        """Write every round as JSON."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        file.write_bytes(orjson.dumps(plain(self), option=options))


def plain(value: Any) -> Any:
    """Convert a value to dictionaries and lists; NaN becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(vars(value))
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
