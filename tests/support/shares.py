"""The part of the suite that `make test` runs; `make test-all` runs it whole.

`pytest --quick` takes all tests but these:

- tests marked `slow`, `faults` or `rest`;
- of a function marked `share(n)` all but one in n of the cases on each database; of functions
  marked `share(n, alike=True)` the same cases, since they share a costly setup;
- of a module marked `twins(n)` all but one in n of the cases on PostgreSQL that are left, for
  SQLite runs all of them; a database decides tests of `twins(1)`;
- of a folder in `TWINS` all cases on PostgreSQL but those of one module in n, of which the same is
  left as if it were marked `twins(n)`. A database for each module takes longer than its cases.

At least one case is taken, and the same cases each time. `pytest --rest` runs what `--quick` leaves
out, but for `slow` and `faults`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

LONG = ("slow", "faults")
# Folders whose tests are about rules, and not about a database.
TWINS = {
    "tests/api": 8,
    "tests/cli": 8,
    "tests/client_records": 2,
    "tests/documents": 8,
    "tests/entry": 4,
    "tests/imports": 8,
    "tests/payments": 6,
    "tests/recovery": 8,
    "tests/security": 8,
    "tests/sign_in": 8,
}
# The number of cases of which one is taken, and the name of the group.
Group = tuple[int, str]
# The folder of tests that share one browser and one demo.
BROWSER = "tests/browser/"
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
    short = [item for item in items if not is_marked(item, "rest", *LONG)]
    modules = modules_on_postgresql(short)
    here = (item for item in short if not is_twin(item) or module(item) in modules)
    taken = {*portion(twin_group, portion(share_group, here))}
    return [item for item in items if item in taken], [item for item in items if item not in taken]


def rest(left: Iterable[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide what a quick run leaves out into shares of the same tests, and long tests."""
    shorter, longer = list[pytest.Item](), list[pytest.Item]()
    for item in left:
        (longer if is_marked(item, *LONG) else shorter).append(item)
    return shorter, longer


def is_marked(item: pytest.Item, *names: str) -> bool:
    return any(item.get_closest_marker(name) for name in names)


def portion(
    group: Callable[[pytest.Item], Group], items: Iterable[pytest.Item]
) -> Iterable[pytest.Item]:
    """Yield one in n of each group's cases."""
    found = defaultdict(list)
    for item in items:
        found[group(item)].append(item)
    for (n, _), cases in found.items():
        yield from sorted(cases, key=place)[: -(-len(cases) // n)]


def share_group(item: pytest.Item) -> Group:
    """Return the group of a function's cases on one database."""
    function = item.nodeid.partition("[")[0]
    return marked(item, "share", 1), f"{function} {is_on_postgresql(item.nodeid)}"


def twin_group(item: pytest.Item) -> Group:
    """Return the group of a module's cases on PostgreSQL; any other case is alone."""
    if not is_on_postgresql(item.nodeid):
        return 1, item.nodeid
    return marked(item, "twins", TWINS.get(folder(module(item)), 1)), module(item)


def is_twin(item: pytest.Item) -> bool:
    """Return whether a case is on PostgreSQL because all of its folder's are on both databases."""
    if item.get_closest_marker("twins") or not is_on_postgresql(item.nodeid):
        return False
    return folder(module(item)) in TWINS


def modules_on_postgresql(items: Iterable[pytest.Item]) -> set[str]:
    """Return the modules in the folders of `TWINS` whose cases on PostgreSQL may be taken."""
    found = defaultdict(set)
    for item in items:
        if is_twin(item):
            found[folder(module(item))].add(module(item))
    return {
        name
        for where, modules in found.items()
        for name in sorted(modules, key=digest)[: -(-len(modules) // TWINS[where])]
    }


def module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def folder(module: str) -> str:
    return module.rpartition("/")[0]


def marked(item: pytest.Item, name: str, otherwise: int) -> int:
    """Return the number of a test's marker."""
    marker = item.get_closest_marker(name)
    return int(marker.args[0]) if marker else otherwise


def place(item: pytest.Item) -> bytes:
    """Return a case's place in an order that only its name decides, or of a share of `alike`
    functions only its parameters.
    """
    share = item.get_closest_marker("share")
    is_alike = share is not None and share.kwargs.get("alike", False)
    name = item.name.partition("[")[2] if is_alike else item.name
    return digest(name)


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def is_on_postgresql(nodeid: str) -> bool:
    return "postgresql" in nodeid.partition("[")[2]


def file_and_database(nodeid: str) -> str:
    """Return the tests that one process takes: those of a file on a database, or of the browser."""
    file = nodeid.partition("::")[0]
    if file.startswith(BROWSER):
        return BROWSER
    return f"{file} on PostgreSQL" if is_on_postgresql(nodeid) else file


class ByFileAndDatabase(LoadScopeScheduling):  # type: ignore[misc]
    """Distribution of the tests: a process takes a file's tests on one database at a time, and the
    tests of the browser together.

    They share what is costly to set up, and a long file keeps both processes at work.
    """

    def _split_scope(self, nodeid: str) -> str:
        return file_and_database(nodeid)
