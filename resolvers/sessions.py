"""Therapy sessions."""

from typing import Any, Protocol

from sqlalchemy import SQLColumnExpression, select

from models import InvoiceLine, Session
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers import invoices
from resolvers.visibility import Visibility


class NamesSession(Protocol):
    """The columns of a row that refers to a session."""

    session_id: SQLColumnExpression[Any]


def rows(visible: Visibility, *where: Condition[Session]) -> Rows:
    table = visible(Session)
    return Rows(table, [condition(table) for condition in where], (table.c.date, table.c.id))


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the session that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.id("session_id"))


def named_by(row: RowOf[NamesSession], visible: Visibility) -> Rows:
    """Return the session that the row refers to."""
    return rows(visible, lambda table: table.c.id == row.c.session_id)


def invoice_of(session: TableAlias[Session], visible: Visibility) -> Rows:
    """Return the valid invoice with the session, if it is visible."""
    line = visible.for_totals(InvoiceLine)
    named = (
        select(line.c.invoice_id)
        .where(
            visible.predicate_for(line),
            line.c.session_id == session.c.id,
            ~line.c.is_void,
        )
        .correlate(session)
    )

    return invoices.rows(visible, lambda table: table.c.id == named.scalar_subquery())
