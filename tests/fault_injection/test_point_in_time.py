"""A PostgreSQL that was recovered to a point in time is not served before `portal recover`.

It has the identity of the old one, so that only Stripe tells of the lost payments.
"""

import asyncpg
import pytest

from billing.recovery.identity import store_identity
from tests.fault_injection.cluster import RESTORED_PORT, Cluster, at_port
from tests.support import postgres
from tests.support.backups import over_copy
from tests.support.payments import paying
from tests.support.recoveries import assert_whole, recover, refused
from tests.support.reversals import dues, paid

pytestmark = pytest.mark.faults


async def test_payment_after_the_point_in_time_is_recovered(cluster: Cluster) -> None:
    cluster.archive()
    async with postgres.database(cluster.url) as url, paying(url) as portal:
        await store_identity(portal.engine)
        await paid(portal, 3_000)
        invoice_id = await portal.invoice(10_000)
        assert await refused(portal) is None
        point = await time_of(cluster.url)
        done = await portal.pay(10_000, portal.card(), invoiceId=f"inv_{invoice_id}")
        cluster.recover_to(point)
        async with over_copy(portal, at_port(url, RESTORED_PORT)) as later:
            assert "Stripe has 1 payments" in (await refused(later) or "")
            assert (await recover(later, restored=True)).adopted == 1
            await assert_whole(later)
            assert await refused(later) is None
            assert await dues(later) == [0, 0]
            again = await later.pay(10_000, later.card(), invoiceId=f"inv_{invoice_id}")
            assert again["code"] == "NOTHING_TO_PAY"
            assert len(later.charges()) == 2
        assert done["__typename"] == "PaySucceeded"
        cluster.start()


async def time_of(url: str) -> str:
    conn = await asyncpg.connect(url)
    time: str = await conn.fetchval("SELECT clock_timestamp()::text")
    await conn.close()
    return time
