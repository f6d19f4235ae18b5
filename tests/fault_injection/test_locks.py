"""A table that somebody has locked whole: 503 in time where it is needed, then recovery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.fault_injection.visiting import visited

pytestmark = [pytest.mark.faults, pytest.mark.server]

READS = {"repeated read", "new read", "document", "export"}
# A table, and the requests that are refused while it is locked.
LOCKED = {
    # An event of Stripe names neither, and is only kept for later.
    "token": READS | {"payment"},
    "client": READS | {"payment"},
    # Reads are answered, and their entries wait.
    "access_entry": {"payment"},
}
ROUNDS = 2


@asynccontextmanager
async def locked(cluster: Cluster, database_url: str, table: str) -> AsyncIterator[None]:
    """Lock a table of a database against everybody, as a migration by hand does."""
    server = urlsplit(cluster.url)
    conn = await asyncpg.connect(server._replace(path=urlsplit(database_url).path).geturl())
    try:
        async with conn.transaction():
            await conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await conn.close()


@pytest.mark.parametrize("table", LOCKED)
async def test_locked_table_gets_503_in_time_and_recovers_afterwards(
    cluster: Cluster, network: Network, table: str
) -> None:
    async with visited(cluster, network) as visiting:
        async with locked(cluster, visiting.portal.url, table):
            for _ in range(ROUNDS):
                answers = await visiting.ask_all()
                refused = {way for way, answer in answers.items() if answer.status == 503}
                assert refused == LOCKED[table], table
        await visiting.recover()
        await visiting.rest()


async def test_lock_of_every_table_leaves_no_request_waiting(
    cluster: Cluster, network: Network
) -> None:
    """Requests come at once, and more than there are connections."""
    async with visited(cluster, network) as visiting:
        async with locked(cluster, visiting.portal.url, "token, client, payment, access_entry"):
            await asyncio.gather(*(visiting.ask_all() for _ in range(10)))
        await visiting.recover()
        await visiting.rest()
