"""Limits of one operation: each limit at its edge, and just beyond."""

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    OperationDefinitionNode,
    get_introspection_query,
    get_operation_ast,
)
from graphql.execution.values import VariableValues

from billing.documents.links import Signer
from execution.executor import Executor
from execution.limits import (
    MAX_ALIASES,
    MAX_CHANGES,
    MAX_COST,
    MAX_DIRECTIVES,
    MAX_FIELDS,
    MAX_LENGTH,
    MAX_LISTS,
    MAX_NESTING,
    MAX_SELECTS,
    Limits,
    too_long,
)
from execution.selected_fields import SelectedDocument
from execution.size import Measure, Size
from graph.schema import schema
from identity.viewer import Viewer
from models import READ_SCOPES, ViewerKind
from models.database import PostgresReads, SqliteReads
from planner.operation import (
    MAX_TOKENS,
    Operation,
    coerce_variables,
    parse_document,
    validate_operation,
)
from planner.sources import MAX_SIZE, ConnectionField, source_of
from resolvers.field_facts import LOOKED_AT, ReadAudit, facts_of, object_fields
from tests.support.demo_server import PROJECT
from tests.support.example_operations import REPORTS, WRITTEN

SCHEMA = schema()._schema
CLIENT = Viewer(
    ViewerKind.CLIENT, "p", "t", "c", "c", READ_SCOPES, "USD", "UTC", dt.datetime.now(dt.UTC)
)


# Fields that read rows of the whole practice.
SCANS = {
    f"{type_.name}.{name}": scan
    for type_, name, field in object_fields(SCHEMA)
    if (scan := facts_of(field).cost.scan)
}


def measured(query: str, **variables: Any) -> Size:
    document, node = operation(query)
    return Measure(SelectedDocument(SCHEMA, document), variables).operation(node)


def refused(query: str, **variables: Any) -> dict[str, int]:
    """Return the limits that the operation exceeds, each with its number."""
    document, node = operation(query)
    refusing = Limits(SCHEMA, at_once).refuse((query, None), document, node, variables, CLIENT)
    errors = asyncio.run(refusing)
    assert all(
        error.extensions and error.extensions["code"] == "LIMIT_EXCEEDED" for error in errors
    )
    return {e.extensions["limit"]: e.extensions["value"] for e in errors if e.extensions}


async def at_once(_: Any, work: Callable[..., Any], *given: Any) -> Any:
    return work(*given)


def operation(query: str) -> tuple[DocumentNode, OperationDefinitionNode]:
    document = parse_document(query)
    assert isinstance(document, DocumentNode), document
    node = get_operation_ast(document)
    assert node is not None
    return document, node


def fields(count: int) -> str:
    return " ".join(["id"] * count)


