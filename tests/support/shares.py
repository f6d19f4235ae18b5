"""The part of the suite that `make test` runs; `make test-all` runs it whole.

`pytest --quick` runs no test marked `slow` or `faults`. Of a function marked `share(n)` it runs one
in n of the cases on each database, at least one, and the same cases each time. Of a module marked
`twins(n)`, whose tests are about rules and not about a database, it runs one in n of the cases on
PostgreSQL. `pytest --rest` runs what `--quick` leaves out, but for `slow` and `faults`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

LEFT_OUT = ("slow", "faults")
_is_quick = False


def set_quick(is_quick: bool) -> None:
    """Set whether tests try their quick numbers. It has to be called before test modules are
    imported.
    """
    global _is_quick
    _is_quick = is_quick


def number(whole: int, *, quick: int) -> int:
    """Return the number of rounds or examples that a test tries in this run."""
    return quick if _is_quick else whole


def divided(items: Iterable[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide the tests into those that a quick run takes and those that it leaves out."""
    items = list(items)
    taken = {item for group in groups(items) for item in share_of(group)}
    return [item for item in items if item in taken], [item for item in items if item not in taken]


def rest(left: Iterable[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide what a quick run leaves out into shares of the same tests, and long tests."""
    shorter, longer = list[pytest.Item](), list[pytest.Item]()
    for item in left:
        (longer if is_long(item) else shorter).append(item)
    return shorter, longer


def is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in LEFT_OUT)


def groups(items: Iterable[pytest.Item]) -> Iterable[list[pytest.Item]]:
    """Return the cases of each function on each database, and the twins of each module."""
    found = defaultdict(list)
    for item in items:
        is_twin = is_on_postgresql(item.nodeid) and item.get_closest_marker("twins") is not None
        found[
            item.nodeid.partition("::" if is_twin else "[")[0], is_on_postgresql(item.nodeid)
        ].append(item)
    return found.values()


def share_of(group: list[pytest.Item]) -> list[pytest.Item]:
    first = group[0]
    if is_long(first):
        return []
    marker = first.get_closest_marker("share")
    if is_on_postgresql(first.nodeid):
        marker = first.get_closest_marker("twins") or marker
    wanted = -(-len(group) // marker.args[0]) if marker else len(group)
    return sorted(group, key=place)[:wanted]


def place(item: pytest.Item) -> bytes:
    """Return a case's place in an order that only its name decides."""
    return hashlib.sha256(item.name.encode()).digest()


def is_on_postgresql(nodeid: str) -> bool:
    return "postgresql" in nodeid.partition("[")[2]


def file_and_database(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return f"{file} on PostgreSQL" if is_on_postgresql(nodeid) else file


class ByFileAndDatabase(LoadScopeScheduling):  # type: ignore[misc]
    """Distribution of the tests: a process takes a file's tests on one database at a time.

    They share what is costly to set up, and a long file keeps both processes at work.
    """

    def _split_scope(self, nodeid: str) -> str:
        return file_and_database(nodeid)
