"""Tests of the faults themselves: a dark network, and servers that change roles."""

import asyncio

import asyncpg
import pytest

from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network

pytestmark = pytest.mark.faults


async def test_dark_network_forwards_nothing_and_kills_open_connections(network: Network) -> None:
    url = network.url("postgresql:///postgres")
    before = await asyncpg.connect(url)
    assert await before.fetchval("SELECT 1") == 1
    network.darken()
    for connection in (before.fetchval("SELECT 1"), asyncpg.connect(url)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection, 0.5)
    network.lighten()
    after = await asyncpg.connect(url)
    assert await after.fetchval("SELECT 1") == 1
    network.cut()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await after.fetchval("SELECT 1")
    before.terminate()


async def test_standby_follows_and_is_promoted(cluster: Cluster, network: Network) -> None:
    standby = cluster.follow()
    url = network.url(cluster.url)

    async def writes() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE TABLE IF NOT EXISTS note (words text)")
            await connection.execute("INSERT INTO note VALUES ('kept')")
        finally:
            await connection.close()

    await writes()
    cluster.demote()
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await writes()
    cluster.promote()
    network.target = standby
    await writes()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM note") == 2
    await connection.close()
    cluster.crash()
    cluster.start()
