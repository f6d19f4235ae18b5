"""The entry of one client's records, in the order of their days, by the writers."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from billing.entry.client_ledger import ClientLedger, ClientMaker, enter_in_memory
from billing.entry.credits import Credit, give_credit
from billing.entry.documents import keep_pdf
from billing.entry.errors import EntryErrorCode
from billing.entry.external_ids import Content, content_of
from billing.entry.invoices import (
    InvoiceChange,
    InvoiceVoid,
    NewInvoice,
    WriteOff,
    adjust_invoice,
    change_invoice,
    issue_invoice,
    line_amount,
    standard_due_date,
    void_invoice,
    write_off_invoice,
)
from billing.entry.outside_payments import record_payment, record_refund
from billing.entry.payment_uses import (
    FundsSpread,
    InvoiceRelease,
    PaymentUse,
    release_invoice,
    spread_funds,
    use_payment,
)
from billing.entry.people import link_contact
from billing.entry.rows import Draft
from billing.entry.sessions import (
    SessionCorrection,
    SessionDetails,
    correct_session,
    record_session,
)
from billing.entry.superbills import enter_issued_superbill
from billing.imports import client_records as inputs
from billing.imports import portal_payments
from billing.imports.accounts import ClientAccount
from billing.imports.attachments import read_attachment
from billing.imports.client_records import ClientRecords
from billing.imports.context import ClientStopped, ImportContext
from billing.imports.record_entries import RecordEntries
from billing.imports.references import UNDONE
from billing.imports.remedies import ALREADY_PRINTED, REMEDIES
from billing.imports.staging import StagedRow
from models import DocumentKind


class Event(NamedTuple):
    """A record to enter, in the order of days, of kinds within a day, and of lines."""

    day: dt.date
    rank: int
    line: int
    file: str
    row: StagedRow
    enter: Callable[[StagedRow], None]


# Within a day an invoice is voided before another one is issued for the same sessions.
VOID, ISSUE, VOID_AT_ONCE, CREDIT, ADJUST, PAY, ALLOCATE, REFUND, SUPERBILL, DOCUMENT = range(10)


class ClientImport(RecordEntries):
    """The entries of one client, by the kinds of records."""

    def __init__(
        self, context: ImportContext, records: ClientRecords, account: ClientAccount
    ) -> None:
        super().__init__(context, records, account)
        self.days: dict[str, dt.date] = {}

    def enter_all(self) -> None:
        """Enter the client's records. Stop at the first that is refused."""
        for row in self.records.by_file["contacts"]:
            self.attempt("contacts", row, self.contact)
        for row in self.records.by_file["sessions"]:
            self.attempt("sessions", row, self.session)
        for event in sorted(self.events(), key=lambda one: one[:3]):
            self.attempt(event.file, event.row, event.enter)

    def events(self) -> Iterator[Event]:
        by_file = self.records.by_file
        for row in by_file["opening_balances"]:
            yield self.event("opening_balances", row, "as_of", ISSUE, self.opening_balance)
        for row in by_file["invoices"]:
            self.days[row["id"]] = dt.date.fromisoformat(row["issued_on"])
            yield self.event("invoices", row, "issued_on", ISSUE, self.invoice)
            if row["voided_on"]:
                rank = VOID_AT_ONCE if row["voided_on"] == row["issued_on"] else VOID
                yield self.event("invoices", row, "voided_on", rank, self.void)
        for row in by_file["payments"]:
            self.days[f"payment {row['id']}"] = dt.date.fromisoformat(row["paid_on"])
            yield self.event("payments", row, "paid_on", PAY, self.payment)
            if row["invoice_id"] and row["row_id"] is None and row["portal_row_id"] is None:
                day = self.allocation_day(row, row["id"])
                yield Event(day, ALLOCATE, row["line"], "payments", row, self.allocate_to_invoice)
        for row in by_file["allocations"]:
            day = self.allocation_day(row, row["payment_id"])
            yield Event(day, ALLOCATE, row["line"], "allocations", row, self.allocation)
        for row in by_file["credits"]:
            yield self.event("credits", row, "date", CREDIT, self.credit)
        for row in by_file["adjustments"]:
            yield self.event("adjustments", row, "date", ADJUST, self.adjustment)
        for row in by_file["refunds"]:
            yield self.event("refunds", row, "refunded_on", REFUND, self.refund)
        for row in by_file["superbills"]:
            yield self.event("superbills", row, "issued_on", SUPERBILL, self.superbill)
        for row in by_file["documents"]:
            day = inputs.day_of(row["issued_on"]) or self.context.today
            yield Event(day, DOCUMENT, row["line"], "documents", row, self.document)

    def event(
        self,
        file: str,
        row: StagedRow,
        column: str,
        rank: int,
        enter: Callable[[StagedRow], None],
    ) -> Event:
        day = dt.date.fromisoformat(row[column])
        return Event(day, rank, row["line"], file, row, enter)

    def allocation_day(self, row: StagedRow, payment_id: str) -> dt.date:
        """Return the day of an allocation: once both are there, the payment and the invoice."""
        days = self.days.get(f"payment {payment_id}"), self.days.get(row["invoice_id"])
        return max((day for day in days if day), default=self.context.today)

    # -- one method for each kind of record --------------------------------------------------------

    def contact(self, row: StagedRow) -> None:
        link = inputs.contact_link(row, self.context.contacts[row["id"]])
        content = content_of("contact_link", self.client_row_id, link)
        if row["digest"] == content.digest:
            self.context.count("contacts", "same")
            return
        # A link needs no other row of the client.
        ledger = self.ledger or ClientLedger(self.context.facts, {"id": self.client_row_id})
        self.add(enter_in_memory(ledger, self.stamps.now, link_contact, link)[1])
        self.refer(content, row["link_id"], link.contact_id, is_new=row["row_id"] is None)
        self.context.count("contacts", "new" if row["row_id"] is None else "changed")

    def session(self, row: StagedRow) -> None:
        clinician = self.context.clinician(row["clinician_id"])
        wanted = inputs.session_details(row, clinician, self.moment(row))
        if row["digest"] == UNDONE:
            self.correct_session(row, wanted)
        else:
            self.enter("sessions", row, wanted.date, record_session, wanted)

    def correct_session(self, row: StagedRow, wanted: SessionDetails) -> None:
        """Enter a session of an undone import again, with the values that it has now."""
        correction = SessionCorrection(row["row_id"], wanted)
        self.ids["session", row["id"]] = self.make(row, wanted.date, correct_session, correction)
        content = content_of(wanted.kind, self.client_row_id, wanted)
        self.refer(content, row["id"], row["row_id"], is_new=False)
        self.context.count("sessions", "changed")

    def moment(self, row: StagedRow) -> dt.datetime | None:
        """Return the time at which a session began; a time of day is on the session's date."""
        text = row["starts_at"]
        if text is None:
            return None
        if "T" in text:
            return dt.datetime.fromisoformat(text)
        day, time = dt.date.fromisoformat(row["date"]), dt.time.fromisoformat(text)
        return self.context.facts.local_moment(day, time)

    def invoice(self, row: StagedRow) -> None:
        rows = self.records.parts("invoice_lines", row)
        lines = [inputs.new_line(one, self.session_of(row, one)) for one in rows]
        clinician = self.context.clinician(row["clinician_id"])
        wanted = inputs.new_invoice(row, lines, clinician)
        content = content_of(wanted.kind, self.client_row_id, wanted)
        if row["row_id"] is not None and content.differs_in_details(row["digest"]):
            self.change_invoice(row, wanted, content)
        elif self.enter("invoices", row, self.days[row["id"]], issue_invoice, wanted):
            self.spread(row["issued_on"])

    def change_invoice(self, row: StagedRow, wanted: NewInvoice, content: Content) -> None:
        """Follow a change of the details that don't concern an invoice's amount."""
        issued_on, facts = self.days[row["id"]], self.context.facts
        # A line without a price is not in a file.
        total = sum(
            line_amount(line.quantity_hundredths, line.unit_price_minor or 0)
            for line in wanted.lines
        )
        due_on = wanted.due_on or standard_due_date(facts, issued_on, total)
        change = InvoiceChange(row["row_id"], due_on, wanted.notes, wanted.is_shared)
        draft = Draft(facts.id, self.stamps.now)
        self.ids["invoice", row["id"]] = change_invoice(draft, change)
        self.add(draft.operations)
        self.refer(content, row["id"], row["row_id"], is_new=False)
        self.context.count("invoices", "changed")

    def session_of(self, invoice: StagedRow, line: StagedRow) -> str | None:
        """Return the session's row. Refuse one of another client, or on another invoice."""
        if line["session_id"] is None:
            return None
        found = self.session_row(line)
        if invoice["row_id"] is None and self.ledger is not None:
            if found not in self.ledger.sessions:
                wrong = "names the session of another client"
                raise self.refuse_line(line, "OTHER_CLIENT", wrong, "correct the id")
            if found in self.ledger.invoiced_sessions:
                code = EntryErrorCode.ALREADY_INVOICED
                wrong = "names a session that is on another invoice"
                raise self.refuse_line(line, code, wrong, REMEDIES[code])
        return found

    def session_row(self, line: StagedRow) -> str:
        return str(self.ids.get(("session", line["session_id"])) or line["session_row_id"])

    def refuse_line(self, line: StagedRow, code: str, wrong: str, remedy: str) -> ClientStopped:
        return self.context.refuse("invoice_lines", line, "session_id", code, wrong, remedy)

    def void(self, row: StagedRow) -> None:
        wanted = InvoiceVoid(self.ids["invoice", row["id"]])
        day = dt.date.fromisoformat(row["voided_on"])
        content = content_of("void", self.client_row_id, wanted, day)
        known = row["void_row_id"], row["void_digest"]
        if self.is_known("invoices", "voided_on", row, content, *known):
            return
        assert self.ledger is not None
        if not self.ledger.invoices[wanted.invoice_id].is_void:
            self.make(row, day, void_invoice, wanted)
            if row["row_id"] is not None:
                self.context.count("invoices", "same", -1)
                self.context.count("invoices", "changed")
        self.refer(content, row["id"], wanted.invoice_id)
        self.spread(row["voided_on"])

    def payment(self, row: StagedRow) -> None:
        invoice_id = self.invoice_of(row) if row["invoice_id"] else None
        wanted = inputs.outside_payment(row, invoice_id)
        day = dt.date.fromisoformat(row["paid_on"])
        entered = replace(wanted, invoice_id=None, portions=())
        if row["row_id"] is None and row["portal_row_id"] is not None:
            self.match("payments", row, row["portal_row_id"])
            return
        if row["row_id"] is None and self.context.cards_may_be_ours:
            assert self.ledger is not None
            if portal_payments.may_be_ours(self.ledger, row):
                raise self.context.complain("payments", row, "id", portal_payments.MAYBE_OURS)
        is_new = self.enter("payments", row, day, record_payment, wanted, entered)
        if is_new and not row["invoice_id"]:
            self.spread(row["paid_on"])

    def allocate_to_invoice(self, row: StagedRow) -> None:
        wanted = PaymentUse(self.ids["payment", row["id"]], self.invoice_of(row))
        day = self.allocation_day(row, row["id"])
        self.make(row, day, use_payment, wanted)

    def allocation(self, row: StagedRow) -> None:
        payment_id = self.ids.get(("payment", row["payment_id"])) or row["payment_row_id"]
        wanted = PaymentUse(payment_id, self.invoice_of(row), row["amount"])
        day = self.allocation_day(row, row["payment_id"])
        if row["row_id"] is None and self.is_of_portal(payment_id):
            # The portal has already allocated its own payment to invoices.
            self.match("allocations", row, wanted.invoice_id)
        else:
            self.enter("allocations", row, day, use_payment, wanted)

    def is_of_portal(self, payment_id: str) -> bool:
        return self.ledger is not None and portal_payments.is_of_portal(self.ledger, payment_id)

    def invoice_of(self, row: StagedRow) -> str:
        return str(self.ids.get(("invoice", row["invoice_id"])) or row["invoice_row_id"])

    def credit(self, row: StagedRow) -> None:
        wanted = Credit(row["amount"], row["description"])
        if self.enter("credits", row, dt.date.fromisoformat(row["date"]), give_credit, wanted):
            self.spread(row["date"])

    def adjustment(self, row: StagedRow) -> None:
        wanted = inputs.adjustment(row, self.invoice_of(row))
        day = dt.date.fromisoformat(row["date"])
        maker: ClientMaker[Any] = adjust_invoice
        if isinstance(wanted, WriteOff):
            maker = write_off_invoice
            self.make_room(row, wanted, day)
        if self.enter("adjustments", row, day, maker, wanted):
            self.spread(row["date"])

    def make_room(self, row: StagedRow, wanted: WriteOff, day: dt.date) -> None:
        """Take back amounts that only the portal has put toward an invoice that is written off."""
        if row["row_id"] is not None or self.context.allocates_by_file or self.ledger is None:
            return
        invoice = self.ledger.invoices.get(wanted.invoice_id)
        over = (wanted.amount_minor or 0) - invoice.due if invoice and not invoice.is_void else 0
        if invoice and 0 < over <= invoice.paid:
            release = InvoiceRelease(invoice.id, over)
            self.make(row, day, release_invoice, release)

    def refund(self, row: StagedRow) -> None:
        payment_id = self.ids.get(("payment", row["payment_id"])) or row["payment_row_id"]
        invoice_id = self.invoice_of(row) if row["invoice_id"] else None
        wanted = inputs.outside_refund(row, payment_id, invoice_id)
        day = dt.date.fromisoformat(row["refunded_on"])
        if row["row_id"] is None and self.is_of_portal(payment_id):
            assert self.ledger is not None
            if not portal_payments.is_refunded(self.ledger, payment_id, row["amount"]):
                raise self.context.complain("refunds", row, "id", portal_payments.NOT_REFUNDED)
            self.match("refunds", row, payment_id)
        else:
            self.enter("refunds", row, day, record_refund, wanted)

    def superbill(self, row: StagedRow) -> None:
        lines = self.records.parts("superbill_lines", row)
        diagnoses = self.records.parts("superbill_diagnoses", row)
        sessions = [self.session_row(one) if one["session_id"] else None for one in lines]
        providers = (
            self.context.clinician(row["rendering_clinician_id"]),
            self.context.clinician(row["billing_clinician_id"]),
        )
        wanted = inputs.issued_superbill(row, lines, sessions, diagnoses, providers)
        self.enter("superbills", row, wanted.issued_on, enter_issued_superbill, wanted)

    def document(self, row: StagedRow) -> None:
        """Keep the PDF of a document. Its bytes are read if it was not entered before."""
        kind, context = DocumentKind(row["kind"]), self.context
        document_id = self.document_of(row, kind)
        wanted, entered = inputs.kept_pdf(row, document_id), None
        if row["row_id"] is None:
            if (kind, document_id) in self.account.printed:
                raise context.complain("documents", row, "file", ALREADY_PRINTED)
            entered = replace(wanted, content=read_attachment(context.staging, row))
            context.held_bytes += len(entered.content)
        day = inputs.day_of(row["issued_on"]) or context.today
        self.enter("documents", row, day, keep_pdf, wanted, entered)

    def document_of(self, row: StagedRow, kind: DocumentKind) -> str | None:
        """Return the row of a document, or None for a statement that is to be issued."""
        if kind is DocumentKind.INVOICE:
            return self.invoice_of(row)
        if kind is DocumentKind.SUPERBILL:
            known = self.ids.get(("superbill", row["superbill_id"]))
            return str(known or row["superbill_row_id"])
        if kind is DocumentKind.RECEIPT:
            payment_id = self.ids.get(("payment", row["payment_id"])) or row["payment_row_id"]
            if row["row_id"] is not None:
                return str(row["row_id"])
            return self.receipts[payment_id]
        return None

    def opening_balance(self, row: StagedRow) -> None:
        wanted = inputs.brought_forward(row)
        maker: ClientMaker[Any] = give_credit if isinstance(wanted, Credit) else issue_invoice
        day = dt.date.fromisoformat(row["as_of"])
        self.enter("opening_balances", row, day, maker, wanted)

    def spread(self, day: str) -> None:
        """Put unallocated funds toward the oldest invoices, unless a file allocates them."""
        ledger = self.ledger
        if self.context.allocates_by_file or ledger is None or not ledger.unallocated:
            return
        if ledger.open_invoices:
            stamp = self.stamps.of(dt.date.fromisoformat(day))
            self.add(enter_in_memory(ledger, stamp, spread_funds, FundsSpread())[1])
