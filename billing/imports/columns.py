"""The columns of the files of an import, and the rules within one record."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing.imports.faults import Complaint
from billing.imports.values import Form

Record = Mapping[str, Any]
# A column, and the complaint if its value doesn't fit the record's other values.
RecordRule = Callable[[Record], Iterator[tuple[str, Complaint]]]
ADDRESS = ("address_line1", "address_line2", "city", "region", "postal_code", "country")
NEEDED_OF_ADDRESS = ("address_line1", "city", "postal_code", "country")


@dataclass(frozen=True)
class ColumnLayout:
    """A column of a file. `refers` is the kind of record that its value names.

    A column that is not imported has an `instead`: how to do without it.
    """

    name: str
    form: Form = Form.TEXT
    is_required: bool = False
    refers: str | None = None
    instead: str | None = None


def no_rule(record: Record) -> Iterator[tuple[str, Complaint]]:
    return iter(())


@dataclass(frozen=True)
class FileLayout:
    """A file, and the columns that tell its records apart.

    `kind` is the name of its records in references to other systems. A record of a client either
    names the client, or another record of the client.
    """

    name: str
    kind: str
    columns: Sequence[ColumnLayout]
    key: Sequence[str] = ("id",)
    rule: RecordRule = no_rule
    by_name: Mapping[str, ColumnLayout] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def file(self) -> str:
        return f"{self.name}.csv"


def required(name: str, form: Form = Form.TEXT, refers: str | None = None) -> ColumnLayout:
    return ColumnLayout(name, form, is_required=True, refers=refers)


def names(kind: str, *, is_required: bool = True) -> ColumnLayout:
    """Return the column that names a record of another file."""
    return ColumnLayout(f"{kind}_id", Form.ID, is_required, kind)


def names_as(name: str, kind: str, *, is_required: bool = False) -> ColumnLayout:
    """Return a column that names a record of another file under a name of its own."""
    return ColumnLayout(name, Form.ID, is_required, kind)


def left_out(name: str, remedy: str) -> ColumnLayout:
    return ColumnLayout(name, instead=remedy)


# -- rules within one record -----------------------------------------------------------------------


def rule_of_client(record: Record) -> Iterator[tuple[str, Complaint]]:
    """Require a name and, where there is an address, all that an address needs."""
    if not record["name"] and not (record["first_name"] and record["last_name"]):
        remedy = "give a name, or first_name and last_name"
        yield "name", Complaint("is empty", remedy, "MISSING")
    if any(record[name] for name in ADDRESS):
        for name in NEEDED_OF_ADDRESS:
            if not record[name]:
                remedy = "complete the address, or leave all of it out"
                yield name, Complaint("is empty", remedy, "MISSING")


def rule_of_contact(record: Record) -> Iterator[tuple[str, Complaint]]:
    if not record["sees_documents"] and not record["can_pay"]:
        yield "can_pay", Complaint("is no beside no", "give one of the two rights, or both")


def rule_of_invoice(record: Record) -> Iterator[tuple[str, Complaint]]:
    """Refuse an invoice that is due or void before it is issued."""
    for name in ("due_on", "voided_on"):
        if record[name] and record["issued_on"] and record[name] < record["issued_on"]:
            yield name, Complaint("is before issued_on", "correct one of the two days")


def rule_of_line(record: Record) -> Iterator[tuple[str, Complaint]]:
    if not record["session_id"] and not record["description"]:
        remedy = "describe the line, or name its session"
        yield "description", Complaint("is empty", remedy, "MISSING")


def rule_of_adjustment(record: Record) -> Iterator[tuple[str, Complaint]]:
    """Refuse a write-off below zero, and an amount of zero."""
    yield from rule_of_amount(record)
    if record["kind"] == "WRITE_OFF" and (record["amount"] or 0) < 0:
        remedy = "write the amount that is given up, above 0"
        yield "amount", Complaint("is below zero", remedy)


def rule_of_period(record: Record) -> Iterator[tuple[str, Complaint]]:
    """Refuse a period that ends before it begins."""
    first, last = record["period_start"], record["period_end"]
    if first and last and last < first:
        yield "period_end", Complaint("is before period_start", "correct one of the two days")


# The columns that a document of each kind needs; the others stay empty.
NEEDED_OF_DOCUMENT = {
    "INVOICE": ("invoice_id",),
    "SUPERBILL": ("superbill_id",),
    "RECEIPT": ("payment_id",),
    "STATEMENT": ("number", "issued_on", "period_start", "period_end"),
}


def rule_of_document(record: Record) -> Iterator[tuple[str, Complaint]]:
    """Require the columns that a document of its kind needs, and no others."""
    needed = NEEDED_OF_DOCUMENT.get(record["kind"], ())
    for columns in NEEDED_OF_DOCUMENT.values():
        for name in columns if record["kind"] else ():
            if name in needed and record[name] is None:
                remedy = f"a document of the kind {record['kind']} needs it"
                yield name, Complaint("is empty", remedy, "MISSING")
            elif name not in needed and record[name] is not None:
                remedy = f"leave it empty for the kind {record['kind']}"
                yield name, Complaint("does not belong to this kind", remedy)
    yield from rule_of_period(record)


def rule_of_amount(record: Record) -> Iterator[tuple[str, Complaint]]:
    if record["amount"] == 0:
        yield "amount", Complaint("is zero", "leave the row out")


# -- names ---------------------------------------------------------------------------------------


def nearest_name(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that is most like a name, if one is."""
    return next(iter(difflib.get_close_matches(name[:100].lower(), known, 1)), None)
