"""Rows that the database reads compared with rows that it returns: `python -m bench.rows_read`.

It sends lookups and pages of a large practice as the server does, and counts the rows that
PostgreSQL reports as read. At most 20 rows may be read for each one returned, and 200 more; sums
are exempt.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
import typer

from bench.lookups import lists, lookups, reports
from billing.documents.links import Signer
from demo import many
from execution.introspection import Introspection
from execution.pipeline import GraphQLService
from graph.schema import schema
from identity.viewer import Viewer
from models import Scope, ViewerKind, database
from models.database.confinement import EVERY_PRACTICE, SETTING
from server.cli import load_demo
from server.cli.explain import (
    NOBODY,
    coerced_variables,
    operation_of,
    planned_statement,
)
from tests.support import postgres
from tests.support.empty_databases import prepare

ROWS_EACH, ROWS_MORE = 20, 200
# The number of uses after which PostgreSQL may change from a custom plan to a generic one.
USES_BEFORE_ANOTHER_PLAN = 5


@dataclass(frozen=True)
class Measured:
    """The rows returned by a page or lookup, and the rows read for it.

    `by_sums`: the rows, or their fields, depend on sums over other rows.
    """

    name: str
    returned: int
    read: int
    by_sums: bool = False

    @property
    def limit(self) -> int:
        return ROWS_EACH * self.returned + ROWS_MORE

    @property
    def verdict(self) -> str:
        if self.read <= self.limit:
            return ""
        return "over, by sums" if self.by_sums else "TOO MANY"


@dataclass(frozen=True)
class Subjects:
    """The viewer and the ids to ask for, by kind."""

    viewer: Viewer
    ids: Mapping[str, str]
    month: Mapping[str, str]
    names: tuple[str, str]


class Asking:
    """Executor of the server's statements, with EXPLAIN."""

    def __init__(self, reads: database.PostgresReads, driver: Any, subjects: Subjects) -> None:
        self.graph = GraphQLService(schema(), reads, Introspection.NOBODY, Signer("", ""))
        self.reads, self.driver, self.subjects = reads, driver, subjects

    async def all(self) -> AsyncIterator[Measured]:
        ids = self.subjects.ids
        for one in lookups():
            measured, _ = await self.measure(one.name, one.query, {"id": ids[one.kind]})
            yield measured
        for report in reports(self.subjects.month, ids["Clinician"]):
            measured, _ = await self.measure(report.name, report.query, {})
            yield replace(measured, by_sums=True)
        client = {"client": ids["Client"]}
        for each in lists(self.subjects.month, self.subjects.names, ids["Clinician"]):
            given = client if "$client" in each.query else {}
            for place, measured in [m async for m in self.pages(each, given)]:
                name = f"{each.name} {place}"
                yield replace(measured, name=name, by_sums=each.by_sums)

    async def pages(
        self, each: Any, given: Mapping[str, Any]
    ) -> AsyncIterator[tuple[str, Measured]]:
        """Measure the first page, the next one, the last, and the page after a row near the end."""
        forward, backward = (each.query % f"{way}: {each.size}, after: $after"
                             for way in ("first", "last"))  # fmt: skip
        backward = backward.replace(", after: $after", "").replace(", $after: String", "")
        backward = backward.replace("Q($after: String)", "Q")
        first, info = await self.measure(each.name, forward, given)
        yield f"first {each.size}", first
        if first.returned >= each.size:
            after = {"after": info["endCursor"]}
            yield "next", (await self.measure(each.name, forward, {**given, **after}))[0]
        last, info = await self.measure(each.name, backward, given)
        yield f"last {each.size}", last
        if last.returned >= each.size:
            after = {"after": info["startCursor"]}
            yield "end", (await self.measure(each.name, forward, {**given, **after}))[0]

    async def measure(
        self, name: str, query: str, variables: Mapping[str, Any]
    ) -> tuple[Measured, Any]:
        """Measure a query; return also the page info of its answer, if any."""
        viewer, now = self.subjects.viewer, dt.datetime.now(dt.UTC)
        prepared = operation_of(self.graph, query, None)
        coerced = coerced_variables(self.graph, prepared, variables)
        sql, values = await planned_statement(self.graph, prepared, coerced, viewer, now)
        answer = orjson.loads(await self.reads.value(sql, values, viewer.caller))
        read = await self.rows_read(sql, values)
        return Measured(name, rows_in(answer), read), page_info(answer)

    async def rows_read(self, sql: str, values: Sequence[Any]) -> int:
        """Return the rows read at the first use or, if the plan changes later, at a later one: the
        larger.
        """
        given = f"({', '.join(map(literal, values))})" if values else ""
        await self.driver.execute(f"PREPARE asked AS {sql}")
        try:
            first = await self.explained(f"ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE asked{given}")
            for _ in range(USES_BEFORE_ANOTHER_PLAN):
                await self.explained(f"FORMAT JSON) EXECUTE asked{given}")
            later = await self.explained(f"ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE asked{given}")
        finally:
            await self.driver.execute("DEALLOCATE asked")
        return max(scanned(first), scanned(later))

    async def explained(self, rest: str) -> Any:
        return orjson.loads(await self.driver.fetchval(f"EXPLAIN ({rest}"))[0]["Plan"]


