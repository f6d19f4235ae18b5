"""The lists of a client's record for the client: which fields of the API, and which columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.csv_text import csv_lines
from models import DocumentKind
from server.http.export_tables import Column, ListPage

NODES_READ = 50
AMOUNT = "{ amount currency }"
# All days: without a range the account history is of the last 30 days.
EVER = 'dateRange: {gte: "0001-01-01"}'
CLIENT_QUERY = f"""query Record($client: ID!) {{
  client(id: $client) {{
    id name email phone dateOfBirth archivedOn
    address {{ line1 line2 city region postalCode country }}
    practice {{ name }}
    clinician {{ name }}
    balance {{ amount {AMOUNT} }}
    paymentMethods {{ id brand last4 expMonth expYear cardholderName billingZip addedAt isDefault }}
  }}
}}"""


@dataclass(frozen=True)
class RecordList:
    """A list of a client: the fields of its nodes, and the columns of its CSV file, if any.

    The nodes of a list with a `kind` are documents.
    """

    name: str
    fields: str
    columns: Sequence[Column] = ()
    kind: DocumentKind | None = None
    arguments: str = ""

    @property
    def query(self) -> str:
        given = ", ".join(filter(None, (f"first: {NODES_READ}", "after: $after", self.arguments)))
        return (
            "query Record($client: ID!, $after: String) { client(id: $client) {"
            f" {self.name}({given}) {{ nodes {{ {self.fields} }}"
            " pageInfo { hasNextPage endCursor } } } }"
        )

    def page(self, data: Mapping[str, Any]) -> ListPage:
        """Return a page; an empty one, if the viewer no longer sees the client."""
        client = data["client"]
        if client is None:
            return ListPage([], None)
        found = client[self.name]
        info = found["pageInfo"]
        return ListPage(found["nodes"], info["endCursor"] if info["hasNextPage"] else None)

    def heading(self) -> str:
        return csv_lines([[column.heading for column in self.columns]])

    def lines(self, nodes: Sequence[Any]) -> str:
        return csv_lines([column.of(node) for column in self.columns] for node in nodes)


LISTS = (
    RecordList(
        "invoices",
        f"""id number issuedOn dueOn status notes total {AMOUNT} amountPaid {AMOUNT}
        amountDue {AMOUNT}
        lines {{ date description serviceCode quantity unitPrice {AMOUNT} amount {AMOUNT} }}""",
        (
            Column("number", "number"),
            Column("issued_on", "issuedOn"),
            Column("due_on", "dueOn"),
            Column("status", "status"),
            Column("total", "total.amount"),
            Column("paid", "amountPaid.amount"),
            Column("due", "amountDue.amount"),
        ),
        DocumentKind.INVOICE,
    ),
    RecordList(
        "statements",
        f"""id number issuedOn periodStart periodEnd beginningBalance {AMOUNT}
        totalInvoiced {AMOUNT} totalPaid {AMOUNT} endingBalance {AMOUNT}
        lines {{ date description invoiceNumber invoiced {AMOUNT} paid {AMOUNT} }}""",
        kind=DocumentKind.STATEMENT,
    ),
    RecordList(
        "superbills",
        f"""id number issuedOn periodStart periodEnd totalFee {AMOUNT} totalPaid {AMOUNT}
        diagnoses {{ position code description }}
        lines {{ date cptCode modifiers units diagnosisPointers placeOfService fee {AMOUNT}
          paid {AMOUNT} }}""",
        kind=DocumentKind.SUPERBILL,
    ),
    RecordList(
        "receipts",
        f"id number paidOn issuedAt amount {AMOUNT} payment {{ id }}",
        kind=DocumentKind.RECEIPT,
    ),
    RecordList(
        "payments",
        f"""id createdOn paidAt status method amount {AMOUNT} refunded {AMOUNT}
        disputedAmount {AMOUNT} card {{ brand last4 }} receipt {{ number }}""",
        (
            Column("created_on", "createdOn"),
            Column("method", "method"),
            Column("status", "status"),
            Column("amount", "amount.amount"),
            Column("refunded", "refunded.amount"),
            Column("receipt", "receipt.number"),
        ),
    ),
    RecordList(
        "accountHistory",
        f"""id date postedOn serviceDate paidOn kind description amount {AMOUNT}
        balanceChange {AMOUNT} balanceAfter {AMOUNT} invoice {{ number }} payment {{ id }}""",
        (
            Column("date", "date"),
            Column("kind", "kind"),
            Column("description", "description"),
            Column("amount", "amount.amount"),
            Column("balance_change", "balanceChange.amount"),
            Column("balance_after", "balanceAfter.amount"),
        ),
        arguments=EVER,
    ),
    RecordList("accessLog", "at kind name action operation fields"),
)
