"""Fields that lead to rows, and the fields of each row that identify it.

`LINKS` has every field of the schema that leads to something with an id; a test compares it with
the server's schema. A link leads only to rows that the viewer sees.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLNonNull, GraphQLSchema, get_named_type, is_list_type

from tests.security.isolation.households import Bearer
from tests.security.isolation.sight import ACTIVE, PREFIXES, Eyes, Facts, Thing

Find = Callable[[Eyes, Thing], list[Thing]]


@dataclass(frozen=True)
class Link:
    """A field of a row, and its visible target rows of one type."""

    to: str
    find: Find
    arguments: str = ""


def every(name: str) -> Find:
    return lambda eyes, _: eyes.seen[name]


def named(name: str, column: str) -> Find:
    """Find the row that a column of this row names."""
    return lambda eyes, row: eyes.those(name, "id", row[column])


def naming(name: str, column: str) -> Find:
    """Find the rows that name this row."""
    return lambda eyes, row: eyes.those(name, column, row["id"])


def owned(name: str) -> Find:
    return naming(name, "client_id")


def default_card(eyes: Eyes, client: Thing) -> list[Thing]:
    """Return the viewer's Default Card; for a program, the client's own."""
    cards = [card for card in owned("PaymentMethod")(eyes, client) if card["is_default"]]
    if eyes.bearer.is_program:
        return [card for card in cards if card["contact_id"] is None]
    return [card for card in cards if eyes.holds(card)]


def cards_to_pay_with(eyes: Eyes, client: Thing) -> list[Thing]:
    if eyes.bearer.is_program:
        return []
    return [
        card
        for card in eyes.seen["PaymentMethod"]
        if card["client_id"] == client["id"] or eyes.holds(card)
    ]


def active_payment(eyes: Eyes, client: Thing) -> list[Thing]:
    return [one for one in owned("Payment")(eyes, client) if one["state"] in ACTIVE]


def posted(eyes: Eyes, _: Thing) -> list[Thing]:
    return [one for one in eyes.seen["AccountHistoryEntry"] if one["posted_on"] is not None]


def payers(eyes: Eyes, invoice: Thing) -> list[Thing]:
    """Return the payments with an allocation to the invoice, taken back or not."""
    put = eyes.facts.puts.get(invoice["id"], set())
    return [one for id_ in put for one in eyes.those("Payment", "id", id_)]


def standing_on(eyes: Eyes, session: Thing) -> list[Thing]:
    return eyes.those("Invoice", "id", eyes.facts.invoice_of(session))


def looked_after(eyes: Eyes, _: Thing) -> list[Thing]:
    return [] if eyes.bearer.is_program else eyes.seen["Client"]


CLIENT, CLINICIAN = Link("Client", named("Client", "client_id")), "clinician_id"
SESSION = Link("Session", named("Session", "session_id"))
INVOICE = Link("Invoice", named("Invoice", "invoice_id"))
THERAPIST = Link("Clinician", named("Clinician", CLINICIAN))
PAYMENT = Link("Payment", named("Payment", "payment_id"))
PRACTICE = Link("Practice", every("Practice"))
# Page sizes larger than any list.
PAGE, WHOLE = "first: 60", "first: 200"

LINKS: Mapping[str, Mapping[str, Link]] = {
    "Query": {
        "viewer": Link("Viewer", lambda *_: [{}]),
        "practice": PRACTICE,
        "clients": Link("Client", every("Client"), "first: 5, orderBy: {field: CREATED}"),
    },
    "Viewer": {"clients": Link("Client", looked_after)},
    "Practice": {
        "clinicians": Link("Clinician", every("Clinician")),
        "invoices": Link("Invoice", every("Invoice"), WHOLE),
        "payments": Link("Payment", every("Payment"), WHOLE),
        "sessions": Link("Session", every("Session"), WHOLE),
        "statements": Link("Statement", every("Statement"), WHOLE),
        "superbills": Link("Superbill", every("Superbill"), WHOLE),
        "receipts": Link("Receipt", every("Receipt"), WHOLE),
        "ledger": Link("AccountHistoryEntry", posted, WHOLE),
    },
    "Clinician": {},
    "Client": {
        "practice": PRACTICE,
        "clinician": THERAPIST,
        "balance": Link("Balance", lambda _, client: [client]),
        "paymentMethods": Link("PaymentMethod", owned("PaymentMethod")),
        "defaultPaymentMethod": Link("PaymentMethod", default_card),
        "cardsToPayWith": Link("PaymentMethod", cards_to_pay_with),
        "invoices": Link("Invoice", owned("Invoice"), PAGE),
        "statements": Link("Statement", owned("Statement"), PAGE),
        "superbills": Link("Superbill", owned("Superbill"), PAGE),
        "activePayment": Link("Payment", active_payment),
        "payments": Link("Payment", owned("Payment"), PAGE),
        "receipts": Link("Receipt", owned("Receipt"), PAGE),
        "accountHistory": Link(
            "AccountHistoryEntry", owned("AccountHistoryEntry"), f"{PAGE}, dateRange: {{}}"
        ),
    },
    "Invoice": {
        "client": CLIENT,
        "clinician": THERAPIST,
        "lines": Link("InvoiceLine", naming("InvoiceLine", "invoice_id")),
        "payments": Link("Payment", payers),
    },
    "InvoiceLine": {"session": SESSION},
    "Session": {
        "client": CLIENT,
        "clinician": THERAPIST,
        "invoice": Link("Invoice", standing_on),
    },
    "Statement": {"client": CLIENT},
    "Superbill": {
        "client": CLIENT,
        "lines": Link("SuperbillLine", naming("SuperbillLine", "superbill_id")),
    },
    "SuperbillLine": {"session": SESSION},
    "Payment": {
        "client": CLIENT,
        "allocations": Link("PaymentAllocation", naming("PaymentAllocation", "payment_id")),
        "receipt": Link("Receipt", naming("Receipt", "payment_id")),
    },
    "PaymentAllocation": {"invoice": INVOICE},
    "Balance": {"invoices": Link("PayableInvoice", owned("PayableInvoice"))},
    "PayableInvoice": {"invoice": INVOICE},
    "Receipt": {"client": CLIENT, "payment": PAYMENT},
    "PaymentMethod": {"client": CLIENT},
    "AccountHistoryEntry": {
        "client": CLIENT,
        "session": SESSION,
        "invoice": INVOICE,
        "payment": PAYMENT,
    },
}
# Sessions and superbill lines are health information as a whole; the types below need no scope.
HEALTH = frozenset({"Session", "SuperbillLine"})
ANYBODYS = frozenset({"Viewer", "Practice", "Clinician"})


def may_read(bearer: Bearer, type_: str) -> bool:
    """Return whether a token's scopes admit rows of this kind."""
    in_scope = bearer.reads_bills and (bearer.reads_health or type_ not in HEALTH)
    return type_ in ANYBODYS or in_scope


