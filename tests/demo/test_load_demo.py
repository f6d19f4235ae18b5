"""`portal load-demo`: many made-up practices, each as consistent as the demo's two."""

import asyncio
import datetime as dt
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

import demo
from billing import money
from demo import filling, many
from demo.entries import Chance
from demo.names import FAMILY, GIVEN, strangers
from demo.places import PLACES
from models import (
    Client,
    ClientNamePart,
    ContactRight,
    DocumentCounter,
    LedgerEntry,
    Practice,
    Row,
    bulk_insert,
    database,
)
from models.names import fold_name, name_parts
from server.cli import main as cli
from tests.demo import test_demo_data as demo_data
from tests.demo.test_demo_data import read
from tests.support import postgres
from tests.support.demo_ledger import Ledgers, Values, by
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
PROJECT = Path(__file__).parents[2]
TODAY = dt.date(2026, 3, 18)
CLIENTS, PRACTICES = 60, 3
MADE = demo.by_table(
    entry
    for plan in many.plans(TODAY, 1, CLIENTS, PRACTICES)
    for entry in many.practice_entries(plan)
)
ALSO_TRUE_HERE = [
    demo_data.test_balance_is_the_amount_due_less_unused_credit,
    demo_data.test_amounts_due_and_credit_were_never_negative,
    demo_data.test_invoices_lines_add_up_to_its_total_and_ledger_entries,
    demo_data.test_void_and_negative_invoices_have_nothing_due_and_no_allocation,
    demo_data.test_succeeded_payment_has_a_ledger_entry_and_a_receipt,
    demo_data.test_allocations_and_refunds_do_not_exceed_the_payment,
    demo_data.test_payment_of_the_balance_pays_the_oldest_invoices_first,
    demo_data.test_refund_takes_back_from_the_last_invoice_first,
    demo_data.test_days_are_in_the_practices_time_zone_and_not_in_the_future,
    demo_data.test_document_numbers_are_consecutive,
    demo_data.test_statement_begins_with_the_previous_ones_ending_balance,
    demo_data.test_statement_ends_with_the_ledgers_balance_of_that_day,
    demo_data.test_statement_is_the_sum_of_its_lines,
    demo_data.test_statements_payments_are_those_of_its_period,
    demo_data.test_superbills_lines_are_its_periods_sessions_with_their_paid_amounts,
    demo_data.test_session_is_on_one_valid_invoice_or_recent,
    demo_data.test_client_with_cards_has_one_valid_default,
    demo_data.test_cards_belong_to_practices_with_online_payments,
    demo_data.test_ids_are_in_the_order_of_time,
]


@pytest.fixture(scope="module")
async def world(new_database: NewDatabase) -> AsyncIterator[Ledgers]:
    """Load the practices, and yield the rows as read back from the database."""
    async with migrated(new_database) as url, opened(postgres.as_owner(url)) as engine:
        for plan in many.plans(TODAY, 1, CLIENTS, PRACTICES):
            await filling.fill_practice(engine, plan, lambda clients: None)
        await filling.update_statistics(engine)
        yield Ledgers(await read(engine, MADE), TODAY)


@asynccontextmanager
async def migrated(new_database: NewDatabase) -> AsyncIterator[str]:
    async with new_database() as url:
        await prepare(url)
        yield url


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    engine = database.engine(url)
    yield engine
    await engine.dispose()


async def counted(url: str, row: type[Row]) -> int:
    async with opened(url) as engine, engine.connect() as conn:
        return await conn.scalar(select(func.count()).select_from(row)) or 0


# -- the rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", ALSO_TRUE_HERE, ids=lambda test: test.__name__)
def test_rules_of_the_demos_data_hold(world: Ledgers, holds: Callable[[Ledgers], None]) -> None:
    holds(world)


def test_rows_read_back_are_the_generated_ones(world: Ledgers) -> None:
    rest = {"card_setup", "claim", "detachment", "dispute", "refund", "stripe_event", "token"}
    rest |= {"access_entry", "external_reference", "practice_version"}
    rest |= {"logo", "printed_document", "sign_in_limit", "sign_in_link", "sign_in_request"}
    assert {row.__tablename__ for row in MADE} >= set(Row.metadata.tables) - rest
    for row, made in MADE.items():
        key = [str(column.name) for column in row.__table__.primary_key]
        assert by(world.all(row), *key) == by(made, *key)


def test_client_has_about_25_rows_of_history(world: Ledgers) -> None:
    rows = [
        len(world.all(LedgerEntry, client_id=client["id"])) + len(world.uninvoiced(client["id"]))
        for client in world.all(Client)
    ]
    assert len(rows) == CLIENTS
    assert 18 <= sum(rows) / len(rows) <= 32
    assert min(rows) < 15 < 35 < max(rows)


def test_contacts_of_a_client_have_at_least_one_right(world: Ledgers) -> None:
    assert all(one["sees_documents"] or one["can_pay"] for one in world.all(ContactRight))
    assert world.all(ContactRight)


def test_names_are_folded_for_search_and_unique(world: Ledgers) -> None:
    for client in world.all(Client):
        assert client["folded_name"] == fold_name(client["name"])
        assert by(world.all(ClientNamePart, client_id=client["id"]), "position") == name_parts(
            client
        )
    for practice in world.all(Practice):
        names = [one["name"] for one in world.all(Client, practice_id=practice["id"])]
        assert len(names) == len(set(names)) == CLIENTS // PRACTICES


def test_currencies_have_zero_two_and_three_decimals_and_time_zones_differ(world: Ledgers) -> None:
    practices = world.all(Practice)
    assert {money.currency_digits(practice["currency"]) for practice in practices} == {0, 2, 3}
    assert len({practice["time_zone"] for practice in practices}) == PRACTICES
    assert {money.currency_digits(place.currency) for place in PLACES} == {0, 2, 3}


