"""Invalid values in each column of each table, written past the application.

The database refuses a value, or the value affects its own practice alone: another practice's
responses stay the same, its payments succeed, and its background work continues. The practice's own
responses are never an internal error.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Enum, Table, TypeDecorator, Uuid, insert, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payment_methods import detach
from billing.payments import daily_comparison, reconcile, webhook_inbox
from identity.tokens import Subject
from models import (
    READ_SCOPES,
    CardSetup,
    Detachment,
    Dispute,
    Invoice,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    Refund,
    Row,
    Statement,
    StripeCustomer,
    StripeEvent,
    Superbill,
)
from models.append_only import is_append_only, unprotect
from models.database import open_engine
from models.ids import new_id
from tests.sandbox.specification import held
from tests.support import postgres, stripe_allowlist
from tests.support.example_operations import REPORTS, WRITTEN
from tests.support.factories import Books
from tests.support.payments import Paying, paying
from tests.support.triggers import STATEFUL, drop_triggers

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

ACCOUNT_POISONED = "acct_poisoned"
STRIPE_IDS: dict[type[Row], str] = {
    Payment: "pi_settled",
    Refund: "re_poisoned",
    Dispute: "dp_poisoned",
    CardSetup: "seti_poisoned",
    PaymentMethod: "pm_poisoned",
    Detachment: "pm_detached",
    StripeCustomer: "cus_poisoned",
}
# Operations about the poisoned practice that show all of its rows.
OF_CLIENT = (
    "the practice with all it has",
    "a client with all that is known of them",
    "a balance that explains itself",
    "cards, the default first",
    "invoices with all that they have",
    "statements with all that they have",
    "superbills with all that they have",
    "the whole account history",
    "payments with all that they have",
    "receipts with all that they have",
    "what an insurer would miss",
    "sign-ins",
)
OF_DASHBOARD = (
    "all invoices of the practice, five hundred at a time",
    "all payments of the practice",
    "the clients in sight, by name",
    "clients by a search",
)
REPORT = ("the practice's money by month", "what is due, by its age")
DOCUMENTS = """{ client { invoices { nodes { document { printUrl } } } statements { nodes {
    document { printUrl } } } superbills { nodes { document { printUrl } } } receipts { nodes {
    document { printUrl } } } } }"""
PRINTED = {
    *("practice", "letterhead", "invoice", "invoice_line", "statement", "statement_line", "logo"),
    *("superbill", "superbill_line", "superbill_diagnosis", "receipt", "payment"),
}
TABLES = Row.metadata.sorted_tables

# Literals of SQL, by the type of a column.
TEXTS = ["''", "' '", "'a@x, evil@y'", "'../../etc/passwd'", "'<script>\"\\'", "'%_'", "'\u202e🙂'"]
LONG = "'" + "x" * 20_000 + "'"
NUMBERS = ["-1", "0", "2147483647", "9007199254740990", "9007199254740993", "-4611686018427387904"]
DAYS = ["'0001-01-01'", "'9999-12-31'"]
MOMENTS = ["'0001-01-02 00:00:00.000000'", "'9999-12-31 00:00:00.000000'", "'2026-03-01'"]
JSONS = ["'{\"a\": 1}'", "'5'", "'null'", "'[]'", '\'[1, null, {"a": ["b"]}]\'']
BINARY = {"sqlite": ["x''", "x'00ff'"], "postgresql": ["''::bytea", "'\\x00ff'::bytea"]}
# Literals that only one of the databases accepts.
OF_SQLITE = ["'garbage'", "1.5", "x'00'", "char(10) || 'a'"]
OF_POSTGRESQL = ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "chr(10) || 'a'"]


def poisons(column: Column[Any], dialect: str) -> Iterator[str]:
    """Yield literals that the column should not have, or only just."""
    yield "NULL"
    yield from OF_SQLITE if dialect == "sqlite" else OF_POSTGRESQL
    inner = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    kind: Any = list if isinstance(inner, JSON) else inner.python_type
    if isinstance(column.type, Enum):
        yield from (f"'{name}'" for name in [*column.type.enums, "UNKNOWN"])
    elif isinstance(column.type, Uuid):
        yield f"'{new_id()}'"
    elif kind is str:
        yield from [*TEXTS, LONG]
    elif kind is int:
        yield from NUMBERS
    elif kind is bool:
        yield from ("0", "1", "2") if dialect == "sqlite" else ("true", "false")
    elif kind is dt.date:
        yield from DAYS
    elif kind is dt.datetime:
        yield from MOMENTS
    elif kind is bytes:
        yield from BINARY[dialect]
    elif kind is list:
        yield from JSONS


@dataclass
class Neighbours:
    """A practice with poisoned rows (`books`), and another one that takes payments (`portal`)."""

    portal: Paying
    # Writes as the owner of the tables, who may also make one.
    owner: AsyncEngine
    practice_id: str
    client: str
    board: str
    # Responses of the healthy practice.
    before: list[bytes]
    # Printing takes most of the time.
    prints: bool = True

    async def run(self, statement: str) -> int:
        async with self.owner.begin() as conn:
            return int((await conn.exec_driver_sql(statement)).rowcount)

    # -- the healthy practice ----------------------------------------------------------------------

    async def lives(self, table: Table, column: Column[Any]) -> None:
        """Assert that the poisoned practice responds, and that the healthy one is unaffected."""
        await self.asked(also_documents=self.prints and table.name in PRINTED)
        assert await self.answers() == self.before
        await self.pays()
        await self.again({f"{table.name}.{column.name}"})
        await self.works()

    async def again(self, but: set[str]) -> None:
        """Make the poisoned practice's rows due for background work again."""
        for name, value, condition in (
            ("payment.checked_at", "'2026-03-01 00:00:00.000000'", "stripe_id = 'pi_poisoned'"),
            ("payment.leased_until", "NULL", "stripe_id = 'pi_poisoned'"),
            ("detachment.done_at", "NULL", "1 = 1"),
            ("detachment.leased_until", "NULL", "1 = 1"),
            ("practice.compare_after", "NULL", f"id = '{self.practice_id}'"),
            ("practice.leased_until", "NULL", f"id = '{self.practice_id}'"),
        ):
            table, _, column = name.partition(".")
            if name not in but:
                await self.run(f"UPDATE {table} SET {column} = {value} WHERE {condition}")

    async def answers(self) -> list[bytes]:
        names = ("a client with all that is known of them", "the practice with all it has")
        return [
            (
                await self.portal.ask(WRITTEN[name][0], self.portal.bearer, **WRITTEN[name][1])
            ).content
            for name in names
        ]

    async def pays(self) -> None:
        await self.portal.invoice(5_000)
        paid = await self.portal.pay(5_000, self.portal.card())
        assert paid["__typename"] == "PaySucceeded", paid
        assert paid["client"]["balance"]["amount"]["minorUnits"] == 0

    async def works(self) -> None:
        """Do all background work, and assert that events of the healthy practice are processed."""
        event = {"id": f"evt_{new_id()}", "type": "test", "received_at": self.portal.clock()}
        await self.portal.insert(StripeEvent, event)
        for work in (
            webhook_inbox.handle_waiting,
            reconcile.reconcile_untouched,
            detach.detach_cards,
            daily_comparison.compare_due,
        ):
            await work(self.portal.payment_context)
        rows = {row.id: row for row in await self.portal.all(StripeEvent)}
        assert rows[event["id"]].handled_at is not None

    # -- the poisoned one --------------------------------------------------------------------------

    async def asked(self, *, also_documents: bool) -> None:
        for token, names, documents in (
            (self.client, OF_CLIENT, WRITTEN),
            (self.board, OF_DASHBOARD, WRITTEN),
            (self.board, REPORT, REPORTS),
        ):
            for name in names:
                query, variables = documents[name]
                await self.answered(name, query, token, variables)
        if also_documents:
            await self.printed()

    async def answered(self, name: str, query: str, token: str, variables: Any) -> Any:
        response = await self.portal.ask(query, token, **variables)
        assert response.status_code < 500 or b"PRACTICE_MISCONFIGURED" in response.content, name
        body = response.json()
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        assert "INTERNAL" not in codes, (name, body["errors"])
        return body.get("data")

    async def printed(self) -> None:
        """Open all documents, after deleting their stored prints."""
        await self.run(f"DELETE FROM printed_document WHERE practice_id = '{self.practice_id}'")
        data = await self.answered("documents", DOCUMENTS, self.client, {})
        for kind in ((data or {}).get("client") or {}).values():
            for node in (kind or {}).get("nodes", ()):
                page = await self.portal.http.get(node["document"]["printUrl"])
                assert page.status_code in (200, 404, 503), page.text


