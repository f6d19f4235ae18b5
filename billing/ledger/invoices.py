"""The paid amount, amount due and status of an invoice, derived from the ledger.

An invoice's ledger rows (lines, write-offs, adjustments, the reversals of a void) are its billed
amount; its allocations are its paid amount.
"""

import enum
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    case,
    cast,
    false,
    func,
    select,
)

from models import EntryKind
from models.literals import constant


class InvoiceStatus(enum.StrEnum):
    UNPAID = "UNPAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    VOID = "VOID"


class Sums(Protocol):
    """Sums by name, as expressions for the row at hand."""

    def __getitem__(self, name: str) -> ColumnElement[Any]: ...


def total(amount: SQLColumnExpression[Any]) -> ColumnElement[int]:
    """Return a sum as an integer, 0 without rows. On PostgreSQL sum(bigint) is numeric."""
    return cast(func.coalesce(func.sum(amount), constant(0)), BigInteger)


def billed_amount(entry: Any, practice_id: Any, invoice_id: Any) -> Select[Any]:
    """Select the amount that the ledger bills for an invoice."""
    return (
        select(total(entry.c.amount_minor).label("total"))
        .select_from(entry)
        .where(entry.c.practice_id == practice_id, entry.c.invoice_id == invoice_id)
    )


def corrections(entry: Any, practice_id: Any, invoice_id: Any) -> Select[*tuple[Any, ...]]:
    """Select the sums of an invoice's write-offs and adjustments."""
    kinds = {"written_off": EntryKind.WRITE_OFF, "adjusted": EntryKind.ADJUSTMENT}
    sums = [
        total(case((entry.c.kind == constant(kind), entry.c.amount_minor))).label(name)
        for name, kind in kinds.items()
    ]
    return (
        select(*sums)
        .select_from(entry)
        .where(entry.c.practice_id == practice_id, entry.c.invoice_id == invoice_id)
    )


def paid_amount(allocation: Any, practice_id: Any, invoice_id: Any) -> Select[Any]:
    """Select the amount that is allocated to an invoice."""
    return (
        select(total(allocation.c.amount_minor).label("total"))
        .select_from(allocation)
        .where(allocation.c.practice_id == practice_id, allocation.c.invoice_id == invoice_id)
    )


class InvoiceTotals:
    """The totals of an invoice, from its void flag and the sums of `billed` and `paid`."""

    def __init__(self, is_void: Any, billed: Sums, paid: Sums) -> None:
        self.is_void, self.billed, self.sums = is_void, billed, paid

    @property
    def paid(self) -> ColumnElement[int]:
        return self.sums["total"]

    @property
    def due(self) -> ColumnElement[int]:
        return self.billed["total"] - self.sums["total"]

    @property
    def status(self) -> ColumnElement[str]:
        return case(
            (self.is_void, constant(InvoiceStatus.VOID)),
            (self.due <= constant(0), constant(InvoiceStatus.PAID)),
            (self.paid > constant(0), constant(InvoiceStatus.PARTIALLY_PAID)),
            else_=constant(InvoiceStatus.UNPAID),
        )

    def past_due(self, due_on: Any, today: Any) -> ColumnElement[bool]:
        """Return whether the invoice is past due: false, not NULL, without a due date."""
        late = func.coalesce(due_on < today, false())
        return and_(late, ~self.is_void, self.due > constant(0))
