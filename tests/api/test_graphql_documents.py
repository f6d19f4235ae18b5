"""GraphQL documents and variables that are invalid, nest too deeply, or exceed the
token's scopes.
"""

import json
from typing import Any

import pytest

from tests.api.test_refusals import AFTER, BY_ID, CLIENT, STATUS, WITHIN, codes
from tests.support.comparison import Answered, Case, Comparison
from tests.support.operations.pools import pool

REFUSED_WHOLE = {
    "": "GRAPHQL_PARSE_FAILED",
    "# nothing": "GRAPHQL_PARSE_FAILED",
    "{": "GRAPHQL_PARSE_FAILED",
    "{ client { id } } }": "GRAPHQL_PARSE_FAILED",
    "{" * 10_000: "GRAPHQL_PARSE_FAILED",
    "{ client" * 10_000 + "}" * 10_000: "GRAPHQL_PARSE_FAILED",
    "{ client(id: " + "[" * 10_000 + "]" * 10_000 + ") { id } }": "GRAPHQL_PARSE_FAILED",
    "query ($a: " + "[" * 10_000 + "Int" + "]" * 10_000 + ") { client { id } }": (
        "GRAPHQL_PARSE_FAILED"
    ),
    "{ client { " + "id " * 10_000 + "} }": "GRAPHQL_PARSE_FAILED",
    "query A { client { id } } query B { client { id } }": "OPERATION_RESOLUTION_FAILURE",
    "fragment F on Client { id }": "OPERATION_RESOLUTION_FAILURE",
    "mutation { pay }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { paid }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { nothing } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { id { of } } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { a: id a: name } }": "GRAPHQL_VALIDATION_FAILED",
    '{ client(id: "a", id: "b") { id } }': "GRAPHQL_VALIDATION_FAILED",
    "{ client(nothing: 1) { id } }": "GRAPHQL_VALIDATION_FAILED",
    '{ client { invoices(status: ["PAID"]) { totalCount } } }': "GRAPHQL_VALIDATION_FAILED",
    "{ client { invoices(status: [LATE]) { totalCount } } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { invoices(orderBy: {nothing: 1}) { totalCount } } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { ...Nowhere } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { id } } fragment F on Client { id }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { ...F } } fragment F on Client { ...F }": "GRAPHQL_VALIDATION_FAILED",
    "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }": (
        "GRAPHQL_VALIDATION_FAILED"
    ),
    "{ client { ... on Nobody { id } } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { id @unheard } }": "GRAPHQL_VALIDATION_FAILED",
    "{ client { id @skip } }": "GRAPHQL_VALIDATION_FAILED",
    '{ client { id @skip(if: "yes") } }': "GRAPHQL_VALIDATION_FAILED",
    "{ client { ... @defer { id } } }": "GRAPHQL_VALIDATION_FAILED",
    "query ($a: Int, $a: Int) { client { invoices(first: $a) { totalCount } } }": (
        "GRAPHQL_VALIDATION_FAILED"
    ),
    "query ($a: Nothing) { client { id } }": "GRAPHQL_VALIDATION_FAILED",
    "query ($a: String) { client { invoices(first: $a) { totalCount } } }": (
        "GRAPHQL_VALIDATION_FAILED"
    ),
    "{ client(id: $unknown) { id } }": "GRAPHQL_VALIDATION_FAILED",
    "query ($unused: Int) { client { id } }": "GRAPHQL_VALIDATION_FAILED",
    "query ($id: ID!) { client(id: $id) { id } }": "BAD_USER_INPUT",
}


