"""Each writer over a real database: its rows, its sums, and what it refuses."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from sqlalchemy import insert, update

from billing.entry.credits import Credit, CreditUse, give_credit, use_credit
from billing.entry.documents import SharedDocument, share_document
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.external_ids import ExternalId
from billing.entry.invoices import (
    Adjustment,
    InvoiceVoid,
    NewInvoice,
    NewLine,
    WriteOff,
    adjust_invoice,
    issue_invoice,
    void_invoice,
    write_off_invoice,
)
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    Portion,
    record_payment,
    record_refund,
)
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from models import (
    AccessEntry,
    Allocation,
    DocumentCounter,
    DocumentKind,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethodKind,
    PaymentState,
    Receipt,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.support.entries import EntryDesk, entry_desk

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
CASH, CHECK = PaymentMethodKind.CASH, PaymentMethodKind.CHECK
DAY = dt.timedelta(1)
SEEDS = itertools.count(2)


@pytest.fixture(scope="module")
async def shared_desk(new_database: NewDatabase) -> AsyncIterator[EntryDesk]:
    async with new_database() as url, entry_desk(url) as desk:
        yield desk


@pytest.fixture
async def desk(shared_desk: EntryDesk) -> EntryDesk:
    """Return a desk with a practice and a client of its own, in the module's database."""
    return await EntryDesk(shared_desk.engine, next(SEEDS)).open()


@asynccontextmanager
async def refused(desk: EntryDesk, code: EntryErrorCode, field: str | None) -> AsyncIterator[None]:
    """Assert that an entry is refused, with this code, and that nothing is written."""
    before = await desk.counts()
    with pytest.raises(EntryError) as caught:
        yield
    assert (caught.value.code, caught.value.field) == (code, field)
    assert await desk.counts() == before


# -- invoices --------------------------------------------------------------------------------------


async def test_invoice_bills_its_sessions_and_charges(desk: EntryDesk) -> None:
    session = await desk.session(15_000)
    desk.clock.time += 3 * DAY
    lines = [NewLine(session_id=session), NewLine("Letter", 4_000, quantity_hundredths=150)]
    invoice_id = await desk.enter(issue_invoice, NewInvoice(lines, dt.date(2026, 3, 20)))
    invoice = await desk.row(Invoice, invoice_id)
    assert (invoice["number"], invoice["serial"]) == ("INV-2026-0001", 1)
    assert (invoice["issued_on"], invoice["total_minor"]) == (dt.date(2026, 3, 5), 21_000)
    assert invoice["version"] is not None
    entries = await desk.rows(LedgerEntry, invoice_id=invoice_id)
    days = [(dt.date(2026, 3, 2), dt.date(2026, 3, 5)), (dt.date(2026, 3, 5),) * 2]
    assert [(one["date"], one["posted_on"]) for one in entries] == days
    assert [(one["kind"], one["amount_minor"]) for one in entries] == [
        (EntryKind.SESSION, 15_000),
        (EntryKind.CHARGE, 6_000),
    ]
    assert await desk.due(invoice_id) == 21_000


async def test_session_is_invoiced_once(desk: EntryDesk) -> None:
    session = await desk.session()
    invoice = NewInvoice([NewLine(session_id=session)])
    await desk.enter(issue_invoice, invoice)
    async with refused(desk, EntryErrorCode.ALREADY_INVOICED, "lines.session_id"):
        await desk.enter(issue_invoice, invoice)


async def test_session_of_another_client_is_not_invoiced(desk: EntryDesk) -> None:
    session, first = await desk.session(), desk.client_id
    desk.client_id = await desk.add_client("Ben Osei")
    async with refused(desk, EntryErrorCode.NO_SUCH_ROW, "lines.session_id"):
        await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=session)]))
    desk.client_id = first


