"""A network that drops every packet, and a demoted primary: 503 in time, then recovery."""

import asyncio
import time
from statistics import median

import pytest

from models.database.connector import PostgresConnector
from models.database.errors import DatabaseUnavailable
from tests.fault_injection.cluster import Cluster
from tests.fault_injection.network import Network
from tests.fault_injection.visiting import PROBES, Visitors, visited

pytestmark = [pytest.mark.faults, pytest.mark.server]

BALANCE = "{ client { balance { amount { minorUnits } } } }"
AT_ONCE = 3
DARK_S = 12.0
# Seconds until a silent server is known to be gone; from then on no request waits for it.
KNOWN_WITHIN_S = 7.0
# Seconds for which a process does nothing.
STILL_S = 2.0
# Seconds to end, since queued entries may still be written.
ENDED_WITHIN_S = 30.0


async def ask_for(visiting: Visitors, seconds: float) -> None:
    """Have visitors send every kind of request, several at once, for this many seconds."""
    until = time.monotonic() + seconds

    async def asking() -> None:
        while time.monotonic() < until:
            await visiting.ask_all()
            await asyncio.sleep(0.2)

    await asyncio.gather(*(asking() for _ in range(AT_ONCE)))


async def test_dark_network_gets_503_in_time_and_recovers_afterwards(
    cluster: Cluster, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    async with visited(cluster, network) as visiting:
        network.darken()
        began = len(visiting.answers)
        await ask_for(visiting, DARK_S)
        late = visiting.answers[began:][-AT_ONCE * len(visiting.ways()) :]
        assert {one.status for one in late if one.way != "livez"} == {503}
        # Nobody waits any more for a server that is known to be silent. One answer may be late on a
        # machine that has much else to do; had they waited, most would be.
        assert median(one.seconds for one in late if one.way not in PROBES) < 2
        network.lighten()
        await visiting.recover()
        await visiting.rest()
    assert not [record for record in caplog.records if record.exc_info]


async def test_portal_ends_while_its_network_is_dark(cluster: Cluster, network: Network) -> None:
    async with visited(cluster, network):
        network.darken()
        began = time.monotonic()
    assert time.monotonic() - began < ENDED_WITHIN_S


async def test_short_darkness_leaves_no_dead_connection(cluster: Cluster, network: Network) -> None:
    """The open connections stay dead, without notice, after the network is back."""
    async with visited(cluster, network) as visiting:
        network.darken()
        network.lighten()
        await asyncio.sleep(KNOWN_WITHIN_S)
        await visiting.recover()
        await visiting.rest()


async def test_dead_connections_are_found_by_a_process_that_stood_still(
    cluster: Cluster, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still while the database is asked whether it answers."""
    ask, was_asked = PostgresConnector.ask, asyncio.Event()

    async def stand_still(connector: PostgresConnector) -> DatabaseUnavailable | None:
        asking = asyncio.ensure_future(ask(connector))
        await asyncio.sleep(0.1)
        if not was_asked.is_set():
            time.sleep(STILL_S)  # noqa: ASYNC251 (it is to block the event loop)
        try:
            return await asking
        finally:
            was_asked.set()

    async with visited(cluster, network) as visiting:
        network.darken()
        monkeypatch.setattr("models.database.connector.PROBE_S", STILL_S / 4)
        monkeypatch.setattr(PostgresConnector, "ask", stand_still)
        network.lighten()
        await was_asked.wait()
        await asyncio.sleep(KNOWN_WITHIN_S)
        await visiting.recover()
        await visiting.rest()


@pytest.mark.parametrize("goes_on", [False, True])
async def test_standby_takes_over(cluster: Cluster, network: Network, goes_on: bool) -> None:
    """With `goes_on` the old primary becomes another standby."""
    standby = await asyncio.to_thread(cluster.follow)
    async with visited(cluster, network) as visiting:
        asking = asyncio.create_task(ask_for(visiting, 6))
        await asyncio.sleep(1)
        # The network leads to the old primary for a while.
        await asyncio.to_thread(cluster.demote if goes_on else cluster.stop)
        await asyncio.sleep(1)
        await asyncio.to_thread(cluster.promote)
        network.target = standby
        await asking
        await visiting.recover()
        await visiting.rest()


async def test_reads_leave_a_demoted_server_with_the_changes(
    cluster: Cluster, network: Network
) -> None:
    """It goes on answering reads on the connection that is open, and knows nothing new."""
    standby = await asyncio.to_thread(cluster.follow)
    async with visited(cluster, network, database_connections=1) as visiting:
        await asyncio.sleep(1)
        await asyncio.to_thread(cluster.promote)
        network.target = standby
        await asyncio.to_thread(cluster.set, "default_transaction_read_only", "on")
        assert (await visiting.ask("payment")).status == 503
        await visiting.recover()
        portal = visiting.portal
        for query in (BALANCE, f"query Again {BALANCE}"):
            answer = (await portal.ask(query, portal.bearer)).json()
            assert answer["data"]["client"]["balance"]["amount"]["minorUnits"] == 0
        await visiting.rest()


async def test_portal_leaves_a_read_only_server_for_its_successor(
    cluster: Cluster, network: Network
) -> None:
    """Connections to the read-only server stay open, as behind a moved address."""
    async with visited(cluster, network) as visiting:
        await asyncio.to_thread(cluster.set, "default_transaction_read_only", "on")
        answer = await visiting.ask("payment")
        assert answer.status == 503
        await asyncio.to_thread(cluster.set, "default_transaction_read_only", "off")
        await visiting.recover()
        await visiting.rest()