def links(eyes: Eyes, type_: str) -> Iterator[tuple[str, Link]]:
    """Yield the links that the viewer's token may follow."""
    for field, link in LINKS[type_].items():
        if may_read(eyes.bearer, link.to):
            yield field, link


# -- fields that differ between a row and its twin -------------------------------------------------


@dataclass(frozen=True)
class Witness:
    """A field that identifies the row of an object."""

    field: str
    value: Callable[[Facts, Thing], Any]
    is_amount: bool = False
    is_health: bool = False

    @property
    def selection(self) -> str:
        return f"{self.field} {{ minorUnits }}" if self.is_amount else self.field

    def of(self, facts: Facts, thing: Thing) -> Any:
        value = self.value(facts, thing)
        return {"minorUnits": value} if self.is_amount else value


def column(field: str, name: str, *, is_health: bool = False) -> Witness:
    return Witness(field, lambda _, row: row[name], is_health=is_health)


def day(field: str, name: str) -> Witness:
    return Witness(field, lambda _, row: row[name].isoformat())


def amount(field: str, name: str) -> Witness:
    return Witness(field, lambda _, row: row[name], is_amount=True)


def summed(field: str, sum_: Callable[[Facts, Thing], int]) -> Witness:
    return Witness(field, sum_, is_amount=True)


