"""The role that serves: what it may do, and that `portal serve` refuses one that may do more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from models import AccessAction, ActorKind, Row, database, migrations
from models.ids import new_id
from models.row import ID
from models.row_security import confined, grants, policy, rights
from server.cli import main as cli
from server.cli.console import FORBIDDEN
from tests.support import postgres
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
OWNER, SERVING = postgres.OWNER, postgres.SERVING
# Words of the policy that PostgreSQL gives back in its own way.
CONDITION = (
    "(NULLIF((({column} = ( SELECT (NULLIF(COALESCE(NULLIF(current_setting('portal.practice'::text,"
    " true), ''::text), '00000000-0000-0000-0000-000000000000'::text), '*'::text))::uuid"
    ' AS "nullif")) IS NOT FALSE), false) IS NOT NULL)'
)


@pytest.fixture(scope="module")
async def url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database, which each test leaves as it was."""
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        yield url


async def fetched(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    conn = await asyncpg.connect(postgres.as_owner(url))
    try:
        return [tuple(row) for row in await conn.fetch(query, *values)]
    finally:
        await conn.close()


# -- policies and grants ---------------------------------------------------------------------------


@pytest.mark.server
async def test_the_database_has_the_policies_of_the_metadata(url: str) -> None:
    columns = "tablename, policyname, permissive, roles, cmd, qual, with_check"
    found = await fetched(url, f"SELECT {columns} FROM pg_policies")  # noqa: S608 - it is ours
    assert {row[0]: row[1:] for row in found} == {
        table.name: (
            *("of_practice", "PERMISSIVE", ["public"], "ALL"),
            *(CONDITION.format(column="id" if table.name == "practice" else "practice_id"), None),
        )
        for table in confined(Row.metadata)
    }
    secured = await fetched(url, "SELECT relname FROM pg_class WHERE relrowsecurity")
    assert {name for (name,) in secured} == {table.name for table in confined(Row.metadata)}


def test_each_table_with_rows_of_practices_has_a_policy() -> None:
    """All but what is of no practice, or of none yet."""
    without = {*Row.metadata.tables} - {table.name for table in confined(Row.metadata)}
    assert without == {"installation", "sign_in_limit", "sign_in_request", "stripe_event"}


def test_a_new_table_gets_a_policy_and_grants() -> None:
    more = MetaData()
    table = Table("note", more, Column("practice_id", ID, nullable=False), Column("id", ID))
    enabled, _ = policy(table.name, table.columns)
    assert enabled == "ALTER TABLE note ENABLE ROW LEVEL SECURITY"
    assert "GRANT DELETE, INSERT, SELECT, UPDATE ON note TO a_role" in [*grants(more, "a_role")]


@pytest.mark.server
async def test_whoever_serves_may_do_what_the_metadata_says_and_no_more(url: str) -> None:
    query = (
        "SELECT table_name, array_agg(privilege_type::text ORDER BY privilege_type)"
        " FROM information_schema.table_privileges WHERE grantee = $1 GROUP BY table_name"
    )
    granted = {name: frozenset(may) for name, may in await fetched(url, query, SERVING)}
    assert granted == rights(Row.metadata)
    assert granted["access_entry"] == {"SELECT", "INSERT"}
    query = "SELECT has_schema_privilege($1, 'public', 'CREATE')"
    assert await fetched(url, query, SERVING) == [(False,)]


@pytest.mark.server
async def test_a_second_migration_grants_the_same_again(url: str) -> None:
    """Other grants on these tables are revoked."""
    await postgres.execute(url, f"GRANT ALL ON access_entry, alembic_version TO {SERVING}")
    async with database.open_engine(postgres.as_owner(url)) as engine:
        await migrations.upgrade(engine, role=SERVING)
    await test_whoever_serves_may_do_what_the_metadata_says_and_no_more(url)


@pytest.mark.server
async def test_the_command_migrates_by_the_owner_for_the_one_that_serves(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with postgres.database(postgres_url) as url:
        monkeypatch.setenv("DATABASE_OWNER_URL", postgres.as_owner(url))
        result = await portal(url, monkeypatch, "migrate")
        assert result == (0, f"The database is at revision 0001. {SERVING} may serve it.\n")
        (owner,) = await fetched(url, "SELECT tableowner FROM pg_tables WHERE tablename = 'client'")
        assert owner == (OWNER,)
        await test_whoever_may_serve_is_not_refused(url, monkeypatch)


# -- what is refused -------------------------------------------------------------------------------


async def portal(url: str, patch: pytest.MonkeyPatch, command: str) -> tuple[int, str]:
    """Return how a command of the command line ends, and what it says."""
    for name, value in {"DATABASE_URL": url, "TOKEN_KEY": KEY, "SANDBOX": "true"}.items():
        patch.setenv(name, value)
    result = await asyncio.to_thread(CliRunner().invoke, cli.app, [command])
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout or result.stderr


async def served(url: str, patch: pytest.MonkeyPatch) -> str:
    """Return why the portal is not served, or that it would be."""
    patch.setattr("uvicorn.run", lambda *_, **__: None)
    status, said = await portal(url, patch, "serve")
    return said.strip() if status else "served"


@pytest.mark.server
async def test_whoever_may_serve_is_not_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await served(url, monkeypatch) == "served"


@pytest.mark.server
@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("postgres", "is a superuser"),
        (OWNER, "owns the table access_entry"),
        ("BYPASSRLS", "has BYPASSRLS"),
        ("CREATEROLE", "has CREATEROLE"),
        ("REPLICATION", "has REPLICATION"),
        (f"IN ROLE {OWNER}", f"is a member of {OWNER}, which owns the table access_entry"),
        (f"NOINHERIT IN ROLE {OWNER}", f"is a member of {OWNER}, which owns"),
        (f"NOINHERIT IN ROLE {SERVING}", "lacks INSERT, SELECT on the table access_entry"),
    ],
)
async def test_a_role_that_may_do_more_does_not_serve(
    url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch, role: str, words: str
) -> None:
    if role in ("postgres", OWNER):
        said = await served(postgres.of_role(url, role), monkeypatch)
    else:
        await postgres.execute(postgres_url, f"CREATE ROLE odd LOGIN {role}")
        try:
            said = await served(postgres.of_role(url, "odd"), monkeypatch)
        finally:
            await postgres.execute(postgres_url, "DROP ROLE odd")
    assert words in said
    assert said.startswith("DATABASE_URL names the role ")
    assert "docs/databases.md" in said
    assert "\n" not in said


