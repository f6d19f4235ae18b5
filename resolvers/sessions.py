"""Sessions of therapy."""

from typing import Any

from sqlalchemy import select

from models import InvoiceLine, Session
from resolvers import invoices
from resolvers.planner.sources import Rows
from resolvers.sight import Sight


def rows(sight: Sight, *where: Any) -> Rows:
    table = sight(Session)
    return Rows(table, [condition(table) for condition in where], (table.c.date, table.c.id))


def named_by(row: Any, sight: Sight) -> Rows:
    """The session that the row names."""
    return rows(sight, lambda table: table.c.id == row.c.session_id)


def invoice_of(session: Any, sight: Sight) -> Rows:
    """The valid invoice that the session stands on, if it is in sight."""
    line = sight.counted(InvoiceLine)
    named = (
        select(line.c.invoice_id)
        .where(
            sight.only(line),
            line.c.session_id == session.c.id,
            ~line.c.is_void,
        )
        .correlate(session)
    )

    return invoices.rows(sight, lambda table: table.c.id == named.scalar_subquery())
