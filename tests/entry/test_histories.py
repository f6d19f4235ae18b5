"""Random histories of entries: by transactions and in memory they make the same rows, and the sums
of the ledger hold after each entry.
"""

import datetime as dt
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.entry.bulk import row_batch
from billing.entry.client_ledger import ClientLedger, enter_in_memory, read_client_ledger
from billing.entry.credits import Credit, CreditUse, give_credit, use_credit
from billing.entry.documents import SharedDocument, share_document
from billing.entry.errors import EntryError
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
from billing.entry.numbering import give_number, new_documents, standard_serial
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    Portion,
    record_payment,
    record_refund,
)
from billing.entry.practice_facts import read_practice_facts
from billing.entry.rows import Operation, Stamp
from billing.entry.sessions import SessionDetails, record_session
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from billing.payments.context import local_day
from models import (
    Allocation,
    DocumentKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethodKind,
    Receipt,
    Row,
    Session,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from models.ids import IdSequence
from tests.support import books
from tests.support.entries import EntryDesk, entry_desk

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
COMPARED: list[type[Row]] = [
    Session, Invoice, InvoiceLine, LedgerEntry, Allocation, Payment, Receipt, Statement,
    StatementLine, Superbill, SuperbillLine, SuperbillDiagnosis,
]  # fmt: skip
METHODS = [PaymentMethodKind.CASH, PaymentMethodKind.CHECK, PaymentMethodKind.BANK_TRANSFER]
NOWHERE = "00000000-0000-7000-8000-000000000000"
Entry = tuple[Callable[..., str], Any]


class RandomEntries:
    """Random entries for a client, most of which its ledger allows."""

    def __init__(self, seed: int, clinician_id: str) -> None:
        self.draw, self.clinician_id = random.Random(seed), clinician_id

    def entry(self, ledger: ClientLedger, today: dt.date) -> Entry:
        makers = (
            self.session, self.session, self.invoice, self.invoice, self.payment, self.payment,
            self.refund, self.refund, self.credit, self.credit_use, self.void, self.write_off,
            self.adjustment, self.statement, self.superbill, self.share,
        )  # fmt: skip
        return self.draw.choice(makers)(ledger, today)

    def amount(self) -> int:
        return self.draw.choice([1, 700, 5_000, 12_345, self.draw.randrange(1, 30_000)])

    def one_of(self, ids: Any) -> str:
        """Return one of some ids, or seldom one that is nobody's."""
        return str(self.draw.choice([*ids, *ids, NOWHERE]))

    def session(self, ledger: ClientLedger, today: dt.date) -> Entry:
        day = today - dt.timedelta(self.draw.randrange(3))
        return record_session, SessionDetails(day, "Session", self.amount(), service_code="90834")

    def invoice(self, ledger: ClientLedger, today: dt.date) -> Entry:
        sessions = self.draw.sample(sorted(ledger.sessions), min(2, len(ledger.sessions)))
        lines = [NewLine(session_id=one) for one in sessions]
        sign = self.draw.choice([1, 1, 1, -1])
        lines.append(NewLine("Letter", sign * self.amount(), quantity_hundredths=150))
        return issue_invoice, NewInvoice(lines, is_shared=self.draw.random() < 0.5)

    def payment(self, ledger: ClientLedger, today: dt.date) -> Entry:
        invoice_id = self.draw.choice([None, self.one_of(ledger.invoices)])
        portions = None
        if invoice_id and self.draw.random() < 0.5:
            portions, invoice_id = [Portion(invoice_id, self.amount())], None
        paid_on = today - dt.timedelta(self.draw.randrange(5))
        method = self.draw.choice(METHODS)
        return record_payment, OutsidePayment(method, self.amount(), paid_on, invoice_id, portions)

    def refund(self, ledger: ClientLedger, today: dt.date) -> Entry:
        return record_refund, OutsideRefund(self.one_of(ledger.payments), self.amount())

    def credit(self, ledger: ClientLedger, today: dt.date) -> Entry:
        return give_credit, Credit(self.draw.choice([1, 1, -1]) * self.amount(), "Courtesy")

    def credit_use(self, ledger: ClientLedger, today: dt.date) -> Entry:
        return use_credit, CreditUse(self.one_of(ledger.invoices), self.amount())

    def void(self, ledger: ClientLedger, today: dt.date) -> Entry:
        return void_invoice, InvoiceVoid(self.one_of(ledger.invoices))

    def write_off(self, ledger: ClientLedger, today: dt.date) -> Entry:
        amount = self.draw.choice([None, self.amount()])
        return write_off_invoice, WriteOff(self.one_of(ledger.invoices), amount)

    def adjustment(self, ledger: ClientLedger, today: dt.date) -> Entry:
        amount = self.draw.choice([1, -1, -1]) * self.amount()
        return adjust_invoice, Adjustment(self.one_of(ledger.invoices), amount, "Adjustment of")

    def statement(self, ledger: ClientLedger, today: dt.date) -> Entry:
        first = today - dt.timedelta(self.draw.randrange(1, 20))
        last = first + dt.timedelta(self.draw.randrange(10))
        return issue_statement, StatementPeriod(first, last)

    def superbill(self, ledger: ClientLedger, today: dt.date) -> Entry:
        first = today - dt.timedelta(20)
        return issue_superbill, SuperbillRequest(first, today, self.clinician_id, {"F41.1": None})

    def share(self, ledger: ClientLedger, today: dt.date) -> Entry:
        return share_document, SharedDocument(DocumentKind.INVOICE, self.one_of(ledger.invoices))


class MemoryBooks:
    """The same client's entries in memory."""

    def __init__(self, ledger: ClientLedger, seed: int) -> None:
        self.ledger, self.chance = ledger, random.Random(seed)
        self.operations: list[Operation] = []
        self.last = Counter[type[Row]]()

    def enter(self, now: dt.datetime, entry: Entry) -> str:
        today = local_day(now, self.ledger.practice.time_zone)
        stamp = Stamp(now, today, IdSequence(now, self.chance.getrandbits))
        row_id, operations = enter_in_memory(self.ledger, stamp, *entry)
        for document in new_documents(operations):
            self.last[document.table] += 1
            give_number(document, standard_serial(document.table, self.last[document.table]))
        self.operations += operations
        return row_id


@pytest.fixture(scope="module")
async def shared_desk(new_database: NewDatabase) -> AsyncIterator[EntryDesk]:
    async with new_database() as url, entry_desk(url) as desk:
        yield desk


def outcome(work: Callable[[], str]) -> str:
    try:
        return work()
    except EntryError as error:
        return error.code


async def play(desk: EntryDesk, seed: int, length: int) -> Counter[str]:
    """Make random entries both ways, compare each outcome, and then all rows."""
    chance = random.Random(seed)
    desk.context = desk.context.__class__(
        desk.engine, desk.clock, ids=lambda now: IdSequence(now, chance.getrandbits)
    )
    async with desk.engine.begin() as conn:
        facts = await read_practice_facts(conn, desk.practice_id)
        ledger = await read_client_ledger(conn, facts, desk.client_id)
    memory, entries = MemoryBooks(ledger, seed), RandomEntries(seed, desk.clinician_id)
    told = Counter[str]()
    for _ in range(length):
        desk.clock.time += dt.timedelta(hours=entries.draw.choice([0, 1, 30, 100]))
        now = desk.clock.time
        entry = entries.entry(ledger, local_day(now, facts.time_zone))
        in_memory = outcome(lambda now=now, entry=entry: memory.enter(now, entry))  # type: ignore[misc]
        desk.clock.time = now - dt.timedelta(seconds=1)
        try:
            in_database = await desk.enter(*entry)
        except EntryError as error:
            in_database = error.code
        assert in_database == in_memory
        told[f"{entry[0].__name__} {'' if len(in_memory) == 36 else in_memory}".strip()] += 1
        check_sums(ledger)
    await compare(desk, memory)
    assert await books.findings(desk.engine, desk.practice_id) == []
    return told


def check_sums(ledger: ClientLedger) -> None:
    """Compute the sums of the rows independently, and compare them with the ledger's."""
    assert ledger.unallocated >= 0
    balance = sum(entry["amount_minor"] for entry in ledger.entries)
    dues = [invoice.due for invoice in ledger.invoices.values()]
    assert balance == sum(dues) - ledger.unallocated
    for invoice in ledger.invoices.values():
        assert invoice.due >= 0
        assert invoice.is_void <= (invoice.billed == invoice.paid == 0)
        assert min(0, invoice.billed) <= invoice.paid <= invoice.billed
    for payment_id, payment in ledger.payments.items():
        put = [part for source, part in ledger.allocated.items() if source.payment_id == payment_id
               and not source.is_credit]  # fmt: skip
        assert 0 <= sum(put) <= payment["amount_minor"]
    assert all(part >= 0 for source, part in ledger.allocated.items() if not source.is_credit)


async def compare(desk: EntryDesk, memory: MemoryBooks) -> None:
    made = row_batch(memory.operations)
    for table in COMPARED:
        stored = await desk.rows(table)
        ours = [keyed(row) for row in made.rows.get(table, [])]
        assert sorted(ours) == sorted(keyed(row) for row in stored)
    assert not made.changes
    entries = await desk.rows(LedgerEntry)
    for statement in await desk.rows(Statement):
        posted = [one for one in entries if one["posted_on"] <= statement["period_end"]]
        assert statement["ending_minor"] == sum(one["amount_minor"] for one in posted)


def keyed(row: dict[str, Any]) -> str:
    """Return a row as text to sort by. Versions are given by transactions alone."""
    return repr({name: str(value) for name, value in row.items() if name != "version"})


@pytest.mark.share(2)
@pytest.mark.parametrize("seed", range(1, 5))
async def test_history_in_memory_has_the_rows_of_its_transactions(
    shared_desk: EntryDesk, seed: int
) -> None:
    desk = await EntryDesk(shared_desk.engine, 1000 + seed).open()
    told = await play(desk, seed, 60)
    assert sum(told.values()) == 60


@pytest.mark.slow
async def test_long_histories_use_every_writer_and_refusal(shared_desk: EntryDesk) -> None:
    told = Counter[str]()
    for seed in range(100, 110):
        desk = await EntryDesk(shared_desk.engine, 1000 + seed).open()
        told += await play(desk, seed, 200)
    makers = {one.partition(" ")[0] for one in told}
    assert len(makers) == 12
    assert makers <= {one for one in told if " " not in one}
    assert len({one.partition(" ")[2] for one in told}) >= 7, told
