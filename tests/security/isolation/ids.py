"""Probes of the fields that take an id: ids of all owners, unknown ids, and malformed ids."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.security.isolation.households import Bearer
from tests.security.isolation.links import may_read, selection, told
from tests.security.isolation.matrix import Matrix
from tests.security.isolation.sight import PREFIXES, Eyes, Thing, relation
from tests.support.practices.random_values import TODAY

NOWHERE = "0192a000-0000-7000-8000-00000000c0de"
# Another one, where a field takes two.
NO_OTHER = "0192a000-0000-7000-8000-00000000c0df"
TYPES = {prefix: name for name, prefix in PREFIXES.items()}
NODES = 50
BATCH = 4
# An id, and its owner's relation to the viewer.
Asked = tuple[str, str]


def other_practices(matrix: Matrix, eyes: Eyes) -> Iterator[tuple[str, Thing]]:
    """Yield rows of other practices whose ids do not occur in the viewer's own practice."""
    for facts in matrix.facts.values():
        for name in PREFIXES:
            own = {thing["id"] for thing in eyes.facts.things[name]}
            for thing in facts.things[name]:
                if thing["id"] not in own:
                    yield name, thing


def everything(matrix: Matrix, eyes: Eyes) -> list[Asked]:
    """Return every id of every practice, each with its owner's relation to the viewer."""
    own = [
        (f"{PREFIXES[name]}_{thing['id']}", relation(eyes, name, thing))
        for name in PREFIXES
        for thing in eyes.facts.things[name]
    ]
    others = [
        (f"{PREFIXES[name]}_{thing['id']}", "other practice")
        for name, thing in other_practices(matrix, eyes)
    ]
    nowhere = [(f"{prefix}_{NOWHERE}", "nowhere") for prefix in TYPES]
    return list(dict.fromkeys([*own, *others, *nowhere]))


def some(matrix: Matrix, eyes: Eyes) -> list[Asked]:
    """Return two visible and two invisible ids of each kind and each relation."""
    found: dict[Any, list[Asked]] = defaultdict(list)
    for id_, whose in everything(matrix, eyes):
        found[id_[:3], whose, thing_of(eyes, id_) is None].append((id_, whose))
    return [one for ids in found.values() for one in (ids[0], ids[-1])]


def thing_of(eyes: Eyes, id_: str) -> Thing | None:
    """Return the row of an id, if the viewer sees it."""
    prefix, _, bare = id_.partition("_")
    return next(iter(eyes.those(TYPES[prefix], "id", bare)), None)


def node(matrix: Matrix, eyes: Eyes, id_: str) -> Any:
    """Return the expected answer to a query for an id, with the selections of `fragments`."""
    thing, name = thing_of(eyes, id_), TYPES[id_[:3]]
    if thing is None:
        return None
    return {"__typename": name} | told(matrix.schema, eyes, name, thing, 0)


def fragments(matrix: Matrix, eyes: Eyes, names: Sequence[str] = tuple(PREFIXES)) -> str:
    readable = [name for name in names if may_read(eyes.bearer, name)]
    inner = [f"... on {name} {{ {selection(matrix.schema, eyes, name, 0)} }}" for name in readable]
    return " ".join(["__typename ... on Node { id }", *inner])


