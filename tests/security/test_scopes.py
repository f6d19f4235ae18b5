"""Scopes: each opens its documented fields and no others, and no field bypasses them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import strawberry
from graphql import (
    DocumentNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_object_type,
)
from sqlalchemy import literal
from typer.testing import CliRunner

from execution.pipeline import Request
from execution.scopes import required_scopes
from execution.selected_fields import SelectedDocument
from execution.startup_check import check_schema
from graph.connections import Connection, connection
from graph.fields import column, field
from graph.mutations.mutation import Mutation
from graph.scalars import CONFIG
from graph.schema import schema
from graph.types.invoice import Invoice as Bill
from graph.types.query import Query
from models import READ_SCOPES, Invoice, Scope, Token
from planner.operation import (
    Operation,
    coerce_variables,
    parse_document,
    select_operation,
    validate_operation,
)
from planner.sources import ToMany, Value
from resolvers.field_facts import (
    BILLING,
    NO_SCOPE,
    WRITING,
    Cost,
    ReadAudit,
    Scan,
    facts_of,
    needs,
    object_fields,
    scopes_of_field,
    scopes_of_type,
)
from resolvers.invoices import of_practice
from server.cli.main import app
from tests.oracle.scopes import of_field
from tests.support.comparison import Comparison
from tests.support.operations.pools import pool
from tests.support.practices.random_values import NOW

SCHEMA = schema()._schema
PHI = Scope.PHI_READ
ALL = frozenset(Scope)
# Types that need scopes.
TYPES = {type_.name for type_, _, _ in object_fields(SCHEMA) if scopes_of_type(type_)}

# Fields with texts that are no health information, by the kind of text.
PLAIN = {
    "what a document is called": {"Invoice.number", "Receipt.number", "Statement.number",
                                  "Superbill.number", "StatementLine.invoiceNumber"},
    "the practice's own": {"Clinician.credentials", "Clinician.name", "OnlinePayments.consentText",
                           "OnlinePayments.publishableKey", "OnlinePayments.stripeAccount",
                           "OnlinePayments.stripeJs",
                           "Practice.email", "Practice.name", "Practice.phone",
                           "Practice.timeZone", "Practice.version", "Provider.credentials",
                           "Provider.licenceNumber", "Provider.name", "Provider.npi",
                           "Provider.phone", "Provider.taxIdLast4"},
    "the viewer's own": {"Identity.name", "Viewer.email", "Viewer.name"},
    "a card's, known by four digits": {"PaymentMethod.last4", "PaymentCard.last4"},
    "our own words": {"PaymentFailure.message"},
    "the asking program's": {"AccessLogEntry.fields", "AccessLogEntry.operation"},
    "what Stripe.js goes on with": {"PayRequiresAction.clientSecret", "CardPrepared.clientSecret",
                                    "CardPrepared.publishableKey", "CardPrepared.setupIntentId"},
    "what a page signs in with": {"RequestSignInLinkPayload.nonce", "SignedIn.token"},
    "a place in a list, without names": {"PageInfo.endCursor", "PageInfo.startCursor"},
    "reached only through a field on the list, or the practice's": {
        "Address.city", "Address.line1", "Address.line2", "Address.postalCode", "Address.region"},
}  # fmt: skip

# Types that need no scope by themselves, by the reason.
OPEN = {
    "what all begins with": {"Query", "Mutation", "Viewer", "Practice"},
    "the practice's own": {"Clinician", "OnlinePayments", "Wallets"},
    "part of what needs some, or of what is open": {"Address", "Money", "PageInfo", "Provider"},
    "signing in and out": {
        "RequestSignInLinkPayload", "SignInRevoked", "SignOutPayload", "SignedIn",
        "ViewerSwitched"},
    "the viewer's own sign-ins, and who they may continue as": {"Identity", "SignIn"},
    "what an own mutation comes to": {
        "CardAdded", "CardDeclined", "CardPrepared", "CardRemoved", "CardShared", "CardUnshared",
        "DefaultMade", "PayCanceled", "PayProcessing", "PayRequiresAction", "PaySucceeded"},
    "what an entry comes to": {
        "ClientEntered", "InvoiceEntered", "PaymentEntered", "SessionEntered", "StatementEntered",
        "SuperbillEntered"},
}  # fmt: skip


def scopes(coordinate: str) -> frozenset[Scope]:
    """Return the scopes of a field, as `Type.field`."""
    type_, _, name = coordinate.partition(".")
    return scopes_of_field(SCHEMA.type_map[type_], name)


def objects() -> Iterator[GraphQLObjectType]:
    for type_ in SCHEMA.type_map.values():
        if is_object_type(type_) and not type_.name.startswith("__"):
            yield type_


def test_every_type_needs_a_scope_or_has_a_reason_not_to() -> None:
    refusals = {
        type_.name
        for type_ in objects()
        if "UserError" in {interface.name for interface in type_.interfaces}
    }
    # A list needs the scopes of its items.
    lists = {type_.name for type_ in objects() if type_.name.endswith(("Connection", "Edge"))}
    others = {type_.name for type_ in objects()} - TYPES - lists
    assert others - refusals == set().union(*OPEN.values()) - refusals
    assert not set().union(*OPEN.values()) & TYPES


def test_every_text_is_health_information_or_has_a_reason_not_to_be() -> None:
    texts = {
        f"{type_.name}.{name}"
        for type_ in objects()
        for name, field in type_.fields.items()
        if get_named_type(field.type).name == "String"
        if not type_.name.endswith("Edge")
        # Texts of refusals are written by the server, or are names in the schema.
        if "UserError" not in {interface.name for interface in type_.interfaces}
    }
    plain = set().union(*PLAIN.values())
    assert {text for text in texts if PHI not in scopes(text)} == plain


def test_field_needs_the_scopes_of_its_type() -> None:
    assert scopes("Practice.invoices") == {Scope.BILLING_READ}
    assert scopes("Practice.revenue") == {Scope.AGGREGATES_READ}
    assert scopes("Invoice.document") == READ_SCOPES - {Scope.AGGREGATES_READ}
    assert scopes("Session.fee") == {Scope.BILLING_READ, PHI}
    assert scopes("PaySucceeded.payment") == {Scope.BILLING_READ}
    assert scopes("Mutation.pay") == {Scope.BILLING_READ}
    assert scopes("Mutation.issueInvoice") == {Scope.BILLING_WRITE}
    assert scopes("InvoiceEntered.invoice") == {Scope.BILLING_READ}
    assert not scopes("InvoiceEntered.change")
    assert not scopes("Mutation.revokeSignIn")
    assert not scopes("Session.__typename")


ENTRIES = {
    name
    for type_, name, definition in object_fields(SCHEMA)
    if facts_of(definition).scopes == WRITING
}


def test_every_mutation_needs_a_scope_or_is_about_the_viewers_own_sign_in() -> None:
    own = {
        "requestSignInLink",
        "revokeSignIn",
        "signIn",
        "signInWithCode",
        "signOut",
        "switchViewer",
    }
    assert SCHEMA.mutation_type
    mutations = SCHEMA.mutation_type.fields.items()
    assert {name for name, field in mutations if facts_of(field).scopes == NO_SCOPE} == own


# -- defaults are closed ---------------------------------------------------------------------------


@strawberry.type
class QueryWithField(Query):
    planted: int = field(Value[Any](lambda _: literal(1)))


@strawberry.type
class Planted:
    number: int = column(Invoice.serial, "")


@strawberry.type
class QueryWithType(Query):
    planted: list[Planted] = field(ToMany(of_practice), scopes=BILLING)


@needs(BILLING)
@strawberry.type
class PlantedBill:
    number: int = column(Invoice.serial, "")
    text: str = column(Invoice.number, "")


@strawberry.type
class QueryWithText(Query):
    planted: list[PlantedBill] = field(ToMany(of_practice))


@strawberry.type
class QueryWithList(Query):
    planted: Connection[Bill] = connection(of_practice, description="", most=500)


@strawberry.type
class QueryWithScan(Query):
    planted: Connection[Bill] = connection(
        of_practice, description="", cost=Cost(scan=Scan(Invoice))
    )


@strawberry.type
class QueryWithUncountedRows(Query):
    planted: Connection[Bill] = connection(
        of_practice,
        description="",
        most=500,
        cost=Cost(scan=Scan(Token)),
        audit=ReadAudit.PRACTICE_WIDE,
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (QueryWithField, "no scopes are stated for QueryWithField.planted"),
        (QueryWithType, "no scopes are stated for Planted.number"),
        (QueryWithText, "no scopes are stated for PlantedBill.text"),
        (QueryWithList, "QueryWithList.planted reads the whole practice"),
        (QueryWithScan, "QueryWithScan.planted reads the whole practice"),
        (QueryWithUncountedRows, "QueryWithUncountedRows.planted scans a table"),
    ],
)
def test_field_without_stated_facts_stops_the_server(query: type[Query], told: str) -> None:
    made = strawberry.Schema(query, Mutation, config=CONFIG)
    with pytest.raises(TypeError, match=told):
        check_schema(made, lateral=False)


def test_list_of_scopes_agrees_with_the_oracle() -> None:
    printed = CliRunner().invoke(app, ["scopes"]).output.splitlines()
    columns = [re.split("  +", line) for line in printed]
    told = {name: set(scopes.split()) - {"-"} for name, scopes, *_ in columns}
    for argument in ("search:", "orderBy: NAME"):
        assert told[f"Query.clients({argument})"] == {"billing:read", "phi:read"}
    for way, _ in WAYS:
        type_, name = way.steps[-1]
        # A connection's own fields need no more than the field that returns it.
        if not type_.endswith(("Connection", "Edge")):
            assert told[f"{type_}.{name}"] == {one.written for one in of_field(type_, name)}


# -- scopes of an operation ------------------------------------------------------------------------


def asked(query: str, held: frozenset[Scope], **variables: Any) -> Mapping[Scope, list[str]]:
    document = parse_document(query)
    assert isinstance(document, DocumentNode)
    node = select_operation(document, None)
    assert isinstance(node, OperationDefinitionNode)
    operation = validate_operation(SCHEMA, document, node)
    assert isinstance(operation, Operation), operation
    selected = SelectedDocument(SCHEMA, document).operation(node).everything()
    coerced = coerce_variables(SCHEMA, operation, variables)
    return required_scopes(SCHEMA, selected).lacking(SCHEMA, coerced, held)


def of_health(query: str, **variables: Any) -> list[str]:
    return asked(query, ALL - {PHI}, **variables).get(PHI, [])


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
def test_search_and_order_by_name_need_phi_scope(
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
    assert of_health(query, **variables) == told


def test_fields_in_fragments_interfaces_and_skipped_selections_count() -> None:
    assert of_health(
        """query { node(id: "cli_1") { ...A ... on Invoice { notes @skip(if: true) } } }
        fragment A on Node { ... on Session { id } ...B }
        fragment B on Client { balance { amount { amount } } email }"""
    ) == ["Client.email", "Invoice.notes", "Session.id"]


ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        ("pra", set()),
        ("cln", set()),
        ("cli", {Scope.BILLING_READ}),
        ("inv", {Scope.BILLING_READ}),
        ("crd", {Scope.BILLING_READ}),
        ("aht", {Scope.BILLING_READ}),
        ("ses", {PHI}),
        ("xyz", set()),
    ],
)
def test_id_needs_the_scopes_of_its_kind(kind: str, scopes: set[Scope]) -> None:
    id_, nothing = f"{kind}_{ID}", frozenset[Scope]()
    for query in (
        f'{{ node(id: "{id_}") {{ id }} }}',
        f'{{ nodes(ids: ["pra_{ID}", "{id_}"]) {{ __typename }} }}',
        f'{{ nodes(ids: "{id_}") {{ ... on Node {{ id }} }} }}',
    ):
        assert asked(query, nothing).keys() == scopes
    one = "query ($id: ID!) { node(id: $id) { id } none: node(id: $id) @skip(if: true) { id } }"
    assert asked(one, nothing, id=id_).keys() == scopes
    several = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert asked(several, nothing, ids=[f"cln_{ID}", id_]).keys() == scopes
    assert asked(several, frozenset(scopes), ids=[id_]) == {}


# -- each field, by one path to it -----------------------------------------------------------------

ARGUMENTS = {
    "Query.clients": "(first: 3, orderBy: { field: CREATED })",
    "Client.accountHistory": "(dateRange: {})",
    "Practice.revenue": '(dateRange: { gte: "2026-01-01", lte: "2026-03-31" })',
}
# These fields take an id, so no path leads through them.
BY_ID = {"Query.client", "Query.node", "Query.nodes"}


@dataclass(frozen=True)
class Way:
    """A path of fields from the root, each with its type's name."""

    steps: tuple[tuple[str, str], ...] = ()

    def on(self, type_: str, name: str) -> "Way":
        return Way((*self.steps, (type_, name)))

    @property
    def scopes(self) -> frozenset[Scope]:
        """Return the scopes of the path, according to the oracle."""
        return frozenset[Scope]().union(*(of_field(*step) for step in self.steps))

    def query(self, last: str) -> str:
        written = [name + ARGUMENTS.get(f"{type_}.{name}", "") for type_, name in self.steps]
        return "{ " + " { ".join(written) + last + " }" * len(written)


