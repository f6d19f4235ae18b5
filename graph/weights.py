"""Weights of fields: SELECTs of the statement, levels of rows, and rows that are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import GraphQLField, GraphQLNamedType, get_named_type

from resolvers.planner.sources import Chosen, Items, Many, One, Paged, Typed, source_of

# SELECTs by the kind of a field's source, and of fields that take more: what they say is worked
# out from other rows. Of the two databases the dearer one counts; a test holds these numbers. What
# reads all of a practice's ledger counts for more than it takes, so that there are few of it.
ONE, MANY = 2, 3
SELECTS: Mapping[str, int] = {
    "AccountHistoryConnection.edges": 11,
    "AccountHistoryConnection.nodes": 11,
    "AccountHistoryConnection.totalCount": 10,
    "AccountHistoryEntry.balanceAfter": 2,
    "AccountHistoryEntry.status": 8,
    "Balance.amount": 4,
    "Balance.payable": 6,
    "Balance.terms": 28,
    "Balance.uninvoiced": 5,
    "Client.canAddCard": 2,
    "Completeness.isComplete": 10,
    "Completeness.missing": 11,
    "Invoice.amountDue": 6,
    "Invoice.amountPaid": 4,
    "Invoice.isPastDue": 6,
    "Invoice.payable": 18,
    "Invoice.payments": 5,
    "Invoice.status": 6,
    "OnlinePayments.minimum": 1,
    "PageInfo.endCursor": 3,
    "PageInfo.hasNextPage": 3,
    "PageInfo.startCursor": 3,
    "Payment.allocations": 5,
    "Payment.refunded": 4,
    "Permission.isAllowed": 14,
    "Permission.reason": 14,
    "Practice.aging": 20,
    "Practice.revenue": 20,
    "Query.nodes": 36,
    "Session.invoice": 3,
    "Superbill.totalFee": 3,
    "Superbill.totalPaid": 3,
}


def selects(type_: GraphQLNamedType | None, name: str, definition: GraphQLField | None) -> int:
    """How many SELECTs the field adds to the statement, at the most."""
    if definition is None or type_ is None:
        return 0
    written = SELECTS.get(f"{type_.name}.{name}")
    if written is not None:
        return written
    if name == "totalCount":
        return ONE
    match source_of(definition):
        case One() | Typed():
            return ONE
        case Many() | Items():
            return MANY
    return 0


# Objects that a field counts for beside those that it gives: it reads as much as a long report.
COSTS = {"Practice.aging": 400}


def cost(type_: GraphQLNamedType | None, name: str) -> int:
    return COSTS.get(f"{type_.name}.{name}", 0) if type_ is not None else 0


# The cost of a row that is only looked at, as where rows are counted.
LOOKED_AT = 0.001


@dataclass(frozen=True)
class Scan:
    """Rows of a practice that a field reads, all of them if it comes to that.

    `worked_out` is the cost of a row for which sums are worked out: for each row where one of the
    `arguments` is given, or always where there are none. It goes with the time that PostgreSQL
    takes, so that all the rows of a large practice cost less than an operation may.
    """

    table: str
    worked_out: float = LOOKED_AT
    arguments: frozenset[str] = frozenset()

    def weight(self, given: set[str]) -> float:
        """Return the cost of each row, given these arguments."""
        is_worked_out = not self.arguments or not given.isdisjoint(self.arguments)
        return self.worked_out if is_worked_out else LOOKED_AT


# Fields over a whole practice; a test holds that each is here.
SCANS: Mapping[str, Scan] = {
    "Query.clients": Scan("client", 0.2, frozenset({"withBalance"})),
    "Practice.invoices": Scan("invoice", 0.07, frozenset({"status", "pastDue"})),
    "Practice.payments": Scan("payment"),
    "Practice.revenue": Scan("invoice", 0.04),
    "Practice.aging": Scan("invoice", 0.02),
}


def scan(type_: GraphQLNamedType | None, name: str) -> Scan | None:
    return SCANS.get(f"{type_.name}.{name}") if type_ is not None else None


# Worked out through so many rows that they count as a level themselves.
LEVELS = frozenset(
    {
        "Balance.payable",
        "Balance.terms",
        "Client.canPay",
        "Invoice.amountDue",
        "Invoice.payable",
    }
)


# Nothing in them has rows of its own, so they take no more room than a sum does.
LEAVES = frozenset({"Clinician", "Provider"})


def nested(type_: GraphQLNamedType | None, name: str, definition: GraphQLField | None) -> int:
    """How many levels of rows the field is, around what is asked of it."""
    if type_ is not None and f"{type_.name}.{name}" in LEVELS:
        return 1
    if definition is None or get_named_type(definition.type).name in LEAVES:
        return 0
    match source_of(definition):
        case One() | Many() | Paged() | Typed():
            return 1
        case Chosen():
            return 2  # the ids that were asked for are rows too
    return 0
