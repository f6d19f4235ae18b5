"""The rules that hold for each client's books, checked from the rows themselves."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing.ledger.balance import Account
from billing.ledger.chain_check import Difference
from billing.ledger.invoices import InvoiceTotals
from models import DisputeState, EntryKind, RefundState

Rows = Sequence[Any]
NOTHING: dict[str, Any] = {"total": 0}


@dataclass
class ClientBooks:
    """The rows of a client that the rules are about. `payments` are those through Stripe."""

    ledger_entry: list[Any] = field(default_factory=list)
    allocation: list[Any] = field(default_factory=list)
    receipt: list[Any] = field(default_factory=list)
    statement: list[Any] = field(default_factory=list)
    payment: list[Any] = field(default_factory=list)
    refund: list[Any] = field(default_factory=list)
    dispute: list[Any] = field(default_factory=list)


def broken_rules(books: ClientBooks) -> Iterator[Difference]:
    """Yield the rules that don't hold for a client."""
    yield from of_account(books)
    yield from of_invoices(books)
    yield from of_statements(books)
    yield from of_stripe_payments(books)


def of_account(books: ClientBooks) -> Iterator[Difference]:
    """Funds are never allocated twice, and a balance is the amount due less unallocated funds."""
    account = account_of(books)
    if account.credit < 0:
        yield Difference("unallocated funds", f"are below zero: {account.credit}")
    due = sum(int(totals.due) for _, totals in invoice_totals(books))
    if account.balance != due - account.credit:
        reason = f"is {account.balance}, and the invoices less unallocated funds are"
        yield Difference("balance", f"{reason} {due - account.credit}")


def of_invoices(books: ClientBooks) -> Iterator[Difference]:
    """0 ≤ paid ≤ billed, and a negative invoice is released into unallocated funds."""
    for invoice_id, totals in invoice_totals(books):
        billed, paid = int(totals.billed["total"]), int(totals.paid)
        if not (0 <= paid <= billed or (billed <= paid <= 0 and totals.due == 0)):
            reason = f"has {paid} paid of {billed} billed"
            yield Difference(f"invoice {invoice_id}", reason)


def of_statements(books: ClientBooks) -> Iterator[Difference]:
    """A statement ends with the balance as of its last day."""
    posted = sorted((row.posted_on, row.amount_minor) for row in books.ledger_entry)
    for statement in books.statement:
        balance = balance_as_of(posted, statement.period_end)
        if statement.ending_minor != balance:
            reason = f"ends with {statement.ending_minor}, and the ledger with {balance}"
            yield Difference(f"statement {statement.number}", reason)


def balance_as_of(posted: Sequence[tuple[dt.date, int]], day: dt.date) -> int:
    return sum(minor for posted_on, minor in posted if posted_on <= day)


def of_stripe_payments(books: ClientBooks) -> Iterator[Difference]:
    """A payment's ledger rows are the amount received, less refunds and disputes that hold."""
    rows: Counter[tuple[str, EntryKind]] = Counter()
    for row in books.ledger_entry:
        if row.payment_id is not None:
            rows[row.payment_id, row.kind] += row.amount_minor
    received = {row.payment_id: row.amount_minor for row in books.receipt}
    refunded, disputed = Counter[str](), Counter[str]()
    for row in books.refund:
        if row.stripe_id is not None and row.state is not RefundState.FAILED:
            refunded[row.payment_id] += row.amount_minor
    for row in books.dispute:
        if row.state is not DisputeState.WON:
            disputed[row.payment_id] += row.amount_minor
    for payment in books.payment:
        for kind, expected in (
            (EntryKind.PAYMENT, -received.get(payment.id, 0)),
            (EntryKind.REFUND, refunded[payment.id]),
            (EntryKind.DISPUTE, disputed[payment.id]),
        ):
            if rows[payment.id, kind] != expected:
                reason = f"has {rows[payment.id, kind]} of {kind} in the ledger, not {expected}"
                yield Difference(f"payment {payment.id}", reason)


def account_of(books: ClientBooks) -> Any:
    """Return the client's account by the rules of reads and writes, over plain numbers."""
    balance = sum(row.amount_minor for row in books.ledger_entry)
    funds = sum(row.amount_minor for row in books.ledger_entry if row.invoice_id is None)
    allocated = sum(row.amount_minor for row in books.allocation)
    movements: dict[str, Any] = {"balance": balance, "funds": funds}
    sums: dict[str, Any] = {"total": allocated}
    return Account(movements, sums, NOTHING, NOTHING)


def invoice_totals(books: ClientBooks) -> Iterator[tuple[str, InvoiceTotals]]:
    """Yield the totals of each invoice by the rules of reads and writes, over plain numbers."""
    billed, paid = Counter[str](), Counter[str]()
    for row in books.ledger_entry:
        if row.invoice_id is not None:
            billed[row.invoice_id] += row.amount_minor
    for row in books.allocation:
        paid[row.invoice_id] += row.amount_minor
    for invoice_id in sorted({*billed, *paid}):
        sums: dict[str, Any] = {"total": billed[invoice_id]}
        allocated: dict[str, Any] = {"total": paid[invoice_id]}
        yield invoice_id, InvoiceTotals(False, sums, allocated)
