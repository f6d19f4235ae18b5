"""Loading of the demo's rows, and `portal load-demo`, which makes up many practices."""

import asyncio
import datetime as dt
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
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
from models.row import written
from server.cli import main as cli
from tests.demo.worlds import CLIENTS, PRACTICES, TODAY, loaded_plans, loaded_rows
from tests.support import postgres
from tests.support.demo_ledger import Ledgers, Values, by
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
PROJECT = Path(__file__).parents[2]
# Tables that neither has rows of.
EMPTY = frozenset(
    """access_entry card_setup chain_root data_version detachment dispute document_schedule
    erased_value event_endpoint external_reference installation logo outbox_event past_import
    practice_version printed_document recovery refund sign_in_limit sign_in_link
    sign_in_request stripe_event token
    unadopted_payment""".split()
)


@cache
def demo_rows() -> tuple[demo.People, Mapping[type[Row], Sequence[Values]]]:
    return demo.demo_rows(TODAY)


@pytest.fixture(scope="module")
def world() -> Ledgers:
    return Ledgers(loaded_rows(), TODAY)


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


async def test_demo_is_read_back_as_it_was_made(new_database: NewDatabase) -> None:
    async with migrated(new_database) as url, opened(url) as engine:
        people, rows = demo_rows()
        assert await demo.load(engine, TODAY) == people
        assert sorted_rows(await read(engine, rows)) == sorted_rows(rows)


async def test_practices_are_read_back_as_they_were_made(new_database: NewDatabase) -> None:
    async with migrated(new_database) as url, opened(postgres.as_owner(url)) as engine:
        for plan in loaded_plans():
            await filling.fill_practice(engine, plan, lambda clients: None)
        await filling.update_statistics(engine)
        rows = loaded_rows()
        assert sorted_rows(await read(engine, rows)) == sorted_rows(rows)


async def read(engine: AsyncEngine, rows: Iterable[type[Row]]) -> dict[type[Row], list[Values]]:
    """Return the rows of some tables, without the columns that the database computes."""
    async with engine.connect() as conn:
        return {
            row: [dict(one) for one in (await conn.execute(everything)).mappings()]
            for row, everything in ((row, select(*written(row).values())) for row in rows)
        }


def sorted_rows(rows: Mapping[type[Row], Sequence[Values]]) -> dict[str, list[Values]]:
    return {row.__tablename__: in_order(row, values) for row, values in rows.items()}


def test_every_table_but_those_of_later_use_has_rows() -> None:
    for made in (demo_rows()[1], loaded_rows()):
        assert {row.__tablename__ for row in made} == set(Row.metadata.tables) - EMPTY


def test_demos_rows_depend_on_the_seed_and_the_day_alone() -> None:
    """Without a seed it is 1."""
    people, rows = demo_rows()
    assert demo.demo_rows(TODAY, 1) == (people, rows)
    for others, other in (demo.demo_rows(TODAY, 2), demo.demo_rows(TODAY + dt.timedelta(1))):
        assert others != people
        assert other[LedgerEntry] != rows[LedgerEntry]


@pytest.mark.rest
async def test_demo_is_loaded_in_one_transaction(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are written with rows that refer to rows of earlier ones."""
    written = demo.write_batch

    async def interrupted(connection: Any, batch: list[Any]) -> None:
        await written(connection, batch)
        if batch[-1].operation.table is DocumentCounter:
            raise ConnectionError

    monkeypatch.setattr(demo, "BATCH", 500)
    async with migrated(new_database) as url, opened(url) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(demo, "write_batch", interrupted)
            with pytest.raises(ConnectionError):
                await demo.load(engine, TODAY)
        async with engine.connect() as conn:
            assert await conn.scalar(select(func.count()).select_from(Practice)) == 0
        await demo.load(engine, TODAY)
        async with engine.connect() as conn:
            counted = await conn.scalar(select(func.count()).select_from(LedgerEntry))
        assert counted == len(demo_rows()[1][LedgerEntry])


# -- many practices --------------------------------------------------------------------------------


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
    assert all(row in loaded_rows()[Client] for row in third[Client])
    assert all(row in loaded_rows()[LedgerEntry] for row in third[LedgerEntry])
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


@pytest.mark.rest
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
            found = await read(engine, loaded_rows())
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


@pytest.mark.rest
async def test_interrupted_load_leaves_whole_practices(new_database: NewDatabase) -> None:
    async with migrated(new_database) as url:
        process = await asyncio.to_thread(started, url, "--clients", "20000", "--practices", "1000")
        async with asyncio.timeout(60), opened(url) as engine:
            await some_practice(engine)
        process.send_signal(signal.SIGINT)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
        whole = await counted(url, Practice)
        assert 0 < whole < 1000
        complete = "practices are in the database, each complete."
        assert said == f"Interrupted: {whole} of 1000 {complete}\n"
        assert process.returncode == 1
        assert await counted(url, Client) == 20 * whole
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
