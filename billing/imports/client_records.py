"""The staged records of a few clients, as the writers' inputs."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from billing.entry.credits import Credit
from billing.entry.documents import KeptPdf
from billing.entry.invoices import WHOLE, Adjustment, NewInvoice, NewLine, WriteOff
from billing.entry.outside_payments import OutsidePayment, OutsideRefund
from billing.entry.people import ClientDetails, ContactLink, PostalAddress
from billing.entry.sessions import SessionDetails
from billing.entry.statements import StatementPeriod
from billing.entry.superbills import IssuedSuperbill, Visit
from billing.imports.columns import ADDRESS
from billing.imports.layouts import BY_NAME
from billing.imports.references import UNDONE
from billing.imports.staging import StagedRow, Staging
from models import DocumentKind, PaymentMethodKind, Relation

# The number of clients with records in memory at one time.
CLIENTS_TOGETHER = 100

Rows = list[StagedRow]


@dataclass
class ClientRecords:
    """The records of one client, by file. `row_id` is the client's row, if it was entered before.

    Each record has its own `row_id` and `digest`, if it was entered before.
    """

    client_id: str
    row_id: str | None
    by_file: Mapping[str, Rows] = field(default_factory=lambda: defaultdict(list))
    by_owner: Mapping[tuple[str, str], Rows] = field(default_factory=lambda: defaultdict(list))

    def parts(self, file: str, owner: StagedRow) -> Rows:
        """Return the lines of a file that are parts of a record."""
        return self.by_owner[file, owner["id"]]

    @property
    def has_news(self) -> bool:
        """Return whether a record was not entered before, so that the client's ledger is needed."""
        return any(
            row["row_id"] is None
            or row["digest"] == UNDONE
            or (row.get("voided_on") and row["void_row_id"] is None)
            for rows in self.by_file.values()
            for row in rows
        )


# The clients that any record is of: those of earlier imports first, in the order of their locks.
WORK = """CREATE TABLE work AS
SELECT own.client_id, known.row_id FROM (
 SELECT id AS client_id FROM clients UNION SELECT client_id FROM contacts
 UNION SELECT client_id FROM sessions UNION SELECT client_id FROM invoices
 UNION SELECT client_id FROM payments UNION SELECT client_id FROM allocations
 UNION SELECT client_id FROM refunds UNION SELECT client_id FROM credits
 UNION SELECT client_id FROM adjustments UNION SELECT client_id FROM opening_balances
 UNION SELECT client_id FROM superbills UNION SELECT client_id FROM documents
) AS own
LEFT JOIN known ON known.kind = 'client' AND known.external_id = own.client_id
LEFT JOIN clients ON clients.id = own.client_id
WHERE own.client_id IS NOT NULL
ORDER BY known.row_id IS NULL, known.row_id, clients.line"""
OF_INVOICE = "(SELECT row_id FROM known WHERE kind = 'invoice' AND external_id = own.invoice_id)"
OF_PAYMENT = "(SELECT row_id FROM known WHERE kind = 'payment' AND external_id = own.payment_id)"
OF_SUPERBILL = (
    "(SELECT row_id FROM known WHERE kind = 'superbill' AND external_id = own.superbill_id)"
)
# The columns that are added to those of a file's records.
MORE: Mapping[str, str] = {
    "clients": ", archive.row_id AS archive_row_id, archive.digest AS archive_digest",
    "invoices": ", void.row_id AS void_row_id, void.digest AS void_digest",
    "payments": f", {OF_INVOICE} AS invoice_row_id",
    "allocations": f", {OF_INVOICE} AS invoice_row_id, {OF_PAYMENT} AS payment_row_id",
    "refunds": f", {OF_INVOICE} AS invoice_row_id, {OF_PAYMENT} AS payment_row_id",
    "adjustments": f", {OF_INVOICE} AS invoice_row_id",
    "documents": (
        f", {OF_INVOICE} AS invoice_row_id, {OF_PAYMENT} AS payment_row_id,"
        f" {OF_SUPERBILL} AS superbill_row_id"
    ),
}
# The second references of records, by file.
SECOND: Mapping[str, str] = {
    name: f" LEFT JOIN known AS {kind} ON {kind}.kind = '{kind}' AND {kind}.external_id = own.id"
    for name, kind in (("clients", "archive"), ("invoices", "void"))
}
KINDS: Mapping[str, tuple[str, str, str]] = {
    "clients": ("client", "id", "id"),
    "contacts": ("contact_link", "link_id", "client_id"),
    "sessions": ("session", "id", "client_id"),
    "invoices": ("invoice", "id", "client_id"),
    "payments": ("payment", "id", "client_id"),
    "allocations": ("allocation", "id", "client_id"),
    "refunds": ("refund", "id", "client_id"),
    "credits": ("credit", "id", "client_id"),
    "adjustments": ("adjustment", "id", "client_id"),
    "opening_balances": ("opening_balance", "id", "client_id"),
    "superbills": ("superbill", "id", "client_id"),
    "documents": ("document", "id", "client_id"),
}
# The records that name another record of their client.
OWNERS: Mapping[str, str] = {
    "allocations": "payment",
    "refunds": "payment",
    "adjustments": "invoice",
}
# The lines that are parts of a record, with the record's file and the column that names it.
PARTS: Mapping[str, tuple[str, str]] = {
    "invoice_lines": ("invoices", "invoice_id"),
    "superbill_lines": ("superbills", "superbill_id"),
    "superbill_diagnoses": ("superbills", "superbill_id"),
}


