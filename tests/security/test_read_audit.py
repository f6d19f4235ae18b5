"""The audit log of reads: every answered read is entered, however fast the reads come."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
    is_union_type,
)
from sqlalchemy import event, text

from billing import audit_log
from execution import read_audit
from execution.read_audit_rules import is_personal
from graph.schema import schema as graph_schema
from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry, Client
from models.database import open_engine
from models.ids import new_id
from tests.support import postgres
from tests.support.payments import Paying, paying
from tests.support.sign_in import until

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
AT_ONCE = 4
NAME = "query Q($id: ID) { client(id: $id) { name } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url, lock_timeout_s=0.5) as it:
        yield it


async def dashboard(portal: Paying) -> str:
    return await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)


async def reads_of(portal: Paying, count: int) -> list[Coroutine[Any, Any, int]]:
    """Return reads, each of another client, that return the status of their response."""
    ids = [new_id() for _ in range(count)]
    own = {"practice_id": portal.practice_id, "name": "Somebody", "created_at": portal.clock()}
    await portal.insert(Client, *(own | {"id": id_} for id_ in ids))
    # One token may have only a few requests waiting.
    tokens = [await dashboard(portal) for _ in range(0, count, AT_ONCE)]
    # The operation is planned before, so that all requests take the same path.
    await portal.ask(NAME, tokens[0], id=f"cli_{new_id()}")
    await portal.read_audit.flush()

    async def read(token: str, id_: str) -> int:
        return (await portal.ask(NAME, token, id=f"cli_{id_}")).status_code

    return [read(tokens[place // AT_ONCE], id_) for place, id_ in enumerate(ids)]


async def recorded(portal: Paying) -> int:
    return sum(entry.action == "READ" for entry in await portal.all(AccessEntry))


class Broken:
    """A database that takes no entries until it is repaired."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.write, self.is_mended, self.failed = audit_log.write_entries, False, asyncio.Event()
        patch.setattr(audit_log, "write_entries", self)

    async def __call__(self, *given: Any) -> None:
        if not self.is_mended:
            self.failed.set()
            raise ConnectionError
        await self.write(*given)