@pytest.mark.parametrize("query", REFUSED_WHOLE, ids=lambda query: query[:60])
async def test_invalid_document_is_refused_whole(comparison: Comparison, query: str) -> None:
    case = Case(CLIENT, query)
    answered, planned = await comparison.answer(case)
    assert answered == Answered(None, [(None, REFUSED_WHOLE[query])])
    assert not planned
    assert (await codes(comparison, query))[0] == REFUSED_WHOLE[query]


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (BY_ID, {"id": 1.5}),
        (BY_ID, {"id": ["cli_x"]}),
        (BY_ID, {"id": {}}),
        (STATUS, {"status": ["LATE"]}),
        (STATUS, {"status": [None]}),
        (STATUS, {"status": 1}),
        (STATUS, {"status": json.loads("[" * 900 + "]" * 900)}),
        (WITHIN, {"range": {"nothing": 1}}),
        (WITHIN, {"range": "2026-01-01"}),
        (WITHIN, {"range": []}),
        (AFTER, {"at": 1}),
    ],
)
async def test_variable_of_another_type_is_refused(
    comparison: Comparison, query: str, variables: Any
) -> None:
    assert set(await codes(comparison, query, variables)) == {"BAD_USER_INPUT"}


async def test_undeclared_variables_are_ignored(comparison: Comparison) -> None:
    nested = json.loads("[" * 900 + "]" * 900)
    assert await codes(comparison, "{ client { id } }", {"unknown": nested}) == []


async def test_unknown_operation_name_is_refused(comparison: Comparison) -> None:
    query = "query A { client { id } }"
    assert await codes(comparison, query, None, "B") == ["OPERATION_RESOLUTION_FAILURE"]


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (
            "query ($way: OrderDirection) { viewer { clients {"
            " invoices(orderBy: {direction: $way}) { totalCount } } } }",
            {"way": None},
        ),
        ("query ($no: Boolean = true) { client @skip(if: $no) { id } }", {"no": None}),
        ("query ($no: Boolean = true) { client { id @skip(if: $no) } }", {"no": None}),
        (
            "query ($no: Boolean = true) {"
            " client { id invoices { nodes { number @include(if: $no) } totalCount } } }",
            {"no": None},
        ),
    ],
)
async def test_null_for_an_argument_with_a_default_is_refused(
    comparison: Comparison, query: str, variables: Any
) -> None:
    answered, _ = await comparison.check(Case(CLIENT, query, variables))
    assert {code for _, code in answered.errors} == {"BAD_USER_INPUT"}


@pytest.mark.parametrize("depth", [20, 45, 90])
async def test_deep_nesting_is_refused(comparison: Comparison, depth: int) -> None:
    card = "defaultPaymentMethod { client { "
    query = "{ client { " + card * depth + "id" + "} }" * depth + " } }"
    assert set(await codes(comparison, query)) == {"LIMIT_EXCEEDED"}


# -- health information ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        "name",
        "name @skip(if: true)",
        "... on Node { ... on Client { email } }",
        "invoices { nodes { lines { session { __typename } } } }",
        "accountHistory { nodes { session { id } } }",
        "accountHistory { nodes { session { __typename } } }",
        "accountHistory { nodes { session { ... on Node { id } } } }",
        "accountHistory { nodes { session { ...F } } }",
        "superbills { nodes { ... @include(if: false) { provider { phone } } } }",
    ],
)
async def test_health_information_without_its_scope_is_refused_whole(
    comparison: Comparison, asked: str
) -> None:
    who = "USD dashboard without phi"
    id_ = pool(comparison, who).client_ids[0]
    fragment = " fragment F on Node { id }" if "...F" in asked else ""
    case = Case(who, f'{{ client(id: "{id_}") {{ id {asked} }} }}{fragment}')
    answered, _ = await comparison.check(case)
    assert answered == Answered(None, [(None, "SCOPE_REQUIRED")])


async def test_billing_fields_need_no_phi_scope(comparison: Comparison) -> None:
    who = "USD dashboard without phi"
    id_ = pool(comparison, who).client_ids[0]
    asked = "... on Node { id } accountHistory { nodes { kind invoice { id } } }"
    answered, planned = await comparison.check(
        Case(who, f'{{ client(id: "{id_}") {{ {asked} }} }}')
    )
    assert planned
    assert not answered.errors
