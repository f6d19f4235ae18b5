"""Operations written out, by what they ask for: whoever sees one client may ask each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).parent.parent / "web" / "queries"

MONEY = "{ amount minorUnits currency }"
INVOICE = f"number status isPastDue dueOn total {MONEY} amountDue {MONEY} payable {MONEY}"
PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"

# Query and variables, by what is asked for.
WRITTEN: dict[str, tuple[str, Mapping[str, Any]]] = {
    "the viewer": ("{ viewer { kind name email scopes expiresAt __typename } }", {}),
    "a viewer's clients with their balances": (
        f"{{ viewer {{ clients {{ id name balance {{ amount {MONEY} }} }} }} }}",
        {},
    ),
    "the practice with all it has": (
        "{ practice { id name timeZone currency phone email clinicians { id name credentials }"
        " address { line1 line2 city region postalCode country } } }",
        {},
    ),
    "a client with all that is known of them": (
        "{ client { id name email phone dateOfBirth address { line1 line2 city region postalCode"
        " country } clinician { id name credentials } practice { id } } }",
        {},
    ),
    "a balance that explains itself": (
        f"{{ client {{ balance {{ amount {MONEY} payable {MONEY} uninvoiced {MONEY}"
        f" terms {{ kind amount {MONEY} }} }} canPay {{ isAllowed reason }}"
        " canAddCard { isAllowed reason } } }",
        {},
    ),
    "cards, the default first": (
        "{ client { paymentMethods { id brand last4 expMonth expYear cardholderName billingZip"
        " isDefault isExpired expiresSoon addedAt client { id } } defaultPaymentMethod { id } } }",
        {},
    ),
    "invoices with all that they have": (
        f"{{ client {{ invoices {{ totalCount nodes {{ id {INVOICE} issuedOn amountPaid {MONEY}"
        f" notes clinician {{ id }} client {{ id }} provider {{ name npi }} lines {{ date"
        f" description serviceCode quantity unitPrice {MONEY} amount {MONEY}"
        " session { id date } } } } } }",
        {},
    ),
    "invoices of some statuses, as a list of literals": (
        f"{{ client {{ invoices(status: [UNPAID, VOID]) {{ nodes {{ {INVOICE} }} }} }} }}",
        {},
    ),
    "invoices of some statuses, as a list variable": (
        "query ($status: [InvoiceStatus!]) {"
        " client { invoices(status: $status) { totalCount nodes { number } } } }",
        {"status": ["PAID", "PARTIALLY_PAID"]},
    ),
    "invoices of no status at all": (
        "query ($status: [InvoiceStatus!]) {"
        f" client {{ invoices(status: $status) {{ totalCount nodes {{ id }} {PAGE} }} }} }}",
        {"status": []},
    ),
    "invoices of a status that is a variable in a list": (
        "query ($one: InvoiceStatus!) { client { invoices(status: [$one]) { totalCount } } }",
        {"one": "UNPAID"},
    ),
    "invoices that are past due": (
        f"{{ client {{ invoices(pastDue: true) {{ totalCount nodes {{ {INVOICE} }} }} }} }}",
        {},
    ),
    "invoices that are not past due": (
        "query ($late: Boolean) {"
        " client { invoices(pastDue: $late) { nodes { number isPastDue } } } }",
        {"late": False},
    ),
    "invoices issued in a range with two ends": (
        '{ client { invoices(dateRange: {gte: "2026-02-13", lte: "2026-03-12"})'
        " { totalCount nodes { number issuedOn } } } }",
        {},
    ),
    "invoices issued in a range that is an input variable": (
        "query ($range: DateRange) {"
        " client { invoices(dateRange: $range) { totalCount nodes { number issuedOn } } } }",
        {"range": {"gte": "2026-02-14", "lte": None}},
    ),
    "invoices issued since a day that is a variable in an object": (
        "query ($day: Date, $absent: Date) { client {"
        " invoices(dateRange: {gte: $day, lte: $absent}) { nodes { issuedOn } } } }",
        {"day": "2026-03-12"},
    ),
    "invoices whose variables are null": (
        "query ($range: DateRange, $status: [InvoiceStatus!], $late: Boolean, $by: InvoiceOrder,"
        " $first: Int, $after: String) { client { invoices(dateRange: $range, status: $status,"
        " pastDue: $late, orderBy: $by, first: $first, after: $after) { nodes { number } } } }",
        dict.fromkeys(("range", "status", "late", "by", "first", "after")),
    ),
    "invoices whose variables are absent": (
        "query ($range: DateRange, $status: [InvoiceStatus!], $late: Boolean, $by: InvoiceOrder,"
        " $first: Int, $after: String) { client { invoices(dateRange: $range, status: $status,"
        " pastDue: $late, orderBy: $by, first: $first, after: $after) { nodes { number } } } }",
        {},
    ),
    "invoices whose variables have defaults": (
        "query ($status: [InvoiceStatus!] = [PAID], $by: InvoiceOrder = {direction: ASC},"
        " $first: Int = 2) { client { invoices(status: $status, orderBy: $by, first: $first)"
        " { nodes { number status } } } }",
        {},
    ),
    "invoices by the day they are due, those without one last": (
        "{ client { invoices(orderBy: {field: DUE_ON, direction: ASC}) { nodes { number dueOn }"
        f" {PAGE} }} }} }}",
        {},
    ),
    "invoices by number, the direction a variable": (
        "query ($way: OrderDirection!) { client {"
        " invoices(orderBy: {field: NUMBER, direction: $way}) { nodes { number } } } }",
        {"way": "ASC"},
    ),
    "a first page of edges": (
        f"{{ client {{ invoices(first: 2) {{ edges {{ cursor node {{ number }} }} {PAGE} }} }} }}",
        {},
    ),
    "a last page of edges": (
        f"{{ client {{ invoices(last: 2) {{ edges {{ cursor node {{ number }} }} {PAGE} }} }} }}",
        {},
    ),
    "how many invoices there are, and nothing else": (
        "{ client { invoices { totalCount } statements { totalCount } superbills { totalCount }"
        " accountHistory { totalCount } } }",
        {},
    ),
    "where a page stands, and nothing else": (
        f"{{ client {{ invoices(first: 1) {{ {PAGE} }} accountHistory(last: 1) {{ {PAGE} }} }} }}",
        {},
    ),
    "statements with all that they have": (
        "{ client { statements { totalCount nodes { id number issuedOn periodStart periodEnd"
        f" beginningBalance {MONEY} totalInvoiced {MONEY} totalPaid {MONEY} endingBalance {MONEY}"
        f" provider {{ name taxIdLast4 address {{ city }} }} lines {{ date description"
        f" invoiceNumber invoiced {MONEY} paid {MONEY} balanceAfter {MONEY} }} }} }} }} }}",
        {},
    ),
    "statements and superbills of which a day is in a range": (
        "query ($range: DateRange!) { client { statements(dateRange: $range) { nodes { number } }"
        " superbills(dateRange: $range) { nodes { number } } } }",
        {"range": {"gte": "2026-02-14", "lte": "2026-02-14"}},
    ),
    "superbills with all that they have": (
        "{ client { superbills { totalCount nodes { id number issuedOn periodStart periodEnd"
        f" totalFee {MONEY} totalPaid {MONEY} provider {{ name npi licenceNumber }} diagnoses"
        f" {{ position code description }} lines {{ date placeOfService cptCode modifiers units"
        f" diagnosisPointers fee {MONEY} paid {MONEY} session {{ id }} }} }} }} }} }}",
        {},
    ),
    "the account history of the last thirty days": (
        f"{{ client {{ accountHistory {{ nodes {{ id date kind description amount {MONEY} status"
        f" balanceAfter {MONEY} }} }} }} }}",
        {},
    ),
    "the whole account history": (
        "{ client { accountHistory(dateRange: {}, first: 100) { totalCount nodes { id date kind"
        " status session { id date startsAt durationMinutes description serviceCode"
        f" fee {MONEY} }} invoice {{ id number }} }} {PAGE} }} }} }}",
        {},
    ),
    "the account history of some kinds": (
        "query ($kind: [AccountHistoryKind!]) { client { accountHistory(dateRange: {},"
        " kind: $kind) { totalCount nodes { kind status } } } }",
        {"kind": ["PAYMENT", "REFUND", "CREDIT"]},
    ),
    "a null range of the account history, which is the last thirty days": (
        "query ($range: DateRange) { client { accountHistory(dateRange: $range)"
        " { totalCount nodes { date } } } }",
        {"range": None},
    ),
    "fragments, named and inline, one inside another": (
        "{ client { ...Bills ... on Client { id } ... { name } } }"
        " fragment Bills on Client { invoices(first: 3) { nodes { ...Bill } } }"
        " fragment Bill on Invoice { number ...Sums ... on Node { id ... on Invoice { status }"
        f" ... on Client {{ name }} }} }} fragment Sums on Invoice {{ total {MONEY} }}",
        {},
    ),
    "the same field twice, whose selections are one": (
        "{ client { balance { amount { amount } } balance { amount { currency }"
        " payable { amount } } invoices(first: 2) { nodes { id } } invoices(first: 2)"
        " { nodes { number } totalCount } } }",
        {},
    ),
    "aliases of one list with other arguments": (
        "{ client { open: invoices(status: [UNPAID]) { totalCount } paid: invoices(status: [PAID])"
        " { totalCount } all: invoices { totalCount } } }",
        {},
    ),
    "fields left out and put in by directives": (
        "query ($yes: Boolean!, $no: Boolean = false) { client { id name @skip(if: $yes)"
        " email @include(if: $no) phone @include(if: true) @skip(if: false)"
        " ...Card @include(if: $yes) ... @skip(if: $no) { dateOfBirth } } }"
        " fragment Card on Client { defaultPaymentMethod { last4 } }",
        {"yes": True},
    ),
    "an object of which all is left out": (
        "{ client { balance { amount @skip(if: true) { amount } } invoices { nodes"
        " @include(if: false) { id } } } }",
        {},
    ),
    "one of several operations, by its name": (
        "query One { viewer { kind } } query Page { client { id } } query Two { practice { id } }",
        {},
    ),
    "type names at every level": (
        "{ __typename client { __typename balance { __typename terms { __typename } }"
        " invoices(first: 1) { __typename edges { __typename node { __typename } }"
        " pageInfo { __typename } } } }",
        {},
    ),
    "a list in a list in a list": (
        "{ viewer { clients { invoices { nodes { lines { session { clinician { id } } } } } } } }",
        {},
    ),
}
WRITTEN |= {
    f"the page's own query, {path.stem}": (path.read_text(), {})
    for path in sorted(QUERIES.glob("*.graphql"))
}
