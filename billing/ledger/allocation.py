"""Amounts due of a client's invoices, and the allocation of a payment to them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, Subquery, and_, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.balance import Account, AccountStatements
from billing.ledger.invoices import InvoiceTotals, billed_amount, paid_amount
from models import Allocation, Invoice, LedgerEntry


@dataclass(frozen=True)
class AmountDue:
    """The amount due of an invoice, in minor units. A negative invoice has a negative one until it
    is released.
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
    def by_invoice(self) -> dict[str, int]:
        return {due.invoice_id: due.minor for due in self.invoices}


def statements_of(practice_id: str, client_id: str) -> AccountStatements:
    """Return the statements of a client's account over all rows, for a write."""
    return AccountStatements(
        lambda model: model.__table__.alias(), lambda _: true(), practice_id, client_id
    )


def account_of_client(practice_id: str, client_id: str) -> tuple[Account, FromClause]:
    """Return a client's account, and the row that it is computed from."""
    sums = [statement().subquery() for statement in statements_of(practice_id, client_id).sums()]
    row: FromClause = sums[0]
    for each in sums[1:]:
        row = row.join(each, true())
    return Account(*(each.c for each in sums)), row


async def owed(
    conn: AsyncConnection, practice_id: str, client_id: str, *, also_disputed: bool = False
) -> AmountsDue:
    """Return a client's dues, as this transaction sees them. The caller has locked the client's
    row.

    Disputed invoices are left out by default, since the bank may still return the money.
    """
    invoices = await open_invoices(conn, practice_id, client_id, also_disputed=also_disputed)
    return AmountsDue(invoices, await unallocated_funds(conn, practice_id, client_id))


async def unallocated_funds(conn: AsyncConnection, practice_id: str, client_id: str) -> int:
    account, row = account_of_client(practice_id, client_id)
    return int((await conn.execute(select(account.credit).select_from(row))).scalar_one())


async def payable_amount(
    conn: AsyncConnection, practice_id: str, client_id: str, invoice_id: str | None
) -> int:
    """Return the charge of Pay Now for one invoice, or for the balance without an id."""
    account, row = account_of_client(practice_id, client_id)
    if invoice_id is None:
        statement = select(account.payable).select_from(row)
    else:
        billed = billed_amount(LedgerEntry.__table__, practice_id, invoice_id).subquery()
        paid = paid_amount(Allocation.__table__, practice_id, invoice_id).subquery()
        due = InvoiceTotals(false(), billed.c, paid.c).due
        is_disputed = statements_of(practice_id, client_id).is_disputed(invoice_id).exists()
        joined = row.join(billed, true()).join(paid, true())
        statement = select(account.payable_of(due, is_disputed)).select_from(joined)
    return int((await conn.execute(statement)).scalar_one())


async def open_invoices(
    conn: AsyncConnection, practice_id: str, client_id: str, *, also_disputed: bool
) -> list[AmountDue]:
    """Return the invoices with an amount due, in the order of allocation: by date of issue and then
    by number.
    """
    billed = sums_by_invoice(LedgerEntry, practice_id, client_id)
    paid = sums_by_invoice(Allocation, practice_id, client_id)
    due = billed.c.minor - func.coalesce(paid.c.minor, 0)
    disputed = statements_of(practice_id, client_id).disputed_invoices()
    held = () if also_disputed else (Invoice.id.not_in(disputed),)
    result = await conn.execute(
        select(Invoice.id, due.label("minor"))
        .join(billed, billed.c.invoice_id == Invoice.id)
        .outerjoin(paid, paid.c.invoice_id == Invoice.id)
        .where(
            Invoice.practice_id == practice_id,
            Invoice.client_id == client_id,
            due != 0,
            *held,
        )
        .order_by(Invoice.issued_on, Invoice.serial)
    )
    return [AmountDue(row.id, int(row.minor)) for row in result]


def sums_by_invoice(
    model: type[LedgerEntry] | type[Allocation], practice_id: str, client_id: str
) -> Subquery:
    of_invoice: ColumnElement[bool] = and_(
        model.practice_id == practice_id,
        model.client_id == client_id,
        model.invoice_id.is_not(None),
    )
    return (
        select(model.invoice_id, func.sum(model.amount_minor).label("minor"))
        .where(of_invoice)
        .group_by(model.invoice_id)
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

    A negative invoice is released: it becomes credit. The part of the charge that is left stays
    unused.
    """
    shares = [
        Share(due.invoice_id, due.minor, True) for due in amounts_due.invoices if due.minor < 0
    ]
    credit = max(0, amounts_due.credit_minor) - sum(share.minor for share in shares)
    charge = charged_minor
    for due in amounts_due.invoices:
        of_credit = min(credit, max(0, due.minor))
        of_charge = min(charge, max(0, due.minor) - of_credit)
        credit, charge = credit - of_credit, charge - of_charge
        parts = (Share(due.invoice_id, of_credit, True), Share(due.invoice_id, of_charge, False))
        shares += [share for share in parts if share.minor > 0]
    return shares
