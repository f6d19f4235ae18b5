"""Upgrades: steps beside the server, locks that others hold, and databases of other releases."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from models import migrations
from models.database import open_engine
from models.migrations import steps
from server import app as application
from server.cli import main as cli
from server.http import probes
from tests.support import postgres
from tests.support.portal import KEY, Portal, served
from tests.support.trial_revisions import newer_release

pytestmark = pytest.mark.twins(4)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
LENGTHS = "SELECT count(*) FROM client WHERE name_length = length(name)"
NEWER = "start the newer release that made it, or run `portal migrate --to 0001` of that release"
OLDER = "The database is not up to date"


@pytest.fixture
async def portal(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Portal]:
    """Yield a portal, with the settings of its commands."""
    monkeypatch.setattr(probes, "REVISION_EVERY_S", 0.0)
    async with new_database() as url, served(url) as it:
        owner = postgres.as_owner(url) if not url.startswith("sqlite") else url
        given = {"DATABASE_URL": url, "DATABASE_OWNER_URL": owner, "TOKEN_KEY": KEY}
        for name, value in (given | {"SANDBOX": "true"}).items():
            monkeypatch.setenv(name, value)
        yield it


async def command(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli.app, words)


def owner(portal: Portal) -> str:
    is_sqlite = portal.url.startswith("sqlite")
    return portal.url if is_sqlite else postgres.as_owner(portal.url)


async def fetched(portal: Portal, statement: str) -> Any:
    async with open_engine(owner(portal)) as engine, engine.connect() as conn:
        return await conn.scalar(text(statement))


async def stamp(portal: Portal, revision: str | None) -> None:
    """Have the database's revision be another one; None for none."""
    async with open_engine(owner(portal)) as engine, engine.begin() as conn:
        await conn.execute(text("DELETE FROM alembic_version"))
        if revision:
            await conn.execute(
                text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision}
            )


async def ready(portal: Portal) -> tuple[int, str]:
    answer = await portal.http.get("/readyz")
    return answer.status_code, answer.text


# -- databases of other releases -------------------------------------------------------------------


async def test_old_code_under_a_newer_database(portal: Portal) -> None:
    await stamp(portal, "trial3")
    for words in (("serve",), ("migrate",), ("migrate", "--to", "0001", "--yes")):
        result = await command(*words)
        assert (result.exit_code, NEWER in result.stderr) == (1, True), (words, result.stderr)
    lines = (await command("check")).stdout.splitlines()
    assert any(NEWER in line for line in lines if "revision" in line)
    # Processes that run go on: a later revision keeps what they need.
    status, words_ = await ready(portal)
    assert (status, words_.startswith("ok\n"), NEWER in words_) == (200, True, True)
    with pytest.raises(migrations.UnknownRevision, match="newer release"):
        await started(portal)


async def test_new_code_under_an_older_database(portal: Portal, tmp_path: Path) -> None:
    with newer_release(tmp_path):
        result = await command("serve")
        sentence = f"{OLDER}: it is at revision 0001, and this release needs trial3. Run `portal"
        assert (result.exit_code, result.stderr.startswith(sentence)) == (1, True)
        lines = (await command("check")).stdout.splitlines()
        assert any(sentence in line for line in lines if "revision" in line)
        status, words = await ready(portal)
        assert (status, words.startswith(sentence)) == (503, True)
        with pytest.raises(migrations.UnknownRevision, match="portal migrate"):
            await started(portal)
    await stamp(portal, None)
    assert await ready(portal) == (503, f"{OLDER}: run `portal migrate` first.\n")


async def started(portal: Portal) -> None:
    """Start an application as a new process of `portal serve` does."""
    made = portal.application
    before = made.router.lifespan_context
    application.refuse_other_revision(made)
    try:
        async with made.router.lifespan_context(made):
            pytest.fail("the process started")
    finally:
        made.router.lifespan_context = before


