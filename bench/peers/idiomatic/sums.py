"""Statements over the ledger: amounts paid and due, the terms of an account, the revenue.

Each is built once and takes its values as parameters, since building takes longer than running.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    Select,
    and_,
    any_,
    bindparam,
    exists,
    func,
    select,
    true,
    union_all,
)

from bench.peers.idiomatic.sight import PRACTICE_ID
from billing.ledger.balance import Account, AccountStatements
from billing.ledger.invoices import billed_amount, paid_amount, total
from billing.ledger.receivables import allocated_amounts, invoiced_amounts
from billing.ledger.revenue import FLOWS, of_ledger
from models import (
    ACTIVE_STATES,
    Allocation,
    Client,
    Dispute,
    DisputeState,
    EntryKind,
    Invoice,
    LedgerEntry,
    Payment,
    Practice,
    SuperbillLine,
)
from models.literals import constant
from models.row import ID

# An array is one parameter, so the statement is the same for any number of ids.
IDS = any_(bindparam("ids", type_=ARRAY(ID)))
DAYS = bindparam("days", type_=ARRAY(Date))
FIRST_DAY, LAST_DAY = bindparam("first_day", type_=Date), bindparam("last_day", type_=Date)
LEDGER, ALLOCATION = LedgerEntry.__table__, Allocation.__table__

STANDINGS = select(
    Invoice.id,
    Invoice.is_void,
    billed_amount(LEDGER, Invoice.practice_id, Invoice.id).scalar_subquery(),
    paid_amount(ALLOCATION, Invoice.practice_id, Invoice.id).scalar_subquery(),
).where(Invoice.practice_id == PRACTICE_ID, Invoice.id == IDS)

REFUNDED = (
    select(LedgerEntry.payment_id, total(LEDGER.c.amount_minor))
    .where(
        LedgerEntry.practice_id == PRACTICE_ID,
        LedgerEntry.payment_id == IDS,
        LedgerEntry.kind == EntryKind.REFUND,
    )
    .group_by(LedgerEntry.payment_id)
)

# Whether a dispute of a payment is open; without a row each one was won, or there is none.
DISPUTED = (
    select(Dispute.payment_id, func.bool_or(Dispute.state == DisputeState.OPEN))
    .where(
        Dispute.practice_id == PRACTICE_ID,
        Dispute.payment_id == IDS,
        Dispute.state != DisputeState.WON,
    )
    .group_by(Dispute.payment_id)
)

FEES = (
    select(SuperbillLine.superbill_id, total(SuperbillLine.__table__.c.fee_minor))
    .where(SuperbillLine.practice_id == PRACTICE_ID, SuperbillLine.superbill_id == IDS)
    .group_by(SuperbillLine.superbill_id)
)


# -- accounts --------------------------------------------------------------------------------------


def accounts() -> Select[*tuple[Any, ...]]:
    """Return the accounts of some clients: the balance, the payable amount, reasons against paying,
    and the terms.
    """
    statements = AccountStatements(
        lambda model: model.__table__.alias(), lambda _: true(), Client.practice_id, Client.id
    )
    sums = [statement().correlate(Client).lateral() for statement in statements.sums()]
    account = Account(*(each.c for each in sums))
    in_progress = exists().where(
        Payment.practice_id == Client.practice_id,
        Payment.client_id == Client.id,
        Payment.state.in_([constant(state) for state in ACTIVE_STATES]),
    )
    why_not = account.reason_not_to_pay(
        online=Practice.stripe_account.is_not(None),
        may_pay=bindparam("may_pay"),
        in_progress=in_progress.correlate(Client),
        smallest=bindparam("smallest", type_=BigInteger()),
    )
    terms = [minor.label(kind.value) for kind, minor in account.terms]
    statement = (
        select(
            Client.id,
            account.balance.label("balance"),
            account.payable.label("payable"),
            why_not.label("why_not_pay"),
            *terms,
        )
        .select_from(Client)
        .join(Practice, Practice.id == Client.practice_id)
    )
    for each in sums:
        statement = statement.join(each, true())
    return statement.where(Client.practice_id == PRACTICE_ID, Client.id == IDS)


ACCOUNTS = accounts()


# -- revenue ---------------------------------------------------------------------------------------


def flows() -> Select[*tuple[Any, ...]]:
    """Return the practice's flows between two days, by the periods that begin on `days`."""
    period = func.width_bucket(LEDGER.c.date, DAYS).label("period")
    in_range = LEDGER.c.date.between(FIRST_DAY, LAST_DAY)
    sums = of_ledger(LEDGER)
    return (
        select(period, *(total(sums[name]).label(name) for name in FLOWS))
        .where(LEDGER.c.practice_id == PRACTICE_ID, in_range)
        .group_by(period)
    )


def dues() -> Select[*tuple[Any, ...]]:
    """Return the change of the amount due since each day in `days`, which are in order; 0: before
    all.
    """
    entry, allocation = LEDGER.alias(), ALLOCATION.alias()
    moved = union_all(
        *(
            of_practice(*each)
            for each in ((entry, invoiced_amounts), (allocation, allocated_amounts))
        )
    )
    rows = moved.subquery()
    since = func.width_bucket(rows.c.date, DAYS).label("since")
    return select(since, total(rows.c.minor)).where(rows.c.date <= LAST_DAY).group_by(since)


def of_practice(row: Any, moved: Any) -> Select[*tuple[Any, ...]]:
    invoice = Invoice.__table__.alias()
    statement: Select[*tuple[Any, ...]] = moved(row, invoice)
    return statement.where(
        and_(row.c.practice_id == PRACTICE_ID, invoice.c.practice_id == PRACTICE_ID)
    )


FLOWING, DUES = flows(), dues()
