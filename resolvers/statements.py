"""Statements, and helpers shared by all frozen documents."""

from sqlalchemy import ColumnElement

from models import Client, Invoice, Letterhead, Statement, StatementLine, Superbill
from models.row import ID
from planner.deferred import MaybeDeferred
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.changed_since import since
from resolvers.clients import of_visible_client
from resolvers.filters import DateRange, overlapping
from resolvers.visibility import Visibility


def rows(visible: Visibility, *where: Condition[Statement]) -> Rows:
    """Return visible statements, newest first."""
    table = visible(Statement)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.issued_on, table.c.serial), True, "statement")


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the statement that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("statement_id", ID))


def statements(
    client: RowOf[Client], visible: Visibility, date_range: DateRange | None = None
) -> Rows:
    return rows(
        visible,
        lambda table: of_visible_client(table.c.client_id, client, visible),
        lambda table: in_period(table, date_range),
    )


def of_practice(
    _: object,
    visible: Visibility,
    date_range: DateRange | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    return rows(
        visible,
        lambda table: in_period(table, date_range),
        lambda table: since(table.c.version, changed_since),
    )


def statement_lines(statement: RowOf[Statement], visible: Visibility) -> Rows:
    """Return the lines of a statement, in printed order."""
    line = visible(StatementLine)
    return Rows(line, [line.c.statement_id == statement.c.id], (line.c.position,))


def in_period(
    table: TableAlias[Statement | Superbill], date_range: DateRange | None
) -> ColumnElement[bool]:
    return overlapping(table.c.period_start, table.c.period_end, date_range)


def issuer(document: RowOf[Invoice | Statement | Superbill], visible: Visibility) -> Rows:
    """Return the issuer of a document."""
    table = visible(Letterhead)
    return Rows(table, [table.c.id == document.c.letterhead_id])