def test_fields_count_with_fragments_expanded() -> None:
    query = "{ client { ...A ...A } } fragment A on Client { %s }"
    assert refused(query % fields((MAX_FIELDS - 2) // 2)) == {}
    assert refused(query % fields(MAX_FIELDS // 2)) == {"fields": MAX_FIELDS + 1}


def test_lists_may_nest_four_deep() -> None:
    four = "{ clients { nodes { invoices { nodes { payments { allocations { %s } } } } } } }"
    assert measured(four % "amount { amount }").lists == MAX_LISTS
    assert "lists" not in refused(
        four % "amount { amount }",
    )
    deeper = refused(four % "invoice { lines { date } }")
    assert deeper["lists"] == MAX_LISTS + 1


def test_aliases_and_directives_are_limited() -> None:
    many = " ".join(f"a{n}: id" for n in range(MAX_ALIASES + 1))
    assert refused(f"{{ client {{ {many} }} }}") == {"aliases": MAX_ALIASES + 1}
    many = " ".join(["id @skip(if: false)"] * (MAX_DIRECTIVES + 1))
    assert refused(f"{{ client {{ {many} }} }}") == {"directives": MAX_DIRECTIVES + 1}


def test_mutation_fields_are_limited() -> None:
    refresh = 'refreshPayment(input: { paymentId: "pmt_" }) { __typename }'
    changes = [f"a{number}: {refresh}" for number in range(MAX_CHANGES + 1)]
    assert refused(f"mutation {{ {' '.join(changes)} }}") == {"changes": MAX_CHANGES + 1}
    assert refused(f"mutation {{ {' '.join(changes[1:])} }}") == {}


def test_cost_uses_the_page_sizes_after_defaults() -> None:
    """Two pages of n and m cost 1 + n * (2 + m), the objects that a response may have."""
    literal = "{ clients(first: 100) { nodes { invoices(first: 100) { nodes { id } } } } }"
    assert measured(literal).cost == 1 + 100 * (2 + 100)
    inner = "nodes { invoices(last: $m) { nodes { id } } }"
    query = f"query Q($n: Int, $m: Int = 3) {{ clients(first: $n) {{ {inner} }} }}"
    assert measured(query, n=100, m=100).cost == measured(literal).cost
    assert measured(query, n=2).cost == measured(query, n=2, m=3).cost
    assert measured(query, n=None).cost == measured(query, n=25).cost
    assert measured(query).cost == measured(query, n=25).cost
    assert refused(query, n=500, m=100)["cost"] > MAX_COST


def test_sums_over_a_practice_cost_as_much_as_a_long_report() -> None:
    asked = 'revenue(dateRange: {gte: "2026-01-01", lte: "2026-01-31"}) { invoiced { amount } }'
    assert measured(f"{{ practice {{ {asked} }} }}").cost == 1 + 400 * 2
    assert measured("{ practice { aging { total { amount } } } }").cost == 1 + 2 + 400
    for field in (asked, "aging { total { amount } }"):
        many = " ".join(f"a{number}: {field}" for number in range(21))
        assert refused(f"{{ practice {{ {many} }} }}") == {"selects": 2 + 21 * 20}
        within = f"clients(first: 100) {{ nodes {{ practice {{ {field} }} }} }}"
        assert refused(f"{{ {within} }}")["cost"] > MAX_COST


async def test_cached_operation_is_checked_with_each_page_size() -> None:
    inner = "nodes { invoices(first: 100) { nodes { id } } }"
    query = f"query Q($n: Int) {{ clients(first: $n) {{ {inner} }} }}"
    document, node = operation(query)
    limits = Limits(SCHEMA, at_once)
    answers = [
        bool(await limits.refuse((query, None), document, node, {"n": n}, CLIENT))
        for n in (1, 500, 1, 500)
    ]
    assert answers == [False, True, False, True]


@pytest.mark.parametrize("wrong", ["x", True, [3], {"a": 1}, 10**40, -5, 0, 1.5])
def test_invalid_page_size_costs_at_least_one(wrong: Any) -> None:
    query = "query Q($n: Int) { clients(first: $n) { nodes { id } } }"
    assert measured(query, n=wrong).cost >= 1


@pytest.mark.parametrize("given", [500, 500.0])
async def test_page_size_is_coerced_as_graphql_does(given: Any) -> None:
    inner = "nodes { invoices(first: 100) { nodes { id } } }"
    query = f"query Q($n: Int) {{ clients(first: $n) {{ {inner} }} }}"
    assert measured(query, n=given).cost == measured(query.replace("$n)", "500)")).cost
    document, node = operation(query)
    limits = Limits(SCHEMA, at_once)
    for n, is_refused in ((1, False), (given, True), (1.0, False)):
        found = await limits.refuse((query, None), document, node, {"n": n}, CLIENT)
        assert bool(found) is is_refused


def test_ids_are_counted_in_literals_defaults_and_variables() -> None:
    inner = "... on Client { invoices(first: 100) { nodes { payments { id } } } }"

    def literal(ids: str) -> int:
        return measured(f"{{ nodes(ids: {ids}) {{ {inner} }} }}").cost

    def variable(default: str, **given: Any) -> int:
        query = f"query Q($ids: [ID!]! = [{default}]) {{ nodes(ids: $ids) {{ {inner} }} }}"
        return measured(query, **given).cost

    one, fifty = literal('["a"]'), '"a" ' * 50
    assert one == literal('"a"') == variable("", ids="a")
    assert 50 * one == literal(f"[{fifty}]") == variable(fifty) == variable("", ids=["a"] * 50)
    assert variable("", ids=["a"] * 9_000) == 50 * one > MAX_COST


def test_lists_of_the_whole_practice_read_its_rows() -> None:
    names = ("Query.clients", "Practice.invoices", "Practice.payments", "Practice.aging")
    clients, invoices, payments, aging = (SCANS[name].worked_out for name in names)
    counted = "clients(withBalance: false, first: 1) { totalCount }"
    for query, scans in (
        ("{ clients { nodes { id } } }", {"client": LOOKED_AT}),
        (f"{{ {counted} }}", {"client": clients}),
        (f"{{ a: {counted} b: {counted} }}", {"client": 2 * clients}),
        (f"{{ ...A ...A }} fragment A on Query {{ {counted} }}", {"client": 2 * clients}),
        ("{ clients(withBalance: null) { totalCount } }", {"client": LOOKED_AT}),
        ("{ practice { invoices(status: PAID) { totalCount } } }", {"invoice": invoices}),
        ("{ practice { payments { totalCount } } }", {"payment": LOOKED_AT}),
        ("{ practice { payments(status: [FAILED]) { totalCount } } }", {"payment": payments}),
        ("{ practice { aging { total { amount } } } }", {"invoice": aging}),
        (
            "{ clients(first: 7) { nodes { practice { aging { total { amount } } } } } }",
            {"client": LOOKED_AT, "invoice": 7 * aging},
        ),
        ('{ client(id: "a") { invoices(pastDue: true) { totalCount } } }', {}),
    ):
        assert measured(query).scans == pytest.approx(scans), query


def test_null_variable_is_no_filter() -> None:
    def scans(default: str, **given: Any) -> dict[str, float]:
        query = f"query Q($b: Boolean{default}) {{ clients(withBalance: $b) {{ totalCount }} }}"
        return measured(query, **given).scans

    looked_at, worked_out = {"client": LOOKED_AT}, {"client": SCANS["Query.clients"].worked_out}
    assert scans("") == scans("", b=None) == scans(" = true", b=None) == looked_at
    assert scans("", b=False) == scans(" = true") == worked_out


# Arguments that choose a page, and arguments that find rows without an index.
PAGE = {"first", "after", "last", "before", "orderBy"}
LOOKED_FOR = {
    "Query.clients": {"search", "isArchived", "changedSince"},
    "Practice.invoices": {"dateRange", "clinicianId", "changedSince"},
    "Practice.payments": {"dateRange", "status", "changedSince"},
    "Practice.sessions": {"dateRange", "changedSince"},
    "Practice.statements": {"dateRange", "changedSince"},
    "Practice.superbills": {"dateRange", "changedSince"},
    "Practice.receipts": {"dateRange", "changedSince"},
    "Practice.ledger": {"dateRange", "kind"},
    "Practice.revenue": {"dateRange", "groupBy", "clinicianId"},
    "Practice.aging": {"asOf", "clinicianId"},
}


def test_every_practice_wide_list_has_a_weight_for_each_argument() -> None:
    fields = {f"{type_.name}.{name}": field for type_, name, field in object_fields(SCHEMA)}
    long = {
        name
        for name, field in fields.items()
        if isinstance(source := source_of(field), ConnectionField) and source.most > MAX_SIZE
    }
    wide = {n for n, field in fields.items() if facts_of(field).audit is ReadAudit.PRACTICE_WIDE}
    assert long <= SCANS.keys() == wide == LOOKED_FOR.keys()
    for coordinate, found in SCANS.items():
        type_name, _, name = coordinate.partition(".")
        type_: Any = SCHEMA.type_map[type_name]
        assert type_.fields[name].args.keys() - PAGE == found.arguments | LOOKED_FOR[coordinate]


def test_docs_state_the_cost_of_rows() -> None:
    _, _, told = (PROJECT / "docs" / "dashboards.md").read_text().partition("| cost of each row")
    for coordinate, found in SCANS.items():
        name = coordinate.removeprefix("Query.").replace("Practice.", "practice.")
        lines = [line for line in told.splitlines() if line.startswith("|") and name in line]
        assert f"{found.worked_out:g} for each" in lines[0]
        for argument in found.arguments:
            assert f"({argument}: …)" in lines[0]
        type_name, _, field = coordinate.partition(".")
        type_: Any = SCHEMA.type_map[type_name]
        definition = type_.fields[field]
        for told_of in [definition.args[name] for name in found.arguments] or [definition]:
            is_told = f"{found.worked_out:g} for each" in told_of.description
            assert is_told or found.worked_out == LOOKED_AT


def test_introspection_query_of_tools_is_allowed() -> None:
    assert refused(get_introspection_query(input_value_deprecation=True)) == {}


def test_circular_introspection_is_refused() -> None:
    ring = "fields { type { " * 6 + "name" + " } }" * 6
    assert refused(f"{{ __schema {{ types {{ {ring} }} }} }}")


@pytest.mark.parametrize("depth", [10, 100, 300])
def test_doubling_fragments_are_measured_quickly(depth: int) -> None:
    """Each fragment spreads the next twice: 2^depth fields in a document of a few kilobytes."""
    spreads = " ".join(
        f"fragment F{n} on Client {{ a: id ...F{n + 1} ...F{n + 1} }}" for n in range(depth)
    )
    query = f"{{ client {{ ...F0 }} }} {spreads} fragment F{depth} on Client {{ id }}"
    began = time.thread_time()
    assert "fields" in refused(query)
    assert time.thread_time() - began < 5


def test_fragment_is_walked_once_for_objects_of_any_types() -> None:
    """Otherwise a document of types and fragments would be measured in their product."""
    document, node = operation(
        """{ node(id: "a") { ... on Client { ...A } ... on Invoice { ...A ...B } } }
        fragment A on Node { ...B } fragment B on Node { id }"""
    )
    selected = SelectedDocument(SCHEMA, document)
    everything = {one.coordinate for one in selected.operation(node).everything()}
    assert everything == {"Query.node", "Client.id", "Invoice.id"}
    (a,), (b,) = selected.spread["A"].fragments, selected.spread["B"].fields
    assert (a, b.coordinate) == (selected.spread["B"], "Node.id")


def test_circular_fragments_are_left_to_validation() -> None:
    query = "{ client { ...A } } fragment A on Client { ...B } fragment B on Client { id ...A }"
    assert refused(query) == {}


def test_document_has_a_maximum_of_tokens() -> None:
    assert not isinstance(parse_document("{ " + "id " * MAX_TOKENS + "}"), DocumentNode)


def test_document_has_a_maximum_of_characters() -> None:
    assert too_long(" " * MAX_LENGTH) == []
    (error,) = too_long(" " * (MAX_LENGTH + 1))
    assert error.extensions
    assert (error.extensions["code"], error.extensions["limit"]) == ("LIMIT_EXCEEDED", "length")


def test_objects_of_other_rows_may_nest_five_deep() -> None:
    five = "{ viewer { clients { activePayment { receipt { client { %s } } } } } }"
    assert measured(five % "name clinician { name } address { line1 }").nesting == MAX_NESTING
    assert refused(five % "invoices { nodes { id } }") == {"nesting": MAX_NESTING + 1}
    assert refused(five % "canPay { isAllowed }") == {"nesting": MAX_NESTING + 1}
    assert measured("{ nodes(ids: []) { ... on Client { practice { id } } } }").nesting == 3


def test_lists_and_objects_count_the_selects_they_take() -> None:
    histories = " ".join(f"a{n}: accountHistory {{ nodes {{ status }} }}" for n in range(22))
    assert refused(f"{{ client {{ {histories} }} }}") == {"selects": 2 + 22 * (11 + 8)}
    assert MAX_SELECTS < 2 + 22 * (11 + 8)


@pytest.mark.share(4)
@pytest.mark.parametrize("reads", [SqliteReads, PostgresReads], ids=["sqlite", "postgresql"])
@pytest.mark.parametrize("name", WRITTEN | REPORTS)
def test_statement_has_no_more_selects_than_were_counted(name: str, reads: Any) -> None:
    """Apart from filters, and from SQL repeated for each part of an amount."""
    query, variables = (WRITTEN | REPORTS)[name]
    document = parse_document(query)
    assert isinstance(document, DocumentNode)
    node = next(n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    ready = validate_operation(SCHEMA, document, node)
    assert isinstance(ready, Operation)
    variable_values = coerce_variables(SCHEMA, ready, variables)
    assert isinstance(variable_values, VariableValues)
    plan = Executor(schema(), reads, Signer("", "")).compile(ready, variable_values, CLIENT)
    counted = Measure(SelectedDocument(SCHEMA, document), variables).operation(node).selects
    assert plan is None or plan.sql.count("SELECT") <= 1 + 3 * counted


@pytest.mark.parametrize("deep", ["lists", "fragments"])
def test_extreme_nesting_is_refused(deep: str) -> None:
    chain = "".join(f" fragment F{n} on Client {{ ...F{n + 1} }}" for n in range(440))
    query = f"{{ client {{ ...F0 }} }} {chain} fragment F440 on Client {{ id }}"
    document, node = operation(query)
    if deep == "lists":
        assert not isinstance(parse_document("{ client(id: " + "[" * 9_000), DocumentNode)
        return

    def from_deep_inside(levels: int) -> Any:
        if levels:
            return from_deep_inside(levels - 1)
        return asyncio.run(
            Limits(SCHEMA, at_once).refuse((query, None), document, node, {}, CLIENT)
        )

    # Libraries raise Python's default limit, and some leave it so.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    try:
        (error,) = from_deep_inside(500)
    finally:
        sys.setrecursionlimit(limit)
    assert error.extensions["code"] == "LIMIT_EXCEEDED"