async def test_upgrade_is_served_and_taken_back(portal: Portal, tmp_path: Path) -> None:
    """The old release serves during the upgrade and after it, and once the tables are back."""
    token = await portal.token()
    name = "{ client { name } }"
    with newer_release(tmp_path, size=1):
        assert "revision trial3" in (await command("migrate")).stdout
        assert await fetched(portal, LENGTHS) == 2
        assert (await portal.ask(name, token)).json()["data"]["client"]["name"] == "Ana Prieto"
        asked = await command("migrate", "--to", "0001")
        assert asked.exit_code == 1
        assert "? What only later ones hold is lost. Give --yes." in asked.stderr
        assert "revision 0001" in (await command("migrate", "--to", "0001", "--yes")).stdout
        assert "has no revision 0099" in (await command("migrate", "--to", "0099")).stderr
    assert await ready(portal) == (200, "ok\n")
    assert (await portal.ask(name, token)).status_code == 200


# -- steps -----------------------------------------------------------------------------------------


@pytest.mark.rest
async def test_interrupted_migration_is_continued(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that were filled stay, and the next revision waits for all of them."""
    fill, filled = steps.Backfill.fill, list[Any]()

    async def interrupted(self: Any, engine: Any, low: Any, high: Any) -> None:
        if len(filled) == 1:
            raise ConnectionError
        filled.append(high)
        await fill(self, engine, low, high)

    with newer_release(tmp_path, size=1):
        async with open_engine(owner(portal)) as engine:
            with monkeypatch.context() as patch:
                patch.setattr(steps.Backfill, "fill", interrupted)
                with pytest.raises(ConnectionError):
                    await migrations.upgrade(engine)
            assert await migrations.current_revision(engine) == "trial1"
            assert await fetched(portal, LENGTHS) == 1
            await migrations.upgrade(engine)
            assert await migrations.current_revision(engine) == "trial3"
        assert await fetched(portal, LENGTHS) == 2


@pytest.mark.rest
async def test_migrations_with_steps_take_turns(portal: Portal, tmp_path: Path) -> None:
    async def one() -> None:
        async with open_engine(owner(portal)) as engine:
            await migrations.upgrade(engine)

    if portal.url.startswith("sqlite"):
        pytest.skip("SQLite has one writer")
    with newer_release(tmp_path, size=1):
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one())
    assert await fetched(portal, LENGTHS) == 2


@pytest.mark.rest
async def test_unfinished_index_is_made_anew(postgres_url: str, tmp_path: Path) -> None:
    """An index that was interrupted is there, and not valid."""
    async with postgres.database(postgres_url) as url, served(url) as portal:
        make = "CREATE UNIQUE INDEX CONCURRENTLY ix_trial ON client (practice_id)"
        async with open_engine(owner(portal)) as engine, engine.connect() as conn:
            conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
            with pytest.raises(Exception, match="could not create unique index"):
                await conn.execute(text(make))
        with newer_release(tmp_path):
            async with open_engine(owner(portal)) as engine:
                await migrations.upgrade(engine)
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_trial'::regclass"
        assert await fetched(portal, valid) is True


@pytest.mark.rest
async def test_lock_of_another_transaction_is_tried_again_and_reads_go_on(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "PAUSE_S", 0.05)
    name = "{ client { name } }"
    async with postgres.database(postgres_url) as url, served(url) as portal:
        token = await portal.token()
        with newer_release(tmp_path):
            async with open_engine(owner(portal)) as engine, portal.engine.connect() as holder:
                await holder.execute(text("SELECT count(*) FROM client"))
                migrating = asyncio.create_task(migrations.upgrade(engine))
                # Each read waits behind the migration at times, and never until it gives up.
                for _ in range(20):
                    assert (await portal.ask(name, token)).status_code == 200
                    await asyncio.sleep(0.1)
                assert not migrating.done()
                await holder.rollback()
                await migrating
                monkeypatch.setattr(steps, "TRIES", 2)
                await holder.execute(text("SELECT count(*) FROM client"))
                with pytest.raises(steps.MigrationBlocked, match="run `portal migrate` again"):
                    await migrations.downgrade(engine, "0001")
