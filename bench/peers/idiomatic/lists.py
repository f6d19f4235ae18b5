"""Statements of the lists, each built once per kind of viewer."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
)

from bench.peers.idiomatic.sight import PRACTICE_ID, seen
from bench.peers.idiomatic.sums import FIRST_DAY, LAST_DAY
from billing.ledger.history import HistoryStatus
from models import (
    ACTIVE_STATES,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    Session,
    Statement,
    Superbill,
    ViewerKind,
)
from models.literals import constant
from models.row import ID

CLIENT_ID = bindparam("client_id", type_=ID)
SIZE = bindparam("size", type_=BigInteger)


@dataclass(frozen=True)
class Listed:
    """A list: the statement of a page, that of the count, and the order of its cursors.

    Its rows are columns, or objects of a mapped class.
    """

    page: Select[*tuple[Any, ...]]
    count: Select[int]
    order: tuple[str, ...]
    is_of_columns: bool


def listed(rows: Select[*tuple[Any, ...]], source: Any, *order: str) -> Listed:
    """Return a list, the newest first; `order` is its name and the source's columns to sort by."""
    count = select(func.count()).select_from(rows.subquery())
    keys = [getattr(source, key).desc() for key in order[1:]]
    is_of_columns = not isinstance(source, type)
    return Listed(rows.order_by(*keys).limit(SIZE), count, order, is_of_columns)


@cache
def documents(model: Any, name: str, kind: ViewerKind) -> Listed:
    """Return a client's statements or superbills."""
    rows = select(model).where(*seen(model, kind), model.client_id == CLIENT_ID)
    return listed(rows, model, name, "issued_on", "serial")


@cache
def invoices(kind: ViewerKind, *, of_client: bool) -> Listed:
    """Return a client's invoices, or the practice's, of some days."""
    rows = select(Invoice).where(*seen(Invoice, kind), issued())
    if of_client:
        rows = rows.where(Invoice.client_id == CLIENT_ID)
    return listed(rows, Invoice, "invoice-issued", "issued_on", "serial")


def issued() -> ColumnElement[bool]:
    return Invoice.issued_on.between(FIRST_DAY, LAST_DAY)


@cache
def cards(kind: ViewerKind) -> Select[Any]:
    """Return the cards on file: the default first, then the newest."""
    return (
        select(PaymentMethod)
        .where(
            *seen(PaymentMethod, kind),
            PaymentMethod.client_id == CLIENT_ID,
            PaymentMethod.removed_at.is_(None),
        )
        .order_by(
            PaymentMethod.is_default.desc(), PaymentMethod.added_at.desc(), PaymentMethod.id.desc()
        )
    )


# -- the account history ---------------------------------------------------------------------------


def branch(model: Any, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Return one kind of entry, in the common columns."""
    names = "id date kind description status amount_minor change invoice_id payment_id".split()
    named = [column.label(name) for name, column in zip(names, columns, strict=True)]
    return select(*named).where(model.practice_id == PRACTICE_ID, model.client_id == CLIENT_ID)


def movements() -> Select[*tuple[Any, ...]]:
    return branch(
        LedgerEntry,
        LedgerEntry.id,
        LedgerEntry.posted_on,
        cast(LedgerEntry.kind, Text),
        LedgerEntry.description,
        cast(null(), Text),
        LedgerEntry.amount_minor,
        LedgerEntry.amount_minor,
        LedgerEntry.invoice_id,
        LedgerEntry.payment_id,
    )


def uninvoiced() -> Select[*tuple[Any, ...]]:
    """Return sessions that are on no valid invoice."""
    is_invoiced = exists().where(
        InvoiceLine.practice_id == Session.practice_id,
        InvoiceLine.session_id == Session.id,
        ~InvoiceLine.is_void,
    )
    return branch(
        Session,
        Session.id,
        Session.date,
        literal(EntryKind.SESSION.value),
        Session.description,
        literal(HistoryStatus.UNINVOICED.value),
        Session.fee_minor,
        literal(0, BigInteger),
        cast(null(), ID),
        cast(null(), ID),
    ).where(~is_invoiced)


def unsettled() -> Select[*tuple[Any, ...]]:
    """Return payments that moved nothing, or nothing yet."""
    status = case(
        (Payment.state == PaymentState.FAILED, HistoryStatus.FAILED.value),
        else_=HistoryStatus.PENDING.value,
    )
    return branch(
        Payment,
        Payment.id,
        Payment.created_on,
        literal(EntryKind.PAYMENT.value),
        literal("Payment"),
        status,
        -Payment.amount_minor,
        literal(0, BigInteger),
        cast(null(), ID),
        Payment.id,
    ).where(Payment.state.in_([constant(state) for state in (*ACTIVE_STATES, PaymentState.FAILED)]))


def history() -> Listed:
    """Return all entries of a client's balance, sessions not yet invoiced, and
    unsettled payments.
    """
    entries = union_all(movements(), uninvoiced(), unsettled()).subquery()
    so_far = func.sum(entries.c.change).over(order_by=(entries.c.date, entries.c.id))
    after = select(entries, cast(so_far, BigInteger).label("balance_after_minor")).subquery()
    rows = select(after).where(after.c.date.between(FIRST_DAY, LAST_DAY))
    return listed(rows, after.c, "history", "date", "id")


HISTORY = history()
STATEMENTS, SUPERBILLS = (Statement, "statement"), (Superbill, "superbill")
