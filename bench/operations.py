"""What is measured: three operations, and a practice whose clients and dashboard ask them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing import demo
from billing.demo.cast import harbor_lane
from identity import tokens
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Scope, migrations

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

LASTS = dt.timedelta(days=1)
DASHBOARD_SCOPES = (Scope.BILLING_READ, Scope.PHI_READ)
# Rows held in memory and sent at a time.
BATCH = 5_000


@dataclass(frozen=True)
class Asked:
    """A request: whose token, which operation, with which variables."""

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
class Practice:
    """Tokens of some of its clients and of a dashboard; `today` is its last day with entries."""

    clients: Sequence[str]
    dashboard: str
    today: dt.date

    def asked(self) -> dict[str, list[Asked]]:
        """The requests of each operation, which take turns."""
        year_ago = self.today - dt.timedelta(365)
        page = {"range": {"gte": year_ago.isoformat()}, "first": 10}
        weeks = [self.today - dt.timedelta(weeks=n) for n in range(10)]
        return {
            "billing": [Asked(token, "BillingPage", BILLING, page) for token in self.clients],
            "dashboard": [
                Asked(self.dashboard, "Dashboard", DASHBOARD, {"range": {"lte": day.isoformat()}})
                for day in weeks
            ],
            "tiny": [Asked(token, "Balance", TINY, {}) for token in self.clients],
        }


async def practice(
    engine: AsyncEngine, key: str, now: dt.datetime, *, size: int, asking: int
) -> Practice:
    """A made-up practice with so many clients more than the demo's cast, in an empty database.

    So many of its clients are given tokens, hashed with the key.
    """
    await migrations.migrate(engine)
    company = harbor_lane(now.date(), 1, size)
    rows, practice_id = company.entries(), company.office.id
    async with engine.begin() as connection:
        while batch := list(islice(rows, BATCH)):
            await demo.write(connection, batch)
        found = await connection.scalars(select(Client.id).order_by(Client.id))
        some = spread(list(found), asking)
        clients = [
            await token(connection, key, Subject(practice_id, client_id=id_), now) for id_ in some
        ]
        dashboard = await token(connection, key, Subject(practice_id), now)
    return Practice(clients, dashboard, now.date())


def spread(ids: Sequence[str], size: int) -> Sequence[str]:
    """So many of them, from all over the list."""
    return ids[:: max(len(ids) // size, 1)][:size]


async def token(connection: AsyncConnection, key: str, subject: Subject, now: dt.datetime) -> str:
    scopes = PERSONAL_SCOPES if subject.client_id else DASHBOARD_SCOPES
    _, text = await tokens.create(connection, key, subject, "bench", frozenset(scopes), now, LASTS)
    return text
