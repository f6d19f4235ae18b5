"""Probes of lists: cursors of other viewers' lists, filters, counts, and the search by name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_list_type,
)

from tests.security.isolation.households import Bearer
from tests.security.isolation.ids import OUT_OF_SCOPE, refused
from tests.security.isolation.links import LINKS, definition, is_connection, links
from tests.security.isolation.matrix import Cursor, Matrix
from tests.security.isolation.sight import PREFIXES, Eyes, Thing, relation
from tests.security.isolation.ways import Root, first_and_last, roots

SEARCHES = ("Ana", "PRIETO", "osei", "dora o", "a", "twin", "")


@dataclass(frozen=True)
class List:
    """A connection of a visible row, and its expected ids."""

    root: Root
    field: str
    of: GraphQLField
    ids: frozenset[str]

    @property
    def what(self) -> str:
        return f"{self.root.type_}.{self.field}"

    @property
    def owner(self) -> str:
        return str(self.root.thing.get("id", ""))

    def asked(self, alias: str, more: str, inner: str = "totalCount nodes { id }") -> str:
        size = 200 if self.root.type_ == "Practice" else 60
        everything = "dateRange: {}, " * (self.field == "accountHistory")
        return f"{alias}: {self.field}({everything}first: {size}, {more}) {{ {inner} }}"

    def orders(self, eyes: Eyes) -> list[str]:
        """Return the possible orders of the list; an order by name needs the scope for health
        information.
        """
        if "orderBy" not in self.of.args:
            return [""]
        input_: Any = get_named_type(self.of.args["orderBy"].type)
        names = get_named_type(input_.fields["field"].type).values
        allowed = [name for name in names if name != "NAME" or eyes.bearer.reads_health]
        return [f"orderBy: {{field: {name}}}" for name in allowed]


def lists(matrix: Matrix, eyes: Eyes, clients: Iterable[Thing]) -> Iterator[List]:
    """Yield every connection that the viewer can read, with a client's connections for these
    clients.
    """
    for root in roots(eyes, clients):
        for field, link in links(eyes, root.type_):
            of = definition(matrix.schema, root.type_, field)
            if is_connection(of):
                found = link.find(eyes, root.thing)
                ids = frozenset(f"{PREFIXES[link.to]}_{one['id']}" for one in found)
                yield List(root, field, of, ids)


# -- cursors ---------------------------------------------------------------------------------------


async def gather_cursors(matrix: Matrix) -> None:
    """Collect cursors of all lists of all practices: several per practice, one per client."""
    for bearer in matrix.households.of("dashboard of everything"):
        eyes = matrix.eyes(bearer)
        for list_ in lists(matrix, eyes, eyes.seen["Client"]):
            for order in list_.orders(eyes):
                query = list_.root.query(list_.asked("it", order, "edges { cursor node { id } }"))
                data = await matrix.data(bearer, query, list_.root.variables)
                edges = list_.root.inside(data)["it"]["edges"]
                matrix.cursors[list_.what, order] += [
                    Cursor(bearer.practice, list_.owner, edge["node"]["id"], edge["cursor"])
                    for edge in chosen(list_, edges)
                ]


def chosen(list_: List, edges: list[Any]) -> list[Any]:
    if list_.root.type_ == "Client":
        return edges[len(edges) // 2 :][:1]
    return edges if list_.field == "clients" else edges[:: max(1, len(edges) // 3)]


async def cursors_of_others(matrix: Matrix, bearer: Bearer) -> None:
    """Check that a cursor of any owner only cuts the viewer's own list."""
    if not matrix.cursors:
        await gather_cursors(matrix)
    eyes = matrix.eyes(bearer)
    for list_ in lists(matrix, eyes, eyes.seen["Client"][:1]):
        for order in list_.orders(eyes):
            sides = [list_.asked(side, f"{order} {side}: $at") for side in ("after", "before")]
            query = list_.root.query(" ".join(sides), "$at: String")
            for cursor in of_each(eyes, matrix.cursors[list_.what, order]):
                given = list_.root.variables | {"at": cursor.text}
                found = list_.root.inside(await matrix.data(bearer, query, given))
                cut_in_two(matrix, eyes, list_, cursor, found)


def of_each(eyes: Eyes, cursors: list[Cursor]) -> Iterable[Cursor]:
    """Return a cursor for each practice and each owner in it."""
    return {(cursor.practice, of_whom(eyes, cursor)): cursor for cursor in cursors}.values()