def literal(value: Any) -> str:
    """Return a value as an SQL literal, without its type."""
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return f"ARRAY[{', '.join(map(literal, value))}]::text[]"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("'", "''")
    return f"'{text}'"


def scanned(plan: Mapping[str, Any]) -> int:
    """Return the rows that the plan's scans of tables visited, including those filtered out."""
    rows = 0.0
    if "Relation Name" in plan:
        left_out = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        seen = plan["Actual Rows"] + sum(plan.get(name, 0) for name in left_out)
        rows = seen * plan["Actual Loops"]
    return round(rows) + sum(scanned(part) for part in plan.get("Plans", ()))


def rows_in(answer: Any) -> int:
    """Return the number of items in all lists, or 1 for a single row."""
    return items(answer) or 1


def items(answer: Any) -> int:
    if isinstance(answer, dict):
        return sum(map(items, answer.values()))
    if isinstance(answer, list):
        return len(answer) + sum(map(items, answer))
    return 0


def page_info(answer: Any) -> Any:
    if isinstance(answer, dict):
        found = (answer.get("pageInfo"), *map(page_info, answer.values()))
        return next((one for one in found if one), None)
    return None


# -- subjects --------------------------------------------------------------------------------------

IDS = {
    "Clinician": ("cln", "SELECT id FROM clinician WHERE practice_id = $1"),
    "Session": ("ses", "SELECT id FROM session WHERE practice_id = $1"),
    "Invoice": ("inv", "SELECT id FROM invoice WHERE practice_id = $1"),
    "Statement": ("stm", "SELECT id FROM statement WHERE practice_id = $1"),
    "Superbill": ("sbl", "SELECT id FROM superbill WHERE practice_id = $1"),
    "Payment": ("pmt", "SELECT id FROM payment WHERE practice_id = $1"),
    "Receipt": ("rct", "SELECT id FROM receipt WHERE practice_id = $1"),
    "PaymentMethod": ("crd", "SELECT id FROM payment_method WHERE practice_id = $1"),
    "AccountHistoryEntry": ("aht", "SELECT id FROM ledger_entry WHERE practice_id = $1"),
    "Client": (
        "cli",
        "SELECT client_id FROM ledger_entry WHERE practice_id = $1"
        " GROUP BY client_id ORDER BY count(*) DESC",
    ),
}


