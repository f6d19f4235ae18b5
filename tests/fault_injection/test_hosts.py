"""Several hosts in the database's URL: the primary is found in any order."""

import asyncio
import secrets
from urllib.parse import urlsplit

import pytest

from tests.fault_injection.cluster import STANDBY_PORT, Cluster
from tests.fault_injection.visiting import judge, visitors
from tests.support import postgres
from tests.support.payments import serving, unserved

pytestmark = [pytest.mark.faults, pytest.mark.server]


async def test_successor_of_a_primary_is_found(cluster: Cluster) -> None:
    """The first host stops, and the standby behind the second one is promoted."""
    name = f"portal_{secrets.token_hex(6)}"
    url = await postgres.create(cluster.url, name)
    async with unserved(url) as portal:
        await portal.engine.dispose()
        await asyncio.to_thread(cluster.follow)
        folder = cluster.server.folder
        # The standby is listed first, and is skipped while it is a standby.
        hosts = f"host={folder},{folder}&port={STANDBY_PORT},5432"
        portal.url = urlsplit(url)._replace(query=hosts).geturl()
        async with serving(portal, lock_timeout_s=1):
            asking = await visitors(portal)
            assert {answer.status for answer in (await asking.ask_all()).values()} == {200}
            await asyncio.to_thread(cluster.stop)
            for answer in (await asking.ask_all()).values():
                judge(answer)
            await asyncio.to_thread(cluster.promote)
            await asking.recover()
            await asking.rest()
