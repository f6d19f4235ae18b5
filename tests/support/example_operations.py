"""Operations written out, by their subject. Each viewer of a client may send each of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).parents[2] / "web" / "queries"

MONEY = "{ amount minorUnits currency }"
INVOICE = (
    f"number status isPastDue isDisputed dueOn total {MONEY} amountDue {MONEY} payable {MONEY}"
)
PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"

# Query and variables, by subject.
WRITTEN: dict[str, tuple[str, Mapping[str, Any]]] = {
    "sign-ins": ("{ viewer { signIns { id startedAt lastUsedAt isCurrent } } }", {}),
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
        "{ client { id name email phone dateOfBirth archivedOn"
        " address { line1 line2 city region postalCode country } clinician { id name"
        " credentials } practice { id } } }",
        {},
    ),
    "a balance that explains itself": (
        f"{{ client {{ balance {{ amount {MONEY} payable {MONEY} uninvoiced {MONEY}"
        f" terms {{ kind amount {MONEY} }} }} canPay {{ isAllowed reason }}"
        " canAddCard { isAllowed reason } } }",
        {},
    ),
    "the invoices that make up what is payable": (
        f"{{ client {{ balance {{ payable {MONEY} creditApplied {MONEY} invoices {{ amountDue"
        f" {MONEY} invoice {{ id number }} }} }} }} }}",
        {},
    ),
    # Tests give an id to a "client {" that follows.
    "the practice's ledger": (
        "query ($range: DateRange, $kind: [AccountHistoryKind!]) { practice { ledger(first: 9,"
        " dateRange: $range, kind: $kind) { totalCount nodes { id date paidOn client{ id }"
        f" amount {MONEY} balanceAfter {MONEY} status }} {PAGE} }} }} }}",
        {"range": {"gte": "2025-12-31", "lte": "2026-02-20"}, "kind": None},
    ),
    "amounts that make up what is due of invoices": (
        f"{{ client {{ invoices {{ nodes {{ total {MONEY} voided {MONEY} writtenOff {MONEY}"
        f" adjusted {MONEY} amountPaid {MONEY} amountDue {MONEY} }} }} }} }}",
        {},
    ),
    "balances as of days": (
        "query ($day: Date, $none: Date) { client { now: balance(asOf: $none) { amount"
        f" {MONEY} }} then: balance(asOf: $day) {{ amount {MONEY} payable {MONEY} terms {{ kind"
        f' amount {MONEY} }} }} earlier: balance(asOf: "2025-12-31") {{ amount {MONEY} }} }} }}',
        {"day": "2026-02-20", "none": None},
    ),
    "balances of a viewer's clients as of a day": (
        f'{{ viewer {{ clients {{ id balance(asOf: "2026-01-14") {{ amount {MONEY} terms'
        f" {{ amount {MONEY} }} }} }} }} }}",
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
        f" totalFee {MONEY} totalPaid {MONEY} provider {{ name npi licenceNumber }}"
        f" renderingProvider {{ name npi }} diagnoses {{ position code description }}"
        " lines { date placeOfService cptCode modifiers units"
        f" diagnosisPointers fee {MONEY} paid {MONEY} session {{ id }} }} }} }} }} }}",
        {},
    ),
    "the account history of the last thirty days": (
        f"{{ client {{ accountHistory {{ nodes {{ id date kind description amount {MONEY} status"
        f" balanceAfter {MONEY} balanceChange {MONEY} serviceDate paidOn postedOn }} }} }} }}",
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
PAYMENT = (
    f"id status method amount {MONEY} refunded {MONEY} disputedAmount {MONEY} createdAt createdOn"
    f" paidAt card {{ brand last4 }} failure {{ reason message }}"
)
WIDEST = " ".join(f"w{number}: balance {{ amount {MONEY} }}" for number in range(99))

WRITTEN |= {
    "payments with all that they have": (
        f"{{ client {{ payments {{ totalCount nodes {{ {PAYMENT} client {{ id }} allocations"
        f" {{ amount {MONEY} invoice {{ id number }} }} receipt {{ id number }} }} {PAGE} }} }} }}",
        {},
    ),
    "payments of some statuses, begun in a range": (
        "query ($status: [PaymentStatus!], $range: DateRange) { client {"
        " payments(status: $status, dateRange: $range) { totalCount nodes { status createdOn } }"
        " none: payments(status: []) { totalCount }"
        " pending: payments(status: [PENDING]) { nodes { id } }"
        " disputed: payments(status: [DISPUTED, CHARGED_BACK]) { nodes { id status } } } }",
        {"status": ["SUCCEEDED", "PENDING"], "range": {"gte": "2026-02-14"}},
    ),
    "payments from the end": (
        f"{{ client {{ payments(last: 2) {{ edges {{ cursor node {{ id }} }} {PAGE} }} }} }}",
        {},
    ),
    "receipts with all that they have": (
        f"{{ client {{ receipts {{ totalCount nodes {{ id number amount {MONEY} issuedAt"
        f" client {{ id }} payment {{ {PAYMENT} }} }} {PAGE} }} }} }}",
        {},
    ),
    "receipts of a range, from either end": (
        '{ client { a: receipts(first: 1, dateRange: {gte: "2026-02-14"}) { edges { cursor }'
        f' {PAGE} }} b: receipts(last: 1, dateRange: {{lte: "2026-03-14"}}) {{ edges {{ cursor }}'
        f" {PAGE} }} }} }}",
        {},
    ),
    "the payment that is under way": (
        f"{{ client {{ activePayment {{ {PAYMENT} }} canPay {{ isAllowed reason }} }} }}",
        {},
    ),
    "what paid an invoice": (
        "{ client { invoices { nodes { number payments { id createdOn allocations {"
        " amount { amount } } } } } } }",
        {},
    ),
    "the invoice of a session, and the payment of an entry": (
        "{ client { accountHistory(dateRange: {}, first: 100) { nodes { kind payment { id status }"
        " session { id invoice { id number } } } } } }",
        {},
    ),
    "what an insurer would miss": (
        "{ client { superbills { nodes { number completeness { isComplete missing { code line"
        " message } } } } } }",
        {},
    ),
    "whether payments are taken online": (
        "{ practice { onlinePayments { isEnabled mode publishableKey canRemoveCards consentText"
        f" stripeDecimals minimum {MONEY} }} }} }}",
        {},
    ),
    "all invoices of the practice, five hundred at a time": (
        f"{{ practice {{ invoices(first: 500) {{ totalCount nodes {{ {INVOICE} }} {PAGE} }} }} }}",
        {},
    ),
    "the practice's invoices, filtered": (
        "query ($late: Boolean, $status: [InvoiceStatus!], $by: InvoiceOrder) { practice {"
        " invoices(pastDue: $late, status: $status, orderBy: $by, last: 3,"
        ' dateRange: {lte: "2026-03-14"}) { totalCount nodes { id number } } } }',
        {"late": True, "status": ["UNPAID"], "by": {"field": "DUE_ON"}},
    ),
    "a therapist's invoices": (
        "query ($of: ID) { practice { invoices(clinicianId: $of) { totalCount } none:"
        ' invoices(clinicianId: "cln_00000000-0000-4000-8000-000000000000") { totalCount } } }',
        {},
    ),
    "all payments of the practice": (
        "{ practice { payments(first: 500, status: [SUCCEEDED, FAILED],"
        ' dateRange: {gte: "2026-01-01"}) { totalCount nodes { id status } }'
        f" last: payments(last: 2) {{ nodes {{ id }} {PAGE} }} }} }}",
        {},
    ),
    "all sessions of the practice": (
        "query ($since: String) { practice { sessions(first: 500) { totalCount nodes { id date"
        f" invoice {{ id }} }} }} last: sessions(last: 2) {{ nodes {{ id }} {PAGE} }}"
        ' changed: sessions(changedSince: $since, dateRange: {gte: "2026-02-01"})'
        " { nodes { id } } } }",
        {"since": "3"},
    ),
    "all documents of the practice": (
        "query ($since: String, $range: DateRange) { practice {"
        " statements(first: 500) { totalCount nodes { id number } }"
        " superbills(dateRange: $range) { totalCount nodes { id } }"
        f" receipts(last: 3) {{ totalCount nodes {{ id paidOn }} {PAGE} }}"
        " newStatements: statements(changedSince: $since, dateRange: $range) { nodes { id } }"
        " newSuperbills: superbills(changedSince: $since) { nodes { id } }"
        " newReceipts: receipts(changedSince: $since) { nodes { id } } } }",
        {"since": "3", "range": {"gte": "2026-02-01"}},
    ),
    "clients that have changed": (
        "query ($since: String) { clients(changedSince: $since, orderBy: {field: CREATED})"
        " { totalCount nodes { id } } }",
        {"since": "3"},
    ),
    "the clients in sight, by name": (
        f"{{ clients {{ totalCount edges {{ cursor node {{ id name }} }} {PAGE} }} }}",
        {},
    ),
    "clients from the end of their names": (
        f"{{ clients(orderBy: {{direction: DESC}}, last: 2) {{ nodes {{ name }} {PAGE} }} }}",
        {},
    ),
    "clients as they came": (
        "query ($by: ClientOrder, $first: Int) { clients(orderBy: $by, first: $first)"
        f" {{ nodes {{ id }} {PAGE} }} }}",
        {"by": {"field": "CREATED", "direction": "DESC"}, "first": 500},
    ),
    "clients who owe something, and who owe nothing": (
        "{ some: clients(withBalance: true) { totalCount nodes { balance { amount { amount } } } }"
        " none: clients(withBalance: false) { totalCount } all: clients(withBalance: null)"
        " { totalCount } }",
        {},
    ),
    "clients who left, and current ones": (
        "{ left: clients(isArchived: true) { totalCount nodes { archivedOn } }"
        " current: clients(isArchived: false, withBalance: true) { totalCount } }",
        {},
    ),
    "clients by a search": (
        "query ($search: String) { clients(search: $search) { totalCount nodes { name } }"
        ' two: clients(search: "MARÍA nu") { nodes { name } } empty: clients(search: "")'
        ' { totalCount } nobody: clients(search: "zzz") { totalCount } }',
        {"search": "jose m"},
    ),
    "nothing under an id that is nobody's": (
        '{ node(id: "inv_00000000-0000-4000-8000-000000000000") { id ... on Invoice { number } }'
        " __typename }",
        {},
    ),
    "things by ids that are a variable": (
        "query ($ids: [ID!]!, $one: ID!) { nodes(ids: $ids) { __typename id"
        " ... on Client { name } } mixed: nodes(ids: [$one,"
        ' "aht_00000000-0000-4000-8000-000000000000"]) { id } }',
        {
            "ids": ["cli_00000000-0000-4000-8000-000000000000"] * 50,
            "one": "pmt_00000000-0000-4000-8000-000000000000",
        },
    ),
    "all documents with where they open": (
        "{ client { invoices { nodes { number LINK } } statements { nodes { LINK } }"
        " superbills { nodes { LINK } } receipts { nodes { LINK } }"
        " payments { nodes { receipt { LINK } } } } }".replace(
            "LINK", "document { printUrl downloadUrl expiresAt fileName }"
        ),
        {},
    ),
    "no things at all": ("{ nodes(ids: []) { id } __typename }", {}),
    "four lists, one in another": (
        "{ clients(first: 3) { nodes { invoices(first: 3) { nodes { payments { allocations {"
        " amount { amount } } } } } } } }",
        {},
    ),
    "nearly as many fields as there may be": (f"{{ client {{ {WIDEST} }} }}", {}),
}
WRITTEN |= {
    f"the page's own query, {path.stem}": (path.read_text(), {})
    for path in sorted(QUERIES.glob("*.graphql"))
}

PERIOD = (
    f"start end invoiced {MONEY} collected {MONEY} refunded {MONEY} chargedBack {MONEY}"
    f" writtenOff {MONEY} outstandingAtEnd {MONEY}"
)
AGES = (
    f"asOf current {MONEY} days1To30 {MONEY} days31To60 {MONEY} days61To90 {MONEY} over90 {MONEY}"
    f" total {MONEY}"
)
# Operations of dashboards alone: sums over the whole practice.
REPORTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "the practice's money by month": (
        '{ practice { revenue(dateRange: {gte: "2025-12-15", lte: "2026-03-15"})'
        f" {{ {PERIOD} }} }} }}",
        {},
    ),
    "by another period, a variable": (
        "query ($days: DateRange!, $by: Period!) { practice { revenue(dateRange: $days,"
        f" groupBy: $by) {{ {PERIOD} }} }} }}",
        {"days": {"gte": "2025-12-27", "lte": "2026-01-06"}, "by": "WEEK"},
    ),
    "day by day around a leap day, of which nothing is known": (
        '{ practice { revenue(dateRange: {gte: "2024-02-27", lte: "2024-03-02"}, groupBy: DAY)'
        f" {{ {PERIOD} }} }} }}",
        {},
    ),
    "one day, whatever it is a period of": (
        "query ($day: Date!) { practice {"
        " day: revenue(dateRange: {gte: $day, lte: $day}, groupBy: DAY) { start end }"
        " week: revenue(dateRange: {gte: $day, lte: $day}, groupBy: WEEK) { start end }"
        " quarter: revenue(dateRange: {gte: $day, lte: $day}, groupBy: QUARTER) { start end }"
        " year: revenue(dateRange: {gte: $day, lte: $day}, groupBy: YEAR) { start end } } }",
        {"day": "2026-01-01"},
    ),
    "four hundred days": (
        '{ practice { revenue(dateRange: {gte: "2025-02-25", lte: "2026-03-31"}, groupBy: DAY)'
        " { start invoiced { amount } outstandingAtEnd { minorUnits } } } }",
        {},
    ),
    "the last of all days": (
        "{ practice { y: revenue(dateRange:"
        ' {gte: "9990-01-01", lte: "9999-12-31"}, groupBy: YEAR) { end outstandingAtEnd'
        ' { amount } } w: revenue(dateRange: {gte: "9999-12-26", lte: "9999-12-31"},'
        " groupBy: WEEK) { start end } } }",
        {},
    ),
    "when something was due and no more than that": (
        '{ practice { revenue(dateRange: {gte: "2025-01-01", lte: "2026-12-31"}, groupBy: QUARTER)'
        " { __typename outstandingAtEnd { amount } } } }",
        {},
    ),
    "nobody's money": (
        '{ practice { revenue(dateRange: {gte: "2026-01-01", lte: "2026-03-15"}, clinicianId:'
        f' "cln_00000000-0000-4000-8000-000000000000") {{ {PERIOD} }}'
        f' aging(clinicianId: "cln_00000000-0000-4000-8000-000000000000") {{ {AGES} }} }} }}',
        {},
    ),
    "what is due, by its age": (f"{{ practice {{ aging {{ {AGES} }} }} }}", {}),
    "what was due on days that are past": (
        "query ($day: Date, $none: Date) { practice { a: aging(asOf: $day) { total { amount } }"
        f' b: aging(asOf: "2026-02-14") {{ {AGES} }} c: aging(asOf: $none) {{ asOf }}'
        ' d: aging(asOf: "0001-01-01") { over90 { amount } total { amount } }'
        ' e: aging(asOf: "2026-01-01") { current { amount } over90 { minorUnits } } } }',
        {"day": "2026-03-12"},
    ),
    "what was due on each day of a fortnight": (
        "{ practice { "
        + " ".join(
            f'd{day}: aging(asOf: "2026-03-{day:02}") {{ current {{ amount }}'
            " days1To30 { amount } days31To60 { amount } days61To90 { amount } over90 { amount } }"
            for day in range(1, 16)
        )
        + " } }",
        {},
    ),
}
