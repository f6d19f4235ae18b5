"""The files of an import: their columns, and the rules within one record."""

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

    A column that is not imported yet has a `later`: how to do without it.
    """

    name: str
    form: Form = Form.TEXT
    is_required: bool = False
    refers: str | None = None
    later: str | None = None


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


def later(name: str, remedy: str) -> ColumnLayout:
    return ColumnLayout(name, later=remedy)


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


def rule_of_amount(record: Record) -> Iterator[tuple[str, Complaint]]:
    if record["amount"] == 0:
        yield "amount", Complaint("is zero", "leave the row out")


# -- the files, in the order in which their records are needed -------------------------------------

SUPERBILLS = "it is for superbills, which are not imported yet: leave the column out"
OF_REFUND = "the ledger decides which invoice is due again: leave the column out"
LAYOUTS: Sequence[FileLayout] = (
    FileLayout(
        "clinicians",
        "clinician",
        (
            required("id", Form.ID),
            required("name"),
            ColumnLayout("credentials"),
            ColumnLayout("npi", Form.NPI),
            ColumnLayout("licence_number"),
            later("taxonomy_code", SUPERBILLS),
        ),
    ),
    FileLayout(
        "clients",
        "client",
        (
            required("id", Form.ID),
            ColumnLayout("name"),
            ColumnLayout("first_name"),
            ColumnLayout("last_name"),
            ColumnLayout("email", Form.EMAIL),
            ColumnLayout("phone"),
            ColumnLayout("date_of_birth", Form.DAY),
            names("clinician", is_required=False),
            ColumnLayout("address_line1"),
            ColumnLayout("address_line2"),
            ColumnLayout("city"),
            ColumnLayout("region"),
            ColumnLayout("postal_code"),
            ColumnLayout("country", Form.COUNTRY),
            ColumnLayout("created_on", Form.DAY),
            later("archived_on", "archived clients are not imported yet: leave the column out"),
        ),
        rule=rule_of_client,
    ),
    FileLayout(
        "contacts",
        "contact",
        (
            required("id", Form.ID),
            names("client"),
            required("name"),
            required("email", Form.EMAIL),
            required("relation", Form.RELATION),
            ColumnLayout("sees_documents", Form.FLAG),
            ColumnLayout("can_pay", Form.FLAG),
            later("until", "rights have no end yet: leave the column out"),
        ),
        key=("id", "client_id"),
        rule=rule_of_contact,
    ),
    FileLayout(
        "sessions",
        "session",
        (
            required("id", Form.ID),
            names("client"),
            names("clinician", is_required=False),
            required("date", Form.DAY),
            ColumnLayout("starts_at", Form.MOMENT),
            ColumnLayout("duration_minutes", Form.MINUTES),
            required("description"),
            ColumnLayout("service_code", Form.CPT),
            required("fee", Form.PRICE),
            *(
                later(name, SUPERBILLS)
                for name in ("modifiers", "place_of_service", "units", "diagnoses")
            ),
        ),
    ),
    FileLayout(
        "invoices",
        "invoice",
        (
            required("id", Form.ID),
            names("client"),
            ColumnLayout("number", Form.NUMBER),
            required("issued_on", Form.DAY),
            ColumnLayout("due_on", Form.DAY),
            names("clinician", is_required=False),
            ColumnLayout("notes", Form.NOTE),
            ColumnLayout("shared", Form.FLAG),
            ColumnLayout("voided_on", Form.DAY),
        ),
        rule=rule_of_invoice,
    ),
    FileLayout(
        "invoice_lines",
        "invoice_line",
        (
            names("invoice"),
            ColumnLayout("position", Form.POSITION),
            names("session", is_required=False),
            ColumnLayout("date", Form.DAY),
            ColumnLayout("description"),
            ColumnLayout("service_code", Form.CPT),
            ColumnLayout("quantity", Form.QUANTITY),
            required("unit_price", Form.BALANCE),
        ),
        key=(),
        rule=rule_of_line,
    ),
    FileLayout(
        "payments",
        "payment",
        (
            required("id", Form.ID),
            names("client"),
            required("paid_on", Form.DAY),
            required("amount", Form.AMOUNT),
            required("method", Form.METHOD),
            ColumnLayout("payer"),
            ColumnLayout("reference", Form.NUMBER),
            names("invoice", is_required=False),
            ColumnLayout("portal_payment", Form.ID),
            ColumnLayout("stripe_id", Form.ID),
        ),
    ),
    FileLayout(
        "allocations",
        "allocation",
        (names("payment"), names("invoice"), required("amount", Form.AMOUNT)),
        key=("payment_id", "invoice_id"),
    ),
    FileLayout(
        "refunds",
        "refund",
        (
            required("id", Form.ID),
            names("payment"),
            required("refunded_on", Form.DAY),
            required("amount", Form.AMOUNT),
            later("invoice_id", OF_REFUND),
        ),
    ),
    FileLayout(
        "credits",
        "credit",
        (
            required("id", Form.ID),
            names("client"),
            required("date", Form.DAY),
            required("amount", Form.BALANCE),
            required("description"),
        ),
        rule=rule_of_amount,
    ),
    FileLayout(
        "adjustments",
        "adjustment",
        (
            required("id", Form.ID),
            names("invoice"),
            required("date", Form.DAY),
            required("kind", Form.ADJUSTMENT),
            required("amount", Form.BALANCE),
            required("description"),
        ),
        rule=rule_of_adjustment,
    ),
    FileLayout(
        "opening_balances",
        "opening_balance",
        (names("client"), required("as_of", Form.DAY), required("amount", Form.BALANCE)),
        key=("client_id",),
        rule=rule_of_amount,
    ),
    FileLayout(
        "totals",
        "total",
        (
            names("client"),
            required("balance", Form.BALANCE),
            ColumnLayout("as_of", Form.DAY),
            ColumnLayout("unallocated", Form.BALANCE),
        ),
        key=("client_id",),
    ),
)
BY_NAME: Mapping[str, FileLayout] = {layout.name: layout for layout in LAYOUTS}
FILES: Sequence[str] = [layout.file for layout in LAYOUTS]


def nearest_name(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that is most like a name, if one is."""
    return next(iter(difflib.get_close_matches(name[:100].lower(), known, 1)), None)


# Files of the format that are refused until they are imported.
NOT_YET = "documents superbills superbill_lines superbill_diagnoses cards".split()
