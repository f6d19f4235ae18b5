"""The documents of a month: their clients, a single issue, and one client's failure."""

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from billing.entry import commands
from billing.entry.credits import Credit, give_credit
from billing.entry.people import CLIENT, ClientDetails, ClinicianDetails, add_clinician
from billing.entry.sessions import SessionDetails, record_session
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from billing.issuing import monthly
from billing.issuing.monthly import issue_month
from billing.issuing.months import BillingMonth
from billing.issuing.statements import STATEMENTS
from models import (
    AccessEntry,
    Client,
    Letterhead,
    Statement,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from server.cli import entering
from server.cli import main as cli
from tests.support.entries import START, EntryDesk, entry_desk
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(2_000)
FEBRUARY, MARCH, APRIL = (BillingMonth(dt.date(2026, month, 1)) for month in (2, 3, 4))
DAY = dt.timedelta(1)
# Of April in New York, and of May in UTC.
END_OF_APRIL = dt.datetime(2026, 5, 1, 2, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
async def shared(new_database: NewDatabase) -> AsyncIterator[tuple[str, EntryDesk]]:
    async with new_database() as url, entry_desk(url) as desk:
        yield url, desk


@pytest.fixture
async def desk(
    shared: tuple[str, EntryDesk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> EntryDesk:
    """Return a practice of its own, which commands are run for, on 2 May 2026."""
    url, other = shared
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setattr(entering, "utc_now", lambda: END_OF_APRIL + DAY)
    return await EntryDesk(other.engine, next(SEEDS)).open()


async def client(desk: EntryDesk, name: str) -> str:
    """Add a client, whom the entries that follow are for."""
    desk.client_id = await desk.add_client(name)
    return desk.client_id


async def command(desk: EntryDesk, kind: str, month: BillingMonth, *more: str) -> Result:
    practice = f"pra_{desk.practice_id}"
    given = ("--as", "Olga", "issue", kind, "--practice", practice, "--month", str(month))
    return await asyncio.to_thread(CliRunner().invoke, cli.app, [*given, *more])


async def run(desk: EntryDesk, kind: str, month: BillingMonth, *more: str) -> list[str]:
    result = await command(desk, kind, month, *more)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


# -- statements ------------------------------------------------------------------------------------


async def test_clients_with_movement_or_a_balance_get_one_statement(desk: EntryDesk) -> None:
    moved = desk.client_id
    await desk.invoice(10_000)
    owing = await client(desk, "Ben Osei")
    desk.clock.time = START - 30 * DAY
    await desk.invoice(700)
    credited = await client(desk, "Cleo Adams")
    await desk.enter(give_credit, Credit(300, "Courtesy"))
    desk.clock.time = START + 35 * DAY
    later = await client(desk, "Dan Cole")
    await desk.invoice(900)
    await client(desk, "Eve Nobody")
    before = await desk.counts()

    preview = await run(desk, "statements", MARCH, "--preview")
    expected = sorted([moved, owing, credited])
    assert preview == [
        *(f"cli_{one}  1" for one in expected),
        "Statements of 2026-03 to issue: 3, for clients: 3.",
    ]
    assert await unlike(desk, before) == {"access_entry"}

    assert await run(desk, "statements", MARCH) == [
        "Statements of 2026-03 issued: 3, for clients: 3."
    ]
    rows = {row["client_id"]: row for row in await desk.rows(Statement)}
    ends = {moved: 10_000, owing: 700, credited: -300}
    assert {one: row["ending_minor"] for one, row in rows.items()} == ends
    for row in rows.values():
        assert (row["period_start"], row["period_end"]) == (MARCH.first, MARCH.last)
        assert row["shared_at"] is not None
    assert sorted(row["serial"] for row in rows.values()) == [1, 2, 3]

    again = await desk.counts()
    assert await run(desk, "statements", MARCH) == [
        "Statements of 2026-03 issued: 0, for clients: 0."
    ]
    assert await unlike(desk, again) == set()
    # April: the balances of all four are open.
    assert await run(desk, "statements", APRIL) == [
        "Statements of 2026-04 issued: 4, for clients: 4."
    ]
    april = [row for row in await desk.rows(Statement) if row["period_start"] == APRIL.first]
    assert {row["client_id"]: row["ending_minor"] for row in april} == ends | {later: 900}


async def unlike(desk: EntryDesk, before: Mapping[str, int]) -> set[str]:
    """Return the tables with another number of rows than before."""
    return {name for name, count in (await desk.counts()).items() if count != before[name]}


async def test_statement_that_has_the_month_within_it_is_enough(desk: EntryDesk) -> None:
    await desk.invoice(10_000)
    desk.clock.time += 70 * DAY
    await desk.enter(issue_statement, StatementPeriod(FEBRUARY.first, MARCH.last))
    part = await client(desk, "Ben Osei")
    desk.clock.time = START
    await desk.invoice(500)
    desk.clock.time += 70 * DAY
    await desk.enter(issue_statement, StatementPeriod(MARCH.first, MARCH.first))
    assert await run(desk, "statements", MARCH) == [
        "Statements of 2026-03 issued: 1, for clients: 1."
    ]
    assert len(await desk.rows(Statement, client_id=part)) == 2


async def test_each_statement_is_in_the_audit_log_by_the_operators_name(desk: EntryDesk) -> None:
    await desk.invoice(10_000)
    await run(desk, "statements", MARCH, "--preview")
    await run(desk, "statements", MARCH)
    entries = [row for row in await desk.rows(AccessEntry) if row["name"] == "Olga"]
    entries = [row for row in entries if row["operation"] == "portal issue statements"]
    assert sorted((row["action"], row["client_id"]) for row in entries) == [
        ("CHANGE", desk.client_id),
        ("READ", None),
    ]


@pytest.mark.parametrize("month", ["2026-5", "2026-13", "0000-01", "May 2026", "\uff12026-03", ""])
async def test_text_that_is_no_month(desk: EntryDesk, month: str) -> None:
    result = await command(desk, "statements", month)  # type: ignore[arg-type]
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is not a month, as 2026-10." in result.stderr


async def test_month_that_is_not_over_in_the_practices_time_zone(
    desk: EntryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.invoice(10_000)
    monkeypatch.setattr(entering, "utc_now", lambda: END_OF_APRIL)
    result = await command(desk, "statements", APRIL)
    assert result.exit_code == 1
    assert "2026-04 is not over in the practice's time zone, America/New_York." in result.stderr
    assert await run(desk, "statements", MARCH)


async def test_practice_that_does_not_exist(desk: EntryDesk) -> None:
    for desk.practice_id in ("nonsense", "01900000-0000-7000-8000-000000000001"):
        result = await command(desk, "statements", MARCH)
        assert (result.exit_code, "There is no practice" in result.stderr) == (1, True)


async def test_other_practices_get_nothing(desk: EntryDesk, shared: tuple[str, EntryDesk]) -> None:
    other = await EntryDesk(desk.engine, next(SEEDS)).open()
    await other.invoice(10_000)
    await desk.invoice(10_000)
    await run(desk, "statements", MARCH)
    assert (len(await desk.rows(Statement)), await other.rows(Statement)) == (1, [])


async def test_clients_are_read_by_pages(desk: EntryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monthly, "PAGE", 2)
    for number in range(5):
        await client(desk, f"Client {number}")
        await desk.invoice(100 + number)
    assert await run(desk, "statements", MARCH) == [
        "Statements of 2026-03 issued: 5, for clients: 5."
    ]


async def test_two_runs_at_once_issue_one_statement_a_client(desk: EntryDesk) -> None:
    for number in range(4):
        await client(desk, f"Client {number}")
        await desk.invoice(100 + number)
    desk.clock.time += 70 * DAY
    both = [
        issue_month(replace(desk.context), desk.practice_id, STATEMENTS, MARCH) for _ in range(2)
    ]
    reports = await asyncio.gather(*both)
    assert sum(report.documents for report in reports) == 4
    assert [report.failed for report in reports] == [0, 0]
    clients = [row["client_id"] for row in await desk.rows(Statement)]
    assert len(clients) == len(set(clients)) == 4


async def test_client_whose_statement_fails_stops_no_other(
    desk: EntryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Ana Prieto", "Ben Osei", "Cleo Adams"]
    ids = [desk.client_id, *[await client(desk, name) for name in names[1:]]]
    for desk.client_id in ids:
        await desk.invoice(100)

    def broken(ledger: Any, *days: Any) -> bool:
        if ledger.id == ids[1]:
            raise ZeroDivisionError(ledger.client["name"])
        return True

    monkeypatch.setattr("billing.issuing.statements.is_worth_a_statement", broken)
    result = await command(desk, "statements", MARCH)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"cli_{ids[1]}  ZeroDivisionError",
        "Clients that get none, for reasons as above: 1.",
        "Statements of 2026-03 issued: 2, for clients: 2.",
    ]
    assert {row["client_id"] for row in await desk.rows(Statement)} == {ids[0], ids[2]}


# -- superbills ------------------------------------------------------------------------------------


async def session(desk: EntryDesk, day: dt.date, clinician_id: str | None = None) -> str:
    details = SessionDetails(
        day, "Session", 15_000, service_code="90834", clinician_id=clinician_id
    )
    return await desk.enter(record_session, details)


async def listed(desk: EntryDesk) -> dict[str, list[str]]:
    """Return the sessions on each superbill."""
    lines = await desk.rows(SuperbillLine)
    return {
        superbill["id"]: [
            line["session_id"] for line in lines if line["superbill_id"] == superbill["id"]
        ]
        for superbill in await desk.rows(Superbill)
    }


async def test_each_session_is_on_one_superbill_of_its_clinician(desk: EntryDesk) -> None:
    second = await commands.enter_for_practice(
        desk.context, desk.practice_id, add_clinician, ClinicianDetails("Sam Ito", "LCSW")
    )
    days = [dt.date(2026, 3, day) for day in (2, 9, 16, 30)]
    desk.clock.time += 40 * DAY
    own = [await session(desk, days[0]), await session(desk, days[1], desk.clinician_id)]
    others = [await session(desk, days[2], second)]
    await session(desk, dt.date(2026, 4, 1))
    assert await run(desk, "superbills", MARCH, "--preview") == [
        f"cli_{desk.client_id}  2",
        "Superbills of 2026-03 to issue: 2, for clients: 1.",
    ]
    assert await listed(desk) == {}
    assert await run(desk, "superbills", MARCH) == [
        "Superbills of 2026-03 issued: 2, for clients: 1."
    ]
    made = await listed(desk)
    assert sorted(map(sorted, made.values())) == sorted(map(sorted, (own, others)))
    heads = {row["id"]: row["clinician_id"] for row in await desk.rows(Letterhead)}
    for superbill in await desk.rows(Superbill):
        mine = made[superbill["id"]] == others
        assert heads[superbill["letterhead_id"]] == (second if mine else desk.clinician_id)
    assert await run(desk, "superbills", MARCH) == [
        "Superbills of 2026-03 issued: 0, for clients: 0."
    ]
    # A session that was recorded late is on a superbill of its own.
    late = await session(desk, days[3])
    await run(desk, "superbills", MARCH)
    (added,) = [ids for id_, ids in (await listed(desk)).items() if id_ not in made]
    assert added == [late]


async def test_superbill_tells_the_insurer_what_the_last_one_told(desk: EntryDesk) -> None:
    day = dt.date(2026, 2, 20)
    await session(desk, day)
    told = SuperbillRequest(
        day, day, desk.clinician_id, {"F41.1": "Anxiety", "F32.0": None}, "10", ("95",)
    )
    first = await desk.enter(issue_superbill, told)
    await session(desk, dt.date(2026, 3, 2))
    await run(desk, "superbills", MARCH)
    (superbill,) = [row for row in await desk.rows(Superbill) if row["id"] != first]
    diagnoses = await desk.rows(SuperbillDiagnosis, superbill_id=superbill["id"])
    assert [(row["code"], row["description"]) for row in diagnoses] == [
        ("F41.1", "Anxiety"),
        ("F32.0", None),
    ]
    (line,) = await desk.rows(SuperbillLine, superbill_id=superbill["id"])
    assert (line["place_of_service"], line["modifiers"]) == ("10", ["95"])
    assert line["diagnosis_pointers"] == [1, 2]


async def test_session_without_a_clinician_stops_no_other_client(desk: EntryDesk) -> None:
    ours = desk.client_id
    await session(desk, dt.date(2026, 3, 2))
    desk.client_id = await commands.enter_for_practice(
        desk.context, desk.practice_id, CLIENT.add, ClientDetails("Ben Osei")
    )
    await session(desk, dt.date(2026, 3, 2))
    result = await command(desk, "superbills", MARCH)
    assert result.exit_code == 1
    assert f"cli_{desk.client_id}  There is no such clinician here." in result.stdout
    assert {row["client_id"] for row in await desk.rows(Superbill)} == {ours}
    async with desk.engine.begin() as conn:
        of = update(Client).where(Client.id == desk.client_id)
        await conn.execute(of.values(clinician_id=desk.clinician_id))
    assert await run(desk, "superbills", MARCH) == [
        "Superbills of 2026-03 issued: 1, for clients: 1."
    ]
