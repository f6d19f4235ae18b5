"""The plan trees of the written operations are those of the snapshots."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues

from execution.executor import tree_builder
from planner.operation import Operation, coerce_variables, parse_document, validate_operation
from planner.tree import ConnectionPlan, ObjectPlan, PageUse
from planner.tree_text import objects_of
from tests.support.plan_trees import FOLDERS, SCHEMA, SNAPSHOTS, snapshot


@pytest.mark.parametrize("name", FOLDERS)
def test_trees_are_those_of_the_snapshot(name: str) -> None:
    """`make trees` writes the snapshots again."""
    assert snapshot(FOLDERS[name]) == (SNAPSHOTS / name).read_text()


@pytest.mark.parametrize(
    ("arguments", "selected", "expected"),
    [
        ("", "totalCount", PageUse(False, False, False, None)),
        ("", "__typename pageInfo { __typename }", PageUse(False, False, False, None)),
        ("", "nodes { id }", PageUse(True, False, False, "nodes")),
        ("last: 2", "a: edges { cursor } nodes { id }", PageUse(True, False, True, "a")),
        ("", "pageInfo { hasNextPage }", PageUse(True, True, True, None)),
        ("", "pageInfo { hasPreviousPage }", PageUse(False, True, True, None)),
        ("last: 2", "p: pageInfo { hasNextPage }", PageUse(False, True, True, None)),
        ("last: 2", "pageInfo { ... { hasPreviousPage } }", PageUse(True, True, True, None)),
        ("", "pageInfo { endCursor @skip(if: true) } nodes { id }",
         PageUse(True, False, False, "nodes")),
    ],
)  # fmt: skip
def test_page_reads_what_is_selected(arguments: str, selected: str, expected: PageUse) -> None:
    given = f"({arguments})" if arguments else ""
    tree = built(f"{{ client {{ invoices{given} {{ {selected} }} }} }}")
    (page,) = pages(tree)
    assert page.use == expected


def test_tree_depends_on_the_document_and_variables_alone() -> None:
    """Two trees of a document are equal values: no source was called for them."""
    query = (
        "query ($size: Int, $ids: [ID!]!) { client { ...C } nodes(ids: $ids) { id ... on Invoice"
        " { number } } } fragment C on Client { name invoices(first: $size) { nodes { total"
        " { amount } } pageInfo { endCursor } } }"
    )
    given = {"size": 2, "ids": ["inv_none"]}
    operation = validated(query)
    assert built(query, given, operation) == built(query, given, operation)
    assert built(query, given, operation) != built(query, given | {"size": 3}, operation)


def validated(query: str) -> Operation:
    document = parse_document(query)
    assert isinstance(document, DocumentNode)
    node = document.definitions[0]
    assert isinstance(node, OperationDefinitionNode)
    operation = validate_operation(SCHEMA._schema, document, node)
    assert isinstance(operation, Operation)
    return operation


def built(
    query: str, given: dict[str, Any] | None = None, operation: Operation | None = None
) -> ObjectPlan:
    """Return the root of a query's tree, with the values of its variables."""
    operation = operation or validated(query)
    values = coerce_variables(SCHEMA._schema, operation, given or {})
    assert isinstance(values, VariableValues)
    return tree_builder(SCHEMA, operation, values).operation(operation.node).root


def pages(inside: ObjectPlan) -> Iterator[ConnectionPlan]:
    for field in inside.fields:
        if isinstance(field.value, ConnectionPlan):
            yield field.value
        for nested in objects_of(field.value):
            yield from pages(nested)