def prepare_work(staging: Staging) -> None:
    """Find the clients of all records, before any are read."""
    for name, owner in OWNERS.items():
        staging.execute(
            f"UPDATE {name} SET client_id = coalesce("
            f"(SELECT client_id FROM {owner}s WHERE id = {owner}_id),"
            f" (SELECT client_id FROM known WHERE kind = '{owner}' AND external_id = {owner}_id))"
        )
        staging.execute(f"CREATE INDEX {name}_client ON {name} (client_id)")
    staging.execute(WORK)
    staging.execute("CREATE TABLE batch (client_id PRIMARY KEY)")


def client_batches(staging: Staging) -> Iterator[list[ClientRecords]]:
    """Yield the records of all clients, a few clients at a time."""
    clients = staging.select("SELECT client_id, row_id FROM work ORDER BY rowid")
    while some := list(islice(clients, CLIENTS_TOGETHER)):
        batch = {one["client_id"]: ClientRecords(one["client_id"], one["row_id"]) for one in some}
        staging.execute("DELETE FROM batch")
        for client_id in batch:
            staging.execute("INSERT INTO batch VALUES (?)", client_id)
        for name in KINDS:
            for row in staging.select(records_of_batch(name)):
                batch[row["batch_client"]].by_file[name].append(row)
        for name, (_, column) in PARTS.items():
            for row in staging.select(parts_of_batch(name)):
                batch[row["batch_client"]].by_owner[name, row[column]].append(row)
        yield list(batch.values())


def records_of_batch(name: str) -> str:
    kind, key, client = KINDS[name]
    return (
        "SELECT own.*, batch.client_id AS batch_client, known.row_id, known.digest"
        f"{MORE.get(name, '')} FROM batch"
        f" CROSS JOIN {name} AS own ON own.{client} = batch.client_id"
        f" LEFT JOIN known ON known.kind = '{kind}' AND known.external_id = own.{key}"
        f"{SECOND.get(name, '')} ORDER BY own.line"
    )


def parts_of_batch(name: str) -> str:
    owners, column = PARTS[name]
    has_session = "session_id" in BY_NAME[name].by_name
    session = ", known.row_id AS session_row_id" if has_session else ""
    known = " LEFT JOIN known ON known.kind = 'session' AND known.external_id = own.session_id"
    return (
        f"SELECT own.*, batch.client_id AS batch_client{session} FROM batch"
        f" CROSS JOIN {owners} AS owner ON owner.client_id = batch.client_id"
        f" CROSS JOIN {name} AS own ON own.{column} = owner.id"
        f"{known if has_session else ''} ORDER BY own.position, own.line"
    )


# -- inputs of the writers -------------------------------------------------------------------------


