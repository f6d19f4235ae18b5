"""Append-only tables: both databases refuse to change, remove or replace a row, by any role."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table, UniqueConstraint, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from models import EntryKind, LedgerEntry, Row
from models.append_only import is_append_only, protect
from models.database import open_engine
from models.ids import new_id
from models.row_security import rights
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.factories import Books

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
PROTECTED = [table for table in Row.metadata.sorted_tables if is_append_only(table)]


@pytest.fixture(scope="module")
async def url(new_database: NewDatabase) -> AsyncIterator[str]:
    """Yield the URL of a database with rows in each table."""
    async with new_database() as url:
        await prepare(url)
        async with open_engine(postgres.as_owner(url)) as engine, engine.begin() as conn:
            books = await Books.opened(conn)
            await books.fill()
            credit = {"kind": EntryKind.CREDIT, "amount_minor": -100}
            await books.add(LedgerEntry, client_id=books.ids["client"], **credit)
        yield url


def test_the_books_are_append_only_and_the_serving_role_may_only_add_to_them() -> None:
    names = {
        *("access_entry", "allocation", "ledger_entry", "printed_document", "receipt"),
        *("chain_link", "chain_root", "erased_value", "outbox_event"),
    }
    assert {table.name for table in PROTECTED} == names
    may = rights(Row.metadata)
    assert {name for name, granted in may.items() if granted == {"SELECT", "INSERT"}} == names


@pytest.mark.parametrize("role", ["serving", "owner"])
@pytest.mark.parametrize("table", PROTECTED, ids=str)
async def test_no_row_is_changed_or_removed(url: str, table: Table, role: str) -> None:
    async with open_engine(postgres.as_owner(url) if role == "owner" else url) as engine:
        before = await rows(engine, table)
        assert before
        for statement in changes(table, engine.dialect.name):
            with pytest.raises(DBAPIError, match=r"append only|permission denied"):
                await run(engine, statement)
            assert await rows(engine, table) == before, statement


def changes(table: Table, dialect: str) -> Iterator[str]:
    """Yield statements that change or remove rows."""
    yield from (f"UPDATE {table} SET {column.name} = {column.name}" for column in table.columns)
    yield f"DELETE FROM {table}"
    if dialect == "postgresql":
        yield f"TRUNCATE {table} CASCADE"
    else:
        yield f"UPDATE OR REPLACE {table} SET practice_id = practice_id"
        yield from (replacement(table, columns, where) for columns, where in unique_keys(table))
        names = ", ".join(table.columns.keys())
        of_others = ", ".join(changed(column) for column in table.columns)
        yield f"REPLACE INTO {table} (rowid, {names}) SELECT rowid, {of_others} FROM {table}"
    keys = ", ".join(column.name for column in table.primary_key)
    upsert = f"INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT ({keys}) DO UPDATE"
    yield f"{upsert} SET practice_id = excluded.practice_id"


def unique_keys(table: Table) -> Iterator[tuple[set[str], str]]:
    """Yield the columns of each unique key, and the condition of a partial one."""
    yield {column.name for column in table.primary_key}, "true"
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield {column.name for column in constraint.columns}, "true"
    for index in table.indexes:
        if index.unique:
            where = str(index.dialect_kwargs.get("sqlite_where", "true"))
            yield {column.name for column in index.columns}, where


def replacement(table: Table, columns: set[str], where: str) -> str:
    """Return a REPLACE by a row that shares one unique key with a kept row, and no other."""
    values = ", ".join(
        column.name if column.name in columns else changed(column) for column in table.columns
    )
    return f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} WHERE {where} LIMIT 1"


def changed(column: Column[Any]) -> str:
    """Return another value of a column, if it may be part of a key."""
    if column.name == "id":
        return f"'{new_id()}'"
    return "serial + 1000" if column.name == "serial" else column.name


async def run(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as conn:
        await conn.exec_driver_sql(statement)


async def rows(engine: AsyncEngine, table: Table) -> list[Any]:
    async with engine.connect() as conn:
        return sorted((await conn.execute(select(table))).all(), key=str)


async def test_a_partial_key_is_compared_only_among_its_rows(tmp_path: Path) -> None:
    async with open_engine(f"sqlite:///{tmp_path}/notes.db") as engine, engine.begin() as conn:
        for statement in (
            "CREATE TABLE note (id INTEGER PRIMARY KEY, topic TEXT, closed TEXT)",
            "CREATE UNIQUE INDEX one_open ON note (topic) WHERE closed IS NULL",
            "INSERT INTO note VALUES (1, 'a', NULL), (2, 'b', 'yes')",
        ):
            await conn.exec_driver_sql(statement)
        await conn.run_sync(protect, "note")
        for accepted in ("(3, 'a', 'yes')", "(4, 'b', NULL)", "(5, 'c', NULL)"):
            await conn.exec_driver_sql(f"INSERT OR REPLACE INTO note VALUES {accepted}")
        for taken in ("(6, 'a', NULL)", "(2, 'd', NULL)"):
            with pytest.raises(DBAPIError, match="append only"):
                await conn.exec_driver_sql(f"INSERT OR REPLACE INTO note VALUES {taken}")
        assert await conn.scalar(select(func.count()).select_from(text("note"))) == 5


@pytest.mark.server
async def test_a_session_that_replicates_is_refused_too(postgres_url: str) -> None:
    """A superuser of PostgreSQL may turn off the triggers of a session, but not these."""
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        async with open_engine(postgres.of_role(url, "postgres")) as engine:
            async with engine.begin() as conn:
                await (await Books.opened(conn)).fill()
            with pytest.raises(DBAPIError, match="append only"):
                async with engine.begin() as conn:
                    await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
                    await conn.exec_driver_sql("DELETE FROM receipt")
