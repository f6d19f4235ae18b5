"""Row-level security: a practice's rows are kept from all others, whatever a predicate says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import groupby
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Text, cast, func, insert, select, text, true
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from execution import read_audit
from execution.read_owners import owner_statement
from models import Client, Clinician, Row, ViewerKind, database
from models.database import PostgresReads, every_practice, within_practice
from models.database.admission import Caller
from models.database.confinement import EVERY_PRACTICE, SETTING
from models.database.prepared import Signed
from models.ids import new_id
from models.row_security import confined
from resolvers import visibility
from tests.security.isolation import doors
from tests.security.isolation.households import OTHER, Bearer, founded
from tests.security.isolation.ids import NODES, everything, fragments, in_scope
from tests.security.isolation.lists import lists
from tests.security.isolation.matrix import Matrix, over
from tests.security.isolation.mutations import CHANGES, Payer
from tests.support import postgres
from tests.support.empty_databases import prepare

pytestmark = [pytest.mark.server, pytest.mark.twins(1)]

SORTS = ("Ana Prieto", "guardian of several", "dashboard of everything")
Asked = tuple[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
async def matrix(postgres_url: str) -> AsyncIterator[Matrix]:
    async with postgres.database(postgres_url) as url, over(url, founded()) as made:
        yield made


@pytest.fixture(scope="module")
async def alone(postgres_url: str, matrix: Matrix) -> AsyncIterator[Matrix]:
    """A database that has one of the practices, and no other."""
    households = replace(matrix.households, rows={"USD": matrix.households.rows["USD"]})
    async with postgres.database(postgres_url) as url, over(url, households) as made:
        yield made


@pytest.fixture(scope="module")
async def open_to_all(matrix: Matrix) -> AsyncIterator[Matrix]:
    """The same rows, read by a role that no policy holds for."""
    url = postgres.as_owner(matrix.url)
    reads = database.reads(url, size=2, timeout_s=20)
    made = Matrix(url, reads, matrix.households)
    made.schema = matrix.schema
    yield made
    await reads.close()


def of_practice(matrix: Matrix, sort: str) -> Bearer:
    return next(one for one in matrix.households.of(sort) if one.practice == "USD")


# -- reads by a wrong predicate --------------------------------------------------------------------


def documents(matrix: Matrix, bearer: Bearer) -> Iterator[Asked]:
    """Give requests for everybody's ids, and for every list that the viewer can ask for."""
    eyes = matrix.eyes(bearer)
    ids = [one[0] for one in everything(matrix, eyes) if in_scope(eyes, one)]
    for start in range(0, len(ids), NODES):
        nodes = f"nodes(ids: $ids) {{ {fragments(matrix, eyes)} }}"
        yield f"query Q($ids: [ID!]!) {{ {nodes} }}", {"ids": ids[start : start + NODES]}
    every = lists(matrix, eyes, eyes.seen["Client"][:1])
    for root, those in groupby(every, lambda one: one.root):
        fields = [one.asked(f"of{number}", "") for number, one in enumerate(those)]
        yield root.query(" ".join(fields)), root.variables