@pytest.fixture
async def neighbours(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Neighbours]:
    # Poisoned ids are sent to Stripe as well.
    monkeypatch.setattr(stripe_allowlist, "hold", lambda _: None)
    monkeypatch.setattr(held, "hold", lambda *_: None)
    async with (
        new_database() as url,
        paying(url) as portal,
        open_engine(postgres.as_owner(url)) as owner,
    ):
        async with owner.begin() as conn:
            for table in filter(is_append_only, TABLES):
                await conn.run_sync(unprotect, table.name)
            # A state may be put back in spite of the order of states.
            await drop_triggers(conn, *STATEFUL)
        async with portal.engine.begin() as conn:
            books = await Books.opened(conn)
            await books.fill()
            for model, stripe_id in STRIPE_IDS.items():
                await books.change_all(model, stripe_id=stripe_id)
            client = books.ids["client"]
            card = {
                "method": "CARD",
                "stripe_account": ACCOUNT_POISONED,
                "stripe_id": "pi_poisoned",
            }
            await books.payment(client, PaymentState.CONFIRMING, **card)
            await books.change_all(Practice, stripe_account=ACCOUNT_POISONED)
            for shared in (Invoice, Statement, Superbill):
                await books.change_all(shared, shared_at=portal.clock())
            # The daily comparison of the healthy practice would take longer with each payment.
            later = update(Practice).where(Practice.id == portal.practice_id)
            await conn.execute(later.values(compare_after=portal.clock() + dt.timedelta(days=1)))
            event = {"id": "evt_poisoned", "type": "test", "received_at": portal.clock()}
            await conn.execute(insert(StripeEvent).values(event))
        token = await portal.token(Subject(books.practice, client_id=client))
        board = await portal.token(Subject(books.practice), scopes=READ_SCOPES)
        found = Neighbours(portal, owner, books.practice, token, board, [])
        found.before = await found.answers()
        yield found


