"""Comparisons of answers about a practice's books with sums of its rows.

The sums are read by plain SQL. They share no code with the server or the oracle.
"""

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

MONEY = "{ minorUnits }"
FLOWS = ("invoiced", "collected", "refunded", "charged_back", "written_off")
AGES = ("current", "days1To30", "days31To60", "days61To90", "over90")
OLDEST = (0, 30, 60, 90)
# The number of days that one operation asks for a balance.
MOST_DAYS = 20

STATEMENTS = f"""query ($id: ID!, $after: String) {{ client(id: $id) {{
  statements(first: 100, after: $after) {{
    nodes {{ number periodEnd endingBalance {MONEY} }}
    pageInfo {{ hasNextPage endCursor }} }} }} }}"""
HISTORY = f"""query ($id: ID!, $after: String) {{ client(id: $id) {{
  accountHistory(dateRange: {{}}, first: 100, after: $after) {{
    nodes {{ date balanceAfter {MONEY} }}
    pageInfo {{ hasNextPage endCursor }} }} }} }}"""
REVENUE = f"""query ($days: DateRange!, $by: Period!) {{ practice {{
  revenue(dateRange: $days, groupBy: $by) {{ start end invoiced {MONEY} collected {MONEY}
    refunded {MONEY} charged_back: chargedBack {MONEY} written_off: writtenOff {MONEY}
    outstanding_at_end: outstandingAtEnd {MONEY} }} }} }}"""

LEDGER_OF_CLIENT = """SELECT posted_on, SUM(amount_minor) FROM ledger_entry
 WHERE practice_id = :practice AND client_id = :client GROUP BY posted_on"""
STATEMENTS_OF_CLIENT = """SELECT number, period_end FROM statement
 WHERE practice_id = :practice AND client_id = :client"""
FLOWS_BY_DAY = """SELECT date,
 SUM(CASE WHEN kind IN ('SESSION', 'CHARGE') THEN amount_minor ELSE 0 END) AS invoiced,
 SUM(CASE WHEN kind = 'PAYMENT' THEN -amount_minor ELSE 0 END) AS collected,
 SUM(CASE WHEN kind = 'REFUND' THEN amount_minor ELSE 0 END) AS refunded,
 SUM(CASE WHEN kind = 'DISPUTE' THEN amount_minor ELSE 0 END) AS charged_back,
 SUM(CASE WHEN kind = 'WRITE_OFF' THEN -amount_minor ELSE 0 END) AS written_off
 FROM ledger_entry WHERE practice_id = :practice GROUP BY date"""
DUE_BY_DAY = """SELECT moved.day, invoice.due_on, SUM(moved.minor)
 FROM (
  SELECT invoice_id, posted_on AS day, amount_minor AS minor FROM ledger_entry
   WHERE practice_id = :practice AND invoice_id IS NOT NULL
  UNION ALL
  SELECT invoice_id, date, -amount_minor FROM allocation WHERE practice_id = :practice
 ) AS moved
 JOIN invoice ON invoice.practice_id = :practice AND invoice.id = moved.invoice_id
 GROUP BY moved.day, invoice.due_on"""


