"""The writer of states: of payments, refunds, disputes and card forms.

No other code assigns a state. `models/states.py` has the tables of transitions, which are asserted
here at every write; the database's triggers refuse whatever would pass by this module.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import (
    TRANSITIONS,
    CardSetup,
    Dispute,
    DisputeState,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    SetupState,
    State,
)

ROWS: Mapping[type, Any] = {
    PaymentState: Payment,
    RefundState: Refund,
    DisputeState: Dispute,
    SetupState: CardSetup,
}


class ForbiddenTransition(Exception):
    """The table has no such transition: a fault of the caller, and nothing was written."""


class StateChanged(Exception):
    """The row's state is not the expected one any more. The transaction has to be rolled back."""


def first(state: State) -> dict[str, State]:
    """Return the state's column for a new row."""
    if state not in TRANSITIONS[type(state)].first:
        raise ForbiddenTransition(f"no new {TRANSITIONS[type(state)].table} is {state}")
    return {"state": state}


def allowed(before: State, after: State) -> bool:
    """Return whether a row may go from one state to another."""
    return TRANSITIONS[type(before)].allow(before, after)


def is_final(state: State) -> bool:
    """Return whether no other state follows."""
    return TRANSITIONS[type(state)].is_final(state)


async def change(
    conn: AsyncConnection,
    where: Iterable[ColumnElement[bool]],
    before: State,
    after: State,
    now: dt.datetime,
    **values: Any,
) -> bool:
    """Change the state of a row, or of all rows that fulfil the conditions, and other columns.

    Rows in another state than `before` stay as they are. Return whether any row was changed. Raise
    ForbiddenTransition if the table has no such transition.
    """
    if not allowed(before, after):
        raise ForbiddenTransition(f"no transition from {before} to {after}")
    row = ROWS[type(before)]
    statement = update(row).where(*where, row.state == before)
    result = await conn.execute(statement.values(values | {"state": after, "changed_at": now}))
    return bool(result.rowcount)
