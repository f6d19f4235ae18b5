"""Probes of the fields that return rows, starting from visible rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.security.isolation.households import Bearer
from tests.security.isolation.ids import NODES
from tests.security.isolation.links import follow, led, links, may_read
from tests.security.isolation.matrix import Matrix
from tests.security.isolation.sight import PREFIXES, Eyes, Thing, relation


async def links_of_all(matrix: Matrix, bearer: Bearer) -> None:
    """Probe every link of every visible row, found by its id."""
    eyes = matrix.eyes(bearer)
    for name in PREFIXES:
        if not may_read(bearer, name):
            continue
        asked = [follow(matrix.schema, eyes, name, field, 0) for field, _ in links(eyes, name)]
        things = eyes.seen[name] if asked else []
        inner = f"... on {name} {{ {' '.join(asked)} }}"
        query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {inner} }} }}"
        for start in range(0, len(things), NODES):
            some = things[start : start + NODES]
            ids = [f"{PREFIXES[name]}_{thing['id']}" for thing in some]
            data = await matrix.data(bearer, query, {"ids": ids})
            for thing, found in zip(some, data.get("nodes") or [None] * len(ids), strict=True):
                compare(matrix, eyes, name, thing, found, 0)


async def links_of_links(matrix: Matrix, bearer: Bearer) -> None:
    """Probe two links in a row from each root, so that each link follows each other one."""
    eyes = matrix.eyes(bearer)
    for root in roots(eyes, first_and_last(eyes)):
        for field, _ in links(eyes, root.type_):
            asked = follow(matrix.schema, eyes, root.type_, field, 1)
            data = await matrix.data(bearer, root.query(asked), root.variables)
            compare(matrix, eyes, root.type_, root.thing, root.inside(data), 1, [field])


@dataclass(frozen=True)
class Root:
    """A row with its path from the query's root; without a path, the root itself."""

    type_: str
    thing: Thing
    way: str = ""

    @property
    def variables(self) -> dict[str, str]:
        return {"client": f"cli_{self.thing['id']}"} if "$client" in self.way else {}

    def query(self, inner: str, declared: str = "") -> str:
        declared = "$client: ID! " * bool(self.variables) + declared
        asked = f"{self.way} {{ {inner} }}" if self.way else inner
        return f"query {f'({declared})' * bool(declared)} {{ {asked} }}"

    def inside(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's part for the row."""
        inner = data.get(self.way.partition("(")[0]) if self.way else data
        return inner or {}


def roots(eyes: Eyes, clients: Iterable[Thing]) -> Iterator[Root]:
    yield Root("Query", {})
    yield Root("Viewer", {}, "viewer")
    yield Root("Practice", eyes.facts.practice, "practice")
    for client in clients if eyes.bearer.reads_bills else ():
        yield Root("Client", client, "client(id: $client)")


def first_and_last(eyes: Eyes) -> list[Thing]:
    """Return the first and the last of the visible clients."""
    seen = eyes.seen["Client"]
    return [seen[0], seen[-1]] if len(seen) > 1 else seen


def compare(
    matrix: Matrix,
    eyes: Eyes,
    type_: str,
    thing: Thing,
    found: Any,
    depth: int,
    fields: list[str] | None = None,
) -> None:
    """Compare the answers of a row's links with the expected ones."""
    whose = relation(eyes, type_, thing)
    for field in fields or [name for name, _ in links(eyes, type_)]:
        expected = led(matrix.schema, eyes, type_, thing, field, depth)
        what = f"{type_}.{field}" + ", and on" * bool(depth)
        matrix.report.check(eyes, what, whose, (found or {}).get(field, "nothing"), expected)
