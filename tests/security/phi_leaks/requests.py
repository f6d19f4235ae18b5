"""All requests of a dashboard: fields, lists with their arguments, exports, documents, and
nonsense.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from graphql import get_named_type, get_nullable_type, is_enum_type, is_list_type, is_object_type

import models
from billing.documents.links import PREFIXES, Signer
from models.names import fold_name
from server.http.export_tables import TABLES
from tests.security.isolation.ids import NOWHERE
from tests.security.isolation.sight import PREFIXES as KINDS
from tests.security.phi_leaks.marked import World
from tests.security.test_scopes import SCHEMA, WAYS, Way
from tests.support.portal import KEY
from tests.support.practices.random_values import NOW


@dataclass(frozen=True)
class Asked:
    """A query with its variables, or a path."""

    query: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/graphql"


def everything(world: World, token_id: str) -> Iterator[Asked]:
    yield from by_id(world)
    yield from lists(world)
    yield from nonsense(world)
    yield from mutations(world)
    yield from much(world, token_id)


def much(world: World, token_id: str) -> Iterator[Asked]:
    """Yield each field by one path, each export and each document."""
    yield from (Asked(way.query(last)) for way, last in WAYS)
    yield from files(world)
    yield from papers(world, token_id)


def beginnings(world: World) -> list[str]:
    """Return guesses of names: whole ones, beginnings, other cases and accents."""
    first, last = world.markers[0], world.rows[models.Client][-1]["name"]
    forms = [
        first,
        fold_name(first),
        last.upper(),
        first[:-2],
        first[:3],
        fold_name(last)[:7],
        "q",
        "",
    ]
    return [*dict.fromkeys(forms)]


# -- by an id --------------------------------------------------------------------------------------


def by_id(world: World) -> Iterator[Asked]:
    """Yield each field of each type with an id, for two rows."""
    for type_, prefix in KINDS.items():
        model = getattr(models, type_, models.LedgerEntry)
        ids = [f"{prefix}_{id_}" for id_ in world.ids(model)]
        for name, inner in fields(type_):
            asked = f"__typename ... on {type_} {{ {name}{inner} }}"
            query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {asked} }} }}"
            yield Asked(query, {"ids": [ids[0], ids[-1]]})
        yield Asked("query ($id: ID!) { node(id: $id) { id __typename } }", {"id": ids[0]})


def fields(type_name: str) -> Iterator[tuple[str, str]]:
    type_: Any = SCHEMA.type_map[type_name]
    for name, of in type_.fields.items():
        inside: Any = get_named_type(of.type)
        given = "(dateRange: {})" if name == "accountHistory" else ""
        given = given or RANGE * (name == "revenue")
        amount = " { amount minorUnits }" if inside.name == "Money" else " { __typename }"
        yield f"{name}{given}", amount if is_object_type(inside) else ""


RANGE = '(dateRange: { gte: "2026-01-01", lte: "2026-03-31" })'

# -- lists -----------------------------------------------------------------------------------------

PAGE = "totalCount nodes { id } edges { cursor } pageInfo { startCursor endCursor hasNextPage }"
LOOKS = PAGE.replace("nodes { id }", "nodes { at fields operation action }")


def lists(world: World) -> Iterator[Asked]:
    """Yield each list with each of its arguments, at several values."""
    for way, _ in WAYS:
        type_name, name = way.steps[-1]
        type_: Any = SCHEMA.type_map[type_name]
        of = type_.fields[name]
        if not get_named_type(of.type).name.endswith("Connection"):
            continue
        base = ["dateRange: {}"] if name == "accountHistory" else [""]
        base = ["", "orderBy: { field: CREATED }"] if name == "clients" else base
        for argument, given in itertools.product(of.args, base):
            if argument in given:
                given = ""
            for value in values(world, argument, of.args[argument].type):
                declared = f"query Q($v: {of.args[argument].type})"
                arguments = f"{given} {argument}: $v"
                inner = LOOKS if name == "accessLog" else PAGE
                query = around(way, f"{name}({arguments}) {{ {inner} }}")
                yield Asked(f"{declared} {query}", {"v": value})


def around(way: Way, last: str) -> str:
    outer = Way(way.steps[:-1])
    return outer.query(f" {{ {last} }}") if outer.steps else f"{{ {last} }}"


def values(world: World, name: str, type_: Any) -> Iterator[Any]:
    named: Any = get_named_type(type_)
    if name == "search":
        yield from beginnings(world)
    elif name in ("after", "before"):
        yield from cursors(world)
    elif name == "clinicianId":
        yield from (f"cln_{id_}" for id_ in (*world.ids(models.Clinician), NOWHERE))
    elif is_enum_type(named):
        is_list = is_list_type(get_nullable_type(type_))
        yield from ([one] if is_list else one for one in named.values)
    elif name == "orderBy":
        kinds = get_named_type(named.fields["field"].type).values
        for one, direction in itertools.product(kinds, ("ASC", "DESC")):
            yield {"field": one, "direction": direction}
    else:
        yield from PLAIN[named.name]


PLAIN: dict[str, tuple[Any, ...]] = {
    "Boolean": (True, False, None),
    "DateRange": ({}, {"gte": "2026-01-01"}, {"lte": "2025-12-31"}),
    "Int": (0, 1, 3),
    "String": ("0", "no version"),
}


def cursors(world: World) -> Iterator[str]:
    """Yield cursors as a list by name might have them, of an existing client and of an
    unknown one.
    """
    client = world.rows[models.Client][0]
    for order in ("name", "created", "n", "c"):
        for text in (client["folded_name"], client["name"], "m"):
            yield f"{order}~{text}~{client['id']}".encode().hex()
    yield f"name~{client['id']}".encode().hex()
    yield client["name"]


# -- invalid requests ------------------------------------------------------------------------------


def nonsense(world: World) -> Iterator[Asked]:
    """Yield requests with names in place of ids, numbers and names in the schema."""
    for text in beginnings(world):
        for type_, query in TAKERS.items():
            for value in (text, f"cli_{text}", [text], {"text": text}):
                yield Asked(f"query ($v: {type_}) {{ {query} }}", {"v": value})
        # GraphQL's names have no accents.
        yield Asked(f"{{ {fold_name(text) or 'a'} }}")
        yield Asked(f'{{ client(id: "{text}") {{ {fold_name(text) or "a"} }} }}')
        yield Asked(f'{{ clients(orderBy: {{ field: "{text}" }}) {{ totalCount }} }}')


TAKERS = {
    "ID!": "node(id: $v) { id }",
    "[ID!]!": "nodes(ids: $v) { id }",
    "ID": "client(id: $v) { id } practice { invoices(clinicianId: $v) { totalCount } }",
    "Int": "practice { invoices(first: $v) { totalCount } }",
    "Boolean": "clients(withBalance: $v, orderBy: { field: CREATED }) { totalCount }",
    "ClientOrder": "clients(orderBy: $v) { totalCount }",
    "DateRange!": "practice { revenue(dateRange: $v) { start } }",
    "[InvoiceStatus!]": "practice { invoices(status: $v) { totalCount } }",
}


def mutations(world: World) -> Iterator[Asked]:
    """Yield each mutation with an existing id, and with a name."""
    money = {"amount": "1.00", "currency": "USD"}
    client, card, payment = (
        f"{prefix}_{world.ids(model)[0]}"
        for prefix, model in (
            ("cli", models.Client),
            ("crd", models.PaymentMethod),
            ("pmt", models.Payment),
        )
    )
    for name in (None, world.markers[0]):
        key = {"idempotencyKey": "0123456789abcdef", "expectedAmount": money}
        inputs: dict[str, dict[str, Any]] = {
            "pay": {"clientId": name or client, "source": {"credit": True}, **key},
            "refreshPayment": {"paymentId": name or payment},
            "cancelPayment": {"paymentId": name or payment},
            "prepareCard": {"clientId": name or client},
            "addCard": {"clientId": client, "setupIntentId": name or "seti_1"},
            "makeDefault": {"paymentMethodId": name or card},
            "removeCard": {"paymentMethodId": name or card},
            "revokeSignIn": {"id": name or f"sgn_{NOWHERE}"},
            "switchViewer": {"id": name or f"idn_{NOWHERE}"},
            "requestSignInLink": {"email": name or "a@example.com"},
        }
        for change, given in inputs.items():
            if change == "requestSignInLink":
                continue  # Its result differs with each request.
            type_ = f"{change[0].upper()}{change[1:]}Input"
            told = "__typename ... on UserError { code message path }"
            query = f"mutation ($i: {type_}!) {{ {change}(input: $i) {{ {told} }} }}"
            yield Asked(query, {"i": given})


# The results without the ids of new rows, which no two practices share.
ENTERED = {
    "ClientEntered": "client { balance { amount { amount minorUnits } } }",
    "InvoiceEntered": """invoice { number status total { amount } amountDue { amount } }
        client { balance { payable { amount } } }""",
    "PaymentEntered": """payment { status amount { amount } refunded { amount }
        receipt { number } allocations { amount { amount } } }""",
    "SessionEntered": "client { balance { uninvoiced { amount } } }",
    "StatementEntered": """statement { number endingBalance { amount }
        lines { date invoiced { amount } } }""",
    "SuperbillEntered": "superbill { number periodEnd totalFee { amount } totalPaid { amount } }",
}


def entry_query(entry: str) -> str:
    """Return the operation with one entry, which selects what needs no scope of health."""
    assert SCHEMA.mutation_type
    union: Any = get_named_type(SCHEMA.mutation_type.fields[entry].type)
    names = (member.name for member in union.types)
    told = " ".join(f"... on {one} {{ {ENTERED[one]} }}" for one in names if one in ENTERED)
    common = "__typename ... on UserError { code message path } ... on Entry { change }"
    type_ = f"{entry[0].upper()}{entry[1:]}Input"
    return f"mutation ($i: {type_}!) {{ {entry}(input: $i) {{ {common} {told} }} }}"


def entries(world: World) -> Iterator[Asked]:
    """Yield each entry for two clients, by an id, by a name, and by a key that is a name."""
    calm = world.client_without_payment_under_way()
    ids = [f"cli_{id_}" for id_ in (calm, world.ids(models.Client)[0], NOWHERE)]
    named = {"externalId": {"source": "probe", "id": world.markers[0]}}
    known: list[Mapping[str, Any]] = [{"id": id_} for id_ in ids]
    clients = [*known, {"id": world.markers[0]}, named]
    for number, client in enumerate(clients):
        for entry, given in entry_inputs(world, number, client):
            query = entry_query(entry)
            # The same record again, and one with a name in its key.
            if entry in WITHOUT_KEY:
                yield from (Asked(query, {"i": given}) for _ in range(2))
                continue
            for key in (f"{number}", f"{number}", world.markers[number]):
                yield Asked(query, {"i": given | {"externalId": {"source": "probe", "id": key}}})
            for name, value in given.items():
                if isinstance(value, str):
                    yield Asked(query, {"i": {**given, name: world.markers[0], **named}})


# Entries of no record of another system.
WITHOUT_KEY = frozenset(
    "archiveClient mergeClients restoreClient shareDocument unlinkContact voidInvoice".split()
)


def entry_inputs(
    world: World, number: int, client: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    money = {"amount": "3.00", "currency": "USD"}
    text = f"Text {number}"
    lines = [{"description": text, "unitPrice": money}]
    session = {"id": f"ses_{world.ids(models.Session)[number]}"}
    yield "upsertClient", {"name": text, "clinician": {"id": f"cln_{NOWHERE}"}}
    yield "upsertClient", {"name": text, "email": f"{number}@example.org"}
    yield "issueInvoice", {"client": client, "lines": lines, "notes": text}
    yield "issueInvoice", {"client": client, "lines": [{"session": session}]}
    yield "recordPayment", {"client": client, "amount": money, "method": "CASH"}
    yield "giveCredit", {"client": client, "amount": money, "description": text}
    yield "archiveClient", {"client": client}
    yield "restoreClient", {"client": client}
    rights = {"relation": "PARENT", "seesDocuments": True, "canPay": False}
    yield "linkContact", {"client": client, "name": text, "email": "b@example.org", **rights}
    yield "unlinkContact", {"client": client, "contact": {"source": "probe", "id": f"{number}"}}
    visit = {"date": "2026-01-05", "description": text, "fee": money, "serviceCode": "90834"}
    yield "recordSession", {"client": client, **visit}
    # The first invoice and payment are of a client who is not paying now.
    calm = world.client_without_payment_under_way()
    invoice = {"id": f"inv_{world.of_client(models.Invoice, calm)[number]}"}
    more = {"amount": "50.00", "currency": "USD"}
    yield "adjustInvoice", {"invoice": invoice, "amount": more, "description": text}
    yield "writeOff", {"invoice": invoice, "amount": money, "description": text}
    yield "allocateCredit", {"invoice": invoice, "amount": money}
    payment = {"id": f"pmt_{world.of_client(models.Payment, calm)[number]}"}
    yield "recordRefund", {"payment": payment, "amount": money, "description": text}
    period = {"periodStart": "2026-01-01", "periodEnd": "2026-01-31"}
    yield "issueStatement", {"client": client, **period}
    clinician = {"id": f"cln_{world.ids(models.Clinician)[0]}"}
    diagnoses = [{"code": "F41.1", "description": text}]
    yield (
        "issueSuperbill",
        {"client": client, **period, "clinician": clinician, "diagnoses": diagnoses},
    )
    unshared = next(row for row in world.rows[models.Invoice] if row["shared_at"] is None)
    yield "shareDocument", {"invoice": {"id": f"inv_{unshared['id']}"}}
    yield "voidInvoice", {"invoice": invoice}
    # The last entry, since it closes the client's record.
    into = {"id": f"cli_{world.ids(models.Client)[-1]}"}
    yield "mergeClients", {"client": client, "into": into}


# -- exports and documents -------------------------------------------------------------------------

PARAMETERS = {
    "from": ("2026-01-01",),
    "to": ("2025-12-31",),
    "status": ("PAID", "SUCCEEDED", "FAILED"),
    "pastDue": ("true", "false"),
    "withBalance": ("true", "false"),
    "isArchived": ("true", "false"),
    "changedSince": ("0",),
    "kind": ("PAYMENT", "SESSION"),
    "groupBy": ("MONTH",),
    "asOf": ("2026-02-01",),
}


def files(world: World) -> Iterator[Asked]:
    """Yield each export with each of its filters, and with an unknown one."""
    for name, table in TABLES.items():
        yield Asked(path=f"/export/{name}.csv")
        for parameter in (*table.filters, "name", "orderBy"):
            guesses = [*beginnings(world), f"cln_{world.ids(models.Clinician)[0]}"]
            for value in PARAMETERS.get(parameter, guesses):
                yield Asked(path=f"/export/{name}.csv?{urlencode({parameter: value})}")


def papers(world: World, token_id: str) -> Iterator[Asked]:
    """Yield links to documents, signed like the server's for this token."""
    links = Signer("", KEY).links(token_id, NOW)
    for prefix, kind in PREFIXES.items():
        model = getattr(models, kind.capitalize())
        for id_, way in itertools.product(world.ids(model)[:2], ("print", "download")):
            document = f"{prefix}_{id_}"
            signature = links.signature(document, way)
            yield Asked(path=f"/documents/{document}/{way}{links.query}{signature}")
