"""Invoices: issued, voided, written off and adjusted."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import func

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger, InvoiceRecord
from billing.entry.errors import EntryError, EntryErrorCode, no_such
from billing.entry.ledger_rows import cover_withdrawal, enter_charge, move_allocation, release
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Draft, Values
from billing.ledger.taking_back import Source
from models import EntryKind, Invoice, InvoiceLine

MOST_LINES = 1_000
WHOLE = 100


@dataclass(frozen=True)
class NewLine:
    """A line of a new invoice: a session with its fee, or another charge.

    A session's own values are taken where the line has none.
    """

    description: str | None = None
    unit_price_minor: int | None = None
    date: dt.date | None = None
    service_code: str | None = None
    session_id: str | None = None
    quantity_hundredths: int = WHOLE

    def __post_init__(self) -> None:
        check.check_optional_form("session_id", self.session_id, check.ID)
        check.check_optional_form("service_code", self.service_code, check.CPT)
        check.check_optional_day("date", self.date)
        check.check_optional_text("description", self.description)
        check.check_whole("quantity_hundredths", self.quantity_hundredths, 1, 100_000)
        if self.unit_price_minor is not None:
            check.check_amount(
                "unit_price_minor", self.unit_price_minor, least=-check.LARGEST_AMOUNT
            )
        elif self.session_id is None:
            raise check.invalid("unit_price_minor", "is needed without a session")
        if self.session_id is None:
            check.check_text("description", self.description)


@dataclass(frozen=True)
class NewInvoice:
    """An invoice to issue. The number is the next one, unless another system has given one."""

    kind: ClassVar[str] = "invoice"
    # The values that another system may change after the issue.
    changeable: ClassVar[Sequence[str]] = ("due_on", "notes", "is_shared")

    lines: Sequence[NewLine]
    due_on: dt.date | None = None
    issued_on: dt.date | None = None
    clinician_id: str | None = None
    notes: str | None = None
    is_shared: bool = True
    number: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= MOST_LINES:
            raise check.invalid("lines", f"are not between 1 and {MOST_LINES}")
        check.check_optional_day("due_on", self.due_on)
        check.check_optional_day("issued_on", self.issued_on)
        check.check_optional_form("clinician_id", self.clinician_id, check.ID)
        check.check_optional_text("notes", self.notes, check.LONG)
        check.check_optional_text("number", self.number, 50)
        sessions = [line.session_id for line in self.lines if line.session_id]
        check.check_ids("lines.session_id", sessions)


def issue_invoice(draft: Draft, ledger: ClientLedger, wanted: NewInvoice) -> str:
    """Issue an invoice: the client owes its lines. A negative one is released to the client's
    unallocated funds.
    """
    issued_on = wanted.issued_on or draft.today
    if issued_on > draft.today:
        raise check.invalid("issued_on", "is in the future")
    if wanted.due_on is not None and wanted.due_on < issued_on:
        raise check.invalid("due_on", "is before the invoice is issued")
    clinician_id = wanted.clinician_id or ledger.client["clinician_id"]
    ledger.practice.check_clinician(clinician_id)
    lines = [line_values(ledger, line) for line in wanted.lines]
    total_minor = sum(line["amount_minor"] for line in lines)
    invoice = draft.insert(
        Invoice,
        clinician_id=clinician_id,
        letterhead_id=ledger.practice.letterhead(),
        client_name=ledger.client["name"],
        number=wanted.number,
        issued_on=issued_on,
        due_on=wanted.due_on or standard_due_date(ledger.practice, issued_on, total_minor),
        total_minor=total_minor,
        notes=wanted.notes,
        is_void=False,
        shared_at=draft.now if wanted.is_shared else None,
    )
    for position, line in enumerate(lines, 1):
        draft.insert(
            InvoiceLine, invoice_id=invoice["id"], position=position, is_void=False, **line
        )
        enter_charge(
            draft,
            EntryKind.SESSION if line["session_id"] else EntryKind.CHARGE,
            line["amount_minor"],
            line["description"],
            invoice["id"],
            session_id=line["session_id"],
            date=line["date"] or issued_on,
            reference=f"line {position}",
        )
    if invoice["total_minor"] < 0:
        move_allocation(draft, Source(invoice["id"], None, True), invoice["total_minor"])
    return str(invoice["id"])


def standard_due_date(
    practice: PracticeFacts, issued_on: dt.date, total_minor: int
) -> dt.date | None:
    """Return the due date of an invoice that is issued without one, if the practice sets one."""
    days = practice.values["days_until_due"]
    return None if days is None or total_minor <= 0 else issued_on + dt.timedelta(days)


def line_values(ledger: ClientLedger, line: NewLine) -> Values:
    """Return the columns of a line. Refuse a session of another client, or on another invoice."""
    session = ledger.sessions.get(line.session_id) if line.session_id else None
    if line.session_id and session is None:
        raise no_such("session", "lines.session_id")
    if line.session_id in ledger.invoiced_sessions:
        raise EntryError(
            EntryErrorCode.ALREADY_INVOICED,
            "The session is on another invoice.",
            "lines.session_id",
        )
    own = session or {"fee_minor": None, "description": None, "date": None, "service_code": None}
    price = own["fee_minor"] if line.unit_price_minor is None else line.unit_price_minor
    return {
        "session_id": line.session_id,
        "date": line.date or own["date"],
        "description": line.description or own["description"],
        "service_code": line.service_code or own["service_code"],
        "quantity_hundredths": line.quantity_hundredths,
        "unit_price_minor": price,
        "amount_minor": line_amount(line.quantity_hundredths, price),
    }


def line_amount(quantity_hundredths: int, unit_price_minor: int) -> int:
    """Return quantity times price, rounded half away from zero."""
    product = quantity_hundredths * abs(unit_price_minor)
    amount = (product + WHOLE // 2) // WHOLE
    return amount if unit_price_minor >= 0 else -amount


# -- changes of an issued invoice ------------------------------------------------------------------


@dataclass(frozen=True)
class InvoiceChange:
    """New details of an invoice that don't concern its amount."""

    kind: ClassVar[str] = "invoice"

    invoice_id: str
    due_on: dt.date | None
    notes: str | None
    is_shared: bool

    def __post_init__(self) -> None:
        check.check_form("invoice_id", self.invoice_id, check.ID)
        check.check_optional_day("due_on", self.due_on)
        check.check_optional_text("notes", self.notes, check.LONG)


