"""Amounts of money, and values of a client computed from the sums in its row."""

import datetime as dt
from decimal import Decimal
from typing import Any

import strawberry

from bench.peers.python.viewers import Viewer
from billing.money import currency_digits
from billing.stripe.currencies import smallest_charge


@strawberry.type
class Money:
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, minor: int, viewer: Viewer) -> "Money":
        digits = currency_digits(viewer.currency)
        return cls(amount=Decimal(minor).scaleb(-digits), currency=viewer.currency)


@strawberry.type
class BalanceTerm:
    kind: str
    amount: Money


@strawberry.type
class Balance:
    amount: Money
    payable: Money
    terms: list[BalanceTerm]

    @classmethod
    def of(cls, client: Any, viewer: Viewer) -> "Balance":
        return cls(
            amount=Money.of(client.balance_minor, viewer),
            payable=Money.of(payable(client), viewer),
            terms=[
                BalanceTerm(kind=kind, amount=Money.of(minor, viewer))
                for kind, minor in terms(client).items()
            ],
        )


@strawberry.type
class Permission:
    is_allowed: bool
    reason: str | None

    @classmethod
    def to_pay(cls, client: Any, viewer: Viewer) -> "Permission":
        reason = reason_not_to_pay(client, viewer)
        return cls(is_allowed=reason is None, reason=reason)


@strawberry.input
class DateRange:
    gte: dt.date = dt.date.min
    lte: dt.date = dt.date.max


@strawberry.type
class RevenuePeriod:
    start: dt.date
    end: dt.date
    invoiced: Money
    collected: Money
    refunded: Money
    written_off: Money
    outstanding_at_end: Money

    @classmethod
    def of(cls, row: Any, viewer: Viewer) -> "RevenuePeriod":
        start, end, *sums = row
        names = ("invoiced", "collected", "refunded", "written_off", "outstanding_at_end")
        amounts = {name: Money.of(minor, viewer) for name, minor in zip(names, sums, strict=True)}
        return cls(start=start, end=end, **amounts)


# Columns of a client's row that these values are computed from.
SUMS = (
    "balance_minor",
    "pool",
    "invoiced",
    "refunded",
    "taken_back",
    "written_off",
    "adjusted",
    "allocated",
    "disputed",
)
OF_PERMISSION = ("balance_minor", "pool", "allocated", "disputed", "is_paying")
# The parameters are written as each driver wants them.
REVENUE = "SELECT * FROM postgraphile.revenue({practice_id}, {first_day}, {last_day}, 1)"


def payable(client: Any) -> int:
    """Return the undisputed amount due, less unused credit."""
    credit = max(-(client.pool + client.allocated), 0)
    due = client.balance_minor - client.pool - client.allocated - client.disputed
    return int(max(due - credit, 0))


def terms(client: Any) -> dict[str, int]:
    """Return the terms of a balance, in their order."""
    return {
        "INVOICED": client.invoiced,
        "PAID": -(client.allocated + client.refunded + client.taken_back),
        "UNALLOCATED_CREDIT": client.pool + client.allocated,
        "REFUNDED": client.refunded,
        "DISPUTED": client.taken_back,
        "WRITTEN_OFF": client.written_off,
        "ADJUSTED": client.adjusted,
    }


def reason_not_to_pay(client: Any, viewer: Viewer) -> str | None:
    """Return the first reason against paying the balance, or None."""
    if not viewer.takes_cards:
        return "ONLINE_PAYMENTS_OFF"
    if not viewer.is_client:
        return "NO_RIGHT_TO_PAY"
    if client.is_paying:
        return "PAYMENT_IN_PROGRESS"
    if client.balance_minor - client.pool - client.allocated <= client.disputed:
        return "NOTHING_TO_PAY"
    left = payable(client)
    return "AMOUNT_TOO_SMALL" if 0 < left < smallest_charge(viewer.currency) else None


def is_past_due(invoice: Any, viewer: Viewer) -> bool:
    is_late = invoice.due_on is not None and invoice.due_on < viewer.today
    return is_late and not invoice.is_void and invoice.due_minor > 0


def is_expired(card: Any, viewer: Viewer) -> bool:
    """Return whether a card has expired: it works until the end of its month."""
    return (card.exp_year, card.exp_month) < (viewer.today.year, viewer.today.month)
