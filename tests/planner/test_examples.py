"""The examples of the documents have the tree, the statement and the response shown there."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues

from execution.executor import plan_tree
from models import ViewerKind
from models.database import engine
from planner.emitter import emit
from planner.operation import (
    Operation,
    coerce_variables,
    parse_document,
    select_operation,
    validate_operation,
)
from planner.plan import compile_plan
from planner.tree import OperationPlan
from planner.tree_text import tree_text
from resolvers.visibility import Visibility
from tests.support.demo_server import PROJECT
from tests.support.payments import paying
from tests.support.plan_trees import SCHEMA

VARIABLES = {"size": 2}
BLOCK = re.compile(r"^```(graphql|text|sql|json)\n(.*?)\n```", re.DOTALL | re.MULTILINE)


def blocks(path: str) -> dict[str, str]:
    """Return the first block of each kind in a document."""
    found: dict[str, str] = {}
    for kind, text in BLOCK.findall((PROJECT / path).read_text()):
        found.setdefault(kind, text)
    return found


README = "planner/README.md"
BOTH = pytest.mark.parametrize("path", [README, "docs/architecture.md"])


def example_tree(query: str) -> OperationPlan:
    document = parse_document(query)
    assert isinstance(document, DocumentNode)
    node = select_operation(document, None)
    assert isinstance(node, OperationDefinitionNode)
    operation = validate_operation(SCHEMA._schema, document, node)
    assert isinstance(operation, Operation)
    values = coerce_variables(SCHEMA._schema, operation, VARIABLES)
    assert isinstance(values, VariableValues)
    return plan_tree(SCHEMA, operation, values)


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


@BOTH
def test_example_has_the_tree_of_the_document(path: str) -> None:
    shown = blocks(path)
    assert tree_text(example_tree(shown["graphql"])) == shown["text"]


@BOTH
def test_example_has_the_statement_of_the_document(path: str) -> None:
    shown = blocks(path)
    policy = Visibility(ViewerKind.CLIENT, digits=2, lateral=True, has_sole_client=True)
    statement = emit(example_tree(shown["graphql"]), policy).statement
    plan = compile_plan(statement, engine("postgresql://localhost/any").dialect)
    assert without_space(plan.sql) == without_space(shown["sql"])


async def test_example_has_the_response_of_the_readme(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    shown = blocks(README)
    async with new_database() as url, paying(url) as portal:
        for amount in (35_000, 12_500):
            await portal.invoice(amount)
        response = await portal.ask(shown["graphql"], portal.bearer, **VARIABLES)
        assert response.text == shown["json"]
