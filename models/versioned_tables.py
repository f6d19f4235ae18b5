"""The tables whose changes renew versions of data, and the parts that their rows belong to."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

# The part of the rows that all people of a practice may see.
SHARED = str(uuid.UUID(int=0))


@dataclass(frozen=True)
class VersionedTable:
    """The parts that a row of a table belongs to, besides the whole practice.

    `parts` are SQL expressions in which `ROW` stands for the row. A row counts if it meets the
    condition `when`. Changes of the columns `unseen` alone don't count, and no answer that depends
    on one of them is kept.
    """

    parts: tuple[str, ...] = ()
    practice: str = "practice_id"
    when: str = "TRUE"
    unseen: tuple[str, ...] = ()


def of_parent(table: str, column: str) -> str:
    """Return the client of the row of another table that a column names."""
    return (
        f"(SELECT client_id FROM {table} WHERE practice_id = ROW.practice_id"  # noqa: S608 - names
        f" AND id = ROW.{column})"
    )


OF_ALL = VersionedTable((f"'{SHARED}'",))
OF_CLIENT = VersionedTable(("ROW.client_id",))
OF_ITSELF = VersionedTable(("ROW.id",))

# The tables that a kept answer may depend on. No other table has triggers.
VERSIONED: Mapping[str, VersionedTable] = {
    "practice": VersionedTable(
        (f"'{SHARED}'",),
        practice="id",
        unseen=("compared_at", "compare_after", "leased_until"),
    ),
    "practice_version": VersionedTable(),
    "clinician": OF_ALL,
    "letterhead": OF_ALL,
    "client": OF_ITSELF,
    "client_name_part": OF_CLIENT,
    "contact": OF_ITSELF,
    "contact_right": VersionedTable(("ROW.client_id", "ROW.contact_id")),
    # A person's own tokens are in no kept answer: what is current among them depends on the time.
    "token": VersionedTable(
        when="ROW.client_id IS NULL AND ROW.contact_id IS NULL", unseen=("last_used_at",)
    ),
    "session": OF_CLIENT,
    "ledger_entry": OF_CLIENT,
    "allocation": OF_CLIENT,
    "dispute": OF_CLIENT,
    "payment": OF_CLIENT,
    "payment_method": OF_CLIENT,
    "receipt": OF_CLIENT,
    "invoice": OF_CLIENT,
    "invoice_line": VersionedTable(
        (of_parent("invoice", "invoice_id"), of_parent("session", "session_id"))
    ),
    "statement": OF_CLIENT,
    "statement_line": VersionedTable((of_parent("statement", "statement_id"),)),
    "superbill": OF_CLIENT,
    "superbill_line": VersionedTable(
        (of_parent("superbill", "superbill_id"), of_parent("session", "session_id"))
    ),
    "superbill_diagnosis": VersionedTable((of_parent("superbill", "superbill_id"),)),
}