def test_there_are_names_for_more_clients_than_pairs_of_names() -> None:
    names = strangers(Chance(1, "names"))
    size = len(GIVEN) * len(FAMILY) + 1
    assert len({next(names) for _ in range(size)}) == size


def test_clients_are_distributed_evenly() -> None:
    sizes = [plan.clients for plan in many.plans(TODAY, 1, 11, 4)]
    assert sizes == [3, 3, 3, 2]


def test_practice_depends_on_its_number_and_the_seed_alone() -> None:
    third = demo.by_table(many.practice_entries(many.PracticePlan(TODAY, 1, 2, 20)))
    assert all(row in MADE[Client] for row in third[Client])
    assert all(row in MADE[LedgerEntry] for row in third[LedgerEntry])
    for other in (many.PracticePlan(TODAY, 2, 2, 20), many.PracticePlan(TODAY, 1, 3, 20)):
        made = demo.by_table(many.practice_entries(other))
        for row in (Practice, Client, LedgerEntry):
            mine = {one["id"] for one in third[row]}
            assert mine.isdisjoint(one["id"] for one in made[row])


async def test_role_without_superuser_loads_with_foreign_keys_checked(
    postgres_url: str,
) -> None:
    async with migrated(lambda: postgres.database(postgres_url)) as url:
        async with opened(postgres.as_owner(url)) as engine:
            async with engine.begin() as conn:
                await bulk_insert.trust_foreign_keys(conn)
                checked = await conn.scalar(text("SHOW session_replication_role"))
            assert checked == "origin"
            await filling.fill_practice(
                engine, many.PracticePlan(TODAY, 1, 0, 20), lambda clients: None
            )
        assert await counted(url, Client) == 20


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def of(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("DATABASE_OWNER_URL", postgres.as_owner(url))
        monkeypatch.setenv("TOKEN_KEY", KEY)

    return of


async def portal(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli.app, arguments)


async def test_command_loads_the_practices_of_its_seed(
    new_database: NewDatabase, environment: Callable[[str], None]
) -> None:
    async with migrated(new_database) as url:
        environment(url)
        days = [dt.datetime.now(dt.UTC).date()]
        result = await portal("load-demo", "--clients", "8", "--practices", "3", "--seed", "7")
        days.append(dt.datetime.now(dt.UTC).date())
        assert result.exit_code == 0, result.output
        async with opened(url) as engine:
            found = await read(engine, MADE)
        assert any(is_made(found, many.plans(day, 7, 8, 3)) for day in days)
        assert re.search(r"^ +8  client$", result.stdout, re.MULTILINE)
        assert re.search(r"rows in \d+ seconds$", result.stdout, re.MULTILINE)
        assert len(re.findall(r"^  cbp_\w{49}  a ", result.stdout, re.MULTILINE)) == 2
        assert not re.search(r"[\r\x1b]", result.stdout)
        again = await portal("load-demo", "--clients", "8")
        assert (again.exit_code, again.stderr) == (
            1,
            "The database has practices already: choose an empty one.\n",
        )


def is_made(found: dict[type[Row], list[Values]], plans: list[many.PracticePlan]) -> bool:
    made = demo.by_table(entry for plan in plans for entry in many.practice_entries(plan))
    return all(in_order(row, found[row]) == in_order(row, made.get(row, [])) for row in found)


def in_order(row: type[Row], values: Any) -> list[Values]:
    return by(values, *(str(column.name) for column in row.__table__.primary_key))


async def test_database_that_is_not_migrated_is_refused(
    new_database: NewDatabase, environment: Callable[[str], None]
) -> None:
    async with new_database() as url:
        environment(url)
        result = await portal("load-demo")
        assert (result.exit_code, result.stderr) == (
            1,
            "The database is not up to date: run `portal migrate` first.\n",
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clients", "0"], "--clients"),
        (["--practices", "0"], "--practices"),
        (["--seed", "one"], "--seed"),
        (["--clients", "3", "--practices", "4"], "4 practices need at least as many clients"),
    ],
)
async def test_invalid_numbers_of_practices_are_refused(
    new_database: NewDatabase,
    environment: Callable[[str], None],
    options: list[str],
    said: str,
) -> None:
    async with migrated(new_database) as url:
        environment(url)
        result = await portal("load-demo", *options)
        assert result.exit_code != 0
        assert said in result.stderr
        assert "Traceback" not in result.output
        assert await counted(url, Practice) == 0


async def test_interrupted_load_leaves_whole_practices(new_database: NewDatabase) -> None:
    async with migrated(new_database) as url:
        process = await asyncio.to_thread(started, url, "--clients", "9000", "--practices", "60")
        async with asyncio.timeout(60), opened(url) as engine:
            await some_practice(engine)
        process.send_signal(signal.SIGINT)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
        whole = await counted(url, Practice)
        assert 0 < whole < 60
        assert said == f"Interrupted: {whole} of 60 practices are in the database, each complete.\n"
        assert process.returncode == 1
        assert await counted(url, Client) == 150 * whole
        assert await counted(url, DocumentCounter) == 4 * whole


def started(url: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "server", "load-demo", *options],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": postgres.as_owner(url), "TOKEN_KEY": KEY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Tests started in the background ignore Ctrl-C, and child processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def some_practice(engine: AsyncEngine) -> None:
    """Wait until another process has written a practice."""
    found = None
    while found is None:
        await asyncio.sleep(0.05)
        async with engine.connect() as conn:
            found = await conn.scalar(select(Practice.id).limit(1))