def own(table: Table, practice_id: str) -> str:
    """Return the condition of the rows to poison."""
    if table.name == "stripe_event":
        return "id = 'evt_poisoned'"
    if table.name == "payment":
        return "stripe_id = 'pi_poisoned'"
    if table.name == "practice":
        return f"id = '{practice_id}'"
    return f"practice_id = '{practice_id}'" if "practice_id" in table.columns else "1 = 1"


async def poisoned(neighbours: Neighbours, table: Table, column: Column[Any]) -> int:
    """Try each value in a column, and return the number of values that the database accepted."""
    quoted, where = f'"{column.name}"', own(table, neighbours.practice_id)
    keys = [f'kept."{key.name}" = {table.name}."{key.name}"' for key in table.primary_key]
    back = [
        f"UPDATE {table.name} SET {quoted} = kept.{quoted} FROM kept WHERE {' AND '.join(keys)}"
    ]
    if column.primary_key:
        back = [f"DELETE FROM {table.name} WHERE {where}"]
        names = ", ".join(f'"{each.name}"' for each in table.columns if each.computed is None)
        back += [f"INSERT INTO {table.name} ({names}) SELECT {names} FROM kept"]
    await neighbours.run(f"CREATE TABLE kept AS SELECT * FROM {table.name} WHERE {where}")
    taken = 0
    for value in poisons(column, neighbours.portal.engine.dialect.name):
        try:
            if not await neighbours.run(
                f"UPDATE {table.name} SET {quoted} = {value} WHERE {where}"
            ):
                continue
        except DBAPIError:
            continue
        taken += 1
        try:
            await neighbours.lives(table, column)
        except Exception as error:
            raise AssertionError(f"{table.name}.{column.name} = {value[:60]}: {error}") from error
        for statement in back:
            await neighbours.run(statement)
    await neighbours.run("DROP TABLE kept")
    return taken


@pytest.mark.faults
@pytest.mark.parametrize("table", TABLES, ids=str)
async def test_poisoned_column_affects_only_its_own_practice(
    neighbours: Neighbours, table: Table
) -> None:
    for column in table.columns:
        if column.computed is None:
            await poisoned(neighbours, table, column)


# One column of each kind, for every run.
SOME = {
    "practice": ("time_zone", "currency"),
    "payment": ("checked_at",),
    "superbill_line": ("modifiers",),
}


@pytest.mark.rest
async def test_selected_poisoned_columns_affect_only_their_own_practice(
    neighbours: Neighbours,
) -> None:
    neighbours.prints = False
    taken = {
        f"{name}.{column}": await poisoned(
            neighbours, Row.metadata.tables[name], Row.metadata.tables[name].columns[column]
        )
        for name, columns in SOME.items()
        for column in columns
    }
    # The values do reach the database.
    assert taken["practice.time_zone"] > 5
    assert taken["payment.checked_at"] > 1
