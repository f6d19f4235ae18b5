"""A client's account: its balance, the terms of the balance, and the permission to pay.

Ledger rows that name an invoice are owed. The others (payments, refunds, credits) form a pool, from
which allocations pay invoices. So the balance is the amount due of all invoices less unused credit.
"""

import enum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, not_, select

from billing.ledger.invoices import Sums, total
from models import DisputeState, EntryKind
from models.literals import constant


class BalanceTermKind(enum.StrEnum):
    INVOICED = "INVOICED"
    PAID = "PAID"
    UNALLOCATED_CREDIT = "UNALLOCATED_CREDIT"
    REFUNDED = "REFUNDED"
    WRITTEN_OFF = "WRITTEN_OFF"
    ADJUSTED = "ADJUSTED"


class PermissionReason(enum.StrEnum):
    ONLINE_PAYMENTS_OFF = "ONLINE_PAYMENTS_OFF"
    NO_RIGHT_TO_PAY = "NO_RIGHT_TO_PAY"
    NOTHING_TO_PAY = "NOTHING_TO_PAY"
    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    PAYMENT_IN_PROGRESS = "PAYMENT_IN_PROGRESS"


def movements(entry: Any, practice_id: Any, client_id: Any) -> Select[*tuple[Any, ...]]:
    """Select the sums of a client's ledger rows that an `Account` is computed from."""
    amount, of_invoice = entry.c.amount_minor, entry.c.invoice_id.is_not(None)

    def kinds(*kinds: EntryKind) -> ColumnElement[bool]:
        matches: ColumnElement[bool] = entry.c.kind.in_([constant(kind) for kind in kinds])
        return matches

    def over(name: str, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return total(case((and_(*conditions), amount))).label(name)

    return (
        select(
            total(amount).label("balance"),
            over("pool", not_(of_invoice)),
            over("invoiced", kinds(EntryKind.SESSION, EntryKind.CHARGE)),
            over("refunded", kinds(EntryKind.REFUND)),
            over("written_off", kinds(EntryKind.WRITE_OFF), of_invoice),
            over("adjusted", kinds(EntryKind.ADJUSTMENT), of_invoice),
        )
        .select_from(entry)
        .where(entry.c.practice_id == practice_id, entry.c.client_id == client_id)
    )


def allocated(allocation: Any, practice_id: Any, client_id: Any) -> Select[Any]:
    """Select the sum of all allocations to a client's invoices."""
    return (
        select(total(allocation.c.amount_minor).label("total"))
        .select_from(allocation)
        .where(allocation.c.practice_id == practice_id, allocation.c.client_id == client_id)
    )


def disputed_amounts(entry: Any, dispute: Any, practice_id: Any, client_id: Any) -> Select[Any]:
    """Select the invoices that open disputes have made due again.

    The bank may still return the money. Some rows of disputes name no invoice: the result then
    contains NULL, which matches no invoice.
    """
    same = and_(entry.c.practice_id == dispute.c.practice_id, entry.c.dispute_id == dispute.c.id)
    return (
        select(entry.c.invoice_id)
        .join_from(dispute, entry, same)
        .where(
            dispute.c.practice_id == practice_id,
            dispute.c.client_id == client_id,
            dispute.c.state == constant(DisputeState.OPEN),
        )
    )


class Account:
    """A client's account, computed from the sums of `movements` and `allocated`.

    `disputed_asked` and `disputed_put` are the same sums over disputed invoices alone, which can't
    be paid.
    """

    def __init__(
        self, movements: Sums, allocated: Sums, disputed_asked: Sums, disputed_put: Sums
    ) -> None:
        self.movements, self.allocated = movements, allocated
        self.disputed_asked, self.disputed_put = disputed_asked, disputed_put

    @property
    def balance(self) -> ColumnElement[int]:
        return self.movements["balance"]

    @property
    def credit(self) -> ColumnElement[int]:
        """Return the credit that is not allocated to an invoice."""
        return -(self.movements["pool"] + self.allocated["total"])

    @property
    def due(self) -> ColumnElement[int]:
        """Return the amount due of all invoices: their ledger rows less their allocations."""
        return self.movements["balance"] - self.movements["pool"] - self.allocated["total"]

    @property
    def disputed(self) -> ColumnElement[int]:
        """Return the amount due of disputed invoices."""
        return self.disputed_asked["total"] - self.disputed_put["total"]

    @property
    def payable(self) -> ColumnElement[int]:
        """Return the charge of Pay Now for the balance: the undisputed amount due, less unused
        credit.
        """
        return at_least_zero(self.balance - self.disputed)

    def payable_of(
        self, due: ColumnElement[int], is_disputed: ColumnElement[bool]
    ) -> ColumnElement[int]:
        """Return the charge of Pay Now for one invoice."""
        asked = due - self.credit
        return case((and_(~is_disputed, asked > constant(0)), asked), else_=constant(0))

    @property
    def terms(self) -> list[tuple[BalanceTermKind, ColumnElement[int]]]:
        """Return the terms of the balance; their sum is the balance.

        PAID counts all allocations to invoices, including money that was refunded later: REFUNDED
        subtracts that. A write-off or adjustment without an invoice is credit.
        """
        sums = self.movements
        return [
            (BalanceTermKind.INVOICED, sums["invoiced"]),
            (BalanceTermKind.PAID, -(self.allocated["total"] + sums["refunded"])),
            (BalanceTermKind.UNALLOCATED_CREDIT, sums["pool"] + self.allocated["total"]),
            (BalanceTermKind.REFUNDED, sums["refunded"]),
            (BalanceTermKind.WRITTEN_OFF, sums["written_off"]),
            (BalanceTermKind.ADJUSTED, sums["adjusted"]),
        ]

    def reason_not_to_pay(
        self, *, online: Any, may_pay: Any, in_progress: Any, smallest: Any
    ) -> ColumnElement[str]:
        """Return the first reason against paying the balance, or NULL if there is none."""
        left = self.balance - self.disputed
        too_small = and_(left > constant(0), left < smallest)
        return case(
            *reasons_against_cards(online, may_pay),
            (in_progress, constant(PermissionReason.PAYMENT_IN_PROGRESS)),
            (self.due <= self.disputed, constant(PermissionReason.NOTHING_TO_PAY)),
            (too_small, constant(PermissionReason.AMOUNT_TOO_SMALL)),
        )


def reasons_against_cards(online: Any, may_pay: Any) -> list[tuple[Any, Any]]:
    """Return the reasons against any use of a card, as cases of a CASE expression."""
    return [
        (not_(online), constant(PermissionReason.ONLINE_PAYMENTS_OFF)),
        (not_(may_pay), constant(PermissionReason.NO_RIGHT_TO_PAY)),
    ]


def at_least_zero(amount: ColumnElement[int]) -> ColumnElement[int]:
    return case((amount > constant(0), amount), else_=constant(0))
