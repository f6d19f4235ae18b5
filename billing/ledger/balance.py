"""A client's account: its balance, the terms of the balance, and the permission to pay.

Charges are ledger rows that name an invoice. Funds are the others (payments, refunds, disputes and
credits), which allocations put toward invoices. So the balance is the amount due of all invoices
less the unallocated funds, which are unused credit.

Reads and writes compute an account by the same statements and expressions.
"""

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, not_, select, true

from billing.ledger.greatest import at_least_zero, least
from billing.ledger.invoices import Sums, total
from models import Allocation, Dispute, DisputeState, EntryKind, LedgerEntry
from models.literals import constant


class BalanceTermKind(enum.StrEnum):
    INVOICED = "INVOICED"
    PAID = "PAID"
    UNALLOCATED_CREDIT = "UNALLOCATED_CREDIT"
    REFUNDED = "REFUNDED"
    DISPUTED = "DISPUTED"
    WRITTEN_OFF = "WRITTEN_OFF"
    ADJUSTED = "ADJUSTED"


class PermissionReason(enum.StrEnum):
    ONLINE_PAYMENTS_OFF = "ONLINE_PAYMENTS_OFF"
    NO_RIGHT_TO_PAY = "NO_RIGHT_TO_PAY"
    NOTHING_TO_PAY = "NOTHING_TO_PAY"
    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    PAYMENT_IN_PROGRESS = "PAYMENT_IN_PROGRESS"


@dataclass(frozen=True)
class AccountStatements:
    """The statements of the sums that an `Account` is computed from.

    `table` returns a model's table, and `predicate_for` the condition for rows to be counted. With
    `as_of` only rows up to that day count.

    Conditions with subqueries come first in AND and sums: the parser of SQLite before 3.46 keeps
    all that precedes them, and its stack is small.
    """

    table: Callable[[Any], Any]
    predicate_for: Callable[[Any], ColumnElement[bool]]
    practice_id: Any
    client_id: Any
    as_of: Any = None

    def of_client(self, table: Any) -> ColumnElement[bool]:
        return and_(
            self.predicate_for(table),
            table.c.practice_id == self.practice_id,
            table.c.client_id == self.client_id,
        )

    def until(self, day: ColumnElement[dt.date]) -> ColumnElement[bool]:
        return true() if self.as_of is None else day <= self.as_of

    def movements(self) -> Select[*tuple[Any, ...]]:
        """Select the sums of the client's ledger rows."""
        entry = self.table(LedgerEntry)
        amount = entry.c.amount_minor

        def over(name: str, *kinds: EntryKind) -> ColumnElement[int]:
            is_kind = entry.c.kind.in_([constant(kind) for kind in kinds])
            return total(case((is_kind, amount))).label(name)

        return (
            select(
                total(amount).label("balance"),
                total(case((entry.c.invoice_id.is_(None), amount))).label("funds"),
                over("invoiced", EntryKind.SESSION, EntryKind.CHARGE),
                over("refunded", EntryKind.REFUND),
                over("disputed", EntryKind.DISPUTE),
                over("written_off", EntryKind.WRITE_OFF),
                over("adjusted", EntryKind.ADJUSTMENT),
            )
            .select_from(entry)
            .where(self.of_client(entry), self.until(entry.c.posted_on))
        )

    def allocated(self) -> Select[Any]:
        """Select the sum of all allocations to the client's invoices."""
        allocation = self.table(Allocation)
        return self.amount_of(allocation).where(self.until(allocation.c.date))

    def disputed_billed(self) -> Select[Any]:
        """Select the amount that the ledger bills for disputed invoices."""
        return self.of_disputed(LedgerEntry)

    def disputed_paid(self) -> Select[Any]:
        """Select the amount that is allocated to disputed invoices."""
        return self.of_disputed(Allocation)

    def of_disputed(self, model: type[LedgerEntry | Allocation]) -> Select[Any]:
        rows = self.table(model)
        return self.amount_of(rows, rows.c.invoice_id.in_(self.disputed_invoices()))

    def amount_of(self, rows: Any, *where: ColumnElement[bool]) -> Select[Any]:
        statement = select(total(rows.c.amount_minor).label("total")).select_from(rows)
        return statement.where(*where, self.of_client(rows))

    def disputed_invoices(self, *conditions: Callable[[Any], ColumnElement[bool]]) -> Select[Any]:
        """Select the invoices from which open disputes have taken allocations back.

        The bank may still return the money.
        """
        allocation, dispute = self.table(Allocation), self.table(Dispute)
        same = and_(
            allocation.c.practice_id == dispute.c.practice_id,
            allocation.c.dispute_id == dispute.c.id,
        )
        return (
            select(allocation.c.invoice_id)
            .join_from(dispute, allocation, same)
            .where(
                self.of_client(dispute),
                self.predicate_for(allocation),
                dispute.c.state == constant(DisputeState.OPEN),
                *(condition(allocation) for condition in conditions),
            )
            .group_by(allocation.c.invoice_id)
            .having(func.sum(allocation.c.amount_minor) < constant(0))
            # The client may be a row of a statement that stands two levels further out.
            .correlate_except(dispute, allocation)
        )

    def is_disputed(self, invoice_id: Any) -> Select[Any]:
        """Select the invoice if an open dispute has made it due again."""
        return self.disputed_invoices(lambda allocation: allocation.c.invoice_id == invoice_id)

    def sums(self) -> tuple[Callable[[], Select[Any]], ...]:
        """Return the statements of an account's sums, in the order of `Account`'s parameters."""
        return self.movements, self.allocated, self.disputed_billed, self.disputed_paid


