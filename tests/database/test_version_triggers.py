"""Versions of data: each change of a row, by whatever statement, renews those of its parts."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models import (
    DataVersion,
    Letterhead,
    Practice,
    Row,
    Scope,
    Session,
    Statement,
    Token,
    ViewerKind,
)
from models.append_only import is_append_only, unprotect
from models.database import open_engine
from models.ids import new_id
from models.row import written
from models.version_triggers import NOTED, create_missing_triggers, missing_triggers
from models.versioned_tables import SHARED, VERSIONED
from resolvers.visibility import IN_TOTALS, VISIBLE
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.factories import DEFAULTS, NOON, Books
from tests.support.triggers import STATEFUL, drop_triggers, fire_deferred

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# Tables of the schema whose rows are in no kept answer.
NEVER_KEPT = {"access_entry": "Each read adds an entry."}
ROWS = {row.__tablename__: row for row in DEFAULTS}
SPOILED = "spoiled"


def test_each_table_of_the_schema_has_versions_or_is_in_no_kept_answer() -> None:
    read = {model.__tablename__ for model in (*VISIBLE, *IN_TOTALS)}
    assert read == VERSIONED.keys() | NEVER_KEPT.keys()


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    """Yield the owner's engine of a database in which rows of every table can be changed."""
    async with new_database() as url:
        await prepare(url)
        async with open_engine(postgres.as_owner(url)) as engine:
            async with engine.begin() as conn:
                for table in filter(is_append_only, Row.metadata.sorted_tables):
                    await conn.run_sync(unprotect, table.name)
                await drop_triggers(conn, *STATEFUL)
            yield engine