def ways() -> Iterator[tuple[Way, str]]:
    """Yield a path to each field of each type that a query reaches, with a selection of
    the field.
    """
    assert SCHEMA.query_type
    waiting, seen = [(SCHEMA.query_type, Way())], {"Query"}
    while waiting:
        type_, way = waiting.pop(0)
        for name, definition in type_.fields.items():
            inside: Any = get_named_type(definition.type)
            if f"{type_.name}.{name}" in BY_ID:
                continue
            composite = is_composite_type(inside)
            amount = " { minorUnits }" if inside.name == "Money" else " { __typename }"
            yield way.on(type_.name, name), amount if composite else ""
            if composite and inside.name not in seen:
                seen.add(inside.name)
                waiting.append((inside, way.on(type_.name, name)))


WAYS = list(ways())
GRANTED = [frozenset[Scope](), *(frozenset({scope}) for scope in Scope), ALL]


def test_paths_reach_every_type_of_queries() -> None:
    changed = {"Mutation", "AmountChanged", *OPEN["signing in and out"]}
    changed |= OPEN["what an own mutation comes to"] | OPEN["what an entry comes to"]
    reached = {way.steps[-1][0] for way, _ in WAYS}
    refusals = {
        type_.name
        for type_ in objects()
        if "UserError" in {interface.name for interface in type_.interfaces}
    }
    assert reached == {type_.name for type_ in objects()} - changed - refusals


