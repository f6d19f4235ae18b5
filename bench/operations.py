"""The measured operations, each with requests that take turns, and one of them with a new body each
time.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BILLING = """\
query BillingPage($range: DateRange, $first: Int) {
  client {
    id
    name
    balance { amount { amount currency } payable { amount } terms { kind amount { amount } } }
    canPay { isAllowed reason }
    invoices(first: $first) {
      nodes {
        id number issuedOn dueOn status isPastDue
        total { amount currency } amountDue { amount }
      }
      pageInfo { hasNextPage }
    }
    statements(first: $first) {
      nodes { id number periodStart periodEnd endingBalance { amount } }
    }
    superbills(first: $first) { nodes { id number periodStart periodEnd totalFee { amount } } }
    accountHistory(dateRange: $range, first: 20) {
      nodes { id date kind description status amount { amount } balanceAfter { amount } }
      pageInfo { hasNextPage endCursor }
    }
    paymentMethods { id brand last4 expMonth expYear isDefault isExpired }
  }
}
"""
DASHBOARD = """\
query Dashboard($range: DateRange) {
  practice {
    invoices(first: 500, dateRange: $range) {
      nodes { id number issuedOn dueOn status total { amount currency } client { id name } }
    }
  }
}
"""
TINY = """\
query Balance { client { balance { amount { amount currency } } } }
"""
DEEP = """\
query Deep($first: Int) {
  client {
    id
    invoices(first: $first) {
      nodes {
        id number status
        payments {
          id status amount { amount }
          allocations { amount { amount } invoice { id number } }
        }
      }
    }
  }
}
"""
COUNTED = """\
query Counted($range: DateRange) {
  practice {
    invoices(first: 20, dateRange: $range) {
      totalCount
      nodes { id number issuedOn total { amount currency } }
      pageInfo { hasNextPage }
    }
  }
}
"""
NODE = """\
query Node($id: ID!) {
  node(id: $id) {
    id
    ... on Invoice { number issuedOn dueOn status total { amount currency } amountDue { amount } }
  }
}
"""
REVENUE = """\
query Revenue($range: DateRange!) {
  practice {
    revenue(dateRange: $range, groupBy: MONTH) {
      start end
      invoiced { amount } collected { amount } refunded { amount } writtenOff { amount }
      outstandingAtEnd { amount }
    }
  }
}
"""

# The place of a number that no other request has.
PLACE = "#" * 12
# The order in the tables.
NAMES = ("billing", "anew", "dashboard", "tiny", "deep", "counted", "node", "revenue")


@dataclass(frozen=True)
class Asked:
    """A request: its token, operation and variables."""

    token: str
    operation: str
    query: str
    variables: Mapping[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "operationName": self.operation,
            "variables": dict(self.variables),
        }


@dataclass(frozen=True)
class Askers:
    """The senders of one practice.

    Tokens of several clients and of a dashboard, an invoice's id for each client, and the
    practice's day.
    """

    clients: Sequence[str]
    dashboard: str
    invoices: Sequence[str]
    today: dt.date

    def asked(self) -> dict[str, list[Asked]]:
        """Return the requests of each operation, which take turns."""
        year_ago = (self.today - dt.timedelta(365)).isoformat()
        page = {"range": {"gte": year_ago}, "first": 10}
        weeks = [(self.today - dt.timedelta(weeks=n)).isoformat() for n in range(10)]
        month = self.today.replace(day=1)
        years = [first_days(month, back=n) for n in range(3)]
        # An unused variable makes each request different.
        anew = {**page, "number": PLACE}
        return {
            "billing": [Asked(token, "BillingPage", BILLING, page) for token in self.clients],
            "anew": [Asked(token, "BillingPage", BILLING, anew) for token in self.clients],
            "dashboard": [self.of_practice("Dashboard", DASHBOARD, None, day) for day in weeks],
            "tiny": [Asked(token, "Balance", TINY, {}) for token in self.clients],
            "deep": [Asked(token, "Deep", DEEP, {"first": 10}) for token in self.clients],
            "counted": [self.of_practice("Counted", COUNTED, None, day) for day in weeks],
            "node": [
                Asked(token, "Node", NODE, {"id": id_})
                for token, id_ in zip(self.clients, self.invoices, strict=True)
            ],
            "revenue": [self.of_practice("Revenue", REVENUE, *year) for year in years],
        }

    def of_practice(self, name: str, query: str, first: str | None, last: str) -> Asked:
        range_ = {"lte": last} if first is None else {"gte": first, "lte": last}
        return Asked(self.dashboard, name, query, {"range": range_})


def first_days(month: dt.date, back: int) -> tuple[str, str]:
    """Return the first and the last day of a year of whole months, ending some months back."""
    for _ in range(back):
        month = (month - dt.timedelta(1)).replace(day=1)
    return month.replace(year=month.year - 1).isoformat(), (month - dt.timedelta(1)).isoformat()