async def test_void_reverses_everything_and_frees_funds_and_sessions(desk: EntryDesk) -> None:
    session = await desk.session(10_000)
    invoice_id = await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=session)]))
    await desk.enter(record_payment, OutsidePayment(CASH, 4_000, invoice_id=invoice_id))
    await desk.enter(adjust_invoice, Adjustment(invoice_id, -1_000, "Sliding scale on"))
    await desk.enter(write_off_invoice, WriteOff(invoice_id, 500))
    await desk.enter(void_invoice, InvoiceVoid(invoice_id))
    assert (await desk.due(invoice_id), await desk.unallocated()) == (0, 4_000)
    assert await desk.sum(LedgerEntry, invoice_id=invoice_id) == 0
    assert await desk.balance() == -4_000
    invoice = await desk.row(Invoice, invoice_id)
    assert (invoice["is_void"], invoice["voided_on"]) == (True, dt.date(2026, 3, 2))
    assert [one["is_void"] for one in await desk.rows(InvoiceLine, invoice_id=invoice_id)] == [True]
    again = await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=session)]))
    assert await desk.due(again) == 10_000
    async with refused(desk, EntryErrorCode.INVOICE_IS_VOID, "invoice_id"):
        await desk.enter(void_invoice, InvoiceVoid(invoice_id))


async def test_negative_invoice_is_released_and_its_void_takes_the_funds_back(
    desk: EntryDesk,
) -> None:
    owed = await desk.invoice(10_000)
    negative = await desk.invoice(-4_000)
    assert (await desk.due(negative), await desk.unallocated()) == (0, 4_000)
    await desk.enter(use_credit, CreditUse(owed, 3_000))
    await desk.enter(void_invoice, InvoiceVoid(negative))
    assert (await desk.due(owed), await desk.unallocated()) == (10_000, 0)
    assert await desk.balance() == 10_000


async def test_write_off_is_no_more_than_is_due(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    await desk.enter(record_payment, OutsidePayment(CASH, 4_000))
    async with refused(desk, EntryErrorCode.EXCEEDS_AMOUNT_DUE, "amount_minor"):
        await desk.enter(write_off_invoice, WriteOff(invoice_id, 6_001))
    await desk.enter(write_off_invoice, WriteOff(invoice_id))
    assert await desk.due(invoice_id) == 0
    async with refused(desk, EntryErrorCode.EXCEEDS_AMOUNT_DUE, "amount_minor"):
        await desk.enter(write_off_invoice, WriteOff(invoice_id))


async def test_adjustment_below_the_paid_amount_releases_the_rest(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    await desk.enter(record_payment, OutsidePayment(CASH, 9_000))
    await desk.enter(adjust_invoice, Adjustment(invoice_id, -3_000, "Sliding scale on"))
    assert (await desk.due(invoice_id), await desk.unallocated()) == (0, 2_000)
    async with refused(desk, EntryErrorCode.EXCEEDS_AMOUNT_DUE, "amount_minor"):
        await desk.enter(adjust_invoice, Adjustment(invoice_id, -7_001, "Sliding scale on"))


# -- money -----------------------------------------------------------------------------------------


async def test_payment_pays_the_oldest_invoice_first_and_has_a_receipt(desk: EntryDesk) -> None:
    first, second = await desk.invoice(10_000), await desk.invoice(5_000)
    payment_id = await desk.enter(record_payment, OutsidePayment(CHECK, 12_000))
    assert (await desk.due(first), await desk.due(second)) == (0, 3_000)
    payment = await desk.row(Payment, payment_id)
    assert (payment["state"], payment["method"]) == (PaymentState.SUCCEEDED, CHECK)
    (entry,) = await desk.rows(LedgerEntry, payment_id=payment_id)
    assert (entry["amount_minor"], entry["description"]) == (-12_000, "Payment by check")
    (receipt,) = await desk.rows(Receipt, payment_id=payment_id)
    assert (receipt["number"], receipt["amount_minor"]) == ("RCP-2026-0001", 12_000)


async def test_payment_is_dated_by_the_day_that_the_money_moved(desk: EntryDesk) -> None:
    last_year = dt.date(2025, 12, 31)
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 100, paid_on=last_year))
    (entry,) = await desk.rows(LedgerEntry, payment_id=payment_id)
    assert (entry["date"], entry["posted_on"]) == (last_year, dt.date(2026, 3, 2))
    (receipt,) = await desk.rows(Receipt, payment_id=payment_id)
    assert (receipt["number"], receipt["issued_on"]) == ("RCP-2025-0001", last_year)
    assert (await desk.row(Payment, payment_id))["created_on"] == last_year