@pytest.mark.share(2)
@pytest.mark.parametrize("held", GRANTED, ids=lambda held: " ".join(sorted(held)) or "none")
async def test_token_gets_exactly_the_fields_of_its_scopes(
    comparison: Comparison, held: frozenset[Scope]
) -> None:
    viewer = replace(comparison.viewers["USD dashboard"], scopes=held)
    for way, last in WAYS:
        request = Request(way.query(last), None, {})
        answer = await comparison.graph.answer(request, viewer, NOW)
        body, lacking = json.loads(answer.body), way.scopes - held
        errors = body.get("errors", [])
        assert {error["extensions"]["code"] for error in errors} <= {"SCOPE_REQUIRED"}, request
        told = {error["extensions"]["scope"] for error in errors}
        assert told == {scope.written for scope in lacking}, request
        assert answer.has_data is not bool(lacking), request
        # The sandbox's minimum amount is the practice's own.
        if (
            not held & {Scope.BILLING_READ, Scope.AGGREGATES_READ}
            and "minimum" not in request.query
        ):
            assert b"minorUnits" not in answer.body


async def test_filter_count_and_order_by_amounts_need_billing_scope(comparison: Comparison) -> None:
    """Each would disclose amounts by the rows that it leaves out."""
    viewer = replace(comparison.viewers["USD dashboard"], scopes=frozenset({PHI}))
    id_ = pool(comparison, "USD dashboard").client_ids[0]
    for asked in (
        "clients(withBalance: true) { totalCount }",
        "clients(withBalance: true, orderBy: { field: CREATED }) { __typename }",
        "practice { invoices(pastDue: true) { totalCount } }",
        "practice { payments(status: [FAILED]) { pageInfo { hasNextPage } } }",
        f'client(id: "{id_}") {{ canPay {{ reason }} }}',
        f'client(id: "{id_}") {{ activePayment {{ __typename }} }}',
        f'node(id: "{id_}") {{ __typename }}',
        "viewer { clients { id } }",
        "practice { revenue(dateRange: {}) { start } }",
    ):
        answer = await comparison.graph.answer(Request(f"{{ {asked} }}", None, {}), viewer, NOW)
        codes = {error["extensions"]["code"] for error in json.loads(answer.body)["errors"]}
        assert codes == {"SCOPE_REQUIRED"}, asked


async def test_every_missing_scope_is_reported_with_its_fields(comparison: Comparison) -> None:
    viewer = replace(comparison.viewers["USD dashboard"], scopes=frozenset())
    query = "{ practice { aging { asOf } } clients { nodes { id email } } }"
    answer = await comparison.graph.answer(Request(query, None, {}), viewer, NOW)
    body = json.loads(answer.body)
    assert "data" not in body
    told = {error["extensions"]["scope"]: error["extensions"]["fields"] for error in body["errors"]}
    assert told == {
        "billing:read": ["Client.email", "Client.id", "ClientConnection.nodes", "Query.clients"],
        "phi:read": ["Client.email", NAME],
        "aggregates:read": ["Aging.asOf", "Practice.aging"],
    }
    assert body["errors"][1]["message"] == f"needs the scope phi:read: Client.email, {NAME}"
