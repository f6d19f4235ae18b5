"""The numbers of a practice's documents: their beginning, and where they start."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import KINDS, PREFIXES, prefix_of, reach, serial_of
from billing.entry import validation as check
from models import DocumentCounter, DocumentKind

# As high as a document's number may be, so that the counter never ends.
LAST_START = 10**12


@dataclass(frozen=True)
class NumberSeries:
    """The beginning of the numbers of a kind of document, and the first serial; None: unchanged."""

    kind: ClassVar[str] = "number_series"

    document_kind: DocumentKind
    prefix: str | None = None
    start: int | None = None

    def __post_init__(self) -> None:
        name = self.document_kind.lower()
        check.check_optional_form(f"{name}_prefix", self.prefix, check.NUMBER_PREFIX)
        if self.start is not None:
            check.check_whole(f"{name}_start", self.start, 1, LAST_START)


async def set_series(conn: AsyncConnection, practice_id: str, series: NumberSeries) -> bool:
    """Set the numbers of documents to come, and return whether they are changed. Issued documents
    keep theirs.

    A counter never goes back: a start that was passed already changes nothing.
    """
    kind = series.document_kind
    # This locks the counter until the end of the transaction.
    before = await reach(conn, practice_id, kind, 0)
    if series.prefix not in (None, before.prefix):
        await set_prefix(conn, practice_id, kind, str(series.prefix))
    return before != await reach(conn, practice_id, kind, (series.start or 1) - 1)


async def set_prefix(
    conn: AsyncConnection, practice_id: str, kind: DocumentKind, prefix: str
) -> None:
    """Set the beginning of numbers. The counter moves past the numbers that begin so already."""
    for other in DocumentKind:
        if other is not kind and await prefix_of(conn, practice_id, other) == prefix:
            raise check.invalid(f"{kind.lower()}_prefix", f"is that of {other.lower()}s already")
    counter = DocumentCounter.practice_id == practice_id, DocumentCounter.kind == kind
    own = None if prefix == PREFIXES[kind] else prefix
    await conn.execute(update(DocumentCounter).where(*counter).values(prefix=own))
    await reach(conn, practice_id, kind, await last_serial(conn, practice_id, kind, prefix))


async def last_serial(
    conn: AsyncConnection, practice_id: str, kind: DocumentKind, prefix: str
) -> int:
    """Return the highest serial in the numbers that begin with a prefix; 0 if there is none."""
    table: Any = next(table for table, its_kind in KINDS.items() if its_kind is kind)
    begins = table.number.startswith(f"{prefix}-", autoescape=True)
    numbers: Iterable[str] = await conn.scalars(
        select(table.number).where(table.practice_id == practice_id, begins)
    )
    return max((serial_of(prefix, number) or 0 for number in numbers), default=0)
