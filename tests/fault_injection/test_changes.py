"""Changes while a server is stopped and started: each is made, or fails with a transient error."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text

from models import database
from models.database import TransientError, Waits, watch_database
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.support import postgres

pytestmark = [pytest.mark.faults, pytest.mark.server]

AT_ONCE, TIMES = 12, 6


async def test_no_change_fails_with_a_defect(cluster: Cluster, network: Network) -> None:
    await postgres.execute(cluster.url, "CREATE TABLE note (words text)")
    url = network.url(cluster.url)
    connector = database.connector_of(url)
    engine = database.engine(url, Waits(1, 10, 15, 5), connector)
    is_over, counts = asyncio.Event(), Counter[str]()

    async def change() -> None:
        while not is_over.is_set():
            try:
                async with engine.begin() as conn:
                    await conn.execute(text("INSERT INTO note VALUES ('kept')"))
                    await conn.execute(text("SELECT count(*) FROM note WHERE words = 'x'"))
                counts["made"] += 1
            except TransientError:
                counts["failed"] += 1
            await asyncio.sleep(0.002)

    async with watch_database(connector):
        changes = [asyncio.create_task(change()) for _ in range(AT_ONCE)]
        for number in range(TIMES):
            await asyncio.sleep(0.6)
            await asyncio.to_thread(cluster.crash if number % 2 else cluster.stop)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(cluster.start)
        is_over.set()
        await asyncio.gather(*changes)
        async with engine.connect() as conn:
            kept = await conn.scalar(text("SELECT count(*) FROM note"))
    await engine.dispose()
    assert counts["made"]
    assert counts["failed"]
    # A commit with a lost response may have been made.
    assert counts["made"] <= (kept or 0) <= counts.total()