async def ids_of_everybody(matrix: Matrix, bearer: Bearer) -> None:
    """Probe each id of each practice, and ids with prefixes of other kinds, fifty at a time."""
    eyes = matrix.eyes(bearer)
    misnamed = [
        (f"{prefix}_{id_[4:]}", f"{whose}, of another kind")
        for id_, whose in some(matrix, eyes)[::5]
        for prefix in TYPES
        if prefix != id_[:3]
    ]
    asked = [*everything(matrix, eyes), *misnamed]
    await ids_out_of_scope(matrix, eyes, [one for one in asked if not in_scope(eyes, one)])
    # Each batch has ids of all kinds, own and foreign ones in turn.
    asked = [one for one in asked if in_scope(eyes, one)]
    step = -(-len(asked) // NODES)
    query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {fragments(matrix, eyes)} }} }}"
    for start in range(step):
        ids = asked[start::step]
        data = await matrix.data(bearer, query, {"ids": [id_ for id_, _ in ids]})
        answers = data.get("nodes") or ["no answer"] * len(ids)
        for (id_, whose), answer in zip(ids, answers, strict=True):
            what = f"Query.nodes(ids: {id_[:3]})"
            matrix.report.check(eyes, what, whose, answer, node(matrix, eyes, id_))


def in_scope(eyes: Eyes, asked: Asked) -> bool:
    return may_read(eyes.bearer, TYPES[asked[0][:3]])


async def ids_out_of_scope(matrix: Matrix, eyes: Eyes, asked: list[Asked]) -> None:
    """Check that ids out of scope are refused by their kind, for any owner and for none."""
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename } }"
    for prefix in TYPES:
        ids = [one for one in asked if one[0][:3] == prefix]
        for start in range(0, len(ids), NODES):
            some = ids[start : start + NODES]
            answer = await matrix.ask(eyes.bearer, query, {"ids": [id_ for id_, _ in some]})
            for _, whose in some:
                what = f"Query.nodes(ids: {prefix})"
                matrix.report.check(eyes, what, whose, refused(answer), OUT_OF_SCOPE)


async def one_id(matrix: Matrix, bearer: Bearer) -> None:
    """Probe `node` for some ids of each kind.

    A hidden id has to get the bytes of an unknown one.
    """
    eyes = matrix.eyes(bearer)
    by_kind = defaultdict(list)
    for id_, whose in filter(partial(in_scope, eyes), some(matrix, eyes)):
        by_kind[id_[:3]].append((id_, whose))
    for prefix, ids in by_kind.items():
        ending = f"fragment F on Node {{ {fragments(matrix, eyes, [TYPES[prefix]])} }}"
        await each(matrix, eyes, "node", ids, "...F", ending)


async def one_client(matrix: Matrix, bearer: Bearer) -> None:
    """Probe `client` for every client of every practice, and without an id."""
    eyes = matrix.eyes(bearer)
    if not bearer.reads_bills:
        return  # Refused like any client's id.
    ids = [one for one in everything(matrix, eyes) if one[0].startswith("cli")]
    asked = f"__typename {selection(matrix.schema, eyes, 'Client', 0)}"
    await each(matrix, eyes, "client", ids, asked)
    answer = await matrix.ask(bearer, f"{{ client {{ {asked} }} }}")
    seen = [] if bearer.is_program else eyes.seen["Client"]
    expected = ["CLIENT_REQUIRED"] if len(seen) != 1 else []
    matrix.report.check(eyes, "Query.client", "self", codes(answer), expected)
    only = node(matrix, eyes, f"cli_{seen[0]['id']}") if len(seen) == 1 else None
    matrix.report.check(eyes, "Query.client", "self", answer["data"]["client"], only)


async def each(
    matrix: Matrix, eyes: Eyes, field: str, ids: list[Asked], inner: str, ending: str = ""
) -> None:
    """Probe a root field for each id, and compare the bytes for hidden ids."""
    for batch in batches(ids):
        data = await matrix.data(eyes.bearer, *several(field, batch, inner, ending))
        for n, (id_, whose) in enumerate(batch):
            what, answer = f"Query.{field}(id: {id_[:3]})", data.get(f"n{n}")
            matrix.report.check(eyes, what, whose, answer, node(matrix, eyes, id_))
    for batch in batches([one for one in ids if thing_of(eyes, one[0]) is None]):
        nothing = [(f"{id_[:4]}{NOWHERE}", "") for id_, _ in batch]
        found = await matrix.body(eyes.bearer, *several(field, batch, inner, ending))
        expected = await matrix.body(eyes.bearer, *several(field, nothing, inner, ending))
        for id_, whose in batch:
            what = f"Query.{field}(id: {id_[:3]}), the bytes"
            matrix.report.check(eyes, what, whose, found.decode(), expected.decode())


