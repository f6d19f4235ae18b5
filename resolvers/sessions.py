"""Therapy sessions."""

from typing import Any, Protocol

from sqlalchemy import SQLColumnExpression, select

from models import InvoiceLine, Session
from models.row import ID
from planner.deferred import MaybeDeferred
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers import invoices
from resolvers.changed_since import since
from resolvers.filters import DateRange, within_dates
from resolvers.visibility import Visibility


class NamesSession(Protocol):
    """The columns of a row that refers to a session."""

    session_id: SQLColumnExpression[Any]


def rows(visible: Visibility, *where: Condition[Session]) -> Rows:
    """Return visible sessions, newest first."""
    table = visible(Session)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.date, table.c.id), True, "session")


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    return rows(
        visible,
        lambda table: within_dates(table.c.date, date_range),
        lambda table: since(table.c.version, changed_since),
    )


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the session that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("session_id", ID))


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