async def subjects(driver: Any) -> Subjects:
    """Return a dashboard of the practice with the most clients, and its client with the longest
    history.
    """
    practice = await driver.fetchrow(
        "SELECT p.* FROM practice p ORDER BY (SELECT count(*) FROM client c"
        " WHERE c.practice_id = p.id) DESC, p.id LIMIT 1"
    )
    id_ = practice["id"]
    ids = {"Practice": f"pra_{id_}"}
    for kind, (prefix, query) in IDS.items():
        ids[kind] = f"{prefix}_{await driver.fetchval(f'{query} LIMIT 1', id_)}"
    days = await driver.fetchrow(
        "SELECT min(issued_on) + (max(issued_on) - min(issued_on)) / 2 AS middle"
        " FROM invoice WHERE practice_id = $1",
        id_,
    )
    first = days["middle"].replace(day=1)
    month = {"first": first.isoformat(), "last": (first + dt.timedelta(27)).isoformat()}
    name = await driver.fetchval("SELECT name FROM client WHERE practice_id = $1 LIMIT 1", id_)
    viewer = Viewer(
        ViewerKind.DASHBOARD, str(id_), NOBODY, None, None, frozenset(Scope),
        practice["currency"], practice["time_zone"], dt.datetime.now(dt.UTC),
    )  # fmt: skip
    return Subjects(viewer, ids, month, (name, name[0]))


# -- the command -----------------------------------------------------------------------------------


# For the session: statements are explained in transactions of their own.
NAMING = f"SELECT set_config('{SETTING}', $1, false)"


async def measured(url: str) -> list[Measured]:
    """Measure the database's largest practice."""
    reads = database.reads(url, timeout_s=600)
    assert isinstance(reads, database.PostgresReads)
    driver: Any = await reads.connector.open()
    try:
        await driver.execute("SET jit = off")
        await driver.execute(NAMING, EVERY_PRACTICE)
        those = await subjects(driver)
        await driver.execute(NAMING, those.viewer.practice_id)
        asking = Asking(reads, driver, those)
        return [each async for each in asking.all()]
    finally:
        await driver.close()
        await reads.close()


def table(rows: Sequence[Measured]) -> Iterator[str]:
    width = max(len(row.name) for row in rows)
    yield f"{'':{width}}  {'given':>7} {'read':>9} {'limit':>9}"
    for row in rows:
        counts = f"{row.returned:>7,} {row.read:>9,} {row.limit:>9,}"
        yield f"{row.name:{width}}  {counts}  {row.verdict}".rstrip()
    verdicts = Counter(row.verdict for row in rows)
    yield f"{len(rows)} measured, {verdicts['TOO MANY']} over the limit, and of those that sums"
    yield f"decide (what is owed is derived) {verdicts['over, by sums']}."


@contextmanager
def loaded(clients: int, practices: int) -> Iterator[str]:
    """Yield a database of that size, on a server of its own."""
    with postgres.server() as server:
        if server is None:
            raise SystemExit(f"No PostgreSQL: {postgres.HOW_TO_GET}.")
        made = postgres.database(server)
        runner = asyncio.Runner()
        url = runner.run(made.__aenter__())
        try:
            runner.run(prepare(url))
            today, owning = dt.datetime.now(dt.UTC).date(), postgres.as_owner(url)
            load_demo.write_practices(owning, many.plans(today, 1, clients, practices))
            runner.run(load_demo.finish_load(owning))
            yield url
        finally:
            runner.run(made.__aexit__(None, None, None))
            runner.close()


def main(
    database: Annotated[
        str | None, typer.Option(help="A PostgreSQL that `portal load-demo` has filled.")
    ] = None,
    clients: Annotated[int, typer.Option(min=1, help="Otherwise: clients to load.")] = 100_000,
    practices: Annotated[int, typer.Option(min=1, help="Practices to distribute them over.")] = 50,
) -> None:
    """Print a line for each look-up and page; exit with 1 where one reads too much."""
    if database is not None:
        rows = asyncio.run(measured(database))
    else:
        with loaded(clients, practices) as url:
            rows = asyncio.run(measured(url))
    typer.echo("\n".join(table(rows)))
    raise typer.Exit(any(row.verdict == "TOO MANY" for row in rows))


if __name__ == "__main__":
    typer.run(main)
