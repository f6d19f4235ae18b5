"""Amounts due of a client's invoices, and the allocation of a payment to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    false,
    func,
    select,
    true,
)
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


async def owed(
    conn: AsyncConnection, practice_id: str, client_id: str, *, also_disputed: bool = False
) -> AmountsDue:
    """Return a client's dues, as this transaction sees them. The caller has locked the client's
    row.

    Disputed invoices are left out by default, since the bank may still return the money.
    """
    values = {"practice_id": practice_id, "client_id": client_id}
    rows = await conn.execute(select_open_invoices(also_disputed=also_disputed), values)
    invoices = [AmountDue(row.id, int(row.minor)) for row in rows]
    credit = (await conn.execute(select_unallocated_funds(), values)).scalar_one()
    return AmountsDue(invoices, int(credit))


async def payable_amount(
    conn: AsyncConnection, practice_id: str, client_id: str, invoice_id: str | None
) -> int:
    """Return the charge of Pay Now for one invoice, or for the balance without an id."""
    values = {"practice_id": practice_id, "client_id": client_id}
    if invoice_id is None:
        result = await conn.execute(select_payable_balance(), values)
    else:
        result = await conn.execute(select_payable_invoice(), values | {"invoice_id": invoice_id})
    return int(result.scalar_one())


# -- statements ------------------------------------------------------------------------------------

# Each statement is built once, since that takes longer than to execute it.
PRACTICE_ID: BindParameter[str] = bindparam("practice_id")
CLIENT_ID: BindParameter[str] = bindparam("client_id")
INVOICE_ID: BindParameter[str] = bindparam("invoice_id")
# The statements of a client's account over all rows, for a write.
ACCOUNT = AccountStatements(
    lambda model: model.__table__.alias(), lambda _: true(), PRACTICE_ID, CLIENT_ID
)


@cache
def select_unallocated_funds() -> Select[int]:
    account, row = account_of_client()
    return select(account.credit).select_from(row)


@cache
def select_payable_balance() -> Select[int]:
    account, row = account_of_client()
    return select(account.payable).select_from(row)


@cache
def select_payable_invoice() -> Select[int]:
    account, row = account_of_client()
    billed = billed_amount(LedgerEntry.__table__, PRACTICE_ID, INVOICE_ID).subquery()
    paid = paid_amount(Allocation.__table__, PRACTICE_ID, INVOICE_ID).subquery()
    due = InvoiceTotals(false(), billed.c, paid.c).due
    is_disputed = ACCOUNT.is_disputed(INVOICE_ID).exists()
    joined = row.join(billed, true()).join(paid, true())
    return select(account.payable_of(due, is_disputed)).select_from(joined)


@cache
def select_open_invoices(*, also_disputed: bool) -> Select[str, int]:
    """Select the invoices with an amount due, in the order of allocation: by date of issue and then
    by number.
    """
    billed, paid = sums_by_invoice(LedgerEntry), sums_by_invoice(Allocation)
    due = billed.c.minor - func.coalesce(paid.c.minor, 0)
    held = () if also_disputed else (Invoice.id.not_in(ACCOUNT.disputed_invoices()),)
    return (
        select(Invoice.id, due.label("minor"))
        .join(billed, billed.c.invoice_id == Invoice.id)
        .outerjoin(paid, paid.c.invoice_id == Invoice.id)
        .where(
            Invoice.practice_id == PRACTICE_ID,
            Invoice.client_id == CLIENT_ID,
            due != 0,
            *held,
        )
        .order_by(Invoice.issued_on, Invoice.serial)
    )


BUILT_ONCE = (
    select_unallocated_funds,
    select_payable_balance,
    select_payable_invoice,
    select_open_invoices,
)


def account_of_client() -> tuple[Account, FromClause]:
    """Return a client's account, and the row that it is computed from."""
    sums = [statement().subquery() for statement in ACCOUNT.sums()]
    row: FromClause = sums[0]
    for each in sums[1:]:
        row = row.join(each, true())
    return Account(*(each.c for each in sums)), row


def sums_by_invoice(model: type[LedgerEntry] | type[Allocation]) -> Subquery:
    of_invoice: ColumnElement[bool] = and_(
        model.practice_id == PRACTICE_ID,
        model.client_id == CLIENT_ID,
        model.invoice_id.is_not(None),
    )
    return (
        select(model.invoice_id, func.sum(model.amount_minor).label("minor"))
        .where(of_invoice)
        .group_by(model.invoice_id)
        .subquery()
    )


# -- allocation ------------------------------------------------------------------------------------


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
