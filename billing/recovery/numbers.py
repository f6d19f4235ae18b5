"""Numbers after a restore: they go on past all that may have been given out since the backup."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import KINDS, reach
from billing.ledger.versions import next_version
from models import DocumentCounter, DocumentKind, PracticeVersion, Row
from models.upsert import insert_into

# No practice gives out more numbers of a kind between two backups than this, or than it has ever
# given out before, whichever is more.
LEAST_GAP = 1_000
# Versions are read by programs alone, so they leave a gap that no practice fills.
VERSIONS_GAP = 1_000_000_000


@dataclass(frozen=True)
class Moved:
    """The last number of a kind in the backup, and the one that its counter was moved to."""

    kind: DocumentKind
    before: int
    after: int


async def move_numbers(conn: AsyncConnection, practice_id: str) -> Sequence[Moved]:
    """Move the counters of all documents, and of the versions of changes, on by a gap."""
    moved = [await move_counter(conn, practice_id, table) for table in KINDS]
    version = await next_version(conn, practice_id) + VERSIONS_GAP
    row = insert_into(conn, PracticeVersion).values(practice_id=practice_id, version=version)
    by_practice = {"index_elements": ["practice_id"], "set_": {"version": version}}
    await conn.execute(row.on_conflict_do_update(**by_practice))
    return moved


async def move_counter(conn: AsyncConnection, practice_id: str, table: type[Row]) -> Moved:
    kind, columns = KINDS[table], table.__table__.c
    counter = select(DocumentCounter.last).where(
        DocumentCounter.practice_id == practice_id, DocumentCounter.kind == kind
    )
    highest = select(func.max(columns.serial)).where(columns.practice_id == practice_id)
    before = max(await conn.scalar(counter) or 0, await conn.scalar(highest) or 0)
    after = before + max(before, LEAST_GAP)
    await reach(conn, practice_id, kind, after)
    return Moved(kind, before, after)
