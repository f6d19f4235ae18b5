"""A recovery that is killed at any point and run again ends as one that was not."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, event, select

from billing.payments.refund import refund_payment
from billing.stripe import Stripe
from models import DocumentCounter, Recovery, database
from sandbox.app import app as double
from tests.support import shares
from tests.support.backups import backed_up
from tests.support.card_forms import keep
from tests.support.payments import Paying, paying
from tests.support.recoveries import assert_whole, picture, recover

# In `make test` one in so many points is tried.
STEP = shares.number(1, quick=15)


class Killed(BaseException):
    """The end of the process, just before a transaction is committed."""


@asynccontextmanager
async def restored(portal: Paying, backup: Path, file: Path) -> AsyncIterator[Paying]:
    """Yield the restored rows of a portal, without a server, and with the same double."""
    shutil.copy(backup, file)
    url = f"sqlite:///{file}"
    stripe = Stripe(
        "sk_test_double",
        base="http://stripe",
        transport=httpx.ASGITransport(double(portal.store, portal.api)),
    )
    async with database.open_engine(url) as engine:
        later = Paying(url, engine)
        for name in ("practice_id", "client_id", "other_id", "clock", "store"):
            setattr(later, name, getattr(portal, name))
        later.payment_context = replace(portal.payment_context, engine=engine, stripe=stripe)
        yield later
    await stripe.close()


class Commits:
    """The commits of an engine, of which one may be the last."""

    def __init__(self, portal: Paying, last: int | None = None) -> None:
        self.made, self.last = 0, last
        event.listen(portal.engine.sync_engine, "commit", self.count)

    def count(self, conn: Connection) -> None:
        self.made += 1
        if self.made == self.last:
            # A database rolls back what a process that ended has not committed.
            conn.connection.rollback()
            raise Killed


async def counters(portal: Paying) -> list[Any]:
    columns = select(DocumentCounter.kind, DocumentCounter.last)
    async with portal.engine.connect() as conn:
        return sorted(map(tuple, (await conn.execute(columns)).all()))


async def test_killed_recovery_is_run_again(tmp_path: Path) -> None:
    async with paying(f"sqlite:///{tmp_path / 'portal.db'}") as portal:
        for amount in (3_000, 2_000):
            await portal.invoice(amount)
        backup = await backed_up(portal.url, tmp_path)
        done = await portal.pay(5_000, portal.card(saveCard=True))
        await refund_payment(
            portal.payment_context, done["payment"]["id"].removeprefix("pmt_"), 500
        )
        await portal.pay(500, portal.card())
        await keep(portal, "5555555555554444")
        before = await picture(portal)
        async with restored(portal, backup, tmp_path / "whole.db") as later:
            commits = Commits(later)
            await recover(later)
            expected = await counters(later)
        assert commits.made > 10
        for last in range(commits.made, 0, -STEP):
            async with restored(portal, backup, tmp_path / f"killed-{last}.db") as later:
                killed = Commits(later, last)
                with suppress(Killed):
                    await recover(later)
                assert killed.made >= last
                report = await recover(later)
                assert (report.is_complete, report.problems) == (True, [])
                assert await picture(later) == before
                assert await counters(later) == expected
                assert [one.ended_at is None for one in await later.all(Recovery)] == [False]
                await assert_whole(later)
