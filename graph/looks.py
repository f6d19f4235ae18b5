"""What an operation looks at of somebody's data, for the record of access."""

from graphql import GraphQLSchema

from graph.scopes import fields_of
from resolvers.planner.operation import Operation
from resolvers.record import Looks

# Types that are somebody's data; money and addresses in them say no more.
PERSONAL = frozenset(
    {
        *("Client", "Invoice", "InvoiceLine", "Session", "Statement", "StatementLine"),
        *("Superbill", "SuperbillLine", "Payment", "Receipt", "PaymentMethod"),
        *("AccountHistoryEntry", "AccessLogEntry", "Aging", "RevenuePeriod"),
    }
)
# Lists and sums over everybody who is in sight.
WIDE = frozenset(
    {
        *("Query.clients", "Practice.invoices", "Practice.payments"),
        *("Practice.revenue", "Practice.aging"),
    }
)
# Fields with the ids of what is looked at, and the clients that a viewer looks after.
BY_ID = frozenset({"Query.client", "Query.node", "Query.nodes", "Mutation.refreshPayment"})
OWN = "Viewer.clients"
MOST_FIELDS = 60


def looks(schema: GraphQLSchema, operation: Operation) -> Looks | None:
    """None where nobody's data is asked for."""
    asked = list(fields_of(schema, operation))
    coordinates = {coordinate for coordinate, _ in asked}
    personal = sorted(one for one in coordinates if one.partition(".")[0] in PERSONAL)
    if not personal:
        return None
    return Looks(
        tuple(personal[:MOST_FIELDS]),
        tuple(field for field in asked if field[0] in BY_ID),
        is_wide=not coordinates.isdisjoint(WIDE),
        is_own=OWN in coordinates,
    )