class Account:
    """A client's account, computed from the sums of `AccountStatements`."""

    def __init__(
        self, movements: Sums, allocated: Sums, disputed_billed: Sums, disputed_paid: Sums
    ) -> None:
        self.movements, self.allocated = movements, allocated
        self.disputed_billed, self.disputed_paid = disputed_billed, disputed_paid

    @property
    def balance(self) -> ColumnElement[int]:
        return self.movements["balance"]

    @property
    def credit(self) -> ColumnElement[int]:
        """Return the unallocated funds. The rules keep them at zero or above."""
        return -(self.movements["funds"] + self.allocated["total"])

    @property
    def due(self) -> ColumnElement[int]:
        """Return the amount due of all invoices: their ledger rows less their allocations."""
        return self.movements["balance"] - self.movements["funds"] - self.allocated["total"]

    @property
    def payable_due(self) -> ColumnElement[int]:
        """Return the amount due of all invoices that are not disputed."""
        return self.disputed_paid["total"] - self.disputed_billed["total"] + self.due

    @property
    def payable(self) -> ColumnElement[int]:
        """Return the charge of Pay Now for the balance."""
        return self.charge_for(self.payable_due)

    @property
    def credit_applied(self) -> ColumnElement[int]:
        """Return the unused credit that is subtracted from the undisputed amount due."""
        return least(self.payable_due, at_least_zero(self.credit))

    def payable_of(
        self, due: ColumnElement[int], is_disputed: ColumnElement[bool]
    ) -> ColumnElement[int]:
        """Return the charge of Pay Now for one invoice. A disputed one can't be paid."""
        return case((is_disputed, constant(0)), else_=self.charge_for(due))

    def charge_for(self, due: ColumnElement[int]) -> ColumnElement[int]:
        """Return the charge for an amount due: unused credit is subtracted, and never added."""
        return at_least_zero(due - at_least_zero(self.credit))

    @property
    def terms(self) -> list[tuple[BalanceTermKind, ColumnElement[int]]]:
        """Return the terms of the balance; their sum is the balance.

        PAID counts all allocations to invoices, including money that left later: REFUNDED and
        DISPUTED subtract that.
        """
        sums = self.movements
        returned = sums["refunded"] + sums["disputed"]
        return [
            (BalanceTermKind.INVOICED, sums["invoiced"]),
            (BalanceTermKind.PAID, -(self.allocated["total"] + returned)),
            (BalanceTermKind.UNALLOCATED_CREDIT, -self.credit),
            (BalanceTermKind.REFUNDED, sums["refunded"]),
            (BalanceTermKind.DISPUTED, sums["disputed"]),
            (BalanceTermKind.WRITTEN_OFF, sums["written_off"]),
            (BalanceTermKind.ADJUSTED, sums["adjusted"]),
        ]

    def reason_not_to_pay(
        self, *, online: Any, may_pay: Any, in_progress: Any, smallest: Any
    ) -> ColumnElement[str]:
        """Return the first reason against paying the balance, or NULL if there is none."""
        too_small = and_(self.payable > constant(0), self.payable < smallest)
        return case(
            *reasons_against_cards(online, may_pay),
            (in_progress, constant(PermissionReason.PAYMENT_IN_PROGRESS)),
            (self.payable_due <= constant(0), constant(PermissionReason.NOTHING_TO_PAY)),
            (too_small, constant(PermissionReason.AMOUNT_TOO_SMALL)),
        )


def reasons_against_cards(online: Any, may_pay: Any) -> list[tuple[Any, Any]]:
    """Return the reasons against any use of a card, as cases of a CASE expression."""
    return [
        (not_(online), constant(PermissionReason.ONLINE_PAYMENTS_OFF)),
        (not_(may_pay), constant(PermissionReason.NO_RIGHT_TO_PAY)),
    ]
