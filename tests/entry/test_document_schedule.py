"""The schedule of a practice's documents, kept by the background work of any process."""

import asyncio
import datetime as dt
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from typer.testing import CliRunner

from billing.entry.statements import is_worth_a_statement
from billing.issuing import schedule
from billing.payments.background import BackgroundJobs
from billing.payments.context import PaymentContext
from models import AccessEntry, DocumentSchedule, Practice, Statement
from server.cli import entering
from server.cli import main as cli
from server.sandbox import MEMORY, Sandbox
from tests.support.entries import START, EntryDesk, entry_desk
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(4_000)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# 4 April, 4 a.m. in New York.
DUE = dt.datetime(2026, 4, 4, 8, tzinfo=dt.UTC)
NEXT_DUE = dt.datetime(2026, 5, 4, 8, tzinfo=dt.UTC)
STATEMENTS = "Statements are issued on day 4 of the next month, at 04:00 (America/New_York)"


class Worker:
    """The background work of a process, at a time that the test sets."""

    def __init__(self, desk: EntryDesk) -> None:
        self.time = START
        self.sandbox = Sandbox(MEMORY)
        self.context = PaymentContext(desk.engine, self.sandbox.stripe(), lambda: self.time)

    async def at(self, time: dt.datetime) -> int:
        self.time = time
        return await schedule.issue_due(self.context)

    async def close(self) -> None:
        await self.context.stripe.close()
        self.sandbox.store.close()


@pytest.fixture(scope="module")
async def shared(new_database: NewDatabase) -> AsyncIterator[tuple[str, EntryDesk]]:
    async with new_database() as url, entry_desk(url) as desk:
        yield url, desk


@pytest.fixture
async def desk(
    shared: tuple[str, EntryDesk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[EntryDesk]:
    """Return a practice of its own with an invoice, in a database without other schedules."""
    url, other = shared
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setattr(entering, "utc_now", lambda: START + 8 * DAY)
    desk = await EntryDesk(other.engine, next(SEEDS)).open()
    await desk.invoice(10_000)
    yield desk
    async with desk.engine.begin() as conn:
        await conn.execute(delete(DocumentSchedule))


@pytest.fixture
async def worker(desk: EntryDesk) -> AsyncIterator[Worker]:
    made = Worker(desk)
    yield made
    await made.close()


async def choose(desk: EntryDesk, *options: str, kind: str = "statements") -> str:
    given = ("issue", "schedule", kind, "--practice", f"pra_{desk.practice_id}", *options)
    result = await asyncio.to_thread(CliRunner().invoke, cli.app, [*given])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


async def months(desk: EntryDesk) -> list[tuple[str, dt.date]]:
    """Return the client and the month of each statement."""
    rows = await desk.rows(Statement)
    return sorted((row["client_id"], row["period_start"]) for row in rows)


MARCH, APRIL = dt.date(2026, 3, 1), dt.date(2026, 4, 1)


async def test_statements_are_issued_on_the_day_and_once(desk: EntryDesk, worker: Worker) -> None:
    assert await choose(desk, "--day", "4") == f"{STATEMENTS}: those of 2026-03 on 2026-04-04."
    assert await worker.at(DUE - HOUR) == 0
    assert await months(desk) == []
    assert await worker.at(DUE) == 1
    assert await months(desk) == [(desk.client_id, MARCH)]
    (row,) = await desk.rows(DocumentSchedule)
    assert (row["month"], row["attempt_at"], row["leased_until"]) == (APRIL, NEXT_DUE, None)
    # The server's own acts are in no operator's name.
    made = [row for row in await desk.rows(AccessEntry) if row["operation"] != "test"]
    assert [row["operation"] for row in made] == ["portal issue schedule"]
    assert await worker.at(DUE + DAY) == 0
    assert await worker.at(NEXT_DUE) == 1
    assert await months(desk) == [(desk.client_id, MARCH), (desk.client_id, APRIL)]


async def test_months_that_were_missed_are_made_up_in_their_order(
    desk: EntryDesk, worker: Worker
) -> None:
    await choose(desk, "--day", "4")
    assert await worker.at(NEXT_DUE + DAY) == 1
    assert await worker.at(NEXT_DUE + DAY) == 1
    assert await months(desk) == [(desk.client_id, MARCH), (desk.client_id, APRIL)]
    assert await worker.at(NEXT_DUE + DAY) == 0


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (DUE - 2 * DAY, "2026-03"),
        (DUE + HOUR, "2026-04"),
        (dt.datetime(2026, 4, 1, 3, tzinfo=dt.UTC), "2026-03"),
        (dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC), "2025-12"),
    ],
)
async def test_first_month_is_the_one_whose_day_comes_next(
    desk: EntryDesk, monkeypatch: pytest.MonkeyPatch, now: dt.datetime, month: str
) -> None:
    monkeypatch.setattr(entering, "utc_now", lambda: now)
    assert f"those of {month} on" in await choose(desk, "--day", "4")