async def answers(matrix: Matrix, bearer: Bearer, asked: Iterable[Asked]) -> list[str]:
    """Return the answers; two rows where one was meant are an answer too."""
    matrix.forget()
    found = []
    for each in asked:
        try:
            found.append((await matrix.body(bearer, *each)).decode())
        except asyncpg.CardinalityViolationError as error:
            found.append(str(error))
    return found


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every predicate of sight holds for every row."""
    for predicates in (visibility.VISIBLE, visibility.IN_TOTALS):
        everything: dict[Any, Any] = predicates
        for model in predicates:
            monkeypatch.setitem(everything, model, lambda *_: true())


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.usefixtures("wrong")
async def test_a_wrong_predicate_shows_no_row_of_another_practice(
    matrix: Matrix, alone: Matrix, open_to_all: Matrix, sort: str
) -> None:
    """The answers are those of a database that has the practice alone."""
    bearer = of_practice(matrix, sort)
    asked = [*documents(matrix, bearer)]
    found = await answers(matrix, bearer, asked)
    assert found == await answers(alone, bearer, asked)
    # And this is owed to the policies.
    leaking = await answers(open_to_all, bearer, asked)
    assert sum(one != other for one, other in zip(found, leaking, strict=True)) > len(found) / 2


# -- changes by a wrong predicate ------------------------------------------------------------------

REACHING = {
    "makeDefault(input.paymentMethodId:)": "PaymentMethod",
    "removeCard(input.paymentMethodId:)": "PaymentMethod",
    "cancelPayment(input.paymentId:)": "Payment",
    "refreshPayment(input.paymentId:)": "Payment",
    "pay(input.clientId:)": "Client",
    "pay(input.invoiceId:)": "Invoice",
}


async def outcomes(matrix: Matrix, bearer: Bearer) -> set[str]:
    """Return what comes of changes to things of another practice."""
    payer, other, found = Payer(matrix.facts["USD"], bearer), matrix.facts[OTHER], set()
    nobody: Any = None
    async with doors.server(matrix) as client:
        for name, kind in REACHING.items():
            change = CHANGES[name]
            for thing in other.things[kind][:3]:
                given = change.input(nobody, payer, f"{change.kind}_{thing['id']}")
                body = {"query": change.query(bearer), "variables": {"i": given}}
                headers = {"Authorization": f"Bearer {bearer.secret}"}
                answer = (await client.post("/graphql", json=body, headers=headers)).json()
                told = (answer.get("data") or {}).get(change.field)
                found.add(told["__typename"] if told else answer["errors"][0]["extensions"]["code"])
    return found


@pytest.mark.usefixtures("wrong")
async def test_a_wrong_predicate_changes_no_row_of_another_practice(
    matrix: Matrix, open_to_all: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was read can't be recorded: by such predicates everybody is its owner.
    monkeypatch.setattr(read_audit, "LAST_S", 0)
    bearer = of_practice(matrix, "Ana Prieto")
    assert await outcomes(matrix, bearer) == {"NotFound"}
    # And this is owed to the policies.
    assert await outcomes(open_to_all, bearer) - {"NotFound"}


# -- whose rows a transaction has ------------------------------------------------------------------

COUNT = select(func.count()).select_from(Client)


async def test_a_transaction_that_names_no_practice_has_no_rows(matrix: Matrix) -> None:
    """Neither in a new session, nor in one that named a practice before."""
    conn = await asyncpg.connect(matrix.url)
    try:
        for table in confined(Row.metadata):
            assert await conn.fetchval(str(select(func.count()).select_from(table))) == 0
        async with conn.transaction():
            await conn.execute(f"SELECT set_config('{SETTING}', '{EVERY_PRACTICE}', true)")
            assert await conn.fetchval("SELECT count(*) FROM client") == 15
        assert await conn.fetchval("SELECT count(*) FROM client") == 0
        assert await conn.execute("UPDATE client SET name = 'x'") == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute(
                "INSERT INTO clinician (practice_id, id, name) VALUES ($1, $1, 'x')",
                matrix.facts["USD"].practice["id"],
            )
    finally:
        await conn.close()


async def test_a_change_has_the_rows_of_the_practice_that_its_context_names(
    matrix: Matrix,
) -> None:
    """Whoever else has the connection before and after it."""
    waits = replace(database.PATIENT, connections=1)
    engine = database.engine(matrix.url, waits, confined=True)
    mine, other = (matrix.facts[name].practice["id"] for name in ("USD", OTHER))

    async def seen(practice_id: str) -> set[str]:
        with within_practice(practice_id):
            async with engine.begin() as conn:
                return set(await conn.scalars(select(cast(Client.practice_id, Text))))

    found = await asyncio.gather(*(seen(one) for one in (mine, other) * 10))
    assert found == [{mine}, {other}] * 10
    async with every_practice(engine) as conn:
        assert await conn.scalar(COUNT) == 15
    with within_practice(mine), pytest.raises(DBAPIError, match="row-level security"):
        async with engine.begin() as conn:
            await conn.execute(insert(Clinician).values(practice_id=other, id=new_id(), name="x"))
    await engine.dispose()


async def driver_of(conn: AsyncConnection) -> Any:
    """Return the driver's connection, on which no transaction is begun."""
    return (await conn.get_raw_connection()).driver_connection


