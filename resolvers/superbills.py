"""Superbills, their lines, their totals, and the information that they lack."""

from typing import cast

from sqlalchemy import ColumnElement, SQLColumnExpression, exists, select, union_all

from billing.ledger.invoices import total
from billing.superbills import head_gaps, line_gaps, rendering_gap
from models import Client, Letterhead, Superbill, SuperbillDiagnosis, SuperbillLine
from models.row import ID
from planner.deferred import MaybeDeferred
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.changed_since import since
from resolvers.clients import of_visible_client
from resolvers.filters import DateRange
from resolvers.statements import in_period
from resolvers.visibility import AnySelect, Visibility


class SuperbillRow:
    """A superbill, with its totals if a field needs them."""

    def __init__(self, table: TableAlias[Superbill], visible: Visibility) -> None:
        self.c, self.table, self.visible = table.c, table, visible
        self.totals = visible.subquery(lambda: totals(table, visible))
        self.subqueries = (self.totals,)

    @property
    def is_complete(self) -> ColumnElement[bool]:
        return ~exists(select(gaps_of(self.table, self.visible).c.rank).correlate(self.table))


def rows(visible: Visibility, *where: Condition[Superbill]) -> Rows:
    """Return visible superbills, newest first."""
    table = visible(Superbill)
    row = SuperbillRow(table, visible)
    conditions = [condition(table) for condition in where]
    order = (table.c.issued_on, table.c.serial)
    return Rows(table, conditions, order, True, "superbill", row, row.subqueries)


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the superbill that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("superbill_id", ID))


def of_client(
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


def superbill_lines(superbill: SuperbillRow, visible: Visibility) -> Rows:
    """Return the lines of a superbill, in printed order."""
    line = visible(SuperbillLine)
    return Rows(line, [of_superbill(line, superbill)], (line.c.position,))


def rendering_provider(superbill: SuperbillRow, visible: Visibility) -> Rows:
    """Return the provider that held the visits, if another one bills them."""
    table = visible(Letterhead)
    return Rows(table, [table.c.id == superbill.c.rendering_letterhead_id])


def diagnoses(superbill: SuperbillRow, visible: Visibility) -> Rows:
    diagnosis = visible(SuperbillDiagnosis)
    return Rows(diagnosis, [of_superbill(diagnosis, superbill)], (diagnosis.c.position,))


def totals(superbill: TableAlias[Superbill], visible: Visibility) -> AnySelect:
    line = visible(SuperbillLine)
    return (
        select(total(line.c.fee_minor).label("fee"), total(line.c.paid_minor).label("paid"))
        .select_from(line)
        .where(visible.predicate_for(line), of_superbill(line, superbill))
        .correlate(superbill)
    )


def gaps(superbill: SuperbillRow, visible: Visibility) -> Rows:
    """Return the missing information: first that of the header, then line by line."""
    found = gaps_of(superbill.table, visible)
    return Rows(found, [], (found.c.rank, found.c.line))


class Gap:
    """The columns of missing information."""

    rank: SQLColumnExpression[int]
    line: SQLColumnExpression[int | None]
    code: SQLColumnExpression[str]
    message: SQLColumnExpression[str]


def gaps_of(superbill: TableAlias[Superbill], visible: Visibility) -> TableAlias[Gap]:
    letterhead, line = visible(Letterhead), visible(SuperbillLine)
    diagnosis = visible(SuperbillDiagnosis)
    printed = letterhead.c.id == superbill.c.letterhead_id
    has_diagnosis = (
        exists()
        .where(visible.predicate_for(diagnosis), of_superbill(diagnosis, superbill))
        .correlate(superbill)
    )
    of_head = [
        statement.select_from(letterhead)
        .where(visible.predicate_for(letterhead), printed)
        .correlate(superbill)
        for statement in head_gaps(superbill, letterhead, has_diagnosis)
    ]
    rendering = visible(Letterhead)
    of_head.append(
        rendering_gap(rendering)
        .select_from(rendering)
        .where(
            visible.predicate_for(rendering),
            rendering.c.id == superbill.c.rendering_letterhead_id,
        )
        .correlate(superbill)
    )
    of_lines = [
        statement.where(visible.predicate_for(line), of_superbill(line, superbill)).correlate(
            superbill
        )
        for statement in line_gaps(line)
    ]
    return cast("TableAlias[Gap]", union_all(*of_head, *of_lines).subquery())


def of_superbill(
    part: RowOf[SuperbillLine | SuperbillDiagnosis], superbill: RowOf[Superbill]
) -> ColumnElement[bool]:
    return part.c.superbill_id == superbill.c.id