async def test_payments_portions_go_where_they_are_meant_to(desk: EntryDesk) -> None:
    first, second = await desk.invoice(10_000), await desk.invoice(5_000)
    portions = [Portion(second, 5_000), Portion(first, 1_000)]
    await desk.enter(record_payment, OutsidePayment(CASH, 7_000, portions=portions))
    assert (await desk.due(first), await desk.due(second)) == (9_000, 0)
    assert await desk.unallocated() == 1_000
    async with refused(desk, EntryErrorCode.EXCEEDS_PAYMENT, "portions"):
        await desk.enter(record_payment, OutsidePayment(CASH, 500, portions=[Portion(first, 501)]))
    async with refused(desk, EntryErrorCode.EXCEEDS_AMOUNT_DUE, "portions"):
        await desk.enter(
            record_payment, OutsidePayment(CASH, 10_000, portions=[Portion(first, 9_001)])
        )


async def test_refund_takes_unallocated_funds_first_then_the_last_invoice(desk: EntryDesk) -> None:
    first, second = await desk.invoice(10_000), await desk.invoice(5_000)
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 16_000))
    await desk.enter(record_refund, OutsideRefund(payment_id, 8_000))
    assert (await desk.due(first), await desk.due(second)) == (2_000, 5_000)
    assert await desk.unallocated() == 0
    async with refused(desk, EntryErrorCode.EXCEEDS_PAYMENT, "amount_minor"):
        await desk.enter(record_refund, OutsideRefund(payment_id, 8_001))
    await desk.enter(record_refund, OutsideRefund(payment_id, 8_000))
    assert (await desk.due(first), await desk.balance()) == (10_000, 15_000)


async def test_refund_of_a_payment_whose_credit_is_spent_takes_the_credit_back(
    desk: EntryDesk,
) -> None:
    """Unallocated funds are never below zero, so the invoice is due again."""
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 10_000))
    invoice_id = await desk.invoice(10_000)
    await desk.enter(use_credit, CreditUse(invoice_id, 10_000))
    await desk.enter(record_refund, OutsideRefund(payment_id, 10_000))
    assert (await desk.due(invoice_id), await desk.unallocated()) == (10_000, 0)


async def test_card_payment_is_not_refunded_outside(desk: EntryDesk) -> None:
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 100))
    async with desk.engine.begin() as conn:
        values = {"stripe_id": f"pi_{payment_id}", "stripe_account": "acct_1"}
        await conn.execute(update(Payment).where(Payment.id == payment_id).values(values))
    async with refused(desk, EntryErrorCode.PAID_BY_CARD, "payment_id"):
        await desk.enter(record_refund, OutsideRefund(payment_id, 100))


async def test_credit_is_given_used_and_withdrawn(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    await desk.enter(give_credit, Credit(3_000, "Courtesy credit"))
    await desk.enter(use_credit, CreditUse(invoice_id, 1_000))
    async with refused(desk, EntryErrorCode.EXCEEDS_FUNDS, "amount_minor"):
        await desk.enter(give_credit, Credit(-2_001, "Withdrawn"))
    await desk.enter(give_credit, Credit(-500, "Withdrawn"))
    assert (await desk.unallocated(), await desk.balance()) == (1_500, 7_500)
    async with refused(desk, EntryErrorCode.EXCEEDS_FUNDS, "amount_minor"):
        await desk.enter(use_credit, CreditUse(invoice_id, 1_501))


async def test_money_is_not_moved_while_a_payment_is_under_way(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 1_000))
    row = await desk.row(Payment, payment_id)
    values = {"id": "0" * 8 + payment_id[8:], "state": PaymentState.PROCESSING, "paid_at": None}
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Payment).values(row | values))
    blocked = [
        (void_invoice, InvoiceVoid(invoice_id)),
        (write_off_invoice, WriteOff(invoice_id)),
        (adjust_invoice, Adjustment(invoice_id, 1, "More on")),
        (record_payment, OutsidePayment(CASH, 1)),
        (record_refund, OutsideRefund(payment_id, 1)),
        (use_credit, CreditUse(invoice_id, 1)),
        (give_credit, Credit(-1, "Withdrawn")),
    ]
    for maker, wanted in blocked:
        async with refused(desk, EntryErrorCode.PAYMENT_UNDER_WAY, None):
            await desk.enter(maker, wanted)  # type: ignore[arg-type]
    assert await desk.invoice(500)


