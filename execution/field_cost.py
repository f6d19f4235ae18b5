"""Weights of fields: SELECTs of the statement, nesting levels of rows, and rows read."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import GraphQLField, GraphQLNamedType, get_named_type

from planner.sources import (
    ConnectionField,
    ConnectionItems,
    NodeById,
    NodesByIds,
    ToMany,
    ToOne,
    source_of,
)

# SELECTs by the kind of a field's source, and of fields that take more because they are computed
# from other rows. The more expensive of the two databases counts; a test checks these numbers.
# Fields that read the whole ledger of a practice count for more than they take, to keep them few.
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
    "Payment.disputedAmount": 4,
    "Payment.refunded": 4,
    "Payment.status": 4,
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
    """Return the maximum number of SELECTs that the field adds to the statement."""
    if definition is None or type_ is None:
        return 0
    written = SELECTS.get(f"{type_.name}.{name}")
    if written is not None:
        return written
    if name == "totalCount":
        return ONE
    match source_of(definition):
        case ToOne() | NodeById():
            return ONE
        case ToMany() | ConnectionItems():
            return MANY
    return 0


# Objects that a field counts for in addition to those it returns, since it reads a long report's
# worth of rows.
COSTS = {"Practice.aging": 400}


def cost(type_: GraphQLNamedType | None, name: str) -> int:
    return COSTS.get(f"{type_.name}.{name}", 0) if type_ is not None else 0


# The cost of a row that is only visited, for example to be counted.
LOOKED_AT = 0.001


@dataclass(frozen=True)
class Scan:
    """A field's reads of a practice's rows; in the worst case it reads all of them.

    `worked_out` is the cost of a row for which sums are computed. It applies to each row if one of
    the `arguments` is given, or always if there are no `arguments`. It is proportional to the time
    that PostgreSQL takes, and chosen so that all rows of a large practice cost less than the limit
    of an operation.
    """

    table: str
    worked_out: float = LOOKED_AT
    arguments: frozenset[str] = frozenset()

    def weight(self, given: set[str]) -> float:
        """Return the cost of each row, given these arguments."""
        is_worked_out = not self.arguments or not given.isdisjoint(self.arguments)
        return self.worked_out if is_worked_out else LOOKED_AT


# Fields over a whole practice; a test checks that the list is complete.
SCANS: Mapping[str, Scan] = {
    "Query.clients": Scan("client", 0.2, frozenset({"withBalance"})),
    "Practice.invoices": Scan("invoice", 0.07, frozenset({"status", "pastDue"})),
    "Practice.payments": Scan("payment", 0.01, frozenset({"status"})),
    "Practice.sessions": Scan("session"),
    "Practice.statements": Scan("statement"),
    "Practice.superbills": Scan("superbill"),
    "Practice.receipts": Scan("receipt"),
    "Practice.ledger": Scan("invoice", 0.02, frozenset({"kind"})),
    "Practice.revenue": Scan("invoice", 0.04),
    "Practice.aging": Scan("invoice", 0.02),
}


def scan(type_: GraphQLNamedType | None, name: str) -> Scan | None:
    return SCANS.get(f"{type_.name}.{name}") if type_ is not None else None


# Fields computed from so many rows that they count as a level of their own.
LEVELS = frozenset(
    {
        "Balance.creditApplied",
        "Balance.payable",
        "Balance.terms",
        "Client.canPay",
        "Invoice.amountDue",
        "Invoice.payable",
    }
)


# Types without rows nested in them: they take no more of the parser's stack than a sum.
LEAVES = frozenset({"Clinician", "Provider"})


def nested(type_: GraphQLNamedType | None, name: str, definition: GraphQLField | None) -> int:
    """Return the number of row levels that the field adds around its selection."""
    if type_ is not None and f"{type_.name}.{name}" in LEVELS:
        return 1
    if definition is None or get_named_type(definition.type).name in LEAVES:
        return 0
    match source_of(definition):
        case ToOne() | ToMany() | ConnectionField() | NodeById():
            return 1
        case NodesByIds():
            return 2  # the requested ids are rows too
    return 0
