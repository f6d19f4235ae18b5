"""The facts of a practice that writers read: its settings, its clinicians and its letterheads."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.errors import no_such
from billing.entry.rows import Insertion, Operation, Stamp, Values
from billing.time_zones import zone
from models import Clinician, Letterhead, Practice


@dataclass
class PracticeFacts:
    """The settings of a practice, its clinicians, and the letterheads of documents to come.

    `letterheads` maps a clinician's id to the clinician's latest letterhead. The key None has the
    practice's own letterhead.
    """

    values: Values
    clinicians: dict[str, Values] = field(default_factory=dict)
    letterheads: dict[str | None, Values] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.values["id"])

    @property
    def time_zone(self) -> str:
        return str(self.values["time_zone"])

    @property
    def currency(self) -> str:
        return str(self.values["currency"])

    def moment_of(self, day: dt.date, stamp: Stamp) -> dt.datetime:
        """Return the time to write for a day: the current time for today, and noon in the
        practice's time zone for any other day.
        """
        if day == stamp.today:
            return stamp.now
        return self.local_moment(day, dt.time(12))

    def local_moment(self, day: dt.date, time: dt.time) -> dt.datetime:
        """Return a time of day in the practice's time zone."""
        return dt.datetime.combine(day, time, zone(self.time_zone)).astimezone(dt.UTC)

    def letterhead(self, clinician_id: str | None = None) -> str:
        """Return the id of the clinician's letterhead, or of the practice's if there is none."""
        found = self.letterheads.get(clinician_id) or self.letterheads.get(None)
        if found is None:
            raise no_such("letterhead", "practice_id")
        return str(found["id"])

    def check_clinician(self, clinician_id: str | None) -> None:
        if clinician_id is not None and clinician_id not in self.clinicians:
            raise no_such("clinician", "clinician_id")

    def apply(self, operation: Operation) -> None:
        """Follow an operation on the practice, a clinician or a letterhead. Ignore any other.

        A practice is read, never inserted, once its facts exist.
        """
        if operation.table is Practice and not isinstance(operation, Insertion):
            self.values.update(getattr(operation, "values", {}))
        elif isinstance(operation, Insertion) and operation.table is Clinician:
            self.clinicians[operation.values["id"]] = operation.values
        elif isinstance(operation, Insertion) and operation.table is Letterhead:
            self.letterheads[operation.values["clinician_id"]] = operation.values


async def read_practice_facts(conn: AsyncConnection, practice_id: str) -> PracticeFacts:
    """Read the facts of a practice. Raise NO_SUCH_ROW if it does not exist."""
    found = (
        await conn.execute(select(*Practice.__table__.c).where(Practice.id == practice_id))
    ).mappings()
    row = found.first()
    if row is None:
        raise no_such("practice", "practice_id")
    facts = PracticeFacts(dict(row))
    tables: tuple[Any, ...] = (Clinician, Letterhead)
    for table in tables:
        of_practice = select(*table.__table__.c).where(table.practice_id == practice_id)
        for values in (await conn.execute(of_practice.order_by(table.id))).mappings():
            facts.apply(Insertion(table, dict(values)))
    return facts
