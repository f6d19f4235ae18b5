"""/livez and /readyz: whether the process lives, and whether its database answers."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from models import Client
from tests import postgres
from tests.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "{ client { name } }"


async def test_both_answer_without_a_token_and_are_not_kept(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url) as portal:
        for path in ("/livez", "/readyz"):
            answer = await portal.http.get(path)
            assert (answer.status_code, answer.text) == (200, "ok\n")
            assert answer.headers["Cache-Control"] == "no-store"
        assert (await portal.http.get("/health")).status_code == 404


async def test_the_database_is_ready_while_every_connection_waits(postgres_url: str) -> None:
    """All places for reads and all connections for changes are taken by one lock."""
    async with postgres.database(postgres_url) as url:
        few = {"database_connections": 1, "write_connections": 2, "lock_timeout_s": 30}
        async with served(url, **few) as portal:
            token = await portal.token()
            assert (await portal.ask(NAME, token)).status_code == 200
            async with portal.engine.connect() as holder:
                await holder.exec_driver_sql(f"LOCK TABLE {Client.__tablename__}")
                waiting = [asyncio.create_task(portal.ask(NAME, token)) for _ in range(5)]
                await asyncio.sleep(0.2)
                assert not any(task.done() for task in waiting)
                assert (await portal.http.get("/readyz")).status_code == 200
                await holder.rollback()
            await asyncio.gather(*waiting)


async def test_a_file_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "portal.sqlite"
    async with served(f"sqlite:///{path}") as portal:
        assert (await portal.http.get("/readyz")).status_code == 200
        path.rename(tmp_path / "elsewhere.sqlite")
        assert (await portal.http.get("/readyz")).status_code == 503
        assert (await portal.http.get("/livez")).status_code == 200
        assert not path.exists()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_nobody_changes_anything_by_a_probe(tmp_path: Path, path: str) -> None:
    async with served(f"sqlite:///{tmp_path}/portal.sqlite") as portal:
        assert (await portal.http.post(path)).status_code == 405