def batches(ids: list[Asked]) -> Iterator[list[Asked]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def several(
    field: str, ids: Sequence[Asked], inner: str, ending: str = ""
) -> tuple[str, dict[str, Any]]:
    """Return one operation with a root field for each id, and its variables."""
    # The number of fields is constant, so that one plan serves all batches.
    ids = [*ids, *[(f"{ids[0][0][:4]}{NOWHERE}", "")] * (BATCH - len(ids))]
    declared = ", ".join(f"$i{n}: ID!" for n, _ in enumerate(ids))
    fields = [f"n{n}: {field}(id: $i{n}) {{ {inner} }}" for n, _ in enumerate(ids)]
    variables = {f"i{n}": id_ for n, (id_, _) in enumerate(ids)}
    return f"query ({declared}) {{ {' '.join(fields)} }} {ending}", variables


# -- the practice's invoices of one clinician ------------------------------------------------------


async def one_clinician(matrix: Matrix, bearer: Bearer) -> None:
    """Probe the filter by a clinician of any practice, on both ways to a practice's invoices."""
    eyes = matrix.eyes(bearer)
    ids = [one for one in everything(matrix, eyes) if one[0].startswith("cln")]
    await sums_of_one_clinician(matrix, eyes, ids)
    if not bearer.reads_bills:
        return
    asked = "practice { invoices(first: 200, clinicianId: $id) { totalCount nodes { id number } } }"
    query = (
        f"query ($id: ID) {{ {asked} clients(first: 1, orderBy: {{field: CREATED}})"
        f" {{ nodes {{ {asked} }} }} }}"
    )
    for id_, whose in ids:
        of_it = [one for one in eyes.seen["Invoice"] if f"cln_{one['clinician_id']}" == id_]
        nodes = [{"id": f"inv_{one['id']}", "number": one["number"]} for one in of_it]
        expected = {"invoices": {"totalCount": len(of_it), "nodes": nodes}}
        data = await matrix.data(bearer, query, {"id": id_})
        for practice in (data, *data["clients"]["nodes"]):
            found = practice["practice"]
            matrix.report.check(eyes, "Practice.invoices(clinicianId:)", whose, found, expected)


SUMS = """query ($id: ID) { practice { aging(clinicianId: $id) { total { minorUnits } }
    revenue(clinicianId: $id, dateRange: { gte: "2020-01-01", lte: "2029-12-31" }, groupBy: YEAR) {
        invoiced { minorUnits } outstandingAtEnd { minorUnits } } } }"""


async def sums_of_one_clinician(matrix: Matrix, eyes: Eyes, ids: list[Asked]) -> None:
    """Check that sums cover the practice's own invoices, and need their scope."""
    for id_, whose in ids:
        answer = await matrix.ask(eyes.bearer, SUMS, {"id": id_})
        found, expected = refused(answer), OUT_OF_SCOPE
        if eyes.bearer.reads_sums:
            practice, bare = (answer["data"] or {})["practice"], id_[4:]
            years = practice["revenue"]
            found = {
                "invoiced": sum(year["invoiced"]["minorUnits"] for year in years),
                "due": years[-1]["outstandingAtEnd"]["minorUnits"],
                "due today": practice["aging"]["total"]["minorUnits"],
            }
            expected = {
                "invoiced": eyes.facts.invoiced(bare),
                "due": eyes.facts.due(bare, dt.date(2029, 12, 31)),
                "due today": eyes.facts.due(bare, TODAY),
            }
        for what in ("Practice.revenue(clinicianId:)", "Practice.aging(clinicianId:)"):
            matrix.report.check(eyes, what, whose, found, expected)


# -- malformed ids ---------------------------------------------------------------------------------

SPOILS: tuple[Callable[[str], str], ...] = (
    lambda id_: id_[:4].upper() + id_[4:],
    lambda id_: id_[:4] + id_[4:].upper(),
    lambda id_: id_.replace("-", ""),
    lambda id_: id_.replace("_", ""),
    lambda id_: id_.replace("_", "__"),
    lambda id_: id_[:4] + id_,
    lambda id_: id_[4:],
    lambda id_: id_[:-1],
    lambda id_: f"{id_}0",
    lambda id_: f" {id_}",
    lambda id_: f"{id_}\n",
    lambda id_: f"{id_[:4]}{{{id_[4:]}}}",
    lambda id_: f"{id_[:4]}urn:uuid:{id_[4:]}",
    lambda id_: f"con_{id_[4:]}",
    lambda id_: f"tok_{id_[4:]}",
    lambda id_: f"{id_}' OR '1'='1",
)


@dataclass(frozen=True)
class Taker:
    """A field that takes an id: its query, and the kind of id, if it takes one kind only."""

    query: str
    kind: str
    takes_any: bool = False
    sums: bool = False


TAKERS: dict[str, Taker] = {
    "Query.node(id:)": Taker("query ($id: ID!) { node(id: $id) { id } }", "inv", takes_any=True),
    "Query.nodes(ids:)": Taker(
        "query ($id: ID!) { nodes(ids: [$id]) { id } }", "pmt", takes_any=True
    ),
    "Query.client(id:)": Taker("query ($id: ID!) { client(id: $id) { id } }", "cli"),
    "Practice.invoices(clinicianId:)": Taker(
        "query ($id: ID!) { practice { invoices(clinicianId: $id) { totalCount } } }", "cln"
    ),
    "Practice.revenue(clinicianId:)": Taker(
        "query ($id: ID!) { practice { revenue(clinicianId: $id,"
        ' dateRange: { gte: "2026-01-01", lte: "2026-12-31" }) { invoiced { amount } } } }',
        "cln",
        sums=True,
    ),
    "Practice.aging(clinicianId:)": Taker(
        "query ($id: ID!) { practice { aging(clinicianId: $id) { total { amount } } } }",
        "cln",
        sums=True,
    ),
}


async def what_is_no_id(matrix: Matrix, bearer: Bearer) -> None:
    """Check that malformed ids are refused in the same words for any owner, and like an
    unknown id.
    """
    eyes = matrix.eyes(bearer)
    ids = some(matrix, eyes)
    for what, taker in TAKERS.items():
        if taker.sums and not bearer.reads_sums:
            continue  # Refused before any id is read.
        fitting = [one for one in ids if one[0][:3] == taker.kind]
        # Each id is spoiled in its way; ids of other kinds are sent unchanged.
        tries = [(spoil, *fitting[n % len(fitting)]) for n, spoil in enumerate(SPOILS)]
        if not taker.takes_any:
            tries += [(str, id_, whose) for id_, whose in ids[::5] if id_[:3] != taker.kind]
        for spoil, id_, whose in tries:
            found = await matrix.ask(bearer, taker.query, {"id": spoil(id_)})
            nothing = {"id": spoil(f"{id_[:4]}{NOWHERE}")}
            expected = await matrix.ask(bearer, taker.query, nothing)
            matrix.report.check(eyes, what, f"{whose}, no id", found, expected)
            told = (codes(found), any((found["data"] or {}).values()))
            matrix.report.check(eyes, what, f"{whose}, no id", told, (["BAD_ID"], False))


OUT_OF_SCOPE = {"codes": ["SCOPE_REQUIRED"], "has data": False}


def refused(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the distinct error codes, and whether the answer has data."""
    return {"codes": sorted({*codes(answer)}), "has data": "data" in answer}


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", ())]
