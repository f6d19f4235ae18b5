"""The rows that PostgreSQL reads for an import: as many as there are records, not their square.

A new database has no statistics of its tables, and an import ends before they are made.
"""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.imports import references
from billing.imports.importing import ImportRun
from billing.imports.staging import Staging
from models import Client, ExternalReference, Row
from tests.support import postgres
from tests.support.import_folders import ImportDesk, import_database, small_folder

READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = :name"
CHUNK, RECORDS, CLIENTS = 20, 400, 1_500


@pytest.fixture(scope="module")
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    async with postgres.database(postgres_url) as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    return await ImportDesk(engine, tmp_path / "export").open()


async def rows_read(conn: AsyncConnection, table: type[Row]) -> int:
    """Return the number of a table's rows that the transaction has read."""
    return int(await conn.scalar(text(READ), {"name": table.__tablename__}) or 0)


async def test_each_known_record_is_looked_up(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_folder()
    folder["sessions"] += [{**folder["sessions"][0], "id": f"more {nth}"} for nth in range(RECORDS)]
    assert (await desk.load(folder)).is_imported
    read, enter = list[int](), ImportRun.enter_all

    async def enter_and_count(run: ImportRun, conn: AsyncConnection, numbering: object) -> None:
        read.append(await rows_read(conn, ExternalReference))
        await enter(run, conn, numbering)  # type: ignore[arg-type]

    monkeypatch.setattr(references, "chunks", partial(references.chunks, size=CHUNK))
    monkeypatch.setattr(ImportRun, "enter_all", enter_and_count)
    again = await desk.load(folder)
    assert again.counts["sessions"] == {"new": 0, "changed": 0, "same": len(folder["sessions"])}
    assert RECORDS < read[0] < 2 * RECORDS


async def test_owners_of_known_records_are_found_by_an_index(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The staged references are in SQLite, which counts its steps in thousands."""
    folder = small_folder()
    ids = [f"more {nth:03}" for nth in range(RECORDS)]
    folder["clients"] += [{**folder["clients"][0], "id": one} for one in ids]
    folder["sessions"] += [{**folder["sessions"][0], "id": one, "client_id": one} for one in ids]
    assert (await desk.load(folder)).is_imported
    steps, note = list[int](), references.note_clients

    async def note_and_count(conn: AsyncConnection, staging: Staging, *own: str) -> None:
        staging.conn.set_progress_handler(lambda: steps.append(1), 1_000)
        await note(conn, staging, *own)
        staging.conn.set_progress_handler(None, 0)

    monkeypatch.setattr(references, "note_clients", note_and_count)
    assert (await desk.load(folder)).is_imported
    assert 0 < len(steps) < RECORDS / 4


async def test_foreign_keys_are_checked_by_their_index(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first checks are planned while there are few clients."""
    folder = small_folder()
    ids = [f"more {nth:04}" for nth in range(CLIENTS)]
    folder["clients"] += [{**folder["clients"][0], "id": one} for one in ids]
    folder["sessions"] += [{**folder["sessions"][0], "id": one, "client_id": one} for one in ids]
    read, compare = list[int](), ImportRun.compare_totals

    async def count_and_compare(run: ImportRun, conn: AsyncConnection) -> None:
        read.append(await rows_read(conn, Client))
        await compare(run, conn)

    monkeypatch.setattr(ImportRun, "compare_totals", count_and_compare)
    assert (await desk.load(folder)).is_imported
    assert read[0] < CLIENTS**2
