"""What a run of the benchmark found, and the files that it is kept in."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.figures import ByName

# By connections, what each server did.
ByConnections = Mapping[int, ByName]


@dataclass(frozen=True)
class Growth:
    """Rounds of the billing page in practices of several sizes, and the rows of each."""

    rows: Mapping[str, int]
    rounds: ByName


@dataclass
class Results:
    """Everything that was measured; what was not, and why; and what was wrong.

    `sizes`: bytes of an answer, by operation and server. `large`: clients of the practice that
    `counted` is asked of.
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
        """What each server did over so many connections, by operation."""
        every = self.operations.items()
        return {name: found[connections] for name, found in every if connections in found}

    def keep(self, file: Path) -> None:
        """Every round as JSON, for whoever wants to look closer."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        file.write_bytes(orjson.dumps(plain(self), option=options))


def plain(value: Any) -> Any:
    """Dictionaries and lists; what isn't known is null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(vars(value))
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
