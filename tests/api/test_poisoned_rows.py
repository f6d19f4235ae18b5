"""Invalid rows affect nothing but themselves: counters, settings of a practice, cards."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from billing.payment_methods import card_comparison
from billing.payments import audit, webhook_inbox
from billing.payments.context import PaymentContext
from billing.payments.customers import Holder
from billing.payments.receipts import insert_unless_taken
from billing.payments.refund import refund_payment
from billing.practices import faults
from identity.tokens import Subject
from models import (
    Client,
    DocumentCounter,
    DocumentKind,
    EntryKind,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    PracticeVersion,
    Receipt,
)
from models.database import open_engine
from models.ids import new_id
from sandbox import intents
from server import practice_check
from tests.support import postgres
from tests.support.card_forms import keep
from tests.support.empty_databases import prepare
from tests.support.factories import Books
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, ASKS, Paying, paying
from tests.support.reversals import at_stripe, paid
from tests.support.unprotected import unprotected

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
BILLING_PAGE = "{ client { name balance { amount { amount } } canPay { isAllowed } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


# Only the owner of the tables can change their rows.
PROTECTED = {"ledger_entry", "receipt"}


async def change(portal: Paying, row: Any, *where: Any, **values: Any) -> None:
    async with unprotected(portal.url, *PROTECTED & {row.__tablename__}) as conn:
        await conn.execute(update(row).where(*where).values(values))


async def pay_an_invoice(portal: Paying, amount: int = 5_000) -> dict[str, Any]:
    await portal.invoice(amount)
    return await portal.pay(amount, portal.card())


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "alert" in one.getMessage()]


# -- counters --------------------------------------------------------------------------------------


async def test_receipt_with_a_taken_number_gets_the_next_free_one(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an import of receipts that did not advance the counter."""
    for _ in range(3):
        await pay_an_invoice(portal)
    await change(portal, DocumentCounter, last=0)
    caplog.clear()
    answer = await pay_an_invoice(portal)
    assert answer["__typename"] == "PaySucceeded"
    assert answer["payment"]["receipt"]["number"] == "RCP-2026-0004"
    assert await portal.ledger_of_payments() == sum(one["amount"] for one in portal.charges())
    assert alerts(caplog) == [
        f"alert: practice pra_{portal.practice_id} has a receipt 1 already: its counter is moved on"
    ]
    caplog.clear()
    assert (await pay_an_invoice(portal))["payment"]["receipt"]["number"] == "RCP-2026-0005"
    assert alerts(caplog) == []


@pytest.mark.server
async def test_receipt_number_that_another_transaction_takes_is_left_to_it(
    postgres_url: str,
) -> None:
    """As while receipts are imported. SQLite has one writer at a time."""
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        async with open_engine(url) as engine:
            async with engine.begin() as conn:
                books = await Books.opened(conn)
                client = await books.add(Client)
                receipts = [receipt_of(books, client, await books.payment(client)) for _ in "ab"]
            async with engine.connect() as importing, engine.connect() as paying_:
                assert await insert_unless_taken(importing, receipts[0])
                second = asyncio.create_task(insert_unless_taken(paying_, receipts[1]))
                async with engine.connect() as conn:
                    while not await conn.scalar(waits):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                await importing.commit()
                assert not await second


def receipt_of(books: Books, client: str, payment: str) -> dict[str, Any]:
    """Return the values of a receipt, always with the same number."""
    return {
        "practice_id": books.practice,
        "id": new_id(),
        "client_id": client,
        "payment_id": payment,
        "number": "RCP-2026-0007",
        "serial": 7,
        "amount_minor": 5_000,
        "issued_at": dt.datetime(2026, 3, 15, tzinfo=dt.UTC),
        "issued_on": dt.date(2026, 3, 15),
    }


async def test_receipt_with_a_huge_number_does_not_use_up_the_numbers(portal: Paying) -> None:
    await pay_an_invoice(portal)
    await pay_an_invoice(portal)
    await change(portal, Receipt, Receipt.serial == 2, serial=2**53 - 1)
    await change(portal, DocumentCounter, last=0)
    assert (await pay_an_invoice(portal))["payment"]["receipt"]["number"] == "RCP-2026-0002"


async def test_practice_without_a_counter_continues_after_its_receipts(portal: Paying) -> None:
    await pay_an_invoice(portal)
    async with portal.engine.begin() as conn:
        condition = DocumentCounter.kind == DocumentKind.RECEIPT
        await conn.execute(delete(DocumentCounter).where(condition))
    assert (await pay_an_invoice(portal))["payment"]["receipt"]["number"] == "RCP-2026-0002"


async def test_version_is_above_those_of_imported_rows(portal: Paying) -> None:
    """Otherwise a reader of the imported version would miss the next changes."""
    invoice = await portal.invoice(5_000)
    await change(portal, Invoice, Invoice.id == invoice, version=400)
    await portal.pay(5_000, portal.card())
    (counter,) = await portal.all(PracticeVersion)
    assert counter.version > 400
    await change(portal, Payment, version=900)
    await pay_an_invoice(portal)
    (counter,) = await portal.all(PracticeVersion)
    assert counter.version > 900


# -- cards -----------------------------------------------------------------------------------------


