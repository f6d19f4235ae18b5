"""Events of the outbox: each change has its events, and a change that is rolled back has none."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.commands import client_entries, enter_for_practice
from billing.entry.documents import SharedDocument, share_document
from billing.entry.invoices import InvoiceVoid, NewInvoice, NewLine, issue_invoice, void_invoice
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    record_payment,
    record_refund,
)
from billing.entry.people import ClientArchive, archive_client
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from billing.ledger.versions import stamp_rows
from billing.outbox.messages import KINDS_BY_TYPE
from models import Client, DocumentKind, OutboxEvent, PaymentMethodKind
from sandbox import reversals
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe, refunded_there
from tests.support.webhooks import HookDesk, hook_database, hook_desk

pytestmark = pytest.mark.twins(4)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CASH = PaymentMethodKind.CASH


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, hook_database(url) as made:
        yield made


@pytest.fixture
async def hooks(engine: AsyncEngine) -> AsyncIterator[HookDesk]:
    async with hook_desk(engine) as made:
        yield made


async def new_kinds(hooks: HookDesk) -> list[str]:
    """Return the types of the events of the last version."""
    events = await hooks.events()
    types = {kind: type_ for type_, kind in KINDS_BY_TYPE.items()}
    return [types[one.kind] for one in events if one.version == events[-1].version]


async def test_each_entry_has_its_events(hooks: HookDesk) -> None:
    desk = hooks.desk
    assert await new_kinds(hooks) == ["client.created"]
    session = await desk.session(15_000)
    assert await new_kinds(hooks) == ["session.created"]
    invoice = await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=session)]))
    assert await new_kinds(hooks) == ["session.updated", "invoice.issued"]
    part = await desk.enter(record_payment, OutsidePayment(CASH, 5_000))
    assert await new_kinds(hooks) == ["payment.created", "payment.succeeded", "invoice.updated"]
    await desk.enter(record_payment, OutsidePayment(CASH, 10_000))
    assert await new_kinds(hooks) == ["payment.created", "payment.succeeded", "invoice.paid"]
    await desk.enter(share_document, SharedDocument(DocumentKind.INVOICE, invoice))
    assert await new_kinds(hooks) == ["invoice.updated"]
    await desk.enter(record_refund, OutsideRefund(part, 5_000))
    assert await new_kinds(hooks) == ["payment.refunded", "invoice.reopened"]
    await desk.enter(void_invoice, InvoiceVoid(invoice))
    assert await new_kinds(hooks) == ["session.updated", "payment.updated", "invoice.voided"]
    month = dt.date(2026, 2, 1), dt.date(2026, 2, 28)
    statement = await desk.enter(issue_statement, StatementPeriod(*month, is_shared=False))
    assert await new_kinds(hooks) == ["statement.issued"]
    await desk.enter(share_document, SharedDocument(DocumentKind.STATEMENT, statement))
    assert await new_kinds(hooks) == ["statement.updated"]
    today = desk.clock.time.date()
    await desk.enter(issue_superbill, SuperbillRequest(today, today, desk.clinician_id))
    assert await new_kinds(hooks) == ["superbill.issued"]
    async with client_entries(desk.context, desk.practice_id, desk.client_id):
        pass
    assert await new_kinds(hooks) == ["superbill.issued"]


async def test_invoice_that_credit_pays_at_once_is_issued_and_paid(hooks: HookDesk) -> None:
    await hooks.desk.enter(record_payment, OutsidePayment(CASH, 5_000))
    await hooks.desk.invoice(0)
    assert await new_kinds(hooks) == ["invoice.issued", "invoice.paid"]


async def test_events_of_an_archived_client(hooks: HookDesk) -> None:
    desk = hooks.desk
    archive = ClientArchive(desk.client_id)
    await enter_for_practice(desk.context, desk.practice_id, archive_client, archive)
    assert await new_kinds(hooks) == ["client.updated"]


class Broken(Exception):
    """The end of a transaction that is to be rolled back."""


async def test_change_that_is_rolled_back_has_no_event(hooks: HookDesk) -> None:
    desk, before = hooks.desk, await hooks.ids()
    with pytest.raises(Broken):
        async with desk.engine.begin() as conn:
            await stamp_rows(conn, desk.practice_id, {Client: [desk.client_id]})
            raise Broken
    assert await hooks.ids() == before
    await desk.session()
    assert await new_kinds(hooks) == ["session.created"]
    assert len(await hooks.ids()) == len(before) + 1


# -- payments through the portal -------------------------------------------------------------------


@pytest.fixture
async def shop(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def kinds(shop: Paying) -> list[str]:
    events = sorted(await shop.all(OutboxEvent), key=lambda one: (one.version, one.position))
    return [one.kind for one in events]


async def test_payment_has_events_until_it_is_disputed(shop: Paying) -> None:
    await shop.invoice(5_000)
    await shop.pay(5_000, shop.card())
    paid = ["PAYMENT_SUCCEEDED", "INVOICE_ISSUED", "INVOICE_PAID"]
    found = await kinds(shop)
    assert found == ["PAYMENT_CREATED", *["PAYMENT_UPDATED"] * (len(found) - 4), *paid]
    (intent,) = shop.store.all("payment_intent")
    refunded_there(shop, intent["id"], 1_000)
    await shop.hears_all()
    later = await kinds(shop)
    assert later == [*found, "PAYMENT_REFUNDED", "INVOICE_REOPENED"]
    at_stripe(shop, reversals.open_dispute, intent["id"])
    await shop.hears_all()
    assert await kinds(shop) == [*later, "PAYMENT_DISPUTED", "INVOICE_UPDATED"]


async def test_declined_payment_has_failed(shop: Paying) -> None:
    await shop.invoice(5_000)
    await shop.pay(5_000, shop.card("4000000000000002"))
    assert (await kinds(shop))[-1] == "PAYMENT_FAILED"