def change_invoice(draft: Draft, change: InvoiceChange) -> str:
    """Change the due date and the notes of an invoice, and whether the client sees it.

    A PDF that was given out before stays as it is.
    """
    shared_at = func.coalesce(Invoice.shared_at, draft.now) if change.is_shared else None
    details = {"due_on": change.due_on, "notes": change.notes, "shared_at": shared_at}
    draft.alter(Invoice, {"id": change.invoice_id}, **details)
    return change.invoice_id


@dataclass(frozen=True)
class InvoiceVoid:
    """An invoice to void."""

    kind: ClassVar[str] = "void"

    invoice_id: str

    def __post_init__(self) -> None:
        check.check_form("invoice_id", self.invoice_id, check.ID)


def void_invoice(draft: Draft, ledger: ClientLedger, wanted: InvoiceVoid) -> str:
    """Void an invoice: each of its ledger rows is reversed, its allocations are unallocated funds
    again, and its sessions may be invoiced again.
    """
    ledger.refuse_while_paying()
    invoice = ledger.invoice(wanted.invoice_id)
    for entry in invoice.entries:
        enter_charge(
            draft,
            entry["kind"],
            -entry["amount_minor"],
            f"Voided: {entry['description']}",
            invoice.id,
            session_id=entry["session_id"],
            reference=reversal_reference(entry["reference"]),
        )
    if invoice.paid < 0:
        # The funds that a negative invoice released are taken away again.
        cover_withdrawal(draft, ledger, -invoice.paid)
    release(draft, ledger, invoice.id)
    draft.alter(Invoice, {"id": invoice.id}, is_void=True, voided_on=draft.today)
    # The foreign key's cascade does the same, where foreign keys are checked.
    draft.alter(InvoiceLine, {"invoice_id": invoice.id}, is_void=True)
    return invoice.id


def reversal_reference(reference: str) -> str:
    """Return the reference of a row's reversal: `void 1` for `line 1`."""
    return f"void {reference.removeprefix('line ')}"


@dataclass(frozen=True)
class WriteOff:
    """An amount due that the practice gives up: the whole amount due, if none is given."""

    kind: ClassVar[str] = "write_off"

    invoice_id: str
    amount_minor: int | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        check.check_form("invoice_id", self.invoice_id, check.ID)
        if self.amount_minor is not None:
            check.check_amount("amount_minor", self.amount_minor)
        check.check_optional_text("description", self.description)


def write_off_invoice(draft: Draft, ledger: ClientLedger, wanted: WriteOff) -> str:
    """Write off an amount due of an invoice."""
    ledger.refuse_while_paying()
    invoice = ledger.invoice(wanted.invoice_id)
    minor = invoice.due if wanted.amount_minor is None else wanted.amount_minor
    if not 0 < minor <= invoice.due:
        raise EntryError(
            EntryErrorCode.EXCEEDS_AMOUNT_DUE,
            "That much is not due of the invoice.",
            "amount_minor",
        )
    said = wanted.description or f"Write-off on invoice {invoice.number}"
    return str(enter_charge(draft, EntryKind.WRITE_OFF, -minor, said, invoice.id)["id"])


@dataclass(frozen=True)
class Adjustment:
    """A correction of an invoice's billed amount: more, or less if it is negative."""

    kind: ClassVar[str] = "adjustment"

    invoice_id: str
    amount_minor: int
    description: str

    def __post_init__(self) -> None:
        check.check_form("invoice_id", self.invoice_id, check.ID)
        check.check_signed_amount("amount_minor", self.amount_minor)
        check.check_text("description", self.description)


def adjust_invoice(draft: Draft, ledger: ClientLedger, wanted: Adjustment) -> str:
    """Adjust an invoice. A payment beyond its new amount is unallocated again."""
    ledger.refuse_while_paying()
    invoice = ledger.invoice(wanted.invoice_id)
    billed = invoice.billed + wanted.amount_minor
    if billed < 0:
        raise EntryError(
            EntryErrorCode.EXCEEDS_AMOUNT_DUE, "The invoice doesn't bill that much.", "amount_minor"
        )
    said, kind = f"{wanted.description} {invoice.number}", EntryKind.ADJUSTMENT
    entry = enter_charge(draft, kind, wanted.amount_minor, said, invoice.id)
    overpaid = overpaid_after(invoice, wanted.amount_minor)
    if overpaid > 0:
        release(draft, ledger, invoice.id, overpaid)
    return str(entry["id"])


def overpaid_after(invoice: InvoiceRecord, change_minor: int) -> int:
    """Return the amount by which an invoice is overpaid after a change of its billed amount."""
    return max(0, -(invoice.due + change_minor))
