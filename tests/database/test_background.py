"""Background work during trouble of the database: it waits longer, and is retried soon."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Row, insert, select

from billing import background
from billing.payment_methods import card_comparison
from billing.payments import daily_comparison
from billing.payments.context import client_lock
from identity.sign_in import outbox, worker
from models import Client, Practice, StripeEvent
from models.database import DatabaseBusy, Waits, open_engine
from models.leases import Excluded, Lease, Queue
from tests.support.empty_databases import prepare
from tests.support.payments import Paying, paying
from tests.support.sign_in import signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(hours=1)
SHORT = Waits(lock_s=0.2, statement_s=0, idle_s=0)


@pytest.fixture
async def url(new_database: NewDatabase) -> AsyncIterator[str]:
    async with new_database() as url:
        await prepare(url)
        yield url


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url, lock_timeout_s=0.5) as it:
        yield it


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses, so that a test can wait for them."""
    monkeypatch.setattr("models.leases.AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(background, "AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(background, "WRITTEN_AGAIN_AFTER_S", 0.05)


@asynccontextmanager
async def holding(url: str, statement: Any) -> AsyncIterator[None]:
    """Hold the locks of a statement; on SQLite, of the whole file."""
    async with open_engine(url) as other, other.begin() as conn:
        await conn.execute(statement)
        yield


def of_client(portal: Paying) -> Any:
    return select(Client.id).where(Client.id == portal.client_id).with_for_update()


# -- patience --------------------------------------------------------------------------------------


async def test_background_work_waits_for_a_lock_longer_than_a_request(portal: Paying) -> None:
    async def change(till: Any) -> None:
        async with client_lock(till, portal.practice_id, portal.client_id):
            pass

    async with holding(portal.url, of_client(portal)):
        waiting = asyncio.create_task(change(portal.background_context))
        with pytest.raises(DatabaseBusy):
            await change(portal.payment_context)
    await waiting


async def test_background_work_waits_for_a_turn_longer_than_a_request(portal: Paying) -> None:
    async def change(till: Any) -> None:
        async with till.turns.of(portal.practice_id, portal.client_id):
            pass

    async with portal.payment_context.turns.of(portal.practice_id, portal.client_id):
        waiting = asyncio.create_task(change(portal.background_context))
        with pytest.raises(DatabaseBusy):
            await change(portal.payment_context)
    await waiting


async def test_background_work_waits_for_a_connection_longer_than_a_request(
    portal: Paying,
) -> None:
    async def take(engine: Any, held: list[Any]) -> None:
        """Take connections until none is available in time."""
        while True:
            held.append(await engine.connect())

    of_requests, of_background = list[Any](), list[Any]()
    try:
        waiting = asyncio.create_task(take(portal.background_context.engine, of_background))
        with pytest.raises(DatabaseBusy):
            await take(portal.payment_context.engine, of_requests)
        assert not waiting.done()
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for conn in of_requests + of_background:
            await conn.close()


# -- soon again ------------------------------------------------------------------------------------


async def add_events(engine: Any, *ids: str) -> None:
    for id_ in ids:
        event = {"id": id_, "type": "test", "object_id": id_, "received_at": NOON}
        async with engine.begin() as conn:
            await conn.execute(insert(StripeEvent).values(event))


def queue() -> Queue:
    return Queue("event", StripeEvent, logging.getLogger("test"))


async def run(
    queue: Queue, engine: Any, work: Callable[[Row[Any]], Any], patient: Any = None
) -> int:
    """Run through the events that are due by `received_at`, which a claim moves on."""

    async def claim(but: Excluded) -> Lease | None:
        due = StripeEvent.handled_at.is_(None), StripeEvent.received_at <= NOON
        order = [StripeEvent.id]
        return await queue.claim(patient or engine, but, *due, order=order, received_at=LATER)

    return await queue.run(engine, claim, work)


async def facts(engine: Any, id_: str) -> Any:
    async with engine.connect() as conn:
        columns = StripeEvent.received_at, StripeEvent.leased_until
        return (await conn.execute(select(*columns).where(StripeEvent.id == id_))).one()


async def until_run(queue: Queue, engine: Any, work: Callable[[Row[Any]], Any]) -> None:
    """Run until a row is worked on, which happens after its pause."""
    async with asyncio.timeout(10):
        while not await run(queue, engine, work):  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.05)


async def test_row_with_a_transient_error_is_retried_soon(url: str) -> None:
    """Long before its lease ends, and with the values from before the claim."""
    mine, another, seen = queue(), queue(), list[Row[Any]]()

    async def work(row: Row[Any]) -> None:
        seen.append(row)
        if len(seen) == 1:
            raise DatabaseBusy("a lock was not had in time")

    async with open_engine(url) as engine:
        await add_events(engine, "evt_1")
        assert await run(mine, engine, work) == 1
        assert (await facts(engine, "evt_1")).received_at == NOON
        # By another worker, since the lease was given back.
        await until_run(another, engine, work)
        assert len(seen) == 2
        # A finished row is left as it was claimed.
        assert await facts(engine, "evt_1") == (LATER, None)


