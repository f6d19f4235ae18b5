"""`@oneOf`: in the printed schema and in introspection, and enforced before execution."""

import json
import subprocess
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    OperationDefinitionNode,
    build_client_schema,
    build_schema,
    get_operation_ast,
    introspection_from_schema,
    lexicographic_sort_schema,
    print_schema,
)
from graphql.execution.values import VariableValues
from hypothesis import given
from hypothesis import strategies as st

from bench import nodejs
from graph.schema import schema, sdl
from planner.operation import (
    Errors,
    Operation,
    coerce_variables,
    parse_document,
    validate_operation,
)
from tests.browser.test_page_types import HOW_TO_GET, NODE, major
from tests.conftest import do_without
from tests.support.demo_server import PROJECT

SCHEMA = schema()._schema
LIBRARY = PROJECT / "web" / "node_modules" / "graphql" / "index.js"
# Builds both schemas with graphql-js, and prints them and whether PaySource is OneOf.
SCRIPT = """
const { buildSchema, buildClientSchema, lexicographicSortSchema, printSchema } = require(%s);
const { sdl, introspection } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const schemas = [buildSchema(sdl), buildClientSchema(introspection)];
console.log(JSON.stringify(schemas.map((schema) => ({
  printed: printSchema(lexicographicSortSchema(schema)),
  isOneOf: schema.getType("PaySource").isOneOf,
}))));
"""

# -- schemas for tools -----------------------------------------------------------------------------


def test_printed_schema_marks_the_one_of_input() -> None:
    assert "input PaySource @oneOf {" in sdl(schema())


def test_sdl_and_introspection_are_one_schema() -> None:
    introspected = build_client_schema(introspection_from_schema(SCHEMA))
    by_sdl = build_schema(sdl(schema()))
    printed = [print_schema(lexicographic_sort_schema(one)) for one in (introspected, by_sdl)]
    assert printed[0] == printed[1]


def test_graphql_js_builds_the_same_schema_from_both(request: pytest.FixtureRequest) -> None:
    programs = [program for version, program in nodejs.said() if major(version) >= NODE]
    if not programs or not LIBRARY.exists():
        do_without(request.config, "graphql-js", HOW_TO_GET)
    told = {"sdl": sdl(schema()), "introspection": introspection_from_schema(SCHEMA)}
    done = subprocess.run(
        [programs[0], "-e", SCRIPT % json.dumps(str(LIBRARY))],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    by_sdl, introspected = json.loads(done.stdout)
    assert by_sdl == introspected
    assert by_sdl["isOneOf"] is True


# -- refusals --------------------------------------------------------------------------------------

ID, CARD, BOOL = '"crd_1"', '{ confirmationToken: "ctoken_1" }', "true"
PAY = """
mutation {declared} {{ pay(input: {{
  expectedAmount: {{ amount: "1.00", currency: "USD" }}
  idempotencyKey: "0123456789abcdef"
  source: {source}
}}) {{ __typename }} }}
"""


def errors(query: str, /, **variables: Any) -> Errors:
    """Return the errors of a document and its variables, as found before execution."""
    document = parse_document(query)
    assert isinstance(document, DocumentNode), document
    node = get_operation_ast(document)
    assert isinstance(node, OperationDefinitionNode)
    operation = validate_operation(SCHEMA, document, node)
    if not isinstance(operation, Operation):
        return operation
    values = coerce_variables(SCHEMA, operation, variables)
    return [] if isinstance(values, VariableValues) else values


def code(query: str, /, **variables: Any) -> str | None:
    found = [(error.extensions or {})["code"] for error in errors(query, **variables)]
    return found[0] if found else None


def literal(source: str, declared: str = "", /, **variables: Any) -> str | None:
    """Return the error code of a payment with this source."""
    declared = f"({declared})" if declared else ""
    return code(PAY.format(declared=declared, source=source), **variables)


def test_exactly_one_key_with_a_value_is_accepted() -> None:
    assert literal(f"{{ paymentMethodId: {ID} }}") is None
    assert literal(f"{{ newCard: {CARD} }}") is None
    assert literal("{ credit: true }") is None
    assert literal("{ credit: $b }", "$b: Boolean!", b=True) is None
    assert literal("$source", "$source: PaySource!", source={"credit": True}) is None


@pytest.mark.parametrize(
    "source",
    [
        "{}",
        "null",
        "[]",
        '"crd_1"',
        "{ credit: null }",
        "{ credit: true, paymentMethodId: null }",
        f"{{ credit: true, newCard: {CARD} }}",
        "{ cash: true }",
        "{ credit: true, cash: true }",
        "{ credit: 1 }",
        "{ credit: true, credit: true }",
        "[{ credit: true }, { credit: true }]",
    ],
)
def test_invalid_literal_is_refused_by_validation(source: str) -> None:
    assert literal(source) in ("GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED")


@pytest.mark.parametrize("declared", ["$b: Boolean", "$b: Boolean = true"])
def test_nullable_variable_is_refused_as_a_key(declared: str) -> None:
    for variables in ({}, {"b": True}, {"b": None}):
        refused = literal("{ credit: $b }", declared, **variables)
        assert refused == "GRAPHQL_VALIDATION_FAILED"


def test_invalid_default_is_refused() -> None:
    assert literal("$source", "$source: PaySource = {}") == "GRAPHQL_VALIDATION_FAILED"


values = st.sampled_from([None, True, False, "crd_1", 1, {}, {"confirmationToken": "ctoken_1"}])
keys = st.sampled_from(["paymentMethodId", "newCard", "credit", "cash"])
RIGHT: dict[str, Any] = {
    "paymentMethodId": lambda value: type(value) in (str, int),
    "newCard": lambda value: isinstance(value, dict) and "confirmationToken" in value,
    "credit": lambda value: isinstance(value, bool),
}


@given(st.dictionaries(keys, values, max_size=3))
def test_literals_and_variables_are_judged_alike(source: dict[str, Any]) -> None:
    """Exactly one known key with a value of its type is accepted; everything else is refused."""
    is_right = len(source) == 1 and all(
        key in RIGHT and RIGHT[key](value) for key, value in source.items()
    )
    by_variable = literal("$source", "$source: PaySource!", source=source)
    assert (by_variable is None) is is_right
    assert (literal(written(source)) is None) is is_right


def written(value: Any) -> str:
    """Return a JSON value as a GraphQL literal."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