async def test_payment_is_written_although_its_card_can_not_be_kept(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an import that put the card on another client's file."""
    await portal.invoice(5_000)
    asked = await portal.pay(5_000, portal.card(ASKS, saveCard=True, makeDefault=True))
    (intent,) = portal.store.all("payment_intent")
    other = {
        "practice_id": portal.practice_id,
        "id": new_id(),
        "client_id": portal.other_id,
        "stripe_account": ACCOUNT,
        "stripe_id": intent["payment_method"],
        "brand": "VISA",
        "last4": "3155",
        "exp_month": 12,
        "exp_year": 2031,
        "is_default": True,
        "added_at": portal.clock(),
        "consent_version": "1",
        "consented_at": portal.clock(),
    }
    await portal.insert(PaymentMethod, other)
    at_stripe(portal, intents.authenticate_intent, intent["id"], succeed=True)
    answer = await portal.refresh(asked["payment"]["id"])
    assert answer["__typename"] == "PaySucceeded"
    assert answer["client"]["balance"]["amount"]["minorUnits"] == 0
    assert [card.client_id for card in await portal.all(PaymentMethod)] == [portal.other_id]
    assert any("could not be kept" in alert for alert in alerts(caplog))


# -- a practice's settings -------------------------------------------------------------------------


async def code(portal: Paying) -> tuple[int, str | None]:
    answer = await portal.ask(BILLING_PAGE, portal.bearer)
    errors = answer.json().get("errors")
    return answer.status_code, errors[0]["extensions"]["code"] if errors else None


@pytest.mark.parametrize(
    "time_zone", ["America/NewYork", "", "America", "../etc/passwd", "é" * 300]
)
async def test_invalid_time_zone_is_reported_until_it_is_corrected(
    portal: Paying, time_zone: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert [await code(portal) for _ in range(3)] == [(200, None)] * 3
    await change(portal, Practice, time_zone=time_zone)
    assert [await code(portal) for _ in range(3)] == [(503, "PRACTICE_MISCONFIGURED")] * 3
    assert alerts(caplog) == [
        f"alert: pra_{portal.practice_id} has the time zone {time_zone!r}, which does not exist"
    ]
    await change(portal, Practice, time_zone="America/New_York")
    assert [await code(portal) for _ in range(3)] == [(200, None)] * 3


async def test_document_page_says_that_the_practice_is_misconfigured(portal: Paying) -> None:
    await portal.invoice(5_000)
    links = "{ client { invoices { nodes { document { printUrl } } } } }"
    answer = (await portal.ask(links, portal.bearer)).json()
    (invoice,) = answer["data"]["client"]["invoices"]["nodes"]
    await change(portal, Practice, time_zone="Mars/Olympus")
    page = await portal.http.get(invoice["document"]["printUrl"])
    assert (page.status_code, "operator" in page.text) == (503, True)


async def test_start_lists_each_practice_with_an_invalid_setting(portal: Paying) -> None:
    async with portal.engine.connect() as conn:
        assert await practice_check.wrong_settings(conn) == []
    wrong = {"time_zone": "Europe/Berlim", "locale": "englisch", "portal_url": "http://a.example"}
    await change(portal, Practice, **wrong)
    async with portal.engine.connect() as conn:
        found = await practice_check.wrong_settings(conn)
    assert found == [
        f"pra_{portal.practice_id} has the time zone 'Europe/Berlim', which does not exist.",
        f"pra_{portal.practice_id} has the locale 'englisch', which does not exist.",
        f"pra_{portal.practice_id} has the portal_url 'http://a.example', which begins with"
        " http://: tokens and links need https://, except on this machine.",
    ]


@pytest.mark.parametrize("locale", ["en-US", "de-CH", "en-XX", "zh-Hant-TW", "pt-BR", "nb-NO"])
def test_locales_known_to_documents_are_valid(locale: str) -> None:
    assert list(faults("1", "UTC", locale)) == []


# -- logs ------------------------------------------------------------------------------------------


async def test_event_that_can_not_be_processed_is_logged_once_and_retried(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "portal.payments")
    await portal.invoice(5_000)
    await portal.pay(5_000, portal.card(ASKS))
    (intent,) = portal.store.all("payment_intent")
    at_stripe(portal, intents.authenticate_intent, intent["id"], succeed=True)
    await change(portal, Practice, time_zone="Europe/Berlim")
    for event in portal.store.all("event"):
        assert (await portal.webhook(event)).status_code == 200
    for _ in range(3):
        await run_out(portal.engine)
        await webhook_inbox.handle_waiting(portal.payment_context)
    tried = [one.levelno for one in caplog.records if "tried again" in one.getMessage()]
    assert len(tried) > 1
    assert [level for level in tried if level >= logging.WARNING] == [logging.WARNING]
    await change(portal, Practice, time_zone="Europe/Berlin")
    await run_out(portal.engine)
    await webhook_inbox.handle_waiting(portal.payment_context)
    (payment,) = await portal.all(Payment)
    assert payment.state is PaymentState.SUCCEEDED


# -- batches ---------------------------------------------------------------------------------------


async def test_client_that_can_not_be_compared_does_not_stop_the_others(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(portal)
    portal.bearer = await portal.token(Subject(portal.practice_id, client_id=portal.other_id))
    await keep(portal)
    compared: list[str] = []

    async def compare_holder(_: PaymentContext, holder: Holder) -> None:
        compared.append(holder.id)
        if len(compared) == 1:
            raise ValueError("a row that can't be read")

    monkeypatch.setattr(card_comparison, "compare_holder", compare_holder)
    with pytest.raises(ValueError, match="can't be read"):
        await card_comparison.compare_cards(portal.payment_context, portal.practice_id, ACCOUNT)
    assert sorted(compared) == sorted([portal.client_id, portal.other_id])


async def test_refund_without_a_reference_does_not_stop_the_audit(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 5_000)
    done = await refund_payment(portal.payment_context, payment_id, 1_000)
    await change(portal, LedgerEntry, LedgerEntry.kind == EntryKind.REFUND, reference="")
    since = portal.clock() - dt.timedelta(days=1)
    found = await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since)
    assert [one.what for one in found] == [done.stripe_id]