@pytest.fixture
async def conn(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a transaction, which is rolled back."""
    async with engine.connect() as conn, conn.begin() as transaction:
        yield conn
        await transaction.rollback()


async def spoil(conn: AsyncConnection) -> None:
    """Set all versions to one that no trigger writes, as of another transaction."""
    await fire_deferred(conn)
    await conn.execute(update(DataVersion).values(version=SPOILED, renewed_in=1))
    if conn.dialect.name == "postgresql":
        await conn.execute(text(f"SELECT set_config('{NOTED}', '', true)"))


async def renewed(conn: AsyncConnection) -> set[str]:
    """Return the parts whose versions were renewed."""
    await fire_deferred(conn)
    fresh = select(DataVersion.part).where(DataVersion.version != SPOILED)
    return set(await conn.scalars(fresh))


def parts(ids: Mapping[str, str], table: str) -> set[str]:
    """Return the parts that the default row of a table belongs to, given the rows' ids."""
    whole = {ids["practice"]}
    if table in ("practice", "clinician", "letterhead"):
        return whole | {SHARED}
    if table == "contact":
        return whole | {ids["contact"]}
    if table == "contact_right":
        return whole | {ids["client"], ids["contact"]}
    if table in ("practice_version", "token"):
        # The default token is a person's.
        return whole if table == "practice_version" else set()
    return whole | {ids["client"]}


async def test_rows_that_are_entered_changed_and_removed_renew_their_parts(
    conn: AsyncConnection,
) -> None:
    books = await Books.opened(conn)
    defaults = [table for table in Row.metadata.sorted_tables if table.name in ROWS]
    for table in defaults:
        if table.name in ("practice", "data_version"):
            continue
        await spoil(conn)
        row = ROWS[table.name]
        await books.add(row, **books.links(row))
        await check(conn, books, table.name, "INSERT")
    for table in defaults:
        if table.name in VERSIONED:
            await spoil(conn)
            same = "practice_id = practice_id"
            changed = "name = name || '!'" if table.name == "practice" else same
            await conn.execute(text(f"UPDATE {table} SET {changed}"))  # noqa: S608 - names
            await check(conn, books, table.name, "UPDATE")
    for table in reversed(defaults):
        if table.name != "data_version":
            await spoil(conn)
            await conn.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names
            await check(conn, books, table.name, "DELETE")


async def check(conn: AsyncConnection, books: Books, table: str, change: str) -> None:
    expected = parts(books.ids, table) if table in VERSIONED else set()
    assert await renewed(conn) == expected, f"{change} of {table}"


async def test_a_row_that_moves_renews_the_parts_of_both_clients(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    first, second = await books.client(), await books.client()
    await books.add(Session, client_id=first)
    await spoil(conn)
    await books.change_all(Session, client_id=second)
    assert await renewed(conn) == {books.practice, first, second}


@pytest.mark.parametrize("statement", ["INSERT OR REPLACE", "UPDATE OR REPLACE"])
@pytest.mark.parametrize("key", ["id", "serial"])
async def test_a_row_that_is_replaced_renews_the_parts_of_its_client(
    conn: AsyncConnection, statement: str, key: str
) -> None:
    """SQLite removes the row that has a key of the new one, and fires no trigger for that."""
    if conn.dialect.name == "postgresql":
        pytest.skip("PostgreSQL has no REPLACE")
    books = await Books.opened(conn)
    first, second = await books.client(), await books.client()
    letterhead = await books.add(Letterhead)
    documents = [
        await books.add(Statement, client_id=client, letterhead_id=letterhead)
        for client in (first, second)
    ]
    names = written(Statement)
    taken = f"(SELECT {key} FROM statement WHERE id = :first)"  # noqa: S608 - names
    values = {name: name for name in names} | {"id": ":id", "serial": "serial + 100"}
    row = ", ".join((values | {"client_id": ":second", key: taken}).values())
    replacing = {
        "INSERT OR REPLACE": f"INTO statement ({', '.join(names)}) SELECT {row} FROM statement",  # noqa: S608
        "UPDATE OR REPLACE": f"statement SET {key} = {taken}",
    }
    ids = {"first": documents[0], "taken": documents[1], "second": second, "id": new_id()}
    await spoil(conn)
    await conn.execute(text(f"{statement} {replacing[statement]} WHERE id = :taken"), ids)
    assert await renewed(conn) == {books.practice, first, second}


async def test_a_token_of_a_program_is_of_its_practice_but_its_use_is_not(
    conn: AsyncConnection,
) -> None:
    books = await Books.opened(conn)
    program = {"kind": ViewerKind.DASHBOARD, "client_id": None, "scopes": [Scope.BILLING_READ]}
    await books.add(Token, **program)
    await spoil(conn)
    await books.change_all(Token, last_used_at=NOON)
    assert await renewed(conn) == set()
    await books.change_all(Token, last_used_at=NOON, name="Reports")
    assert await renewed(conn) == {books.practice}


async def test_work_of_the_background_on_a_practice_renews_nothing(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    await spoil(conn)
    await books.change_all(Practice, compared_at=NOON, leased_until=NOON)
    assert await renewed(conn) == set()


async def test_a_change_that_is_taken_back_renews_nothing(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    await spoil(conn)
    async with conn.begin_nested() as inner:
        await books.client()
        assert await renewed(conn)
        await inner.rollback()
    assert await renewed(conn) == set()
    await books.client()
    assert books.practice in await renewed(conn)


async def test_no_version_comes_twice(conn: AsyncConnection) -> None:
    books = await Books.opened(conn)
    seen = set()
    for _ in range(20):
        await spoil(conn)
        client = await books.client()
        await fire_deferred(conn)
        rows = select(DataVersion.version).where(DataVersion.part.in_([client, books.practice]))
        seen |= set(await conn.scalars(rows))
    assert len(seen) == 40


async def test_missing_and_disabled_triggers_are_found(conn: AsyncConnection) -> None:
    assert await conn.run_sync(missing_triggers) == []
    if conn.dialect.name == "postgresql":
        await conn.execute(text("ALTER TABLE invoice DISABLE TRIGGER invoice_versions"))
        await conn.execute(text("DROP TRIGGER client_emptied ON client"))
        replaced = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        await conn.execute(text(f"CREATE OR REPLACE FUNCTION payment_changed() {replaced}"))
    else:
        for name in ("invoice_version_update", "client_version_delete", "payment_version_insert"):
            await conn.execute(text(f"DROP TRIGGER {name}"))
    assert {*await conn.run_sync(missing_triggers)} == {"invoice", "client", "payment"}


async def test_migrating_again_creates_missing_triggers_and_renews_all_versions(
    conn: AsyncConnection,
) -> None:
    """Changes may have been missed while a trigger was not there."""
    client = await (await Books.opened(conn)).client()
    await spoil(conn)
    broken = "ALTER TABLE invoice DISABLE TRIGGER invoice_versions"
    if conn.dialect.name == "sqlite":
        broken = "DROP TRIGGER invoice_version_update"
    await conn.execute(text(broken))
    assert await conn.run_sync(create_missing_triggers) == ["invoice"]
    assert await conn.run_sync(missing_triggers) == []
    assert client in await renewed(conn)
    assert await conn.run_sync(create_missing_triggers) == []


async def test_an_emptied_table_renews_all_versions(conn: AsyncConnection) -> None:
    if conn.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    books = await Books.opened(conn)
    client = await books.client()
    await spoil(conn)
    await conn.execute(text("TRUNCATE client_name_part"))
    assert {books.practice, SHARED, client} <= await renewed(conn)