@pytest.mark.server
@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("SUPERUSER", "which is a superuser"),
        ("BYPASSRLS", "which has BYPASSRLS"),
        ("CREATEROLE", "which has CREATEROLE"),
        ("REPLICATION", "which has REPLICATION"),
    ],
)
@pytest.mark.parametrize("inherits", ["INHERIT", "NOINHERIT"])
async def test_a_member_of_a_role_that_may_do_more_does_not_serve(
    url: str,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    attribute: str,
    words: str,
    inherits: str,
) -> None:
    """It could become the other role by SET ROLE, directly or through a role between."""
    roles = f"CREATE ROLE strong {attribute}; CREATE ROLE middle IN ROLE strong"
    odd = f"CREATE ROLE odd LOGIN {inherits} IN ROLE middle, {SERVING}"
    await postgres.execute(postgres_url, f"{roles}; {odd}")
    try:
        said = await served(postgres.of_role(url, "odd"), monkeypatch)
    finally:
        await postgres.execute(postgres_url, "DROP ROLE odd, middle, strong")
    assert said.startswith(f"DATABASE_URL names the role odd, which is a member of strong, {words}")
    assert "docs/databases.md" in said


@pytest.mark.server
@pytest.mark.parametrize("thing", ["SCHEMA public", "DATABASE"])
async def test_owner_of_what_the_tables_are_in_does_not_serve(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, thing: str
) -> None:
    """It could drop the schema, and the audit log with it."""
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        named = thing if thing != "DATABASE" else f"DATABASE {urlsplit(url).path[1:]}"
        await postgres.execute(of_server(postgres_url, url), f"ALTER {named} OWNER TO {SERVING}")
        said = await served(url, monkeypatch)
    assert f"names the role {SERVING}, which owns the schema public" in said
    assert "docs/databases.md" in said


def of_server(server_url: str, url: str) -> str:
    """Return the URL of a database for the role that made it."""
    return urlsplit(server_url)._replace(path=urlsplit(url).path).geturl()