async def commits(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await conn.scalar(COUNT)


async def rolls_back(engine: AsyncEngine) -> None:
    async with engine.connect() as conn:
        await conn.scalar(COUNT)


async def fails(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="division by zero"):
        async with engine.begin() as conn:
            await conn.execute(text("SELECT 1 / 0"))


async def is_cancelled(engine: AsyncEngine) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), engine.begin() as conn:
            await conn.execute(text("SELECT pg_sleep(20)"))


async def is_begun_anew(engine: AsyncEngine) -> None:
    """The session loses what was prepared, so the transaction's beginning is repeated."""
    async with engine.connect() as conn:
        await (await driver_of(conn)).execute("DEALLOCATE ALL")
    await commits(engine)


async def has_every_practice(engine: AsyncEngine) -> None:
    async with every_practice(engine) as conn:
        assert await conn.scalar(COUNT) == 15


@pytest.mark.parametrize(
    "change", [commits, rolls_back, fails, is_cancelled, is_begun_anew, has_every_practice]
)
async def test_nothing_stays_in_the_session_of_a_change(
    matrix: Matrix, change: Callable[[AsyncEngine], Awaitable[None]]
) -> None:
    """The connection that the next transaction gets has no rows, however the last one ended."""
    waits = replace(database.PATIENT, connections=1)
    engine = database.engine(matrix.url, waits, confined=True)
    with within_practice(matrix.facts["USD"].practice["id"]):
        await commits(engine)
        await change(engine)
    async with engine.connect() as conn:
        driver = await driver_of(conn)
        assert not await driver.fetchval("SELECT current_setting($1, true)", SETTING)
        assert await driver.fetchval("SELECT count(*) FROM client") == 0
    await engine.dispose()


async def test_a_confined_change_that_names_no_practice_is_never_begun(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    async with new_database() as url:
        await prepare(url)
        engine = database.engine(url, confined=True)
        with pytest.raises(AssertionError, match="without a practice"):
            async with engine.begin():
                pass
        await engine.dispose()


# -- whose rows a planned read has -----------------------------------------------------------------

WHOSE = (
    "SELECT current_setting('portal.practice', true), (SELECT count(*) FROM client),"
    " (SELECT string_agg(DISTINCT practice_id::text, ',') FROM client)"
)
# Statements for which a planner could read a table before the practice is set.
SHAPES = {
    "a subquery by itself": "SELECT (SELECT count(*) FROM client)",
    "a table": "SELECT count(*) FROM client",
    "rows": "SELECT folded_name FROM client ORDER BY folded_name DESC, practice_id LIMIT 1",
    "a join": "SELECT count(*) FROM client JOIN invoice ON invoice.client_id = client.id",
    "a materialised query": "WITH a AS MATERIALIZED (SELECT * FROM client) SELECT count(*) FROM a",
    "a union": "SELECT sum(n) FROM (SELECT count(*) AS n FROM client UNION ALL SELECT count(*)"
    " FROM invoice) AS a",
    "a window": "SELECT count(*) OVER () FROM client LIMIT 1",
    "a condition": "SELECT 1 + (SELECT count(*) FROM client) WHERE EXISTS (SELECT FROM client)",
    "a limit": "SELECT count(*) FROM (SELECT FROM generate_series(1, 100)"
    " LIMIT (SELECT count(*) FROM client)) AS a",
    "a lateral join": "SELECT count(*) FROM client CROSS JOIN LATERAL (SELECT count(*) FROM invoice"
    " WHERE invoice.client_id = client.id) AS a",
    "a function": "SELECT count(*) FROM generate_series(1, (SELECT count(*) FROM client))",
}


@pytest.fixture
async def reads(matrix: Matrix) -> AsyncIterator[PostgresReads]:
    """Reads on one connection."""
    made = database.reads(matrix.url, size=1)
    assert isinstance(made, PostgresReads)
    yield made
    await made.close()


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_read_names_its_practice_before_it_reads(
    matrix: Matrix, reads: PostgresReads, mode: str
) -> None:
    mine, every = Caller(matrix.facts["USD"].practice["id"]), database.SERVER
    assert await reads.row("SELECT 1", [], mine) == (1,)
    (connection,) = reads.idle
    await connection.connection.execute(f"SET plan_cache_mode = {mode}")
    for sql in SHAPES.values():
        of_all = await reads.row(sql, [], every)
        own = await reads.row(sql, [], mine)
        assert own is not None
        assert own != of_all
        assert await reads.row(sql, [], Caller()) in (None, (0,), (None,))
        assert await reads.row(sql, [], mine) == own


@pytest.mark.parametrize("setting", ["enable_nestloop = on", "enable_nestloop = off"])
async def test_no_plan_reads_before_the_practice_is_named(matrix: Matrix, setting: str) -> None:
    """Each plan is a nested loop that sets the practice first. PostgreSQL has no other plan for an
    outer join without an equality, whichever settings the planner has.
    """
    conn = await asyncpg.connect(matrix.url)
    try:
        await conn.execute(f"SET {setting}; SET plan_cache_mode = force_generic_plan")
        for number, sql in enumerate(SHAPES.values()):
            await conn.execute(f"PREPARE p{number}(text) AS {Signed.of(sql, 0).sql}")
            explained = f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE p{number}('{EVERY_PRACTICE}')"
            plan = json.loads(await conn.fetchval(explained))[0]["Plan"]
            assert (plan["Node Type"], plan["Join Type"]) == ("Nested Loop", "Left"), sql
            (first,) = (one for one in plan["Plans"] if one["Parent Relationship"] == "Outer")
            assert first["Node Type"] == "Result", sql
            assert [one.partition("(")[0] for one in first["Output"]] == ["set_config"], sql
    finally:
        await conn.close()


@pytest.mark.parametrize("kind", ["cli", "inv", "pmt", "ses"])
async def test_owner_of_a_read_id_is_looked_up_by_an_index(matrix: Matrix, kind: str) -> None:
    """A policy keeps conditions from an index that could tell of hidden rows, as a cast can."""
    dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]
    plan = owner_statement(ViewerKind.DASHBOARD, kind, dialect)
    conn = await asyncpg.connect(matrix.url)
    try:
        for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):
            await conn.execute(f"SET enable_{way} = off")
        await conn.execute(f"SET portal.practice = '{EVERY_PRACTICE}'")
        lines = await conn.fetch(f"EXPLAIN {plan.sql}", ["item"])
    finally:
        await conn.close()
    plan_text = "\n".join(line for (line,) in lines)
    # A join filter would read all rows, and compare each with all ids.
    assert "Join Filter" not in plan_text
    assert re.search(r"Index Cond: \(+practice_id = ", plan_text)