def cut_in_two(
    matrix: Matrix, eyes: Eyes, list_: List, cursor: Cursor, answer: dict[str, Any]
) -> None:
    """Check that both sides of the cursor are the whole list, less the cursor's own row.

    A cursor of the list of clients does not contain the client's position. Unless the client is
    visible, both sides are empty.
    """
    sides = [answer.get(side) or {} for side in ("after", "before")]
    after, before = ({one["id"] for one in side.get("nodes", ())} for side in sides)
    left_out = len(list_.ids - after - before)
    place_unknown = list_.what == "Query.clients" and cursor.node not in list_.ids
    expected_left_out = len(list_.ids) if place_unknown else min(left_out, 1)
    found = {
        "outside": sorted((after | before) - list_.ids),
        "on both sides": sorted(after & before),
        "left out": left_out,
        "counts": [side.get("totalCount") for side in sides],
    }
    expected = {
        "outside": [],
        "on both sides": [],
        "left out": expected_left_out,
        "counts": [len(list_.ids)] * 2,
    }
    matrix.report.check(
        eyes, f"{list_.what}(after:, before:)", of_whom(eyes, cursor), found, expected
    )


def of_whom(eyes: Eyes, cursor: Cursor) -> str:
    if cursor.practice != eyes.bearer.practice:
        return "other practice"
    clients = eyes.facts.things["Client"]
    owner = next((one for one in clients if one["id"] in (cursor.owner, cursor.node[4:])), None)
    return relation(eyes, "Client", owner) if owner else "practice"


# -- filters ---------------------------------------------------------------------------------------


async def filters(matrix: Matrix, bearer: Bearer) -> None:
    """Check that the parts of a list by each value of a filter are together the list, without
    duplicates.
    """
    eyes = matrix.eyes(bearer)
    for list_ in lists(matrix, eyes, first_and_last(eyes)):
        whose = relation(eyes, list_.root.type_, list_.root.thing)
        for name, type_, values in choices(list_.of):
            asked = list_.asked("part", f"{list_.orders(eyes)[0]} {name}: $value")
            query = list_.root.query(asked, f"$value: {type_}")
            ids: list[str] = []
            count = 0
            for value in values:
                given = list_.root.variables | {"value": value}
                part = list_.root.inside(await matrix.data(bearer, query, given)).get("part") or {}
                ids += [one["id"] for one in part.get("nodes", ())]
                count += part.get("totalCount", 0)
            what, expected = f"{list_.what}({name}:)", [sorted(list_.ids), len(list_.ids)]
            matrix.report.check(eyes, what, whose, [sorted(ids), count], expected)


def choices(of: GraphQLField) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield the filters by an enum or boolean: the argument, its type, and its values."""
    for name, argument in of.args.items():
        named: Any = get_named_type(argument.type)
        if is_enum_type(named):
            is_list = is_list_type(get_nullable_type(argument.type))
            yield name, argument.type, [[value] if is_list else value for value in named.values]
        elif named.name == "Boolean":
            yield name, argument.type, [True, False]


async def search(matrix: Matrix, bearer: Bearer) -> None:
    """Search for the words of all names of all practices; without `phi:read` it is refused."""
    eyes = matrix.eyes(bearer)
    query = "query ($text: String) { clients(search: $text) { totalCount nodes { id } } }"
    for text in SEARCHES:
        answer = await matrix.ask(bearer, query, {"text": text})
        if bearer.reads_health:
            named = [f"cli_{one['id']}" for one in eyes.seen["Client"] if is_named(one, text)]
            nodes = [{"id": id_} for id_ in named]
            expected: Any = {"data": {"clients": {"totalCount": len(named), "nodes": nodes}}}
        else:
            answer, expected = refused(answer), OUT_OF_SCOPE
        matrix.report.check(eyes, "Query.clients(search:)", "everybody", answer, expected)


def is_named(client: Thing, text: str) -> bool:
    return f" {text}".lower() in f" {client['name']}".lower()


# -- what is out of scope --------------------------------------------------------------------------


async def without_the_scope(matrix: Matrix, bearer: Bearer) -> None:
    """Check that links to health information and to bills are refused as a whole, for any owner."""
    eyes = matrix.eyes(bearer)
    for type_, of_type in LINKS.items():
        allowed = dict(links(eyes, type_))
        for field in of_type:
            if field in allowed or type_ not in PREFIXES:
                continue
            asked = f"... on {type_} {{ {field} {{ __typename }} }}"
            query = f"query ($id: ID!) {{ node(id: $id) {{ {asked} }} }}"
            for thing in eyes.seen[type_][::9]:
                id_ = f"{PREFIXES[type_]}_{thing['id']}"
                answer = await matrix.ask(bearer, query, {"id": id_})
                what, whose = f"{type_}.{field}", relation(eyes, type_, thing)
                matrix.report.check(eyes, what, whose, refused(answer), OUT_OF_SCOPE)
