"""Unusual events: one function for each event of an account.

`day` is a number of days ago. An invoice is identified by the number of days since its issue.
"""

from billing.entry.credits import Credit, give_credit
from billing.entry.invoices import Adjustment, NewLine, adjust_invoice
from demo.lives import AFTERNOON, CLOSING, LAST, LATE, PAYING, Life
from models import DeclineReason, PaymentMethodKind


def cancels_late(life: Life, day: int, fee_minor: int) -> None:
    """Charge a fee for a session that didn't take place."""
    books = life.books
    life.on(day, AFTERNOON, lambda: books.charge("Late cancellation fee", fee_minor, books.today))


def asks_for_a_letter(life: Life, day: int, fee_minor: int) -> None:
    life.on(day, AFTERNOON, lambda: life.books.charge("Letter to an employer", fee_minor))


def overpays(life: Life, invoice: int, day: int, extra_minor: int) -> None:
    """Pay more than an invoice's amount by bank transfer: the rest is credit."""

    def deed(invoice_id: str) -> None:
        amount = life.books.due(invoice_id) + extra_minor
        life.books.pay(PaymentMethodKind.BANK_TRANSFER, invoice_id, amount)

    life.about(invoice, day, PAYING, deed)


def is_refunded(life: Life, day: int, amount_minor: int) -> None:
    """Refund a part of the last payment that wasn't by card."""
    life.on(day, LATE, lambda: life.books.refund(amount_minor))


def is_given_credit(life: Life, day: int, amount_minor: int) -> None:
    credit = Credit(amount_minor, "Courtesy credit")
    life.on(day, AFTERNOON, lambda: life.books.enter(give_credit, credit))


def credit_is_put_toward(life: Life, invoice: int, day: int, amount_minor: int) -> None:
    """Pay a part of an invoice from the client's credit, by the practice."""
    life.about(invoice, day, LATE, lambda invoice_id: life.books.spend(invoice_id, amount_minor))


def is_written_off(life: Life, invoice: int, day: int) -> None:
    """Write off the amount due of an invoice."""
    life.about(invoice, day, LATE, life.books.write_off)


def is_adjusted(life: Life, invoice: int, day: int, amount_minor: int) -> None:
    def deed(invoice_id: str) -> None:
        adjustment = Adjustment(invoice_id, amount_minor, "Sliding scale on invoice")
        life.books.enter(adjust_invoice, adjustment)

    life.about(invoice, day, LATE, deed)


def fee_is_corrected(life: Life, day: int, amount_minor: int) -> None:
    """Issue a negative invoice for a fee that was too high. It has no due date."""
    correction = NewLine("Correction of an earlier fee", -amount_minor)
    life.on(day, CLOSING, lambda: life.books.issue([correction], None))


def is_voided(life: Life, invoice: int, day: int) -> None:
    """Void an invoice some days after its issue, and issue another for the same items."""

    def deed(invoice_id: str) -> None:
        life.issued[day] = life.books.reissue(invoice_id, life.habit.due_in)

    life.issue(invoice)
    life.about(invoice, day, LATE, deed)


def is_declined(life: Life, invoice: int, day: int, reason: DeclineReason) -> None:
    """Decline the card when the invoice is to be paid."""
    life.about(invoice, day, AFTERNOON, lambda invoice_id: life.books.decline(invoice_id, reason))


def is_paying(life: Life, day: int) -> None:
    """Begin to pay the balance with a card that the bank has not approved yet."""
    life.on(day, LAST, life.books.begin)


def pays_all(life: Life, day: int) -> None:
    """Pay the whole balance, from credit as far as possible."""
    life.on(day, PAYING, lambda: life.books.pay(life.habit.pays_with))
