"""Health information needs `phi:read`: the list is complete, and nothing goes round it."""

from typing import Any

import pytest
from graphql import DocumentNode, GraphQLObjectType, OperationDefinitionNode, get_named_type

from graph.schema import schema
from graph.scopes import PHI_FIELDS, PHI_TYPES, health_information
from resolvers.planner.operation import Operation, named, parsed, understood

SCHEMA = schema()._schema

# Fields with free text that is no health information, by what it is instead.
PLAIN = {
    "what a document is called": {"Invoice.number", "Receipt.number", "Statement.number",
                                  "Superbill.number", "StatementLine.invoiceNumber"},
    "the practice's own": {"Clinician.credentials", "Clinician.name", "OnlinePayments.consentText",
                           "OnlinePayments.publishableKey", "OnlinePayments.stripeAccount",
                           "Practice.email", "Practice.name",
                           "Practice.phone", "Practice.timeZone", "Provider.credentials",
                           "Provider.licenceNumber", "Provider.name", "Provider.npi",
                           "Provider.phone", "Provider.taxIdLast4"},
    "the viewer's own": {"Viewer.email", "Viewer.name"},
    "a card's, known by four digits": {"PaymentMethod.last4", "PaymentCard.last4"},
    "our own words": {"PaymentFailure.message", "SuperbillGap.message"},
    "what Stripe.js goes on with": {"PayRequiresAction.clientSecret", "CardPrepared.clientSecret",
                                    "CardPrepared.publishableKey", "CardPrepared.setupIntentId"},
    "what a page signs in with": {"RequestSignInLinkPayload.nonce", "SignedIn.token"},
    "a place in a list, without names": {"PageInfo.endCursor", "PageInfo.startCursor"},
    "reached only through a field on the list, or the practice's": {
        "Address.city", "Address.line1", "Address.line2", "Address.postalCode", "Address.region"},
}  # fmt: skip
STRING_LIKE = {"String"}


def test_every_text_is_on_the_list_or_has_a_reason_not_to_be() -> None:
    texts = {
        f"{type_.name}.{name}"
        for type_ in SCHEMA.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if get_named_type(field.type).name in STRING_LIKE
        if not type_.name.endswith("Edge")
        if type_.name not in PHI_TYPES
        # Its texts are our own words, and names of the contract.
        if "UserError" not in {interface.name for interface in type_.interfaces}
    }
    plain = set().union(*PLAIN.values())
    assert texts - PHI_FIELDS == plain
    assert not plain & PHI_FIELDS


def test_the_list_names_only_what_is_there() -> None:
    for coordinate in PHI_FIELDS:
        type_, _, name = coordinate.partition(".")
        found: Any = SCHEMA.type_map[type_]
        assert name in found.fields
    assert set(SCHEMA.type_map) >= PHI_TYPES


def asked(query: str, **variables: Any) -> list[str]:
    document = parsed(query)
    assert isinstance(document, DocumentNode)
    node = named(document, None)
    assert isinstance(node, OperationDefinitionNode)
    operation = understood(SCHEMA, document, node)
    assert isinstance(operation, Operation), operation
    return health_information(SCHEMA, operation).asked(SCHEMA, operation, variables)


NAME, SEARCH = "Query.clients(orderBy: NAME)", "Query.clients(search:)"


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ("", {}, [NAME]),
        ("(orderBy: null)", {}, [NAME]),
        ("(orderBy: {})", {}, [NAME]),
        ("(orderBy: {direction: DESC})", {}, [NAME]),
        ("(orderBy: {field: CREATED})", {}, []),
        ('(search: "a", orderBy: {field: CREATED})', {}, [SEARCH]),
        ("(search: null, orderBy: {field: CREATED})", {}, []),
        ("(search: $s, orderBy: {field: CREATED})", {}, []),
        ("(search: $s, orderBy: {field: CREATED})", {"s": None}, []),
        ("(search: $s, orderBy: {field: CREATED})", {"s": ""}, [SEARCH]),
        ("(search: $s, orderBy: $o)", {"s": "x", "o": {"field": "CREATED"}}, [SEARCH]),
        ("(orderBy: $o)", {"o": {"field": "NAME"}}, [NAME]),
        ("(orderBy: {field: $f})", {"f": "NAME"}, [NAME]),
        ("(orderBy: {field: $f})", {"f": "CREATED"}, []),
        ("(orderBy: $o)", {}, [NAME]),
    ],
)
def test_a_search_and_an_order_by_name_tell_names(
    arguments: str, variables: dict[str, Any], told: list[str]
) -> None:
    declared = [
        f"${name}: {type_}"
        for name, type_ in (
            ("s", "String"),
            ("o", "ClientOrder"),
            ("f", "ClientOrderField! = NAME"),
        )
        if f"${name}" in arguments
    ]
    head = f"query Q({', '.join(declared)})" if declared else "query Q"
    query = f"{head} {{ clients{arguments} {{ nodes {{ id }} }} }}"
    assert asked(query, **variables) == told


def test_fields_are_found_behind_fragments_interfaces_and_directives() -> None:
    assert asked(
        """query { node(id: "cli_1") { ...A ... on Invoice { notes @skip(if: true) } } }
        fragment A on Node { ... on Session { id } ...B }
        fragment B on Client { balance { amount { amount } } email }"""
    ) == ["Client.email", "Invoice.notes", "Session.id"]