async def test_row_is_given_back_while_others_are_worked_on(url: str) -> None:
    again, ended = asyncio.Event(), list[str]()

    async def work(row: Row[Any]) -> None:
        if row.id == "evt_1" and not ended:
            ended.append(row.id)
            raise DatabaseBusy("a lock was not had in time")
        if row.id == "evt_1":
            again.set()
        await again.wait()

    async with open_engine(url) as engine:
        await add_events(engine, "evt_1", "evt_2")
        async with asyncio.timeout(20):
            assert await run(queue(), engine, work) == 3


async def test_pause_grows_up_to_the_length_of_a_lease(url: str) -> None:
    mine = queue()
    async with open_engine(url) as engine:
        await add_events(engine, "evt_1")
        lease = await mine.claim(engine, Excluded(), order=[StripeEvent.id])
        assert lease is not None
        pauses = [mine.failed(lease, DatabaseBusy("a lock")) for _ in range(40)]
        assert pauses[:3] == [0.05, 0.1, 0.2]
        assert pauses[-1] == mine.lease_s
        mine.troubles.end("evt_1")
        assert mine.failed(lease, DatabaseBusy("a lock")) == 0.05


async def test_row_is_given_back_once_the_database_accepts_it(url: str) -> None:
    """The trouble that a row met often persists when its lease should be given back."""
    mine, seen = queue(), list[str]()
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        row = select(StripeEvent.id).where(StripeEvent.id == "evt_1").with_for_update()
        async with holding(url, row):
            held.set()
            await let_go.wait()

    async def work(row: Row[Any]) -> None:
        seen.append(row.id)
        if row.id == "evt_1" and not held.is_set():
            holder.append(asyncio.create_task(hold()))
            await held.wait()
            raise DatabaseBusy("a lock was not had in time")

    holder = list[asyncio.Task[None]]()
    async with open_engine(url, SHORT) as engine:
        await add_events(engine, "evt_1", "evt_2")
        try:
            if engine.dialect.name == "sqlite":
                # SQLite holds the whole file, so nothing else can run.
                with pytest.raises(DatabaseBusy):
                    await run(mine, engine, work)
            else:
                # A locked row does not delay the others.
                assert await run(mine, engine, work) == 2
        finally:
            let_go.set()
            await asyncio.gather(*holder)
        assert (await facts(engine, "evt_1")).received_at == LATER
        async with asyncio.timeout(10):
            while seen.count("evt_1") < 2:
                await run(mine, engine, work)
                await asyncio.sleep(0.02)


async def test_comparison_with_a_transient_error_is_due_at_once(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare, times = daily_comparison.compare_account, 0

    async def busy_at_first(*given: Any) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise DatabaseBusy("a lock was not had in time")
        await compare(*given)

    monkeypatch.setattr(daily_comparison, "compare_account", busy_at_first)
    assert await daily_comparison.compare_due(portal.background_context) == 1
    async with asyncio.timeout(10):
        # The practice's clock stands still, so a due comparison is due now.
        while not await daily_comparison.compare_due(portal.background_context):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert times == 2
    (practice,) = await portal.all(Practice)
    assert practice.compared_at == portal.clock()


async def test_transient_error_is_raised_among_several(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the comparison would be retried only after an hour."""

    async def fail(*_: Any) -> None:
        raise ValueError

    async def busy(*_: Any) -> Exception:
        return DatabaseBusy("a lock was not had in time")

    async def moved(*_: Any) -> list[str]:
        return ["a", "b"]

    monkeypatch.setattr(daily_comparison, "changed_payments", moved)
    monkeypatch.setattr(daily_comparison, "failure", busy)
    monkeypatch.setattr(card_comparison, "compare_cards", fail)
    with pytest.raises(DatabaseBusy):
        await daily_comparison.compare_payments(portal.background_context, portal.practice_id, NOON)


async def test_errand_with_a_transient_error_runs_again_soon() -> None:
    times = 0

    async def errand() -> None:
        nonlocal times
        times += 1
        if times < 3:
            raise DatabaseBusy("no connection in time")

    async with asyncio.timeout(10):
        await background.repeat_until_done(errand)
    assert times == 3


async def test_sent_mail_is_not_repeated_after_a_transient_error(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, times = outbox.complete_request, 0

    async def busy_at_first(*given: Any) -> None:
        nonlocal times
        times += 1
        if times < 3:
            raise DatabaseBusy("a lock was not had in time")
        await close(*given)

    monkeypatch.setattr(outbox, "complete_request", busy_at_first)
    async with new_database() as url, signing_in(url) as portal:
        await portal.request("ana@example.com")
        async with asyncio.timeout(20):
            while times < 3:
                await worker.answer_waiting(portal.sign_in_context)
                await asyncio.sleep(0.02)
        assert len(await portal.mails()) == 1


async def test_a_payment_that_can_not_be_compared_keeps_no_other_from_it(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    async def look(_: Any, __: str, payment_id: str) -> None:
        compared.append(payment_id)
        if payment_id == "a":
            raise ValueError("a row that can't be read")

    async def moved(*_: Any) -> list[str]:
        return ["a", "b"]

    async def nothing(*_: Any) -> None:
        """Nothing went back."""

    monkeypatch.setattr(daily_comparison, "changed_payments", moved)
    monkeypatch.setattr(daily_comparison, "refresh", look)
    monkeypatch.setattr(daily_comparison, "reverse", nothing)
    with pytest.raises(ValueError, match="can't be read"):
        await daily_comparison.compare_payments(portal.background_context, portal.practice_id, NOON)
    assert compared == ["a", "b"]
