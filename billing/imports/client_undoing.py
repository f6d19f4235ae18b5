"""The reversal of one client's entries of an import."""

from collections.abc import Collection
from typing import Any

from billing.entry.client_ledger import ClientMaker, InvoiceRecord
from billing.entry.credits import Credit, give_credit, withdraw_credit
from billing.entry.invoices import Adjustment, InvoiceVoid, adjust_invoice, void_invoice
from billing.entry.outside_payments import OutsideRefund, record_refund, refunds_of
from billing.entry.rows import Values
from billing.imports.accounts import ClientAccount
from billing.imports.client_records import ClientRecords
from billing.imports.context import ImportContext
from billing.imports.record_entries import RecordEntries
from models import EntryKind

SAID = "Import undone"


class NotUndone(Exception):
    """An import that was not undone. The text gives the reason."""


class ClientUndoing(RecordEntries):
    """The reversal of the ledger rows with some keys. No later row of the client builds on them."""

    def __init__(
        self, context: ImportContext, account: ClientAccount, keys: Collection[str]
    ) -> None:
        super().__init__(context, ClientRecords("", account.row_id), account)
        self.keys, self.invoices, self.payments = keys, set[str](), 0

    def undo(self) -> None:
        """Reverse the rows. The balance is then what it was without them."""
        ledger = self.ledger
        assert ledger is not None
        own = [one for one in ledger.entries if one["id"] in self.keys]
        without = sum(row["amount_minor"] for row in ledger.entries if row["id"] not in self.keys)
        for invoice in list(ledger.invoices.values()):
            self.undo_invoice(invoice)
        funds = [row for row in own if row["invoice_id"] is None]
        # Credit is withdrawn last, when all other funds are there again.
        for row in sorted(funds, key=is_credit):
            self.undo_funds(row)
        balance = sum(row["amount_minor"] for row in ledger.entries)
        assert balance == without, f"client {ledger.id} has another balance"

    def undo_invoice(self, invoice: InvoiceRecord) -> None:
        """Void an invoice of the import, or reverse its adjustments of an earlier invoice."""
        own = [one for one in invoice.entries if one["id"] in self.keys]
        if any(one["reference"].startswith("line ") for one in own):
            if not invoice.is_void:
                self.reverse(void_invoice, InvoiceVoid(invoice.id))
            self.invoices.add(invoice.id)
        elif any(one["reference"].startswith("void ") for one in own):
            raise NotUndone("The import has voided invoices of an earlier import: they stay void.")
        else:
            for one in own:
                adjustment = Adjustment(invoice.id, -one["amount_minor"], SAID)
                self.reverse(adjust_invoice, adjustment)

    def undo_funds(self, row: Values) -> None:
        """Give a payment back, or reverse a credit, or the refund of an earlier payment."""
        ledger = self.ledger
        assert ledger is not None
        minor = row["amount_minor"]
        if row["kind"] == EntryKind.PAYMENT:
            payment = ledger.payments[row["payment_id"]]
            refunded = sum(one["amount_minor"] for one in refunds_of(ledger, payment["id"]))
            left = payment["amount_minor"] - refunded
            if left:
                refund = OutsideRefund(payment["id"], left, self.context.today, SAID)
                self.reverse(record_refund, refund)
            self.payments += 1
        elif is_credit(row):
            self.reverse(withdraw_credit, Credit(minor, SAID))
        elif row["kind"] == EntryKind.CREDIT or not self.is_own_payment(row["payment_id"]):
            self.reverse(give_credit, Credit(minor, SAID))

    def is_own_payment(self, payment_id: str) -> bool:
        """Return whether the import has entered a payment."""
        assert self.ledger is not None
        return any(
            one["id"] in self.keys
            for one in self.ledger.entries
            if one["kind"] == EntryKind.PAYMENT and one["payment_id"] == payment_id
        )

    def reverse(self, maker: ClientMaker[Any], wanted: Any) -> None:
        self.make({}, self.context.today, maker, wanted)


def is_credit(row: Values) -> bool:
    """Return whether a row has given credit."""
    return bool(row["kind"] == EntryKind.CREDIT and row["amount_minor"] < 0)
