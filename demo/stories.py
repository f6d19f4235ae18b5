"""Unusual events: one function for each event of an account.

`day` is a number of days ago. An invoice is identified by the number of days since its issue.
"""

import datetime as dt

from demo.bills import Bill, Item
from demo.lives import AFTERNOON, CLOSING, LATE, PAYING, Life
from models import DeclineReason, EntryKind, PaymentMethodKind


def cancels_late(life: Life, day: int, fee_minor: int) -> None:
    """Charge a fee for a session that didn't take place."""
    account = life.account
    fee = "Late cancellation fee"
    life.on(day, AFTERNOON, lambda: account.charge(fee, fee_minor, account.today))


def asks_for_a_letter(life: Life, day: int, fee_minor: int) -> None:
    life.on(day, AFTERNOON, lambda: life.account.charge("Letter to an employer", fee_minor))


def overpays(life: Life, invoice: int, day: int, extra_minor: int) -> None:
    """Pay more than an invoice's amount by bank transfer: the rest is credit."""
    transfer = PaymentMethodKind.BANK_TRANSFER
    life.about(
        invoice,
        day,
        PAYING,
        lambda bill: life.account.pay(transfer, bill, bill.due + extra_minor),
    )


def is_refunded(life: Life, day: int, amount_minor: int) -> None:
    """Refund a part of the last payment: from unused credit if there is enough, else
    from invoices.
    """

    def deed() -> None:
        if life.account.payments:
            payment = life.account.payments[-1]
            life.account.refund(payment, min(amount_minor, payment["amount_minor"]), "Refund")

    life.on(day, LATE, deed)


def is_given_credit(life: Life, day: int, amount_minor: int) -> None:
    life.on(day, AFTERNOON, lambda: life.account.give_credit(amount_minor, "Courtesy credit"))


def credit_is_put_toward(life: Life, invoice: int, day: int, amount_minor: int) -> None:
    """Pay a part of an invoice from the client's credit, by the practice."""
    life.about(invoice, day, LATE, lambda bill: life.account.spend([bill], amount_minor))


def is_written_off(life: Life, invoice: int, day: int) -> None:
    """Write off the amount due of an invoice."""

    def deed(bill: Bill) -> None:
        if bill.due > 0:
            life.account.correct(EntryKind.WRITE_OFF, -bill.due, "Write-off on invoice", bill)

    life.about(invoice, day, LATE, deed)


def is_adjusted(life: Life, invoice: int, day: int, amount_minor: int) -> None:
    kind = EntryKind.ADJUSTMENT
    life.about(
        invoice,
        day,
        LATE,
        lambda bill: life.account.correct(kind, amount_minor, "Sliding scale on invoice", bill),
    )


def fee_is_corrected(life: Life, day: int, amount_minor: int) -> None:
    """Issue a negative invoice for a fee that was too high. It has no due date."""
    correction = Item("Correction of an earlier fee", -amount_minor)
    life.on(day, CLOSING, lambda: life.account.issue([correction], None))


def is_voided(life: Life, invoice: int, day: int) -> None:
    """Void an invoice some days after its issue, and issue another for the same items."""
    account = life.account

    def deed(bill: Bill) -> None:
        account.void(bill)
        due_on = account.today + dt.timedelta(life.habit.due_in)
        life.issued[day] = account.issue(bill.items, due_on, notes=f"Replaces {bill.number}.")

    life.issue(invoice, voided_on=life.office.today - dt.timedelta(day))
    life.about(invoice, day, LATE, deed)


def is_declined(life: Life, invoice: int, day: int, reason: DeclineReason) -> None:
    """Decline the card when the invoice is to be paid."""
    life.about(invoice, day, AFTERNOON, lambda bill: life.account.decline(bill.due, bill, reason))


def is_paying(life: Life, day: int) -> None:
    """Begin to pay the balance with a card that the bank has not approved yet."""
    life.on(day, PAYING, life.account.begin)


def pays_all(life: Life, day: int) -> None:
    """Pay the whole balance, from credit as far as possible."""
    life.on(day, PAYING, lambda: life.account.pay(life.habit.pays_with))