async def test_day_is_changed_shown_and_taken_back(desk: EntryDesk, worker: Worker) -> None:
    assert await choose(desk) == "Statements are issued by command alone."
    await choose(desk, "--day", "4")
    await choose(desk, "--day", "20")
    assert "those of 2026-03 on 2026-04-20." in await choose(desk)
    assert "command alone" in await choose(desk, kind="superbills")
    assert await worker.at(DUE) == 0
    await choose(desk, "--off")
    assert await worker.at(NEXT_DUE) == 0
    assert await months(desk) == []
    for wrong in (("--day", "29"), ("--day", "0"), ("--day", "4", "--off")):
        given = ["issue", "schedule", "statements", "--practice", f"pra_{desk.practice_id}"]
        assert CliRunner().invoke(cli.app, [*given, *wrong]).exit_code == 2


async def test_two_processes_issue_one_statement(desk: EntryDesk, worker: Worker) -> None:
    await choose(desk, "--day", "4")
    other = Worker(desk)
    try:
        assert sum(await asyncio.gather(worker.at(DUE), other.at(DUE))) == 1
    finally:
        await other.close()
    assert await months(desk) == [(desk.client_id, MARCH)]


async def test_practice_that_fails_stops_no_other(desk: EntryDesk, worker: Worker) -> None:
    broken = await EntryDesk(desk.engine, next(SEEDS)).open()
    await broken.invoice(100)
    for one in (broken, desk):
        await choose(one, "--day", "4")
    time_zone = update(Practice).where(Practice.id == broken.practice_id)
    async with desk.engine.begin() as conn:
        await conn.execute(time_zone.values(time_zone="Mars/Olympus"))
    try:
        await worker.at(DUE)
        assert (len(await months(desk)), await months(broken)) == (1, [])
    finally:
        async with desk.engine.begin() as conn:
            await conn.execute(time_zone.values(time_zone="America/New_York"))
    await free(desk)
    await worker.at(DUE + HOUR)
    assert len(await months(broken)) == 1


async def free(desk: EntryDesk) -> None:
    """End all leases, as the time does."""
    async with desk.engine.begin() as conn:
        await conn.execute(update(DocumentSchedule).values(leased_until=None))


async def test_client_that_fails_is_tried_again_until_the_next_month(
    desk: EntryDesk,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing, desk.client_id = desk.client_id, await desk.add_client("Ben Osei")
    await desk.invoice(500)

    def broken(ledger: Any, *days: Any) -> bool:
        if ledger.id == failing:
            raise ZeroDivisionError
        return is_worth_a_statement(ledger, *days)

    monkeypatch.setattr("billing.issuing.statements.is_worth_a_statement", broken)
    await choose(desk, "--day", "4")
    for time in (DUE, DUE + HOUR, NEXT_DUE - HOUR):
        await worker.at(time)
        await free(desk)
        assert await months(desk) == [(desk.client_id, MARCH)]
        (row,) = await desk.rows(DocumentSchedule)
        assert (row["month"], row["attempt_at"]) == (MARCH, time + HOUR)
    assert "alert" not in caplog.text
    with caplog.at_level(logging.ERROR):
        await worker.at(NEXT_DUE)
    assert "no statements of 2026-03 for 1 clients" in caplog.text
    monkeypatch.undo()
    await free(desk)
    await worker.at(NEXT_DUE)
    assert await months(desk) == sorted(
        [(desk.client_id, MARCH), (desk.client_id, APRIL), (failing, APRIL)]
    )


async def test_serving_processes_keep_schedules(
    desk: EntryDesk, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await choose(desk, "--day", "4")
    worker.time = DUE
    monkeypatch.setattr("billing.payments.reconcile.EVERY_S", 0.01)
    async with asyncio.timeout(30), BackgroundJobs(worker.context).running():
        while not await months(desk):  # noqa: ASYNC110 (written by a task of the server)
            await asyncio.sleep(0.02)