CREATE = " ".join(policy("invoice", Row.metadata.tables["invoice"].columns)[1:])
MAY_CHANGE = "may change rows of access_entry"
# A change, what takes it back, and why the database is refused.
WITHOUT_WALLS = [
    (
        "ALTER TABLE client DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE client ENABLE ROW LEVEL SECURITY",
        "The table client has not just its policy",
    ),
    ("DROP POLICY of_practice ON invoice", CREATE, "The table invoice has not just its policy"),
    (
        "CREATE POLICY more ON payment USING (true)",
        "DROP POLICY more ON payment",
        "The table payment has not just its policy",
    ),
    *(
        (f"GRANT {right} ON access_entry TO {to}", f"REVOKE {right} ON access_entry FROM {to}", why)
        for right, to, why in (
            ("UPDATE", SERVING, MAY_CHANGE),
            ("UPDATE (name)", SERVING, MAY_CHANGE),
            ("TRUNCATE", SERVING, MAY_CHANGE),
            ("TRIGGER", SERVING, MAY_CHANGE),
            ("DELETE", "PUBLIC", MAY_CHANGE),
        )
    ),
    (
        "REVOKE SELECT ON alembic_version FROM portal_test_serving",
        "GRANT SELECT ON alembic_version TO portal_test_serving",
        "lacks SELECT on the table alembic_version",
    ),
]


@pytest.mark.server
@pytest.mark.parametrize(("change", "back", "words"), WITHOUT_WALLS)
async def test_a_database_without_its_walls_is_not_served(
    url: str, monkeypatch: pytest.MonkeyPatch, change: str, back: str, words: str
) -> None:
    await postgres.execute(url, change)
    try:
        said = await served(url, monkeypatch)
    finally:
        await postgres.execute(url, back)
    assert words in said
    assert "docs/databases.md" in said
    assert "\n" not in said


@pytest.mark.server
async def test_the_demo_s_rows_are_loaded_by_the_owner_alone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "The owner of the tables loads them: set DATABASE_OWNER_URL.\n"
    assert await portal(url, monkeypatch, "load-demo") == (1, said)


@pytest.mark.server
async def test_command_without_a_right_ends_with_a_sentence(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrating by the role that serves, and any other command by a role with no grants."""
    monkeypatch.delenv("DATABASE_OWNER_URL", raising=False)
    async with postgres.database(postgres_url) as url:
        await postgres.execute(url, postgres.CLOSE)
        status, said = await portal(url, monkeypatch, "migrate")
        assert status == 1
        assert said == f"{FORBIDDEN}\n"
        async with database.open_engine(postgres.as_owner(url)) as engine:
            await migrations.upgrade(engine)
        assert await portal(url, monkeypatch, "reconcile") == (1, f"{FORBIDDEN}\n")


# -- the audit log ---------------------------------------------------------------------------------

COLUMNS = "practice_id, id, kind, name, action, fields, at"
ENTRY = f"INSERT INTO access_entry ({COLUMNS}) VALUES"


async def test_the_server_cannot_alter_what_was_recorded(new_database: NewDatabase) -> None:
    """Neither the engine of requests nor that of background work can do it."""
    row = (
        f"('{new_id()}', '{new_id()}', '{ActorKind.OPERATOR}', 'before', '{AccessAction.READ}',"
        " '[]', '2026-03-15 12:00:00.000000')"
    )
    async with new_database() as url:
        await prepare(url)
        refused = [
            "UPDATE access_entry SET name = 'after'",
            "DELETE FROM access_entry",
            f"{ENTRY} {row.replace('before', 'after')}",
        ]
        if url.startswith("sqlite"):
            refused.append(f"{ENTRY} {row}".replace("INSERT", "INSERT OR REPLACE"))
        else:
            refused += [
                "TRUNCATE access_entry",
                "ALTER TABLE access_entry DISABLE TRIGGER ALL",
                "ALTER TABLE access_entry DISABLE ROW LEVEL SECURITY",
                "DROP TABLE access_entry",
                f"{ENTRY} {row} ON CONFLICT (practice_id, id) DO UPDATE SET name = 'after'",
                "SET session_replication_role = replica",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
                f"SET ROLE {OWNER}",
            ]
        async with database.open_engine(url) as engine:
            async with engine.begin() as conn:
                await conn.execute(text(f"{ENTRY} {row}"))
            for statement in refused:
                with pytest.raises(DBAPIError):
                    async with engine.begin() as conn:
                        await conn.exec_driver_sql(statement)
            async with engine.connect() as conn:
                kept = (await conn.execute(text("SELECT name FROM access_entry"))).all()
            assert [tuple(one) for one in kept] == [("before",)]
