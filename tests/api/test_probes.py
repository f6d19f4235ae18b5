"""/livez and /readyz: the state of the process, and of its database."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from unittest.mock import AsyncMock

import asyncpg
import pytest

from models import Client
from tests.support import postgres
from tests.support.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "{ client { name } }"


async def test_probes_need_no_token_and_are_not_cached(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url) as portal:
        for path in ("/livez", "/readyz"):
            answer = await portal.http.get(path)
            assert (answer.status_code, answer.text) == (200, "ok\n")
            assert answer.headers["Cache-Control"] == "no-store"
        assert (await portal.http.get("/health")).status_code == 404


async def test_readyz_is_ok_while_every_connection_waits(postgres_url: str) -> None:
    """One lock blocks all places for reads and all connections for changes."""
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


async def test_readyz_asks_again_if_its_connection_breaks_amid_an_answer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's error for it is not one of a connection."""
    async with postgres.database(postgres_url) as url, served(url) as portal:
        assert (await portal.http.get("/readyz")).status_code == 200
        broken = AsyncMock(side_effect=asyncpg.InternalClientError("unknown protocol state"))
        with monkeypatch.context() as patch:
            patch.setattr(asyncpg.Connection, "execute", broken)
            assert (await portal.http.get("/readyz")).status_code == 503
        assert (await portal.http.get("/readyz")).status_code == 200


async def test_readyz_fails_if_the_sqlite_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "portal.sqlite"
    async with served(f"sqlite:///{path}") as portal:
        assert (await portal.http.get("/readyz")).status_code == 200
        path.rename(tmp_path / "elsewhere.sqlite")
        assert (await portal.http.get("/readyz")).status_code == 503
        assert (await portal.http.get("/livez")).status_code == 200
        assert not path.exists()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_refuse_post(tmp_path: Path, path: str) -> None:
    async with served(f"sqlite:///{tmp_path}/portal.sqlite") as portal:
        assert (await portal.http.post(path)).status_code == 405
