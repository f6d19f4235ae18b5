"""Every statement restricts every table of a practice to the viewer's practice."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Alias,
    BindParameter,
    ColumnClause,
    Select,
    Table,
    exists,
    select,
    true,
)
from sqlalchemy.sql.elements import BinaryExpression

from billing.ledger.invoices import total
from execution import executor
from identity.viewer import Viewer
from models import Client, Practice, Superbill, SuperbillLine, ViewerKind
from planner import plan
from planner.deferred import Deferred
from planner.json_text import Concatenation
from planner.sql_text import json_string
from resolvers import superbills
from resolvers.request_context import RequestContext
from resolvers.visibility import Visibility
from tests.support.comparison import Case, Comparison
from tests.support.example_operations import WRITTEN
from tests.support.practices.random_values import NOW

pytestmark = pytest.mark.twins(1)

WHO = ("USD client 0", "USD contact who sees one", "USD dashboard")
TOTALS = "{ client { superbills { nodes { totalFee { amount } } } } }"


@pytest.fixture
def statements(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> list[Select[Any]]:
    """Record the statements of all plans made from now on."""
    made: list[Select[Any]] = []
    compiled = plan.compile_plan

    def kept(statement: Select[Any], *given: Any) -> Any:
        made.append(statement)
        return compiled(statement, *given)

    comparison.forget()
    monkeypatch.setattr(executor, "compile_plan", kept)
    return made


@pytest.mark.share(4)
@pytest.mark.parametrize("who", WHO)
async def test_every_table_is_restricted_to_the_viewers_practice(
    comparison: Comparison, statements: list[Select[Any]], who: str
) -> None:
    client = comparison.found(Client)[0]["id"]
    for query, variables in WRITTEN.values():
        if who == "USD dashboard":
            query = query.replace("client {", f'client(id: "cli_{client}") {{', 1)
        name = "Page" if "query Page " in query else None
        await comparison.answer(Case(who, query, variables, name))
    assert len(statements) == len(WRITTEN)
    for statement in statements:
        assert not unheld(statement, comparison.viewers[who])


@pytest.mark.parametrize("line", [SuperbillLine.__table__, SuperbillLine.__table__.alias()])
async def test_table_without_a_restriction_is_found(
    comparison: Comparison,
    statements: list[Select[Any]],
    monkeypatch: pytest.MonkeyPatch,
    line: Any,
) -> None:
    def bare(*_: Any) -> Any:
        fee = total(line.c.fee_minor)
        return select(fee.label("fee"), fee.label("paid")).select_from(line)

    monkeypatch.setattr(superbills, "totals", bare)
    await comparison.answer(Case(WHO[0], TOTALS))
    (statement,) = statements
    assert unheld(statement, comparison.viewers[WHO[0]]) == {"superbill_line"}


def unheld(statement: Select[Any], viewer: Viewer) -> set[str]:
    """Return the names of tables that no condition restricts to the viewer's practice."""
    context, held, read = RequestContext(viewer, NOW, {}), set[Any](), set[Any]()
    for element in walked(statement):
        if isinstance(element, Table) or is_table(element):
            read.add(element)
        if isinstance(element, BinaryExpression) and names_practice(element, context):
            held.add(element.left.table)
    assert read
    return {getattr(table, "element", table).name for table in read - held}


def walked(statement: Select[Any]) -> Iterator[Any]:
    """Yield all elements of a statement; a table's alias is one element."""
    waiting: list[Any] = [statement]
    while waiting:
        element = waiting.pop()
        yield element
        if not is_table(element):
            waiting += element.get_children()


def is_table(element: Any) -> bool:
    return isinstance(element, Alias) and isinstance(element.element, Table)


def names_practice(condition: BinaryExpression[Any], context: RequestContext) -> bool:
    column, value = condition.left, condition.right
    if not isinstance(column, ColumnClause) or not isinstance(value, BindParameter):
        return False
    own = getattr(column.table, "element", None) is Practice.__table__
    named = column.name == ("id" if own else "practice_id")
    later = value.value
    return (
        named and isinstance(later, Deferred) and later.read(context) == context.viewer.practice_id
    )


# -- refusals by the planner -----------------------------------------------------------------------


async def test_planner_refuses_a_sum_without_a_restriction(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(superbill: Any, sight: Any) -> Any:
        line = sight(SuperbillLine)
        of_it = line.c.superbill_id == superbill.c.id
        sums = [total(line.c.fee_minor).label(name) for name in ("fee", "paid")]
        return select(*sums).select_from(line).where(of_it).correlate(superbill)

    comparison.forget()
    monkeypatch.setattr(superbills, "totals", forgetful)
    with pytest.raises(AssertionError, match="read without its predicate"):
        await comparison.answer(Case(WHO[0], TOTALS))


# Statements that read an unrestricted table in another way each: `line` beside the table `item`.
UNRESTRICTED: dict[str, Callable[[Any, Any], Any]] = {
    "the only table": lambda line, item: select(line.c.superbill_id),
    "a join": lambda line, item: select(item.c.id).join(line, line.c.superbill_id == item.c.id),
    "an outer join": lambda line, item: select(item.c.id).select_from(
        item.outerjoin(line, line.c.superbill_id == item.c.id)
    ),
    "a column": lambda line, item: select(item.c.id, line.c.superbill_id),
    "a condition": lambda line, item: select(item.c.id).where(line.c.superbill_id == item.c.id),
    "an exists": lambda line, item: select(item.c.id).where(exists(select(line.c.superbill_id))),
    "a list of ids": lambda line, item: select(item.c.id).where(
        item.c.id.in_(select(line.c.superbill_id))
    ),
    "a subquery's value": lambda line, item: select(select(line.c.superbill_id).scalar_subquery()),
    "a subquery": lambda line, item: select(select(line.c.superbill_id).subquery()),
    "a lateral join": lambda line, item: select(item.c.id).join(
        select(line.c.superbill_id).where(line.c.superbill_id == item.c.id).lateral(), true()
    ),
    "an order": lambda line, item: select(item.c.id).order_by(
        select(line.c.superbill_id).scalar_subquery()
    ),
    "the text of an object": lambda line, item: select(
        Concatenation(["{", json_string(select(line.c.superbill_id).scalar_subquery()), "}"])
    ),
}


@pytest.mark.parametrize("way", UNRESTRICTED)
def test_statement_with_an_unrestricted_table_is_found(way: str) -> None:
    visible = Visibility(ViewerKind.DASHBOARD, digits=2, lateral=True)
    line, item = visible(SuperbillLine), visible(Superbill)
    statement = UNRESTRICTED[way](line, item)
    visible.predicate_for(item)
    with pytest.raises(AssertionError, match="read without its predicate"):
        visible.check(statement)
    visible.predicate_for(line)
    visible.check(statement)


def test_table_outside_the_statement_needs_no_predicate() -> None:
    visible = Visibility(ViewerKind.DASHBOARD, digits=2, lateral=True)
    line, item = visible(SuperbillLine), visible(Superbill)
    visible.predicate_for(item)
    visible.check(select(item.c.id))
    with pytest.raises(AssertionError, match="superbill_line"):
        visible.check(select(item.c.id).where(exists(select(line.c.superbill_id))))
