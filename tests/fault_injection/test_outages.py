"""A database that restarts, is down, or is locked: responses are right or 503, and soon right
again.

The quick part of these tests, which `make test` runs too.
"""

import asyncio
import logging
import socket
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from billing.background import repeat_until_done
from billing.payments import webhook_inbox
from models.database import connector_of
from models.database.connector import KEEPALIVE, PostgresConnector
from models.database.session import SessionSettings
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.fault_injection.visiting import PROBES, visited, visitors
from tests.support.payments import paying

PATIENCE = 4.0
# Beginnings of log messages that do not belong to a request.
BACKGROUND = ("the database does not answer", "reads can't be recorded", "a batch waits")


@pytest.mark.server
@pytest.mark.rest
async def test_restart_loses_no_request(cluster: Cluster, network: Network) -> None:
    """The restart closes every connection."""
    async with visited(cluster, network, PATIENCE) as visiting:
        await asyncio.to_thread(cluster.restart)
        for way in visiting.ways():
            answer = await visiting.ask(way)
            assert answer.status == 200, answer
        await visiting.rest()


@pytest.mark.server
async def test_connections_are_asked_for_signs_of_life(cluster: Cluster, network: Network) -> None:
    connector = connector_of(network.url(cluster.url))
    assert isinstance(connector, PostgresConnector)
    connection: Any = await connector.connect(session=SessionSettings.of_reads(5))
    found = connection._transport.get_extra_info("socket")
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name, value in KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            assert found.getsockopt(socket.IPPROTO_TCP, option) == value
    await connection.close()


@pytest.mark.rest
@pytest.mark.server
async def test_requests_get_503_while_the_database_is_down(
    cluster: Cluster, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    async with visited(cluster, network, PATIENCE) as visiting:
        await asyncio.to_thread(cluster.crash)
        caplog.clear()
        for way in visiting.ways():
            caplog.clear()
            answer = await visiting.ask(way)
            assert answer.status == (200 if way == "livez" else 503), answer
            told = [one for one in caplog.records if one.levelno >= logging.WARNING]
            # Each background task logs the trouble once, when it meets it.
            told = [one for one in told if not one.getMessage().startswith(BACKGROUND)]
            assert len(told) == (0 if way in PROBES else 1), [one.getMessage() for one in told]
            assert not any(one.exc_info for one in told)
        caplog.clear()
        errand = asyncio.create_task(
            repeat_until_done(
                partial(webhook_inbox.handle_waiting, visiting.portal.payment_context)
            )
        )
        while not (told := [one for one in caplog.records if of_errand(one)]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert [one.exc_info for one in told] == [None]
        await asyncio.to_thread(cluster.start)
        await visiting.recover()
        # The task was run again without help.
        await errand
        await visiting.rest()


def of_errand(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and not record.getMessage().startswith(BACKGROUND)


@pytest.mark.rest
async def test_changes_get_503_while_another_process_has_locked_the_file(tmp_path: Path) -> None:
    path = tmp_path / "portal.sqlite"
    async with paying(f"sqlite:///{path}") as portal:
        visiting = await visitors(portal, PATIENCE)
        other = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        # In a thread, so that the server can end a write that it has begun.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        try:
            answers = await visiting.ask_all()
        finally:
            other.execute("ROLLBACK")
            other.close()
        changes = {"payment", "webhook"}
        assert {way for way, answer in answers.items() if answer.status == 503} == changes
        await visiting.recover()
        await visiting.rest()
