"""A dashboard without `phi:read` gets amounts, and no name, code, note or e-mail by any route.

Every request is sent to two practices that differ only in such texts. No response may contain one
of them, and each response has to be the same for both, to the byte, so that no order, cursor or
count depends on them.
"""

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

import models
from billing.ledger.versions import VERSIONED, new_version
from billing.outbox.delivery import EventDelivery
from billing.outbox.endpoints import add_endpoint
from billing.outbox.messages import KINDS_BY_TYPE
from execution import scopes
from models import Scope, database
from planner.pagination import Page
from resolvers.field_facts import scopes_of_field
from server.app import app
from server.clock import utc_now
from server.http.export_tables import TABLES, Table
from server.http.exports import Exports
from server.settings import Settings
from tests.security.phi_leaks.marked import (
    HELD,
    TEXTS,
    TOKENS,
    WITHOUT,
    WORDS,
    WRITING,
    Rows,
    World,
    hashes_of,
    told_by,
    world,
)
from tests.security.phi_leaks.requests import Asked, entries, everything, much
from tests.security.test_scopes import ENTRIES, PLAIN, SCHEMA
from tests.support.empty_databases import prepare
from tests.support.event_receiver import Received, receiving
from tests.support.headers import compared_headers
from tests.support.logs import captured_log
from tests.support.portal import KEY
from tests.support.practices.bookkeeping import load
from tests.support.practices.random_values import NOW
from tests.support.twice import Twice
from tests.support.webhooks import ANYWHERE, KEYS

pytestmark = [pytest.mark.campaign, pytest.mark.twins(4)]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
AT_LEAST = 1_500
# The other scopes show no amount but the smallest chargeable one.
MONEYED = {Scope.BILLING_READ, Scope.AGGREGATES_READ}


@dataclass
class Worlds:
    """Both practices, and where their rows are."""

    worlds: tuple[World, World]
    urls: list[str]
    hashes: frozenset[str]

    def token_id(self, held: frozenset[Scope]) -> str:
        rows = self.worlds[0].rows[models.Token]
        return str(rows[list(TOKENS).index(held)]["id"])

    def asked(self, held: frozenset[Scope]) -> list[Asked]:
        """Return the requests with ids of either practice; fewer for a single scope, which admits
        less.
        """
        if held == WRITING:
            return [asked for one in self.worlds for asked in entries(one)]
        ask = everything if held == WITHOUT else much
        both = (ask(one, self.token_id(held)) for one in self.worlds)
        found = {repr(asked): asked for all_ in both for asked in all_}
        return [*found.values()]

    @asynccontextmanager
    async def served(self) -> AsyncIterator[list[httpx.AsyncClient]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(served(url)) for url in self.urls]


@asynccontextmanager
async def served(url: str) -> AsyncIterator[httpx.AsyncClient]:
    # Each token sends more than its budget for a minute admits.
    settings = Settings(database_url=url, token_key=KEY, database_connections=2, token_seconds=6000)
    application = app(settings, now=lambda: NOW)
    transport = Twice(application, raise_app_exceptions=False)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://portal") as client,
    ):
        yield client


@pytest.fixture(scope="module")
async def worlds(new_database: NewDatabase) -> AsyncIterator[Worlds]:
    async with made_worlds(new_database) as made:
        yield made


@asynccontextmanager
async def made_worlds(new_database: NewDatabase) -> AsyncIterator[Worlds]:
    made = (world(WORDS[0], backward=False), world(WORDS[1], backward=True))
    hashes = hashes_of(marker for one in made for marker in one.markers)
    async with new_database() as first, new_database() as second:
        for url, one in zip((first, second), made, strict=True):
            await prepare(url)
            writing = database.engine(url)
            await load(writing, one.rows)
            await writing.dispose()
        yield Worlds(made, [first, second], hashes)


# -- requests --------------------------------------------------------------------------------------


async def sent(client: httpx.AsyncClient, asked: Asked, held: frozenset[Scope]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS[held]}"}
    if not asked.query:
        return await client.get(asked.path, headers=headers)
    body = {"query": asked.query, "variables": asked.variables}
    return await client.post(asked.path, json=body, headers=headers)


def whole(response: httpx.Response) -> str:
    """Return the status, the headers and the body."""
    head = f"{response.status_code} {compared_headers(response)}\n"
    return f"{head}{response.text}"


async def leaks(
    worlds: Worlds, held: frozenset[Scope], among: str = ""
) -> tuple[list[str], list[httpx.Response]]:
    """Send every request whose text contains `among`; return the leaks, and one practice's
    responses.
    """
    found, answers = [], []
    with captured_log() as log:
        async with worlds.served() as (first, second):
            for asked in worlds.asked(held):
                if among not in f"{asked}":
                    continue
                both = (sent(client, asked, held) for client in (first, second))
                one, other = await asyncio.gather(*both)
                differ = whole(one) != whole(other)
                told = markers(worlds, one) | (markers(worlds, other) if differ else set())
                if strange := told - told_by(f"asks {asked}", worlds.hashes):
                    found.append(f"{asked} tells {strange}")
                elif differ:
                    found.append(f"{asked} differs: {one.text[:300]} and {other.text[:300]}")
                answers.append(one)
    # The log has a line for each request, and tells no name either.
    lines = log.getvalue().splitlines()
    assert sum('"route":"' in line for line in lines) >= len(answers)
    found += [f"the log tells {told}" for line in lines if (told := told_by(line, worlds.hashes))]
    return found, answers


