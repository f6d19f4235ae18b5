"""Tables divided by practice: what has to change, and that statements ask for one practice alone.

PostgreSQL judges: the plan of a statement names the partitions that it scans or changes.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bench.partitioned import Division, divide, partitions_of
from billing.entry.invoices import InvoiceVoid, WriteOff, void_invoice, write_off_invoice
from billing.entry.outside_payments import OutsidePayment, record_payment
from models import Invoice, PaymentMethodKind, Row
from models.database import open_engine
from tests.conftest import SEED
from tests.support import postgres, shares
from tests.support.comparison import Case, Comparison, compared
from tests.support.demo_server import PROJECT
from tests.support.divided import Recorder
from tests.support.empty_databases import prepare
from tests.support.entries import EntryDesk
from tests.support.example_operations import WRITTEN
from tests.support.operations import operations
from tests.support.operations.pools import Pool, pools
from tests.support.practices import made

pytestmark = pytest.mark.twins(1)

DOCUMENT = (PROJECT / "docs" / "scaling.md").read_text()
VIEWERS = ("USD client 0", "KWD contact who pays for one", "USD dashboard")
# PostgreSQL 15 answers it wrongly with partitions, and rightly without pruning: docs/scaling.md.
MISREAD = "what an insurer would miss"
# Flows that enter, pay, refund, sign in, import, issue and reconcile.
FLOWS = """
tests/payments/test_paying.py tests/payments/test_cards.py tests/payments/test_webhook.py
tests/payments/test_reversals.py tests/payments/test_reconcile.py tests/payments/test_chain_roots.py
tests/entry/test_entries.py tests/entry/test_people.py tests/entry/test_document_schedule.py
tests/api/test_entry_mutations.py tests/api/test_ingest.py tests/sign_in/test_sign_in.py
tests/sign_in/test_sessions.py tests/sign_in/test_processes.py tests/sign_in/test_mail_delivery.py
tests/webhooks/test_delivery.py tests/database/test_background.py
""".split()


@dataclass
class DividedTables:
    """Practices in divided tables, what PostgreSQL refused, and a connection that explains."""

    comparison: Comparison
    divisions: list[Division]
    conn: Any
    url: str

    async def partitions(self, case: Case) -> set[int] | None:
        """Return the partitions that an operation's plan names; None if it has no plan."""
        _, planned = await self.comparison.answer(case)
        if not planned:
            return None
        sql, values = self.comparison.statements[-1], self.comparison.reads.values
        return set().union(*(await partitions_of(self.conn, sql, values)).values())


@pytest.fixture(scope="module")
async def tables(postgres_url: str) -> AsyncIterator[DividedTables]:
    divisions: list[Division] = []

    async def prepare_divided(url: str) -> None:
        await prepare(url)
        divisions.extend(await divide(postgres.as_owner(url), postgres.SERVING))

    async with (
        postgres.database(postgres_url) as url,
        compared(url, made(SEED), prepare_divided) as comparison,
    ):
        conn = await asyncpg.connect(postgres.as_owner(url))
        try:
            yield DividedTables(comparison, divisions, conn, url)
        finally:
            await conn.close()


@pytest.fixture(scope="module")
def askers(tables: DividedTables) -> list[Pool]:
    return pools(tables.comparison)


@pytest.mark.rest
def test_tables_that_need_a_change_are_documented(tables: DividedTables) -> None:
    refused = {(one.table, key) for one in tables.divisions for key in one.refused}
    assert refused == set(re.findall(r"^\| `(\w+)` \| `(UNIQUE [^`]+)` \|", DOCUMENT, re.MULTILINE))
    whole = {table.name for table in Row.metadata.sorted_tables}
    whole -= {one.table for one in tables.divisions}
    (listed,) = re.findall(r"stay whole: ([^.]+)\.", DOCUMENT)
    assert whole == set(re.findall(r"`(\w+)`", listed))


@pytest.mark.parametrize("who", VIEWERS[: shares.number(3, quick=2)])
async def test_every_written_operation_asks_for_one_partition(
    tables: DividedTables, who: str
) -> None:
    planned = 0
    for sentence in [*WRITTEN][:: shares.number(1, quick=4)]:
        query, variables = WRITTEN[sentence]
        case = Case(who, query, variables, "Page" if "query Page " in query else None)
        found = await tables.partitions(case)
        assert found is None or len(found) <= 1, (sentence, found)
        planned += bool(found)
    assert planned > shares.number(40, quick=10)


