"""A server that is killed during POST /ingest: all records are entered or none, and then once."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
)
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from models import Invoice, LedgerEntry, Payment
from tests.fault_injection.killable_server import killable_server, long_lived_portal
from tests.support.books import assert_verified
from tests.support.demo_server import free_port
from tests.support.programs import Program

pytestmark = pytest.mark.faults
Server = AbstractContextManager["subprocess.Popen[str]"]
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# The server kills itself at a point of its first import.
SERVER = """
import os, signal, sys
from billing.imports import importing, written_rows
from server.cli.main import app

def killed(*given, **more):
    os.kill(os.getpid(), signal.SIGKILL)

point = os.environ["KILLED_AT"]
if point == "while rows are written":
    written_rows.RowWriter.insert = killed
elif point == "before the commit":
    importing.ImportRun.compare_totals = killed
elif point == "after the commit":
    importing.ImportRun.report = killed
app()
"""
POINTS = {
    "while rows are written": 0, "before the commit": 0, "after the commit": 1, "never": 1,
}  # fmt: skip
RECORDS: list[dict[str, Any]] = [
    {"client": {"id": "c-1", "name": "Zoë Brandnew"}},
    {"invoice": {"id": "i-1", "client_id": "c-1", "issued_on": "2026-03-03",
                 "lines": [{"description": "Letter", "unit_price": "20.50"}]}},
    {"payment": {"id": "p-1", "client_id": "c-1", "paid_on": "2026-03-04", "amount": "20.50",
                 "method": "CASH", "allocations": [{"invoice_id": "i-1", "amount": "20.50"}]}},
]  # fmt: skip
BODY = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)


def server(url: str, folder: Path, port: int, point: str) -> Server:
    return killable_server(url, folder, port, ("-c", SERVER), KILLED_AT=point)


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[Program]:
    """Yield a program of a practice, with a long-lived token."""
    async with long_lived_portal(url) as portal:
        yield await Program.of_new_practice(portal, 9_500)


async def counted(program: Program) -> list[int]:
    """Return the numbers of the practice's invoices, payments and ledger rows."""
    desk = program.desk
    async with desk.engine.connect() as conn:
        return [
            int(
                await conn.scalar(select(func.count()).where(table.practice_id == desk.practice_id))
                or 0
            )
            for table in (Invoice, Payment, LedgerEntry)
        ]


async def ingest(port: int, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.post(
            f"http://127.0.0.1:{port}/ingest?source=ehr", content=BODY, headers=headers
        )


@pytest.mark.parametrize(("point", "entered"), POINTS.items(), ids=POINTS)
async def test_killed_server_has_entered_all_or_nothing(
    new_database: NewDatabase, tmp_path: Path, point: str, entered: int
) -> None:
    async with new_database() as url, filled(url) as program:
        port = free_port()
        with server(url, tmp_path, port, point) as process:
            if point == "never":
                assert (await ingest(port, program.token)).status_code == 200
            else:
                with pytest.raises(httpx.TransportError):
                    await ingest(port, program.token)
                assert process.wait(30) < 0
        assert await counted(program) == [entered, entered, 2 * entered]
        port = free_port()
        with server(url, tmp_path, port, "never"):
            again = await ingest(port, program.token)
        assert again.status_code == 200, again.text
        outcome = {"new": 1 - entered, "changed": 0, "same": entered}
        assert again.json()["records"]["payments"] == outcome
        assert await counted(program) == [1, 1, 2]
        await assert_verified(program.desk.engine)