async def test_reads_beyond_the_limit_of_queued_entries_get_503(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = await reads_of(portal, 50)
    broken = Broken(monkeypatch)
    monkeypatch.setattr(read_audit, "MOST", 20)
    statuses = await asyncio.gather(*reads)
    assert sorted(statuses) == [200] * 20 + [503] * 30
    broken.is_mended = True
    await portal.read_audit.flush()
    # Refused requests were not read.
    assert await recorded(portal) == 20


async def test_read_waits_until_the_queue_has_room(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await reads_of(portal, 5)
    broken = Broken(monkeypatch)
    monkeypatch.setattr(read_audit, "MOST", 2)
    reads = [asyncio.create_task(one) for one in asked]
    portal.read_audit.patience_s = 60
    await until(lambda: sum(one.waiting for one in portal.read_audit.pending.values()) == 3)
    await broken.failed.wait()
    await until(lambda: sum(one.done() for one in reads) == 2)
    done, waiting = await asyncio.wait(reads, timeout=0.1)
    assert (len(done), len(waiting)) == (2, 3)
    broken.is_mended = True
    assert [await one for one in reads] == [200] * 5
    await portal.read_audit.flush()
    assert await recorded(portal) == 5


async def test_refusal_by_a_full_queue_has_retry_after(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(monkeypatch)
    monkeypatch.setattr(read_audit, "MOST", 0)
    # The second request takes the path for repeated requests.
    for _ in range(2):
        answer = await portal.ask("{ client { name } }", portal.bearer)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert "Ana" not in answer.text


async def test_queue_counts_ids(portal: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    token, broken = await dashboard(portal), Broken(monkeypatch)
    monkeypatch.setattr(read_audit, "MOST", 20)
    ids = [f"inv_{await portal.invoice(100)}" for _ in range(12)]
    query = "query N($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    first, second = [
        (await portal.ask(query, token, ids=some)).status_code for some in (ids, ids[:11])
    ]
    assert (first, second) == (200, 503)
    broken.is_mended = True
    # A read with more ids than the queue holds is entered before its response.
    monkeypatch.setattr(read_audit, "MOST", 5)
    assert (await portal.ask(query, token, ids=ids[:8])).status_code == 200
    assert await portal.count(AccessEntry) == 2


async def test_entry_that_can_not_be_written_does_not_block_others(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ids are logged, and the other entries are written."""
    write = audit_log.write_entries

    async def picky(conn: Any, entries: Any) -> None:
        if any(entry["operation"] == "Bad" for entry in entries):
            raise ValueError
        await write(conn, entries)

    monkeypatch.setattr(audit_log, "write_entries", picky)
    for name in ("First", "Bad", "Last"):
        await portal.ask(f"query {name} {{ client {{ name }} }}", portal.bearer)
    await portal.read_audit.flush()
    assert {one.operation for one in await portal.all(AccessEntry)} == {"First", "Last"}
    assert not portal.read_audit.pending


async def test_queued_entries_are_written_when_the_database_is_back(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch)
    assert (await portal.ask("{ client { name } }", portal.bearer)).status_code == 200
    ((_, waiting),) = portal.read_audit.pending.items()
    portal.read_audit.is_due.set()
    async with asyncio.timeout(10):
        await broken.failed.wait()
        broken.is_mended = True
        # The server's own background task writes them, soon.
        await waiting.written.wait()
    assert await portal.count(AccessEntry) == 1
    assert portal.read_audit.unwritten == 0


async def test_locked_sqlite_file_loses_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}", lock_timeout_s=0.5) as portal:
        await loses_nothing(portal, monkeypatch, "SELECT 1")


async def test_locked_table_loses_no_entry(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with postgres.database(postgres_url) as url, paying(url, lock_timeout_s=0.5) as portal:
        # Nobody may lock the table by LOCK, which takes the right to change rows.
        await loses_nothing(portal, monkeypatch, "CREATE INDEX ON access_entry (at)")


async def loses_nothing(portal: Paying, patch: pytest.MonkeyPatch, lock: str) -> None:
    """Send too many reads while the database takes no entries; assert that all answered ones are
    kept.
    """
    patch.setattr(read_audit, "MOST", 20)
    reads = await reads_of(portal, 25)
    async with open_engine(postgres.as_owner(portal.url)) as holder, holder.begin() as conn:
        await conn.execute(text(lock))
        statuses = await asyncio.gather(*reads)
    assert sorted(statuses) == [200] * 20 + [503] * 5
    await portal.read_audit.flush()
    assert await recorded(portal) == 20


# -- owners of the data ----------------------------------------------------------------------------


async def test_owners_are_found_by_one_statement_per_kind(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of ids, viewers and requests."""
    tokens = [
        await dashboard(portal),
        await dashboard(portal),
        await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id)),
        portal.bearer,
    ]
    clients = [f"cli_{portal.client_id}", f"cli_{portal.other_id}"]
    invoices = [f"inv_{await portal.invoice(100, id_[4:])}" for id_ in clients]
    query = "query N($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    async with portal.read_audit.writing:
        for token in tokens:
            for ids in (clients, invoices, clients[:1] + invoices[1:]):
                assert (await portal.ask(query, token, ids=ids)).status_code == 200
    statements: list[str] = []
    engine = portal.read_audit.engine.sync_engine

    def heard(*given: Any) -> None:
        statements.append(given[2])

    event.listen(engine, "before_cursor_execute", heard)
    await portal.read_audit.flush()
    event.remove(engine, "before_cursor_execute", heard)
    lookups = [one for one in statements if one.startswith("SELECT") and "json_each" in one]
    lookups += [one for one in statements if one.startswith("SELECT") and "unnest" in one]
    # One for clients and one for invoices, for each of the three kinds of viewers.
    assert len(lookups) == 6
    found: list[Any] = await portal.all(AccessEntry)
    read_by = {(one.kind, one.client_id) for one in found if one.action == "READ"}
    both = {portal.client_id, portal.other_id}
    expected = {(kind, id_) for kind in ("DASHBOARD", "CONTACT") for id_ in both}
    assert read_by == expected | {("CLIENT", portal.client_id)}
    refused = [one for one in found if one.action == "REFUSED"]
    # The other client, and the other client's invoice.
    assert {one.kind for one in refused} == {"CLIENT"}


# -- fields ----------------------------------------------------------------------------------------

RANGE = '(dateRange: { gte: "2026-01-01", lte: "2026-03-31" })'
ROOTS = {"Query.client": "(id: $id)", "Mutation.pay": "(input: $input)"}
PAY = {"idempotencyKey": "0123456789abcdef", "source": {"credit": True}}


@dataclass
class Way:
    """A path to a type: the selections around its fields, from the root."""

    root: str
    steps: tuple[str, ...] = ()

    def around(self, inner: str) -> str:
        return " { ".join((*self.steps, inner)) + " }" * len(self.steps)


def ways(schema: GraphQLSchema) -> dict[str, Way]:
    """Return a path to each object type, through a query if possible."""
    found: dict[str, Way] = {}
    waiting: deque[tuple[Any, Way]] = deque()
    for name in ("Query", "Mutation"):
        waiting.append((schema.type_map[name], Way(name.lower())))
        while waiting:
            type_, way = waiting.popleft()
            if is_union_type(type_):
                steps = [(one, (*way.steps, f"... on {one.name}")) for one in type_.types]
                waiting.extend((one, Way(way.root, each)) for one, each in steps)
            elif is_object_type(type_) and found.setdefault(type_.name, way) is way:
                for field, definition in type_.fields.items():
                    if name == "Mutation" and type_.name == name and field != "pay":
                        continue
                    coordinate = f"{type_.name}.{field}"
                    given = ROOTS.get(coordinate, RANGE if needs_range(definition) else "")
                    step = Way(way.root, (*way.steps, f"{field}{given}"))
                    waiting.append((get_named_type(definition.type), step))
    return found


def needs_range(field: GraphQLField) -> bool:
    return any(name == "dateRange" and is_required_argument(a) for name, a in field.args.items())


def selection(type_: GraphQLObjectType) -> str:
    """Return a selection of all fields of a type."""
    return " ".join(
        f"{name}{RANGE if needs_range(field) else ''}"
        + ("" if is_leaf_type(get_named_type(field.type)) else " { __typename }")
        for name, field in type_.fields.items()
    )


async def test_every_personal_field_is_entered(portal: Paying) -> None:
    """All fields of each type, in requests for many types at a time."""
    schema = graph_schema()._schema
    found = ways(schema)
    types = [type_ for _, type_ in sorted(schema.type_map.items()) if is_object_type(type_)]
    types = [type_ for type_ in types if is_personal(type_)]
    asked = {f"{type_.name}.{name}" for type_ in types for name in type_.fields}
    assert len(asked) > 60
    token = await portal.token(scopes=READ_SCOPES)
    for root, declared in (("query", "$id: ID"), ("mutation", "$input: PayInput!")):
        of_root = [type_ for type_ in types if found[type_.name].root == root]
        for some in batched(of_root, 9):
            selected = [found[type_.name].around(selection(type_)) for type_ in some]
            inner = " ".join(f"a{number}: {one}" for number, one in enumerate(selected))
            amount = {"expectedAmount": {"amount": "1.00", "currency": "USD"}}
            given = {"input": PAY | amount} if root == "mutation" else {}
            variables = f"({declared})" if "$" in inner else ""
            answer = await portal.ask(f"{root} {variables} {{ {inner} }}", token, **given)
            assert answer.json().get("data"), answer.text
    await portal.read_audit.flush()
    entries = await portal.all(AccessEntry)
    recorded = set().union(*(entry.fields for entry in entries))
    assert recorded >= asked
    assert max(len(entry.fields) for entry in entries) > 60
    assert {entry.client_id for entry in entries} == {portal.client_id}


def batched(types: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(types), size):
        yield types[start : start + size]
