"""The practice, the clock and the new rows, which all entries of an import have in common."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.entry.external_ids import Content
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Alteration, Deletion, Insertion, Operation, Stamp
from billing.entry.writing import Touched
from billing.imports.faults import Complaint, Faults
from billing.imports.layouts import BY_NAME
from billing.imports.staging import StagedRow, Staging
from models import DocumentKind, ExternalReference
from models.ids import IdSequence

# The operations that are held in memory and written together, and the bytes of their PDFs.
TOGETHER = 5_000
BYTES_TOGETHER = 16 << 20


class ClientStopped(Exception):
    """A record that is refused. The records of the client after it are not entered."""


@dataclass
class ImportContext:
    """The common facts of an import's entries, and the results of the entries so far.

    `operations` waits to be written. `counts` has the numbers of records by file and outcome.
    """

    facts: PracticeFacts
    staging: Staging
    faults: Faults
    source: str
    now: dt.datetime
    today: dt.date
    prefixes: Mapping[DocumentKind, str]
    allocates_by_file: bool
    cards_may_be_ours: bool
    counts: dict[str, dict[str, int]]
    clinicians: dict[str, str] = field(default_factory=dict)
    contacts: dict[str, str] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    touched: Touched = field(default_factory=Touched)
    # The bytes of the PDFs among the operations.
    held_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Return whether the operations should be written now."""
        return len(self.operations) >= TOGETHER or self.held_bytes >= BYTES_TOGETHER

    def count(self, file: str, outcome: str, number: int = 1) -> None:
        counted = self.counts.setdefault(file, {"new": 0, "changed": 0, "same": 0})
        counted[outcome] += number

    def clinician(self, external_id: str | None) -> str | None:
        return self.clinicians[external_id] if external_id else None

    def reference(self, content: Content, external_id: str, row_id: str) -> Insertion:
        return Insertion(
            ExternalReference,
            {
                "practice_id": self.facts.id,
                "source": self.source,
                "kind": content.kind,
                "external_id": external_id,
                "row_id": row_id,
                "digest": content.digest,
                "changed_at": self.now,
            },
        )

    def refuse(
        self, file: str, row: StagedRow, column: str, code: str, wrong: str, remedy: str
    ) -> ClientStopped:
        layout = BY_NAME[file]
        heading = self.staging.heading(layout, column)
        self.faults.add(self.staging.path(layout), row["line"], heading, code, wrong, remedy)
        return ClientStopped()

    def complain(
        self, file: str, row: StagedRow, column: str, complaint: Complaint
    ) -> ClientStopped:
        return self.refuse(file, row, column, complaint.code, complaint.wrong, complaint.remedy)


class DayStamps:
    """The moments of a client's past entries: noon of their day, with ids in their order.

    No entry is posted on a day that a statement of the client has summed up, nor in the future.
    """

    def __init__(self, context: ImportContext, first: dt.date = dt.date.min) -> None:
        self.context, self.first = context, first
        self.now = Stamp(context.now, context.today, IdSequence(context.now))
        self.stamps = {context.today: self.now}

    def of(self, day: dt.date) -> Stamp:
        day = min(max(day, self.first), self.context.today)
        stamp = self.stamps.get(day)
        if stamp is None:
            moment = self.context.facts.moment_of(day, self.now)
            stamp = self.stamps[day] = Stamp(moment, day, IdSequence(moment))
        return stamp


REFERENCE_KEY = ("practice_id", "source", "kind", "external_id")


def as_change(reference: Insertion) -> Operation:
    """Return the change of a reference after a change of the record's row."""
    key = {name: reference.values[name] for name in REFERENCE_KEY}
    return Alteration(ExternalReference, key, {
        name: value for name, value in reference.values.items() if name not in key
    })  # fmt: skip


def as_deletion(reference: Insertion) -> Operation:
    """Return the end of a reference."""
    return Deletion(ExternalReference, {name: reference.values[name] for name in REFERENCE_KEY})
