"""The most expensive requests that the server accepts: documents at the edges of its limits.

`%s` is a client's id.
"""

from tests.security.fuzz.corpus import client, many

MONEY = "{ amount minorUnits currency }"
# Fields that are computed from the most other rows.
PAYABLE = (
    f"balance {{ payable {MONEY} creditApplied {MONEY} terms {{ amount {MONEY} }} }}"
    " canPay { isAllowed reason }"
)
FILTERED = 'invoices(status: [PAID], pastDue: true, dateRange: {gte: "2026-01-01"}, first: 1)'
EVERY_KIND = (
    "... on Practice { clinicians { name } } ... on Clinician { name }"
    f" ... on Client {{ name {PAYABLE} accountHistory {{ nodes {{ status }} }} }}"
    " ... on Session { client { id } } ... on Invoice { status payments { id } }"
    " ... on Statement { lines { date } } ... on Superbill { completeness { isComplete } }"
    " ... on Payment { allocations { invoice { id } } } ... on Receipt { payment { id } }"
    " ... on PaymentMethod { client { id } } ... on AccountHistoryEntry { invoice { id } }"
)


def within(path: str, asked: str) -> str:
    """Return a query of the last object on a path from the root."""
    fields = path.split()
    return "{ " + " { ".join(fields) + f" {{ {asked} " + "} " * (len(fields) + 1)


ALLOWED = {
    "as many fields as there may be": client(many("a#: address { line1 line2 city region }", 99)),
    "as many aliases": client(many("a#: name", 200)),
    "as many sums": client(many("a#: balance { amount { amount } }", 99)),
    "as many histories": client(many("a#: accountHistory { nodes { status } }", 20)),
    "as many permissions": client(f"canPay {{ {many('a#: reason', 28)} }}"),
    "as many objects": client(many("a#: defaultPaymentMethod { id }", 199)),
    "as many nodes": "{ " + many('a#: nodes(ids: ["%s"]) { id }', 11) + " }",
    "an interface of every kind": f'{{ nodes(ids: ["%s"]) {{ {EVERY_KIND} }} }}',
    "as many objects as an answer may have": within(
        "clients(first:240) nodes invoices(first:100) nodes", "number"
    ),
    "sums in four rows": within(
        "client defaultPaymentMethod client activePayment", f"refunded {MONEY} status"
    ),
    "sums of a client in three rows": within("client activePayment client", PAYABLE),
    "sums of a client in four rows": within("viewer clients activePayment client", PAYABLE),
    "sums of an invoice in four rows": within(
        "client payments nodes allocations invoice", f"payable {MONEY} amountDue {MONEY}"
    ),
    "five rows": within(
        "client activePayment client activePayment client",
        f"email address {{ line1 }} balance {{ amount {MONEY} uninvoiced {MONEY} }}",
    ),
    "four lists": within(
        "viewer clients invoices(first:3) nodes payments allocations", f"amount {MONEY}"
    ),
    "lists with filters": within(
        f"viewer clients paymentMethods client {FILTERED.replace(' ', '')}",
        f"totalCount nodes {{ status isPastDue amountPaid {MONEY} }} pageInfo {{ endCursor }}",
    ),
    "a history in lists": within(
        "viewer clients paymentMethods client accountHistory",
        f"totalCount edges {{ cursor node {{ status balanceAfter {MONEY} }} }}",
    ),
    "completeness in lists": within(
        "viewer clients paymentMethods client superbills nodes completeness", "isComplete"
    ),
    "a clinician in lists": within(
        "viewer clients invoices nodes lines session clinician", "name credentials"
    ),
}
