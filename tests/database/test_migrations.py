"""The migrations make the schema of the mapped classes, on both databases."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from models import Row, database, migrations

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# PostgreSQL truncates longer names, and two truncated names may be equal.
LONGEST_NAME = 63


@pytest.fixture
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, opened(url) as engine:
        yield engine


async def test_empty_database_is_migrated_to_the_head_revision(engine: AsyncEngine) -> None:
    assert await migrations.current_revision(engine) is None
    assert not await migrations.is_up_to_date(engine)
    await migrations.upgrade(engine)
    assert await migrations.current_revision(engine) == migrations.head()
    assert await migrations.is_up_to_date(engine)


# SQLite does not report indexes over expressions; the next test compares them.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_autogenerate_finds_no_difference(engine: AsyncEngine) -> None:
    await migrations.upgrade(engine)
    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []


async def test_migrated_schema_is_that_of_the_mapped_classes(engine: AsyncEngine) -> None:
    """Includes the text of each check and of each index's condition, which autogenerate ignores."""
    async with engine.begin() as conn:
        await conn.run_sync(Row.metadata.create_all)
    described = await schema(engine)
    async with engine.begin() as conn:
        await conn.run_sync(Row.metadata.drop_all)
    await migrations.upgrade(engine)
    assert await schema(engine) == described
    assert any("CHECK" in line for line in described)
    assert any("WHERE" in line for line in described)


async def test_second_migration_changes_nothing(engine: AsyncEngine) -> None:
    await migrations.upgrade(engine)
    first = await schema(engine)
    await migrations.upgrade(engine)
    assert await schema(engine) == first


async def test_rollback_leaves_nothing_and_can_be_migrated_again(
    engine: AsyncEngine,
) -> None:
    await migrations.upgrade(engine)
    await migrations.downgrade(engine, "base")
    assert await schema(engine) == set()
    await migrations.upgrade(engine)
    assert await migrations.is_up_to_date(engine)


async def test_database_of_another_release_is_left_unchanged(engine: AsyncEngine) -> None:
    await migrations.upgrade(engine)
    async with engine.begin() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrations.UnknownRevision, match="revision 9999"):
        await migrations.upgrade(engine)
    assert await migrations.current_revision(engine) == "9999"


@pytest.mark.rest
async def test_concurrent_migrations_take_turns(new_database: NewDatabase) -> None:
    async def one(url: str) -> None:
        async with opened(url) as engine:
            await migrations.upgrade(engine)

    async with new_database() as url, asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(one(url))
        async with opened(url) as engine:
            assert await migrations.is_up_to_date(engine)


async def test_failed_migration_is_rolled_back(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", interrupted)
        with pytest.raises(ConnectionError):
            await migrations.upgrade(engine)
    assert await schema(engine) == set()
    await migrations.upgrade(engine)


async def test_no_name_is_too_long_for_postgresql(engine: AsyncEngine) -> None:
    await migrations.upgrade(engine)
    names = re.findall(r"\b(?:pk|fk|uq|ix|ck)_\w+", " ".join(await schema(engine)))
    assert [name for name in names if len(name) >= LONGEST_NAME] == []


# -- SQLite alone ----------------------------------------------------------------------------------


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with opened(f"sqlite:///{tmp_path}/portal.db") as engine:
        yield engine


@pytest.mark.rest
async def test_foreign_keys_are_enforced_again_after_a_migration(sqlite: AsyncEngine) -> None:
    await migrations.upgrade(sqlite)
    async with sqlite.connect() as conn:
        assert await conn.scalar(text("PRAGMA foreign_keys")) == 1


async def test_migration_that_leaves_dangling_rows_is_rolled_back(sqlite: AsyncEngine) -> None:
    with pytest.raises(migrations.DanglingRows, match="1 rows refer to nothing"):
        async with migrations.migration_transaction(sqlite) as conn:
            await conn.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
            await conn.execute(text("CREATE TABLE child (id INTEGER REFERENCES parent)"))
            await conn.execute(text("INSERT INTO child VALUES (1)"))
    assert await schema(sqlite) == set()


# -- reading a schema ------------------------------------------------------------------------------


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    engine = database.engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def differences(conn: Connection) -> list[object]:
    context = MigrationContext.configure(conn, opts={"compare_server_default": True})
    return list(compare_metadata(context, Row.metadata))


async def schema(engine: AsyncEngine) -> set[str]:
    """Return a line for each column, constraint, index and trigger, without Alembic's own table."""
    read = sqlite_schema if engine.dialect.name == "sqlite" else postgres_schema
    async with engine.connect() as conn:
        return {line for line in await conn.run_sync(read) if "alembic_version" not in line}


def sqlite_schema(conn: Connection) -> set[str]:
    statement = text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    made = conn.execute(statement).all()
    return {line for name, sql in made for line in parts(name, " ".join(sql.split()))}


def parts(name: str, sql: str) -> set[str]:
    """Return the parts of a CREATE statement as a set, since their order has no meaning."""
    if not sql.startswith("CREATE TABLE"):
        return {sql}
    body = sql[sql.index("(") + 1 : sql.rindex(")")]
    # A comma separates two parts if no parenthesis is open around it.
    depths = [body[:at].count("(") - body[:at].count(")") for at in range(len(body))]
    commas = [at for at, letter in enumerate(body) if letter == "," and depths[at] == 0]
    ends = zip([-1, *commas], [*commas, len(body)], strict=True)
    return {f"{name}: {body[start + 1 : end].strip()}" for start, end in ends}


POSTGRES_SCHEMA = (
    """SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length,
           is_nullable, column_default, collation_name)
    FROM information_schema.columns WHERE table_schema = 'public'""",
    """SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, with_check)
    FROM pg_policies WHERE schemaname = 'public'""",
    """SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
    WHERE NOT tgisinternal""",
    """SELECT concat_ws(' ', relname, 'has row-level security') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relrowsecurity""",
)


def postgres_schema(conn: Connection) -> set[str]:
    return {line for query in POSTGRES_SCHEMA for line in conn.scalars(text(query))}