@pytest.mark.rest
async def test_written_operations_have_the_oracles_answer(tables: DividedTables) -> None:
    for sentence, (query, variables) in WRITTEN.items():
        case = Case(VIEWERS[0], query, variables, "Page" if "query Page " in query else None)
        if sentence != MISREAD:
            await tables.comparison.check(case, fallback=False)


@seed(SEED)
@settings(
    max_examples=shares.number(300, quick=15),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_generated_operation_asks_for_one_partition(
    tables: DividedTables, askers: list[Pool], data: st.DataObject
) -> None:
    case = data.draw(operations(tables.comparison.oracle.schema, askers))
    found = await tables.partitions(case)
    assert found is None or len(found) <= 1, case


async def test_the_billing_page_asks_for_the_partition_of_its_practice(
    tables: DividedTables,
) -> None:
    """Every table of the page, by the practice's own hash."""
    query, variables = WRITTEN["the page's own query, billing-page"]
    viewer = tables.comparison.viewers[VIEWERS[0]]
    await tables.comparison.answer(Case(VIEWERS[0], query, variables))
    sql, values = tables.comparison.statements[-1], tables.comparison.reads.values
    found = await partitions_of(tables.conn, sql, values)
    place = "SELECT tableoid::regclass::text FROM practice WHERE id = $1"
    (own,) = re.findall(r"\d+$", await tables.conn.fetchval(place, viewer.practice_id))
    assert len(found) > 4
    assert {one for partitions in found.values() for one in partitions} == {int(own)}


async def test_statement_without_a_practice_is_found(tables: DividedTables) -> None:
    """A planted read and a planted change, by a function that stands for one of the portal."""
    recorder = Recorder()
    id_ = tables.comparison.found(Invoice)[0]["id"]
    own = Invoice.practice_id == tables.comparison.found(Invoice)[0]["practice_id"]
    changed = update(Invoice).values(notes=None)
    for number, (statement, is_found) in enumerate(
        (
            (select(Invoice.id).where(own, Invoice.id == id_), False),
            (select(Invoice.id).where(Invoice.id == id_), True),
            (changed.where(own, Invoice.id == id_), False),
            (changed.where(Invoice.id == id_), True),
        )
    ):
        sql = statement.compile(dialect=tables.comparison.reads.dialect)
        values = [sql.params[name] for name in sql.positiontup or ()]
        found = await partitions_of(tables.conn, str(sql), values)
        recorder.judge(f"planted {number}", str(sql), found)
        assert ((f"planted {number}", "invoice") in recorder.across) is is_found


async def test_every_statement_of_entries_names_one_practice(tables: DividedTables) -> None:
    """The quick part of the next test."""
    recorder = Recorder()
    async with open_engine(tables.url) as engine:
        with recorder.recording():
            desk = await EntryDesk(engine).open()
            invoice_id = await desk.invoice(10_000, 5_000)
            cash = OutsidePayment(PaymentMethodKind.CASH, 4_000, invoice_id=invoice_id)
            await desk.enter(record_payment, cash)
            await desk.enter(write_off_invoice, WriteOff(invoice_id, 500))
            await desk.enter(void_invoice, InvoiceVoid(invoice_id))
            await desk.session()
    assert len(recorder.explained) > 30
    assert not recorder.across


@pytest.mark.slow
def test_every_statement_of_entries_and_payments_names_one_practice(tmp_path: Path) -> None:
    """But for the look-ups across practices that docs/scaling.md lists."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.divided", *FLOWS]
    chosen = ["-k", "postgresql", "-m", "not faults and not slow"]
    ran = subprocess.run(
        [*command, *chosen],
        env={**os.environ, "DIVIDED_REPORT": str(report)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    found = json.loads(report.read_text())
    assert found["explained"] > 300
    listed = re.findall(r"^\| `([a-z_.]+\.[A-Za-z_.]+)` \| ([a-z_, ]+) \|", DOCUMENT, re.MULTILINE)
    documented = {site: set(named.split(", ")) for site, named in listed}
    across: dict[str, set[str]] = {}
    for site, table in found["across"]:
        across.setdefault(site, set()).add(table)
    assert across.keys() == documented.keys()
    # How many of the tables a run of them happens to read differs.
    assert not {site for site, named in across.items() if named - documented[site]}
