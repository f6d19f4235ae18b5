"""Reads at full speed and a killed server: entries missing from the audit log."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry, Client
from models.ids import new_id
from tests.fault_injection.killable_server import killable_server, long_lived_portal
from tests.support.demo_server import free_port
from tests.support.portal import Portal

pytestmark = pytest.mark.faults

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CLIENTS, AT_ONCE, CALLERS, MOST = 6_000, 20, 8, 500
NODES = "query Nodes($ids: [ID!]!) { nodes(ids: $ids) { id } }"


async def all_recorded(portal: Portal) -> set[str]:
    async with portal.engine.connect() as conn:
        return {str(id_) for id_ in await conn.scalars(select(AccessEntry.client_id))}


async def clients(portal: Portal) -> list[str]:
    ids = [new_id() for _ in range(CLIENTS)]
    own = {"practice_id": portal.practice_id, "created_at": portal.clock()}
    await portal.insert(Client, *({**own, "id": id_, "name": "Ana Prieto"} for id_ in ids))
    return ids


async def answered(address: str, tokens: list[str], ids: list[str]) -> set[str]:
    """Read all ids, with one concurrent caller per token, and return the answered ones."""
    found = set[str]()
    waiting = [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]

    async def caller(http: httpx.AsyncClient, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        while waiting:
            asked = waiting.pop()
            body: dict[str, Any] = {"query": NODES}
            body["variables"] = {"ids": [f"cli_{id_}" for id_ in asked]}
            answer = await http.post("/graphql", json=body, headers=headers)
            if answer.status_code == 200:
                assert len(answer.json()["data"]["nodes"]) == len(asked)
                found.update(asked)
            else:
                assert answer.headers["Retry-After"]
                waiting.append(asked)
                await asyncio.sleep(0.1)

    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        await asyncio.gather(*(caller(http, token) for token in tokens))
    return found


async def test_kill_loses_no_more_entries_than_may_be_queued(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    port = free_port()
    async with new_database() as url, long_lived_portal(url) as portal:
        whole = Subject(portal.practice_id)
        tokens = [await portal.token(whole, scopes=READ_SCOPES) for _ in range(CALLERS)]
        ids = await clients(portal)
        with killable_server(url, tmp_path, port) as process:
            told = await answered(f"http://127.0.0.1:{port}", tokens, ids)
            process.kill()
        recorded = await all_recorded(portal)
    print(f"{len(told - recorded)} of {len(told):,} reads are not in the audit log")
    assert len(told) == CLIENTS
    assert len(told - recorded) <= MOST


async def test_stopped_server_writes_all_entries(new_database: NewDatabase, tmp_path: Path) -> None:
    port = free_port()
    async with new_database() as url, long_lived_portal(url) as portal:
        whole = Subject(portal.practice_id)
        tokens = [await portal.token(whole, scopes=READ_SCOPES) for _ in range(CALLERS)]
        ids = await clients(portal)
        with killable_server(url, tmp_path, port) as process:
            told = await answered(f"http://127.0.0.1:{port}", tokens, ids[:400])
            process.terminate()
            assert process.wait(30) is not None
        recorded = await all_recorded(portal)
    assert len(told) == 400
    assert told <= recorded
