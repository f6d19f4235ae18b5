"""Cards, sessions, invoices, statements, superbills and the account history, with their parts."""

from typing import Any

import models
from tests.oracle import history, money
from tests.oracle.links import paper
from tests.oracle.scalars import decimal
from tests.oracle.shown import Shown
from tests.oracle.world import PROGRAMS


class Session(Shown):
    prefix = "ses"

    @property
    def invoice(self) -> Any:
        """Return the valid invoice; a session is on one at a time."""
        lines = self.world.where(models.InvoiceLine, session_id=self.row.id)
        invoices = [self.world.by_id(models.Invoice, line.invoice_id) for line in lines]
        valid = next((one for one in invoices if not one.is_void), None)
        return valid if valid and self.world.reads(valid) else None


class PaymentMethod(Shown):
    prefix = "crd"

    @property
    def is_known(self) -> bool:
        """Return whether the viewer may see what only the holder and the practice see."""
        return self.world.token.kind in PROGRAMS or self.world.holds(self.row)

    @property
    def holder(self) -> str:
        return self.world.payer(self.row)

    @property
    def cardholder_name(self) -> str | None:
        return self.row.cardholder_name if self.is_known else None

    @property
    def billing_zip(self) -> str | None:
        return self.row.billing_zip if self.is_known else None

    @property
    def is_default(self) -> bool:
        return self.is_known and self.row.is_default

    @property
    def months_left(self) -> int:
        """Return the number of months from this one to the last in which the card works."""
        today = self.world.today
        return int((self.row.exp_year - today.year) * 12 + self.row.exp_month - today.month)

    @property
    def is_expired(self) -> bool:
        return self.months_left < 0

    @property
    def expires_soon(self) -> bool:
        return self.months_left in (0, 1)


class Invoice(Shown):
    prefix = "inv"

    @property
    def document(self) -> Any:
        return paper(self, "Invoice")

    @property
    def status(self) -> str:
        return money.status(self.world, self.row)

    @property
    def is_past_due(self) -> bool:
        return money.is_past_due(self.world, self.row)

    @property
    def amount_paid(self) -> int:
        return money.paid(self.world, self.row)

    @property
    def amount_due(self) -> int:
        return money.due(self.world, self.row)

    @property
    def payable(self) -> int:
        asked = 0 if self.is_disputed else self.amount_due
        return money.payable(self.world, self.row.client_id, asked)

    @property
    def voided(self) -> int:
        return int(self.row.total_minor) if self.row.is_void else 0

    @property
    def written_off(self) -> int:
        return -self.corrected(models.EntryKind.WRITE_OFF)

    @property
    def adjusted(self) -> int:
        return self.corrected(models.EntryKind.ADJUSTMENT)

    def corrected(self, kind: models.EntryKind) -> int:
        rows = self.world.where(models.LedgerEntry, invoice_id=self.row.id, kind=kind)
        return money.summed(rows)

    @property
    def is_disputed(self) -> bool:
        return money.is_disputed(self.world, self.row)

    @property
    def lines(self) -> list[Any]:
        return self.parts(models.InvoiceLine, invoice_id=self.row.id)

    @property
    def payments(self) -> list[Any]:
        """Return the payments ever allocated to the invoice, taken back since or not."""
        put = self.world.where(models.Allocation, invoice_id=self.row.id)
        ids = {row.payment_id for row in put} - {None}
        found = [self.world.by_id(models.Payment, id_) for id_ in ids]
        seen = [payment for payment in found if self.world.sees(payment.client_id)]
        return sorted(seen, key=lambda one: (one.created_on, one.id), reverse=True)


class InvoiceLine(Shown):
    @property
    def quantity(self) -> str:
        return decimal(self.row.quantity_hundredths, 2)


class AccountHistoryEntry(Shown):
    prefix = "aht"

    @property
    def balance_after(self) -> int:
        return history.balance_after(self.world, self.row)

    @property
    def balance_change(self) -> int:
        return int(self.row.change)

    @property
    def service_date(self) -> Any:
        return self.row.day if self.row.kind in ("SESSION", "CHARGE") else None

    @property
    def paid_on(self) -> Any:
        is_money = self.row.kind in ("PAYMENT", "REFUND", "DISPUTE")
        return self.row.day if is_money and self.row.posted_on else None

    @property
    def invoice(self) -> Any:
        found = self.world.by_id(models.Invoice, self.row.invoice_id)
        return found if found and self.world.reads(found) else None


class Statement(Shown):
    prefix = "stm"

    @property
    def document(self) -> Any:
        return paper(self, "Statement")

    @property
    def beginning_balance(self) -> int:
        return int(self.row.beginning_minor)

    @property
    def total_invoiced(self) -> int:
        return int(self.row.invoiced_minor)

    @property
    def total_paid(self) -> int:
        return int(self.row.paid_minor)

    @property
    def ending_balance(self) -> int:
        return int(self.row.ending_minor)

    @property
    def lines(self) -> list[Any]:
        return self.parts(models.StatementLine, statement_id=self.row.id)


class Superbill(Shown):
    prefix = "sbl"

    @property
    def document(self) -> Any:
        return paper(self, "Superbill")

    @property
    def rendering_provider(self) -> Any:
        return self.world.by_id(models.Letterhead, self.row.rendering_letterhead_id)

    @property
    def lines(self) -> list[Any]:
        return self.parts(models.SuperbillLine, superbill_id=self.row.id)

    @property
    def diagnoses(self) -> list[Any]:
        return self.parts(models.SuperbillDiagnosis, superbill_id=self.row.id)

    @property
    def completeness(self) -> Any:
        return self.row

    @property
    def total_fee(self) -> int:
        return sum(line.fee_minor for line in self.lines)

    @property
    def total_paid(self) -> int:
        return sum(line.paid_minor for line in self.lines)


class SuperbillLine(Shown):
    @property
    def units(self) -> str:
        return decimal(self.row.units_hundredths, 2)