WITNESSES: Mapping[str, tuple[Witness, ...]] = {
    "Viewer": (),
    "Practice": (column("name", "name"),),
    "Clinician": (column("name", "name"),),
    "Client": (column("name", "name", is_health=True),),
    "Session": (day("date", "date"), amount("fee", "fee_minor")),
    "Invoice": (column("number", "number"), summed("amountPaid", Facts.paid)),
    "InvoiceLine": (amount("amount", "amount_minor"),),
    "Statement": (column("number", "number"),),
    "Superbill": (column("number", "number"),),
    "SuperbillLine": (amount("fee", "fee_minor"),),
    "Payment": (amount("amount", "amount_minor"), summed("refunded", Facts.refunded)),
    "PaymentAllocation": (amount("amount", "amount_minor"),),
    "Receipt": (column("number", "number"),),
    "Balance": (summed("amount", Facts.balance), summed("uninvoiced", Facts.uninvoiced)),
    "PayableInvoice": (amount("amountDue", "due"),),
    "PaymentMethod": (column("last4", "last4"),),
    "AccountHistoryEntry": (day("date", "date"), amount("amount", "amount_minor")),
}


def witnesses(eyes: Eyes, type_: str) -> Iterator[Witness]:
    for witness in WITNESSES[type_]:
        if eyes.bearer.reads_health or not witness.is_health:
            yield witness


# -- selections and expected answers ---------------------------------------------------------------


def selection(schema: GraphQLSchema, eyes: Eyes, type_: str, depth: int) -> str:
    """Return a selection of a row's id and witnesses, and of its links down to a depth."""
    asked = ["id"] if type_ in PREFIXES else ["__typename"]
    asked += [witness.selection for witness in witnesses(eyes, type_)]
    if depth or type_ not in PREFIXES:
        # Parts of a document do not count as a level.
        deeper = depth - 1 if type_ in PREFIXES else depth
        asked += [follow(schema, eyes, type_, name, deeper) for name, _ in links(eyes, type_)]
    return " ".join(asked)


def follow(schema: GraphQLSchema, eyes: Eyes, type_: str, field: str, depth: int) -> str:
    """Return the selection of one link."""
    link = LINKS[type_][field]
    inner = selection(schema, eyes, link.to, depth)
    arguments = f"({link.arguments})" if link.arguments else ""
    if is_connection(definition(schema, type_, field)):
        inner = f"totalCount nodes {{ {inner} }} edges {{ node {{ id }} }}"
    return f"{field}{arguments} {{ {inner} }}"


def definition(schema: GraphQLSchema, type_: str, field: str) -> GraphQLField:
    found: GraphQLField = schema.type_map[type_].fields[field]  # type: ignore[attr-defined]
    return found


def is_connection(field: GraphQLField) -> bool:
    return get_named_type(field.type).name.endswith("Connection")


def is_list(field: GraphQLField) -> bool:
    type_ = field.type
    return is_list_type(type_.of_type if isinstance(type_, GraphQLNonNull) else type_)


def told(schema: GraphQLSchema, eyes: Eyes, type_: str, thing: Thing, depth: int) -> Any:
    """Return the expected answer to `selection` for a row."""
    key = (type_, thing.get("id", id(thing)), depth)
    if key not in eyes.told:
        eyes.told[key] = worked_out(schema, eyes, type_, thing, depth)
    return eyes.told[key]


def worked_out(schema: GraphQLSchema, eyes: Eyes, type_: str, thing: Thing, depth: int) -> Any:
    facts, has_id = eyes.facts, type_ in PREFIXES
    answer: dict[str, Any] = {} if has_id else {"__typename": type_}
    if has_id:
        answer["id"] = f"{PREFIXES[type_]}_{thing['id']}"
    answer |= {one.field: one.of(facts, thing) for one in witnesses(eyes, type_)}
    if depth or not has_id:
        deeper = depth - 1 if has_id else depth
        for name, _ in links(eyes, type_):
            answer[name] = led(schema, eyes, type_, thing, name, deeper)
    return answer


def led(schema: GraphQLSchema, eyes: Eyes, type_: str, thing: Thing, field: str, depth: int) -> Any:
    """Return the expected answer to `follow`."""
    link, of = LINKS[type_][field], definition(schema, type_, field)
    found = [told(schema, eyes, link.to, one, depth) for one in link.find(eyes, thing)]
    if is_connection(of):
        edges = [{"node": {"id": one["id"]}} for one in found]
        return {"totalCount": len(found), "nodes": found, "edges": edges}
    if is_list(of):
        return found
    assert len(found) <= 1, (type_, field)
    return found[0] if found else None