def markers(worlds: Worlds, response: httpx.Response) -> set[str]:
    head = json.dumps(dict(response.headers))
    return told_by(head, worlds.hashes) | told_by(response.text, worlds.hashes)


@pytest.mark.share(8)
@pytest.mark.parametrize("held", HELD, ids=lambda held: " ".join(sorted(held)) or "none")
async def test_no_response_depends_on_a_name(worlds: Worlds, held: frozenset[Scope]) -> None:
    found, answers = await leaks(worlds, held)
    print(f"{len(answers):,} requests")
    assert len(answers) >= (AT_LEAST if held == WITHOUT else AT_LEAST // 5)
    assert not found, f"{len(found)}: " + "\n".join(found[:10])
    assert {answer.status_code for answer in answers} <= {200, 400, 404}
    assert not [answer.text for answer in answers if '"INTERNAL"' in answer.text]
    with_money = [answer for answer in answers if '"minorUnits":' in answer.text]
    assert (len(with_money) > 1) is bool(held & MONEYED)


@pytest.mark.rest
async def test_no_entry_depends_on_a_name(new_database: NewDatabase) -> None:
    """In databases of its own, since the ids of new rows are the same in no two practices."""
    async with made_worlds(new_database) as own:
        found, answers = await leaks(own, WRITING)
    assert not found, f"{len(found)}: " + "\n".join(found[:10])
    changes = Counter(
        (name, change)
        for answer in answers
        for name, one in (answer.json().get("data") or {}).items()
        if one and (change := one.get("change"))
    )
    print(changes)
    assert {name for name, change in changes if change != "UNCHANGED"} == ENTRIES
    assert {change for _, change in changes} == {"ENTERED", "CHANGED", "UNCHANGED"}


# -- messages to other systems ---------------------------------------------------------------------


async def messages_of(url: str, rows: Rows) -> list[Received]:
    """Change some rows of each table with versions, and return the messages about them."""
    practice_id = rows[models.Practice][0]["id"]
    async with database.open_engine(url) as writing, receiving() as receiver:
        async with writing.begin() as conn:
            await add_endpoint(conn, KEYS, practice_id, receiver.url, [], utc_now())
            async with new_version(conn, practice_id) as version:
                for table in VERSIONED:
                    ids = [row["id"] for row in rows[table][:15]]
                    await version.set_on(table, table.id.in_(ids))
        await EventDelivery(writing, utc_now, KEYS, ANYWHERE).deliver_waiting()
    return receiver.received


async def test_no_message_to_other_systems_depends_on_a_name(new_database: NewDatabase) -> None:
    async with made_worlds(new_database) as own:
        both = [
            await messages_of(url, one.rows) for url, one in zip(own.urls, own.worlds, strict=True)
        ]
    parts = ((str(one.headers)[1:], one.body.decode()) for messages in both for one in messages)
    texts = [text for part in parts for text in part]
    assert not [told for text in texts if (told := told_by(text, own.hashes))]
    contents = [[(one.id, one.type, one.content["data"]) for one in messages] for messages in both]
    assert contents[0] == contents[1]
    types = {type_.partition(".")[0] for _, type_, _ in contents[0]}
    assert types == {type_.partition(".")[0] for type_ in KINDS_BY_TYPE}


# -- permitted data --------------------------------------------------------------------------------


async def test_dashboard_without_phi_scope_gets_all_amounts(worlds: Worlds) -> None:
    query = """{ clients(first: 100, orderBy: { field: CREATED }) { nodes { id
        balance { amount { minorUnits } } } }
        practice { invoices(first: 500) { nodes { total { minorUnits } } } } }"""
    async with worlds.served() as (client, _):
        data = (await sent(client, Asked(query), WITHOUT)).json()["data"]
    rows = worlds.worlds[0].rows
    totals = [one["total"]["minorUnits"] for one in data["practice"]["invoices"]["nodes"]]
    assert sorted(totals) == sorted(row["total_minor"] for row in rows[models.Invoice])
    balances = {
        one["id"]: one["balance"]["amount"]["minorUnits"] for one in data["clients"]["nodes"]
    }
    entered = dict.fromkeys(balances, 0)
    for row in rows[models.LedgerEntry]:
        entered[f"cli_{row['client_id']}"] += row["amount_minor"]
    assert balances == entered
    assert len(balances) == 5


async def test_dashboard_without_phi_scope_lists_clients_by_creation_only(worlds: Worlds) -> None:
    query = "{ clients(orderBy: { field: CREATED }) { nodes { id } } }"
    async with worlds.served() as (client, _):
        nodes = (await sent(client, Asked(query), WITHOUT)).json()["data"]["clients"]["nodes"]
        by_name = (await sent(client, Asked("{ clients { nodes { id } } }"), WITHOUT)).json()
    clients = worlds.worlds[0].rows[models.Client]
    came = sorted(clients, key=lambda row: (row["created_at"], row["id"]))
    named = sorted(clients, key=lambda row: str(row["folded_name"]))
    assert [one["id"] for one in nodes] == [f"cli_{row['id']}" for row in came]
    assert came not in (named, named[::-1])
    assert by_name["errors"][0]["extensions"]["code"] == "SCOPE_REQUIRED"


@pytest.mark.parametrize("name", TABLES)
async def test_export_without_phi_scope_has_amounts_and_no_column_of_names(
    worlds: Worlds, name: str
) -> None:
    # The revenue of one day, and all of every other file.
    day = worlds.worlds[0].rows[models.LedgerEntry][0]["date"]
    given = f"?from={day}&to={day}" if name == "revenue" else ""
    async with worlds.served() as (client, _):
        response = await sent(client, Asked(path=f"/export/{name}.csv{given}"), WITHOUT)
    (first, *_) = rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    listed = LISTED.get(name)
    assert len(rows) == (len(worlds.worlds[0].rows[listed]) if listed else 1)
    assert first.keys() == {one.heading for one in TABLES[name].all_columns if not one.is_health}
    amounts = [row[column] for row in rows for column in row.keys() & MONEY]
    assert any(float(amount) for amount in amounts)


LISTED = {
    "invoices": models.Invoice,
    "payments": models.Payment,
    "clients": models.Client,
    "ledger": models.LedgerEntry,
}
MONEY = {"total", "amount", "balance", "invoiced", "collected", "refunded"}


# -- the test finds leaks --------------------------------------------------------------------------


async def test_markers_are_readable_with_phi_scope(worlds: Worlds) -> None:
    """So the tests above look for texts that responses can contain."""
    query = """{ clients(first: 9) { nodes { name email phone address { line1 city postalCode }
        paymentMethods { cardholderName billingZip } accessLog { nodes { name } }
        invoices(first: 50) { nodes { notes lines { description serviceCode } } }
        superbills { nodes { provider { name licenceNumber } diagnoses { code description }
            lines { cptCode modifiers session { description } } } } } } }"""
    async with worlds.served() as (client, _):
        answer = await sent(client, Asked(query), frozenset(Scope))
    read = markers(worlds, answer)
    assert len(read) > 200, answer.text[:500]


def test_every_table_with_texts_is_marked() -> None:
    """A text in the schema is marked, or listed with a reason not to be health information."""
    plain = {text.partition(".")[0] for text in set().union(*PLAIN.values())}
    others = {name for name in SCHEMA.type_map if hasattr(models, name)} - plain
    texts = {name for name in others if any_text(name)}
    assert texts <= {model.__name__ for model in TEXTS}


def any_text(name: str) -> bool:
    fields: Mapping[str, Any] = getattr(SCHEMA.type_map[name], "fields", {})
    return any(str(field.type).rstrip("!") == "String" for field in fields.values())


def a_clients_name_is_off_the_list(patch: pytest.MonkeyPatch) -> None:
    def wrong(type_: Any, name: str) -> frozenset[Scope]:
        return scopes_of_field(type_, "id" if (str(type_), name) == ("Client", "name") else name)

    patch.setattr("execution.scopes.scopes_of_field", wrong)


def a_cursor_has_the_name(patch: pytest.MonkeyPatch) -> None:
    right: Any = Page.keys

    def wrong(self: Page) -> Any:
        name = getattr(self.rows.table.c, "folded_name", None)
        return [*right.fget(self), *([name] if name is not None else [])]

    patch.setattr(Page, "keys", property(wrong))


def a_file_has_columns_of_names(patch: pytest.MonkeyPatch) -> None:
    right = Exports.required_viewer

    async def wrong(self: Exports, request: Any) -> Any:
        viewer = await right(self, request)
        return replace(viewer, scopes=frozenset(Scope))

    patch.setattr(Exports, "required_viewer", wrong)


def a_column_has_lost_its_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "columns", lambda self, **_: [*self.all_columns])
    a_clients_name_is_off_the_list(patch)


def an_order_by_name_needs_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scopes, "uses_of_arguments", lambda *_: iter(()))


Plant = Callable[[pytest.MonkeyPatch], None]
# Planted leaks, each with a part of the requests that show it, and of the report on it.
FAULTS: dict[Plant, tuple[str, str]] = {
    a_clients_name_is_off_the_list: ("on Client", "tells"),
    a_cursor_has_the_name: ("CREATED", "tells"),
    a_file_has_columns_of_names: ("/export", "tells"),
    a_column_has_lost_its_mark: ("/export", "tells"),
    an_order_by_name_needs_no_scope: ("clients( search", "differs"),
}


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True, scope="session")
@pytest.mark.share(5)
@pytest.mark.parametrize("plant", FAULTS)
async def test_planted_leak_is_reported(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    plant(monkeypatch)
    among, how = FAULTS[plant]
    found, _ = await leaks(worlds, WITHOUT, among)
    print(*found[:1])
    assert any(f" {how}" in one for one in found)
