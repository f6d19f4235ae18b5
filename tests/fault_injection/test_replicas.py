"""A read replica that lags, stops or is promoted: the server of each read.

A name is changed without a new version of the practice, while the replica does not replay. So each
answer tells by the name which server it came from.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry, Client, Scope, Token
from models.database import ReplicaLag, open_engine
from models.database.connector import PROBE_EVERY_S
from tests.fault_injection import network as networks
from tests.fault_injection.cluster import STANDBY_PORT, Cluster, at_port
from tests.fault_injection.network import Network
from tests.fault_injection.visiting import ANSWERED_WITHIN_S
from tests.support import postgres
from tests.support.payments import Paying, serving, unserved

pytestmark = [pytest.mark.faults, pytest.mark.server]

OLD, NEW, OTHER = "Ana Prieto", "Ana Vidal", "Ben Osei"
LIST = "{ clients(first: 3) { nodes { name } } }"
LAG_S, WITHIN_S = 2.0, 20.0
FROM_PRIMARY, AGAIN = "dashboards read from the primary", "from the replica again"


@dataclass
class Followed:
    """A portal with a replica, and the tokens of a dashboard and an integration."""

    portal: Paying
    cluster: Cluster
    # To the replica.
    network: Network
    dashboard: str
    integration: str
    asked: int = 0

    async def ask(self, token: str, query: str, **variables: Any) -> Any:
        answer = await self.portal.ask(query, token, **variables)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def names(self, token: str) -> set[str]:
        """Return the client's name as a new and as a repeated request see it."""
        self.asked += 1
        asked = f"query N{self.asked} {LIST}"
        answers = [await self.ask(token, asked) for _ in range(3)]
        return {one["name"] for data in answers for one in data["clients"]["nodes"]} - {OTHER}

    async def exported(self) -> str:
        bearer = {"Authorization": f"Bearer {self.dashboard}"}
        answer = await self.portal.http.get("/export/clients.csv", headers=bearer)
        return OLD if OLD in answer.text else NEW

    async def version(self) -> int:
        data = await self.ask(self.dashboard, "{ practice { version } }")
        return int(data["practice"]["version"])

    async def rename(self, name: str, url: str | None = None) -> None:
        async with open_engine(url or self.portal.url) as engine, engine.begin() as conn:
            is_client = Client.id == self.portal.client_id
            await conn.execute(update(Client).where(is_client).values(name=name))

    async def at_replica(self, statement: str) -> None:
        await postgres.execute(at_port(self.cluster.url, STANDBY_PORT), statement)

    @property
    def is_replica_read(self) -> bool:
        lag = self.portal.reads.lag
        return lag is not None and lag.is_within_bound

    async def until_replica_is_read(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not self.is_replica_read:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.fixture
async def followed(cluster: Cluster) -> AsyncIterator[Followed]:
    url = await postgres.create(cluster.url, f"portal_{secrets.token_hex(6)}")
    async with unserved(url) as portal:
        await portal.engine.dispose()
        await asyncio.to_thread(cluster.follow)
        async with (
            networks.network(at_port(url, STANDBY_PORT)) as network,
            serving(portal, replica_url=network.url(url), replica_max_lag_s=LAG_S),
        ):
            practice = Subject(portal.practice_id)
            dashboard = await portal.token(practice, scopes=READ_SCOPES)
            integration = await portal.token(practice, scopes=READ_SCOPES | {Scope.BILLING_WRITE})
            made = Followed(portal, cluster, network, dashboard, integration)
            await made.until_replica_is_read()
            yield made


async def pay(portal: Paying) -> None:
    await portal.invoice(5_000)
    outcome = await portal.pay(5_000, portal.card())
    assert outcome["__typename"] == "PaySucceeded", outcome


def lines(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


async def test_dashboards_read_a_replica_within_its_bound(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    portal = followed.portal
    await pay(portal)
    before = await followed.version()
    assert before > 0
    await followed.at_replica("SELECT pg_wal_replay_pause()")
    await followed.rename(NEW)
    # Dashboards and exports may lag. An integration and a client may not.
    assert await followed.names(followed.dashboard) == {OLD}
    assert await followed.exported() == OLD
    assert await followed.names(followed.integration) == {NEW}
    assert (await followed.ask(portal.bearer, "{ client { name } }"))["client"]["name"] == NEW
    # A change of an invoice or a payment is seen at once, and no version goes back.
    await pay(portal)
    assert await followed.version() > before
    assert await followed.names(followed.dashboard) == {NEW}
    # Beyond the bound the primary answers.
    with caplog.at_level(logging.WARNING, "portal"):
        await asyncio.sleep(LAG_S + 2)
        assert not followed.is_replica_read
        assert await followed.exported() == NEW
        assert lines(caplog, "REPLICA_MAX_LAG_S") == 1
        await followed.at_replica("SELECT pg_wal_replay_resume()")
        await followed.until_replica_is_read()
        assert lines(caplog, AGAIN) == 1
    await portal.read_audit.flush()
    noted = {entry.operation for entry in await portal.all(AccessEntry)}
    assert {f"N{number}" for number in range(1, followed.asked + 1)} | {"Export"} <= noted


async def test_revoked_token_reads_nothing_from_a_replica(followed: Followed) -> None:
    for _ in range(3):
        await followed.ask(followed.dashboard, LIST)
    await followed.at_replica("SELECT pg_wal_replay_pause()")
    async with followed.portal.engine.begin() as conn:
        now = followed.portal.clock()
        await conn.execute(update(Token).values(revoked_at=now))
    assert followed.is_replica_read
    for asked in (LIST, f"query Other {LIST}"):
        assert (await followed.portal.ask(asked, followed.dashboard)).status_code == 401


async def test_replica_that_stops_is_done_without(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    server = followed.cluster.server
    assert await followed.names(followed.dashboard) == {OLD}
    with caplog.at_level(logging.WARNING, "portal"):
        await asyncio.to_thread(server.control, "stop -m immediate", "standby")
        await followed.rename(NEW)
        assert await followed.names(followed.dashboard) == {NEW}
        assert await followed.exported() == NEW
        await asyncio.sleep(3)
        assert lines(caplog, FROM_PRIMARY) == 1, caplog.text
    await asyncio.to_thread(followed.cluster.start_standby)
    await followed.until_replica_is_read()
    await followed.at_replica("SELECT pg_wal_replay_pause()")
    await followed.rename(OLD)
    assert await followed.names(followed.dashboard) == {NEW}


async def test_replica_that_is_silent_delays_no_answer_for_long(followed: Followed) -> None:
    assert await followed.names(followed.dashboard) == {OLD}
    followed.network.darken()
    await followed.rename(NEW)
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        assert await followed.names(followed.dashboard) == {NEW}
    async with asyncio.timeout(1):
        assert await followed.names(followed.dashboard) == {NEW}
    followed.network.lighten()
    await followed.until_replica_is_read()


async def test_promoted_replica_is_no_replica(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = at_port(followed.portal.url, STANDBY_PORT)
    assert await followed.names(followed.dashboard) == {OLD}
    lag = followed.portal.reads.lag
    assert lag is not None
    # Its connections stay open, and no measurement tells.
    with monkeypatch.context() as unmeasured:
        unmeasured.setattr(ReplicaLag, "measure", unmeasured_lag)
        unmeasured.setattr(lag, "most_s", 600)
        await asyncio.sleep(PROBE_EVERY_S)
        await asyncio.to_thread(followed.cluster.promote)
        await followed.rename(NEW, replica)
        assert lag.is_within_bound
        assert await followed.names(followed.dashboard) == {OLD}
    await asyncio.sleep(2 * PROBE_EVERY_S)
    assert not followed.is_replica_read
    assert await followed.names(followed.dashboard) == {OLD}


async def unmeasured_lag(_: ReplicaLag) -> None:
    """Stand for the measurement between two of its rounds."""