def day_of(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def client_details(row: StagedRow, clinician_id: str | None) -> ClientDetails:
    line1, line2, city, region, postal_code, country = (row[name] for name in ADDRESS)
    address = PostalAddress(line1, city, postal_code, country, line2, region) if line1 else None
    return ClientDetails(
        row["name"] or f"{row['first_name']} {row['last_name']}",
        row["email"],
        row["phone"],
        day_of(row["date_of_birth"]),
        clinician_id,
        address,
    )


def contact_link(row: StagedRow, contact_id: str) -> ContactLink:
    rights = bool(row["sees_documents"]), bool(row["can_pay"])
    return ContactLink(contact_id, Relation(row["relation"]), *rights, day_of(row["until"]))


def session_details(
    row: StagedRow, clinician_id: str | None, starts_at: dt.datetime | None
) -> SessionDetails:
    return SessionDetails(
        dt.date.fromisoformat(row["date"]),
        row["description"],
        row["fee"],
        clinician_id,
        starts_at,
        row["duration_minutes"],
        row["service_code"],
    )


def new_line(row: StagedRow, session_id: str | None) -> NewLine:
    return NewLine(
        row["description"],
        row["unit_price"],
        day_of(row["date"]),
        row["service_code"],
        session_id,
        row["quantity"] or WHOLE,
    )


def new_invoice(row: StagedRow, lines: Sequence[NewLine], clinician_id: str | None) -> NewInvoice:
    return NewInvoice(
        lines,
        day_of(row["due_on"]),
        day_of(row["issued_on"]),
        clinician_id,
        row["notes"],
        row["shared"] != 0,
        row["number"],
    )


def outside_payment(row: StagedRow, invoice_id: str | None) -> OutsidePayment:
    return OutsidePayment(
        PaymentMethodKind(row["method"]),
        row["amount"],
        day_of(row["paid_on"]),
        invoice_id,
        payer=row["payer"],
        reference=row["reference"],
    )


def outside_refund(row: StagedRow, payment_id: str, invoice_id: str | None) -> OutsideRefund:
    day = day_of(row["refunded_on"])
    return OutsideRefund(payment_id, row["amount"], day, invoice_id=invoice_id)


def issued_superbill(
    row: StagedRow,
    lines: Rows,
    sessions: Sequence[str | None],
    diagnoses: Rows,
    providers: tuple[str | None, str | None],
) -> IssuedSuperbill:
    """Return a superbill. A visit without diagnoses points to all of them."""
    rendering, billing = providers
    assert rendering is not None
    every = [one["position"] for one in diagnoses]
    return IssuedSuperbill(
        dt.date.fromisoformat(row["issued_on"]),
        dt.date.fromisoformat(row["period_start"]),
        dt.date.fromisoformat(row["period_end"]),
        rendering,
        [visit(line, session, every) for line, session in zip(lines, sessions, strict=True)],
        [(one["position"], one["code"], one["description"]) for one in diagnoses],
        billing,
        row["shared"] != 0,
        row["number"],
    )


def kept_pdf(row: StagedRow, document_id: str | None) -> KeptPdf:
    """Return the PDF of a document without its bytes. A statement is issued for it."""
    statement = None
    if document_id is None:
        statement = StatementPeriod(
            dt.date.fromisoformat(row["period_start"]),
            dt.date.fromisoformat(row["period_end"]),
            number=row["number"],
            issued_on=dt.date.fromisoformat(row["issued_on"]),
        )
    return KeptPdf(DocumentKind(row["kind"]), row["sha256"], document_id, statement)


def visit(row: StagedRow, session_id: str | None, diagnoses: Sequence[int]) -> Visit:
    return Visit(
        dt.date.fromisoformat(row["date"]),
        row["fee"],
        row["paid"] or 0,
        row["place_of_service"],
        row["service_code"],
        (row["modifiers"] or "").split(),
        row["units"] or WHOLE,
        [int(one) for one in row["diagnoses"].split()] if row["diagnoses"] else diagnoses,
        session_id,
    )


def adjustment(row: StagedRow, invoice_id: str) -> WriteOff | Adjustment:
    kind = WriteOff if row["kind"] == "WRITE_OFF" else Adjustment
    return kind(invoice_id, row["amount"], row["description"])


def brought_forward(row: StagedRow) -> NewInvoice | Credit:
    """Return an invoice of the client's debt, or a credit of the practice's debt."""
    if row["amount"] < 0:
        return Credit(-row["amount"], "Credit brought forward")
    day = day_of(row["as_of"])
    return NewInvoice([NewLine("Balance brought forward", row["amount"], day)], issued_on=day)