# -- documents -------------------------------------------------------------------------------------


async def test_statement_ends_with_the_balance_of_its_last_day(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    desk.clock.time += 2 * DAY
    await desk.enter(record_payment, OutsidePayment(CASH, 4_000, paid_on=dt.date(2026, 3, 3)))
    await desk.enter(write_off_invoice, WriteOff(invoice_id, 1_000))
    desk.clock.time += DAY
    later = await desk.invoice(700, 300)
    desk.clock.time += DAY
    period = StatementPeriod(dt.date(2026, 3, 3), dt.date(2026, 3, 5))
    statement_id = await desk.enter(issue_statement, period)
    statement = await desk.row(Statement, statement_id)
    sums = ("beginning_minor", "invoiced_minor", "paid_minor", "ending_minor")
    assert [statement[name] for name in sums] == [10_000, 0, 4_000, 6_000]
    lines = await desk.rows(StatementLine, statement_id=statement_id)
    number = (await desk.row(Invoice, invoice_id))["number"]
    assert [
        (one["date"].day, one["description"], one["invoice_number"], one["balance_after_minor"])
        for one in lines
    ] == [
        (4, "Payment by cash", None, 6_000),
        (4, f"Write-off on invoice {number}", number, 5_000),
        (5, f"Invoice {(await desk.row(Invoice, later))['number']}", "INV-2026-0002", 6_000),
    ]
    async with refused(desk, EntryErrorCode.INVALID_VALUE, "period_end"):
        await desk.enter(issue_statement, StatementPeriod(period.first, dt.date(2026, 3, 6)))


async def test_superbill_has_its_sessions_and_what_is_paid_of_them(desk: EntryDesk) -> None:
    sessions = [await desk.session(10_000), await desk.session(10_000)]
    lines = [NewLine(session_id=one) for one in sessions]
    await desk.enter(issue_invoice, NewInvoice(lines))
    await desk.enter(record_payment, OutsidePayment(CASH, 12_000))
    today = dt.date(2026, 3, 2)
    request = SuperbillRequest(today, today, desk.clinician_id, {"F41.1": "Anxiety"}, "10", ("95",))
    superbill_id = await desk.enter(issue_superbill, request)
    assert (await desk.row(Superbill, superbill_id))["number"] == "SB-2026-0001"
    visits = await desk.rows(SuperbillLine, superbill_id=superbill_id)
    assert [(one["session_id"], one["paid_minor"]) for one in visits] == [
        (sessions[0], 10_000),
        (sessions[1], 2_000),
    ]
    assert [one["diagnosis_pointers"] for one in visits] == [[1], [1]]
    (diagnosis,) = await desk.rows(SuperbillDiagnosis, superbill_id=superbill_id)
    assert diagnosis["code"] == "F41.1"


async def test_document_is_shared_later(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(100, is_shared=False)
    assert (await desk.row(Invoice, invoice_id))["shared_at"] is None
    document = SharedDocument(DocumentKind.INVOICE, invoice_id)
    await desk.enter(share_document, document)
    assert (await desk.row(Invoice, invoice_id))["shared_at"] is not None
    desk.client_id = await desk.add_client("Ben Osei")
    async with refused(desk, EntryErrorCode.NO_SUCH_ROW, "invoice_id"):
        await desk.enter(share_document, document)
    statement = SharedDocument(DocumentKind.STATEMENT, invoice_id)
    async with refused(desk, EntryErrorCode.NO_SUCH_ROW, None):
        await desk.enter(share_document, statement)


# -- references, numbers and the audit log ---------------------------------------------------------


async def test_record_of_another_system_is_entered_once(desk: EntryDesk) -> None:
    first, second = ExternalId("ehr", "5512"), ExternalId("ehr", "5513")
    payment = OutsidePayment(CASH, 1_000)
    entered = await desk.enter(record_payment, payment, first)
    before = await desk.counts()
    assert await desk.enter(record_payment, payment, first) == entered
    assert await desk.counts() == before
    assert await desk.enter(record_payment, payment, second) != entered
    async with refused(desk, EntryErrorCode.CHANGED_AFTER_ENTRY, "external_id"):
        await desk.enter(record_payment, OutsidePayment(CASH, 1_001), first)
    desk.client_id = await desk.add_client("Ben Osei")
    async with refused(desk, EntryErrorCode.CHANGED_AFTER_ENTRY, "external_id"):
        await desk.enter(record_payment, payment, first)


async def test_numbers_of_another_system_are_kept_and_ours_continue(desk: EntryDesk) -> None:
    own = await desk.invoice(100, number="INV-2025-0041")
    theirs = await desk.invoice(100, number="5512")
    again = await desk.invoice(100, number="INV-2024-0041")
    ours = await desk.invoice(100)
    found = [await desk.row(Invoice, one) for one in (own, theirs, again, ours)]
    assert [(one["number"], one["serial"]) for one in found] == [
        ("INV-2025-0041", 41),
        ("5512", 42),
        ("INV-2024-0041", 43),
        ("INV-2026-0044", 44),
    ]
    (counter,) = await desk.rows(DocumentCounter, kind=DocumentKind.INVOICE)
    assert counter["last"] == 44
    async with refused(desk, EntryErrorCode.NUMBER_TAKEN, "number"):
        await desk.invoice(100, number="5512")


async def test_number_is_the_next_free_one_where_the_counter_was_left_behind(
    desk: EntryDesk,
) -> None:
    for _ in range(3):
        await desk.invoice(100)
    async with desk.engine.begin() as conn:
        counter = DocumentCounter.practice_id == desk.practice_id
        await conn.execute(update(DocumentCounter).where(counter).values(last=1))
    serials = [(await desk.row(Invoice, await desk.invoice(100)))["serial"] for _ in range(2)]
    assert serials == [4, 5]


async def test_entry_is_in_the_audit_log_and_has_a_version(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(100)
    before = (await desk.row(Invoice, invoice_id))["version"]
    payment_id = await desk.enter(record_payment, OutsidePayment(CASH, 100))
    after = (await desk.row(Invoice, invoice_id))["version"]
    assert after == (await desk.row(Payment, payment_id))["version"] > before
    logged = await desk.rows(AccessEntry, client_id=desk.client_id)
    assert [(one["name"], one["action"]) for one in logged] == [("Olga", "CHANGE")] * 2


async def test_unknown_client_is_refused(desk: EntryDesk) -> None:
    desk.client_id = desk.practice_id
    async with refused(desk, EntryErrorCode.NO_SUCH_ROW, "client_id"):
        await desk.invoice(100)
    desk.client_id = "nobody"
    async with refused(desk, EntryErrorCode.INVALID_VALUE, "client_id"):
        await desk.invoice(100)


async def test_allocations_stay_within_payment_and_invoice(desk: EntryDesk) -> None:
    invoice_id = await desk.invoice(10_000)
    await desk.enter(give_credit, Credit(2_500, "Courtesy credit"))
    await desk.enter(record_payment, OutsidePayment(CASH, 10_000, invoice_id=invoice_id))
    allocations = await desk.rows(Allocation, invoice_id=invoice_id)
    assert [(one["is_credit"], one["amount_minor"]) for one in allocations] == [
        (True, 2_500),
        (False, 7_500),
    ]
    assert (await desk.due(invoice_id), await desk.unallocated()) == (0, 2_500)
