"""Row counts of practices, which determine the cost of reading all of their rows."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Dialect, func, select

from identity.viewer import Viewer
from models import Client, Invoice, Payment, Receipt, Row, Session, Statement, Superbill
from models.database import Caller, Reads
from models.literals import constant
from planner.cache import FairCache
from planner.plan import Plan, compile_plan
from resolvers.request_context import RequestContext
from resolvers.visibility import viewer_value

TABLES: Mapping[str, type[Row]] = {
    table.__tablename__: table
    for table in (Client, Invoice, Payment, Session, Statement, Superbill, Receipt)
}
# The largest number of rows that is counted, so that counting takes a few milliseconds.
MOST = 100_000
# The lifetime of a count, and the number of practices in the cache.
LASTS_S, REMEMBERED = 600.0, 1_000


@dataclass
class Counted:
    """The row counts of one practice, and the time at which they expire."""

    counts: Mapping[str, int] = field(default_factory=dict)
    until: float = 0.0
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)


class RowCounts:
    """Counts the rows of practices and caches the counts."""

    def __init__(self, reads: Reads) -> None:
        self.reads, self.plan = reads, count(reads.dialect)
        self.practices: FairCache[str, Counted] = FairCache(REMEMBERED)

    async def of(self, viewer: Viewer) -> Mapping[str, int]:
        """Return the number of rows of each table in the viewer's practice, at most MOST."""
        counted = self.practices.get(viewer.practice_id, Counted)
        if counted.until < time.monotonic():
            async with counted.counting:
                if counted.until < time.monotonic():
                    values = self.plan.values(RequestContext(viewer, viewer.expires_at, {}))
                    caller = Caller(viewer.practice_id)
                    row = await self.reads.row(self.plan.sql, values, caller)
                    counted.counts = dict(zip(TABLES, row or (), strict=True))
                    counted.until = time.monotonic() + LASTS_S
        return counted.counts


def count(dialect: Dialect) -> Plan:
    """Return the statement that counts the rows of the viewer's practice."""
    practice_id = viewer_value("practice_id")
    columns = []
    for name, model in TABLES.items():
        table = model.__table__.alias()
        statement = (
            select(constant(1)).where(table.c.practice_id == practice_id).limit(constant(MOST))
        )
        columns.append(
            select(func.count()).select_from(statement.subquery()).scalar_subquery().label(name)
        )
    return compile_plan(select(*columns), dialect)
