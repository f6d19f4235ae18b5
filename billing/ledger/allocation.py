"""Amounts due of a client's invoices, and the allocation of a payment to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Allocation, Dispute, DisputeState, Invoice, LedgerEntry


@dataclass(frozen=True)
class AmountDue:
    """The amount due of an invoice, in minor units. A negative invoice has a negative one: a
    credit.
    """

    invoice_id: str
    minor: int


@dataclass(frozen=True)
class AmountsDue:
    """The amounts due of a client's invoices, the oldest first, and the unused credit."""

    invoices: Sequence[AmountDue]
    credit_minor: int

    def of(self, invoice_id: str | None) -> "AmountsDue":
        """Return the dues of one invoice, or of all without an id."""
        if invoice_id is None:
            return self
        one = [due for due in self.invoices if due.invoice_id == invoice_id]
        return AmountsDue(one, self.credit_minor)

    @property
    def due_minor(self) -> int:
        return sum(due.minor for due in self.invoices)

    @property
    def payable_minor(self) -> int:
        """Return the charge of Pay Now: the amount due less unused credit."""
        return max(0, self.due_minor - self.credit_minor)


async def owed(
    conn: AsyncConnection, practice_id: str, client_id: str, *, also_disputed: bool = False
) -> AmountsDue:
    """Return a client's dues, as this transaction sees them. The caller has locked the client's
    row.

    Disputed invoices are left out by default, since the bank may still return the money.
    """
    invoices = await open_invoices(conn, practice_id, client_id, also_disputed=also_disputed)
    pool = select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0)).where(
        LedgerEntry.practice_id == practice_id,
        LedgerEntry.client_id == client_id,
        LedgerEntry.invoice_id.is_(None),
    )
    put = select(func.coalesce(func.sum(Allocation.amount_minor), 0)).where(
        Allocation.practice_id == practice_id, Allocation.client_id == client_id
    )
    unused = [(await conn.execute(statement)).scalar_one() for statement in (pool, put)]
    return AmountsDue(invoices, -sum(map(int, unused)))


async def open_invoices(
    conn: AsyncConnection, practice_id: str, client_id: str, *, also_disputed: bool
) -> list[AmountDue]:
    """Return the invoices with an amount due, by date of issue and then by number."""
    asked = sums(LedgerEntry, practice_id, client_id)
    put = sums(Allocation, practice_id, client_id)
    due = asked.c.minor - func.coalesce(put.c.minor, 0)
    held = () if also_disputed else (Invoice.id.not_in(disputed_invoices(practice_id, client_id)),)
    result = await conn.execute(
        select(Invoice.id, due.label("minor"))
        .join(asked, asked.c.invoice_id == Invoice.id)
        .outerjoin(put, put.c.invoice_id == Invoice.id)
        .where(
            Invoice.practice_id == practice_id,
            Invoice.client_id == client_id,
            due != 0,
            *held,
        )
        .order_by(Invoice.issued_on, Invoice.serial)
    )
    return [AmountDue(row.id, int(row.minor)) for row in result]


def disputed_invoices(practice_id: str, client_id: str) -> Select[Any]:
    """Select the invoices that open disputes have made due again."""
    same = and_(
        LedgerEntry.practice_id == Dispute.practice_id, LedgerEntry.dispute_id == Dispute.id
    )
    return (
        select(LedgerEntry.invoice_id)
        .join(Dispute, same)
        .where(
            Dispute.practice_id == practice_id,
            Dispute.client_id == client_id,
            Dispute.state == DisputeState.OPEN,
            LedgerEntry.invoice_id.is_not(None),
        )
    )


def sums(of: type[LedgerEntry] | type[Allocation], practice_id: str, client_id: str) -> Subquery:
    return (
        select(of.invoice_id, func.sum(of.amount_minor).label("minor"))
        .where(of.practice_id == practice_id, of.client_id == client_id, of.invoice_id.is_not(None))
        .group_by(of.invoice_id)
        .subquery()
    )


@dataclass(frozen=True)
class Share:
    """The part of an invoice that is paid, in minor units: from unused credit, or from
    the charge.
    """

    invoice_id: str
    minor: int
    is_credit: bool


def allocate(amounts_due: AmountsDue, charged_minor: int) -> list[Share]:
    """Allocate unused credit first, then the charge, each to the oldest invoice first.

    A negative invoice is credit and adds to it. The part of the charge that is left stays unused.
    """
    given = [
        Share(due.invoice_id, due.minor, True) for due in amounts_due.invoices if due.minor < 0
    ]
    credit = max(0, amounts_due.credit_minor) - sum(share.minor for share in given)
    shares, charge = list(given), charged_minor
    for due in amounts_due.invoices:
        of_credit = min(credit, max(0, due.minor))
        of_charge = min(charge, max(0, due.minor) - of_credit)
        credit, charge = credit - of_credit, charge - of_charge
        parts = (Share(due.invoice_id, of_credit, True), Share(due.invoice_id, of_charge, False))
        shares += [share for share in parts if share.minor > 0]
    return shares
