"""The states of rows that events are derived from: a change is the difference of two states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from billing.ledger.invoices import InvoiceTotals, billed_amount, paid_amount, total
from models import (
    Allocation,
    Client,
    EntryKind,
    EventKind,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentState,
    Session,
    Statement,
    Superbill,
)

# A state as text, for comparison with the next one.
State = str


@dataclass(frozen=True)
class RowStates:
    """The states of a table's rows.

    `columns` are read of each row of a practice, `state_of` makes its state of them, and
    `kinds_of` names the events of a change from a state. A row that is new has `created`, and
    `updated` is the event of a change that `kinds_of` has no name for.
    """

    table: Any
    prefix: str
    created: EventKind
    updated: EventKind
    columns: Callable[[str], Sequence[ColumnElement[Any]]] = lambda practice_id: ()
    state_of: Callable[..., State] = lambda: ""
    kinds_of: Callable[[State | None, State], Sequence[EventKind]] = lambda before, after: ()

    def events(self, before: State | None, after: State) -> Sequence[EventKind]:
        """Return the events of a change, at least one. A new row has no state before."""
        kinds = self.kinds_of(before, after)
        if before is None:
            return [self.created, *kinds]
        return kinds or [self.updated]


# -- invoices --------------------------------------------------------------------------------------

OPEN, PAID, VOID = "OPEN", "PAID", "VOID"


def invoice_columns(practice_id: str) -> Sequence[ColumnElement[Any]]:
    own = practice_id, Invoice.id
    billed = billed_amount(LedgerEntry.__table__, *own)
    paid = paid_amount(Allocation.__table__, *own)
    sums = (one.correlate(Invoice.__table__).scalar_subquery() for one in (billed, paid))
    return (Invoice.is_void.expression, *sums)


def invoice_state(is_void: bool, billed: int, paid: int) -> State:
    # The ledger's expressions are operators alone: integers can take the place of columns.
    sums: Any = {"total": billed}, {"total": paid}
    totals: Any = InvoiceTotals(is_void, *sums)
    return VOID if is_void else OPEN if totals.due > 0 else PAID


def invoice_kinds(before: State | None, after: State) -> Sequence[EventKind]:
    if after == (before or OPEN):
        return ()
    by_state = {
        OPEN: EventKind.INVOICE_REOPENED,
        PAID: EventKind.INVOICE_PAID,
        VOID: EventKind.INVOICE_VOIDED,
    }
    return [by_state[after]]


# -- payments --------------------------------------------------------------------------------------

ENDS = {
    PaymentState.SUCCEEDED: EventKind.PAYMENT_SUCCEEDED,
    PaymentState.FAILED: EventKind.PAYMENT_FAILED,
    PaymentState.CANCELED: EventKind.PAYMENT_CANCELED,
}


def payment_columns(practice_id: str) -> Sequence[ColumnElement[Any]]:
    def taken(kind: EntryKind) -> ColumnElement[Any]:
        statement = select(total(LedgerEntry.amount_minor)).where(
            LedgerEntry.practice_id == practice_id,
            LedgerEntry.payment_id == Payment.id,
            LedgerEntry.kind == kind,
        )
        return statement.correlate(Payment.__table__).scalar_subquery()

    return Payment.state.expression, taken(EntryKind.REFUND), taken(EntryKind.DISPUTE)


def payment_state(state: PaymentState, refunded: int, disputed: int) -> State:
    return f"{state} {refunded} {disputed}"


def payment_kinds(before: State | None, after: State) -> Sequence[EventKind]:
    state, *taken = after.split()
    former, *taken_before = (before or "NONE 0 0").split()
    kinds = [kind for end, kind in ENDS.items() if end == state != former]
    for kind, now, then in zip(
        (EventKind.PAYMENT_REFUNDED, EventKind.PAYMENT_DISPUTED), taken, taken_before, strict=True
    ):
        if int(now) > int(then):
            kinds.append(kind)
    return kinds


# In the order of events of a version.
ROW_STATES: tuple[RowStates, ...] = (
    RowStates(Client, "cli", EventKind.CLIENT_CREATED, EventKind.CLIENT_UPDATED),
    RowStates(Session, "ses", EventKind.SESSION_CREATED, EventKind.SESSION_UPDATED),
    RowStates(
        Payment,
        "pmt",
        EventKind.PAYMENT_CREATED,
        EventKind.PAYMENT_UPDATED,
        payment_columns,
        payment_state,
        payment_kinds,
    ),
    RowStates(
        Invoice,
        "inv",
        EventKind.INVOICE_ISSUED,
        EventKind.INVOICE_UPDATED,
        invoice_columns,
        invoice_state,
        invoice_kinds,
    ),
    RowStates(Statement, "stm", EventKind.STATEMENT_ISSUED, EventKind.STATEMENT_UPDATED),
    RowStates(Superbill, "sbl", EventKind.SUPERBILL_ISSUED, EventKind.SUPERBILL_UPDATED),
)
