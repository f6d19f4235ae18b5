"""Queries of `bench.rows_read`: lookups by id, pages of every list (first, next and last), and sums
over the whole practice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

INVOICE = "id number status isPastDue issuedOn dueOn total { amount } amountDue { amount }"
PAYMENT = "id createdOn status method amount { amount } card { brand last4 }"
STATEMENT = "id number periodEnd endingBalance { amount }"
SUPERBILL = "id number periodEnd"
RECEIPT = "id number amount { amount }"
ENTRY = "id date kind description status amount { amount }"
CLIENT = "id name email"

FLOWS = "invoiced { amount } collected { amount } refunded { amount } writtenOff { amount }"

# Each type with an id, and a selection of it.
NODES = {
    "Practice": "name currency",
    "Clinician": "name credentials",
    "Client": "name email phone clinician { name }",
    "Session": "date description fee { amount }",
    "Invoice": f"{INVOICE} client {{ name }} lines {{ description amount {{ amount }} }}",
    "Statement": f"{STATEMENT} lines {{ date description }}",
    "Superbill": f"{SUPERBILL} lines {{ date }} diagnoses {{ code }}",
    "Payment": f"{PAYMENT} receipt {{ number }} allocations {{ amount {{ amount }} }}",
    "Receipt": f"{RECEIPT} payment {{ id }}",
    "PaymentMethod": "brand last4 isDefault",
    "AccountHistoryEntry": ENTRY,
}


# Arguments whose values are sums: an invoice's status, a client's balance.
SUMS = {"invoices": ("status", "pastDue"), "clients": ("withBalance",)}


@dataclass(frozen=True)
class Lookup:
    """A lookup of one row by its id."""

    name: str
    query: str
    kind: str


@dataclass(frozen=True)
class List:
    """A list with pages: `%s` in the query stands for the arguments of paging."""

    name: str
    query: str
    size: int
    by_sums: bool


def lookups() -> Iterator[Lookup]:
    yield Lookup("client(id)", f"query Q($id: ID!) {{ client(id: $id) {{ {CLIENT} }} }}", "Client")
    for kind, fields in NODES.items():
        query = f"query Q($id: ID!) {{ node(id: $id) {{ ... on {kind} {{ {fields} }} }} }}"
        yield Lookup(f"node: {kind}", query, kind)


@dataclass(frozen=True)
class Report:
    """Sums over the practice."""

    name: str
    query: str


def reports(days: Mapping[str, str], clinician: str) -> Iterator[Report]:
    """Yield reports of a month day by day, and of amounts due, of the whole practice and of a
    clinician.
    """
    month = f'dateRange: {{gte: "{days["first"]}", lte: "{days["last"]}"}}, groupBy: DAY'
    therapist = f'clinicianId: "{clinician}"'
    for arguments in (month, f"{month}, {therapist}"):
        for fields in (FLOWS, "outstandingAtEnd { amount }"):
            name = f"practice.revenue({arguments}) {{ {fields.split()[0]} … }}"
            yield Report(name, f"{{ practice {{ revenue({arguments}) {{ start {fields} }} }} }}")
    for arguments in ("", f"({therapist})"):
        query = f"{{ practice {{ aging{arguments} {{ current {{ amount }} }} }} }}"
        yield Report(f"practice.aging{arguments}", query)


def lists(days: Mapping[str, str], names: tuple[str, str], clinician: str) -> Iterator[List]:
    """Yield the practice's lists, its clients, and one client's lists.

    `days`: a month within the practice's two years. `names`: the beginnings of one client's name
    and of many.
    """
    month = f'dateRange: {{gte: "{days["first"]}", lte: "{days["last"]}"}}'
    yield from practice_s_lists(month, f'clinicianId: "{clinician}"')
    for filters in (
        "",
        "orderBy: {direction: DESC}",
        "orderBy: {field: CREATED}",
        "orderBy: {field: CREATED, direction: DESC}",
        *(f'search: "{name}"' for name in names),
        "withBalance: true",
        "withBalance: false",
    ):
        yield listed("clients", filters, CLIENT, 100)
    yield from client_s_lists(month)


def practice_s_lists(month: str, clinician: str) -> Iterator[List]:
    status = "status: [UNPAID, PARTIALLY_PAID]"
    for filters in (
        "",
        "orderBy: {direction: ASC}",
        "orderBy: {field: DUE_ON}",
        "orderBy: {field: DUE_ON, direction: ASC}",
        "orderBy: {field: NUMBER}",
        month,
        clinician,
        status,
        "status: [PAID]",
        "status: [VOID]",
        "pastDue: true",
        "pastDue: false",
        f"{clinician}, {status}",
        f"{month}, {status}",
        "pastDue: true, orderBy: {field: DUE_ON, direction: ASC}",
    ):
        for size in (100, 500):
            fields = f"{INVOICE} client {{ id name }}"
            yield listed("invoices", filters, fields, size, "practice")
    for filters in ("", month, "status: [SUCCEEDED]", "status: [FAILED]", "status: [PROCESSING]"):
        yield listed("payments", filters, PAYMENT, 100, "practice")
    for filters in ("", month, 'changedSince: "0"'):
        yield listed("sessions", filters, "id date", 100, "practice")
        yield listed("statements", filters, STATEMENT, 100, "practice")
        yield listed("superbills", filters, SUPERBILL, 100, "practice")
        yield listed("receipts", filters, RECEIPT, 100, "practice")


def client_s_lists(month: str) -> Iterator[List]:
    fields = {
        "invoices": INVOICE,
        "statements": STATEMENT,
        "superbills": SUPERBILL,
        "accountHistory": ENTRY,
        "payments": PAYMENT,
        "receipts": RECEIPT,
    }
    everything = {"accountHistory": "dateRange: {}"}
    for name, selected in fields.items():
        for size in (5, 100):
            yield listed(name, everything.get(name, ""), selected, size, "client")
        yield listed(name, month, selected, 25, "client")
    yield listed("invoices", "status: [UNPAID]", INVOICE, 25, "client")
    yield listed("accountHistory", "dateRange: {}, kind: [PAYMENT]", ENTRY, 25, "client")
    balance = f"{ENTRY} balanceAfter {{ amount }}"
    yield listed("accountHistory", "dateRange: {}", balance, 25, "client")


def listed(name: str, filters: str, fields: str, size: int, of: str = "") -> List:
    arguments = f"({filters + ', ' if filters else ''}%s)"
    asked = f"{name}{arguments} {{ nodes {{ {fields} }} pageInfo {{ startCursor endCursor }} }}"
    if of == "practice":
        asked = f"practice {{ {asked} }}"
    if of == "client":
        asked = f"client(id: $client) {{ {asked} }}"
    variables = "$client: ID!, $after: String" if of == "client" else "$after: String"
    shown = ", ".join(part for part in (of, name) if part).replace(", ", ".")
    by_sums = "balance" in fields or any(sum_ in filters for sum_ in SUMS.get(name, ()))
    return List(f"{shown}({filters})", f"query Q({variables}) {{ {asked} }}", size, by_sums)