async def test_a_read_that_names_no_caller_has_no_rows(reads: PostgresReads) -> None:
    """Whoever forgets the caller reads nothing, rather than the rows of every practice."""
    count = "SELECT count(*) FROM client"
    assert await reads.row(count, []) == (0,)
    assert await reads.value(count, []) == 0
    assert await reads.row_and_value((count, []), (count, [])) == (0, 0)
    assert await reads.value(count, [], database.SERVER) == 15
    lanes = database.Lanes(reads, reads, database.Budgets())
    assert await lanes.row(count, []) == (0,)
    assert await lanes.value(count, []) == 0
    assert await lanes.row_and_value((count, []), (count, [])) == (0, 0)


async def test_nothing_stays_in_the_session_of_a_read(matrix: Matrix, reads: PostgresReads) -> None:
    """Practices take turns on one connection, and between them it has no rows."""
    mine, other = (matrix.facts[name].practice["id"] for name in ("USD", OTHER))
    turns = (mine, other) * 10
    found = await asyncio.gather(*(reads.row(WHOSE, [], Caller(one)) for one in turns))
    assert found == [(one, 5, one) for one in turns]
    (connection,) = reads.idle
    assert [tuple(row) for row in await connection.connection.fetch(WHOSE)] == [("", 0, None)]


async def test_generated_operations_name_their_practice_first(
    matrix: Matrix, alone: Matrix, reads: PostgresReads
) -> None:
    """Every document of the isolation matrix is answered by generic plans as by a database that
    has the practice alone."""
    await reads.row("SELECT 1", [])
    await reads.idle[0].connection.execute("SET plan_cache_mode = force_generic_plan")
    generic = Matrix(matrix.url, reads, matrix.households)
    for sort in SORTS:
        bearer = of_practice(matrix, sort)
        asked = [*documents(matrix, bearer)]
        assert await answers(generic, bearer, asked) == await answers(alone, bearer, asked)