@dataclass(frozen=True)
class Books:
    """A practice's rows, and its answers to a dashboard's token with every scope."""

    http: httpx.AsyncClient
    engine: AsyncEngine
    practice_id: str
    token: str
    today: dt.date

    # -- statements --------------------------------------------------------------------------------

    async def check_statements(self, client_id: str) -> int:
        """Compare each statement's ending balance with the ledger, with `balance(asOf:)` and with
        the account history of its last day. Return the number of statements.
        """
        of_client = {"practice": self.practice_id, "client": client_id}
        posted = [(day_of(day), int(minor)) for day, minor in
                  await self.select(LEDGER_OF_CLIENT, **of_client)]  # fmt: skip
        issued = {number: day_of(day) for number, day in
                  await self.select(STATEMENTS_OF_CLIENT, **of_client)}  # fmt: skip
        statements = [node async for node in self.pages(STATEMENTS, client_id, "statements")]
        assert {one["number"]: day_of(one["periodEnd"]) for one in statements} == issued
        history = [node async for node in self.pages(HISTORY, client_id, "accountHistory")]
        balances = await self.balances(client_id, set(issued.values()))
        for statement in statements:
            last_day, ending = day_of(statement["periodEnd"]), minor_of(statement["endingBalance"])
            assert ending == sum(minor for day, minor in posted if day <= last_day), statement
            assert ending == balances[last_day], statement
            assert ending == balance_after(history, last_day), statement
        return len(statements)

    async def balances(self, client_id: str, days: Iterable[dt.date]) -> dict[dt.date, int]:
        """Return the client's balance as of each day."""
        found: dict[dt.date, int] = {}
        waiting = sorted(days)
        while waiting:
            some, waiting = waiting[:MOST_DAYS], waiting[MOST_DAYS:]
            fields = [f'd{day:%Y%m%d}: balance(asOf: "{day}") {{ amount {MONEY} }}' for day in some]
            query = f"query ($id: ID!) {{ client(id: $id) {{ {' '.join(fields)} }} }}"
            client = (await self.ask(query, id=f"cli_{client_id}"))["client"]
            found |= {day: minor_of(client[f"d{day:%Y%m%d}"]["amount"]) for day in some}
        return found

    # -- reports -----------------------------------------------------------------------------------

    async def check_reports(self, days: Iterable[dt.date]) -> None:
        """Compare aging as of some days, and revenue from the first row until today."""
        due = [(day_of(day), due_on and day_of(due_on), int(minor)) for day, due_on, minor in
               await self.select(DUE_BY_DAY, practice=self.practice_id)]  # fmt: skip
        for day in sorted({*days, self.today}):
            assert await self.aging(day) == aging_of(due, day), day
        flows = {day_of(row.date): {name: int(getattr(row, name)) for name in FLOWS} for row in
                 await self.select(FLOWS_BY_DAY, practice=self.practice_id)}  # fmt: skip
        first = min([*flows, self.today])
        for by in ("WEEK", "MONTH"):
            periods = await self.revenue(first, by)
            assert (periods[0][0], periods[-1][1]) == (first, self.today)
            assert all(b[0] == a[1] + dt.timedelta(1) for a, b in pairwise(periods))
            for start, end, shown in periods:
                expected = Counter[str]()
                for day, amounts in flows.items():
                    expected.update(amounts if start <= day <= end else {})
                expected["outstanding_at_end"] = sum(minor for day, _, minor in due if day <= end)
                assert shown == {name: expected[name] for name in shown}, (start, end)

    async def aging(self, day: dt.date) -> dict[str, int]:
        fields = " ".join(f"{name} {MONEY}" for name in (*AGES, "total"))
        query = f"query ($day: Date!) {{ practice {{ aging(asOf: $day) {{ {fields} }} }} }}"
        report = (await self.ask(query, day=day.isoformat()))["practice"]["aging"]
        return {name: minor_of(amount) for name, amount in report.items()}

    async def revenue(
        self, first: dt.date, by: str
    ) -> list[tuple[dt.date, dt.date, dict[str, int]]]:
        """Return the periods of the report, which are also those of the file."""
        names = (*FLOWS, "outstanding_at_end")
        days = {"gte": first.isoformat(), "lte": self.today.isoformat()}
        report = (await self.ask(REVENUE, days=days, by=by))["practice"]["revenue"]
        shown = [(day_of(one["start"]), day_of(one["end"]),
                  {name: minor_of(one[name]) for name in names}) for one in report]  # fmt: skip
        path = f"revenue.csv?from={first}&to={self.today}&groupBy={by}"
        filed = [(day_of(one["start"]), day_of(one["end"]),
                  {name: int(one[name].replace(".", "")) for name in names})
                 for one in await self.file(path)]  # fmt: skip
        assert filed == shown
        return shown

    # -- reads -------------------------------------------------------------------------------------

    async def pages(self, query: str, client_id: str, field: str) -> Any:
        """Yield the nodes of a client's connection, page by page."""
        after = None
        while True:
            answer = await self.ask(query, id=f"cli_{client_id}", after=after)
            page = answer["client"][field]
            for node in page["nodes"]:
                yield node
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    async def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = (await self.http.post("/graphql", json=body, headers=self.headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def file(self, path: str) -> list[dict[str, str]]:
        response = await self.http.get(f"/export/{path}", headers=self.headers)
        assert response.status_code == 200, response.text
        return list(csv.DictReader(io.StringIO(response.text, newline="")))

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def select(self, sql: str, **values: str) -> list[Any]:
        async with self.engine.connect() as conn:
            return list((await conn.execute(text(sql), values)).all())


def balance_after(history: list[Any], last_day: dt.date) -> int:
    """Return the balance after the last entry listed on or before a day, newest first."""
    listed: Iterator[Any] = (one for one in history if day_of(one["date"]) <= last_day)
    entry = next(listed, None)
    return 0 if entry is None else minor_of(entry["balanceAfter"])


def aging_of(due: list[tuple[dt.date, Any, int]], as_of: dt.date) -> dict[str, int]:
    """Return the amounts due as of a day by the days past due, from sums by day and due date."""
    found = dict.fromkeys((*AGES, "total"), 0)
    for day, due_on, minor in due:
        if day <= as_of:
            late = 0 if due_on is None else (as_of - due_on).days
            found[AGES[sum(late > oldest for oldest in OLDEST)]] += minor
            found["total"] += minor
    return found


def day_of(value: Any) -> dt.date:
    """Return a day from a text of SQLite or JSON, or from a date of PostgreSQL."""
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


def minor_of(money: dict[str, Any]) -> int:
    return int(money["minorUnits"])
