"""The rules across the files of an import: each id once, each reference to a record that is there,
and amounts that fit each other.
"""

from collections.abc import Iterator

from billing.imports.client_records import PARTS
from billing.imports.columns import FileLayout
from billing.imports.faults import Faults
from billing.imports.layouts import BY_NAME, LAYOUTS
from billing.imports.staging import Staging

# The kinds of records by the file that has them.
FILE_OF_KIND = {layout.kind: layout for layout in LAYOUTS}


def check_staged(staging: Staging, faults: Faults) -> None:
    """Add the faults that a comparison of all staged records finds."""
    for layout in LAYOUTS:
        if layout.name in staging.staged:
            check_keys(staging, faults, layout)
            check_references(staging, faults, layout)
    check_contacts(staging, faults)
    check_addresses(staging, faults)
    check_lines(staging, faults)
    check_numbers(staging, faults)
    check_allocations(staging, faults)
    check_days(staging, faults)
    check_visits(staging, faults)
    check_clients(staging, faults)


def check_keys(staging: Staging, faults: Faults, layout: FileLayout) -> None:
    """Refuse a second record with the key of another one."""
    if not layout.key:
        return
    columns = ", ".join(layout.key)
    named = " AND ".join(f"{name} IS NOT NULL" for name in layout.key)
    staging.faults_of(
        faults,
        layout,
        f"SELECT line, first, '{layout.key[0]}' AS column_name FROM (SELECT line,"
        f" min(line) OVER (PARTITION BY {columns}) AS first FROM {layout.name} WHERE {named})"
        " WHERE line > first ORDER BY line",
        "DUPLICATE",
        "is the same record as line {first}",
        "leave one of the two out",
    )


def check_references(staging: Staging, faults: Faults, layout: FileLayout) -> None:
    """Refuse a reference to a record that is neither in the files nor was entered before."""
    for column in layout.columns:
        if column.refers is None:
            continue
        target = FILE_OF_KIND[column.refers]
        staging.faults_of(
            faults,
            layout,
            f"SELECT line, '{column.name}' AS column_name FROM {layout.name} AS own"
            f" WHERE {column.name} IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {target.name} WHERE id = own.{column.name})"
            f" AND NOT EXISTS (SELECT 1 FROM known WHERE known.kind = '{column.refers}'"
            f" AND external_id = own.{column.name}) ORDER BY line",
            "NO_SUCH_RECORD",
            f"names no {column.refers} of {target.file} or of an earlier import",
            f"correct it, or add the {column.refers}",
        )


def check_contacts(staging: Staging, faults: Faults) -> None:
    """Refuse two records of one contact with different names or addresses."""
    staging.faults_of(
        faults,
        BY_NAME["contacts"],
        "SELECT line, first, 'id' AS column_name FROM (SELECT line, name, email,"
        " first_value(line) OVER same AS first, first_value(name) OVER same AS first_name,"
        " first_value(email) OVER same AS first_email FROM contacts WHERE id IS NOT NULL"
        " WINDOW same AS (PARTITION BY id ORDER BY line))"
        " WHERE name <> first_name OR email <> first_email ORDER BY line",
        "DUPLICATE",
        "is the contact of line {first} with another name or address",
        "give the contact the same name and address on each line",
    )


def check_addresses(staging: Staging, faults: Faults) -> None:
    """Refuse two contacts of a client with one address: they are one person in the portal."""
    staging.faults_of(
        faults,
        BY_NAME["contacts"],
        "SELECT line, first, 'email' AS column_name FROM (SELECT line, id,"
        " first_value(line) OVER same AS first, first_value(id) OVER same AS first_id"
        " FROM contacts WHERE client_id IS NOT NULL AND email IS NOT NULL"
        " WINDOW same AS (PARTITION BY client_id, lower(email) ORDER BY line))"
        " WHERE id <> first_id ORDER BY line",
        "DUPLICATE",
        "is the address of line {first}, a contact of the same client",
        "leave one of the two out",
    )


def check_lines(staging: Staging, faults: Faults) -> None:
    """Refuse documents without lines, and lines without their document."""
    for name, lines in (("invoices", "invoice_lines"), ("superbills", "superbill_lines")):
        owner = BY_NAME[name]
        staging.faults_of(
            faults,
            owner,
            f"SELECT line, 'id' AS column_name FROM {name} WHERE id IS NOT NULL AND id NOT IN"
            f" (SELECT {owner.kind}_id FROM {lines} WHERE {owner.kind}_id IS NOT NULL)"
            " ORDER BY line",
            "MISSING",
            f"has no line in {lines}.csv",
            "add its lines",
        )
    for lines, (name, column) in PARTS.items():
        kind = BY_NAME[name].kind
        staging.faults_of(
            faults,
            BY_NAME[lines],
            f"SELECT line, '{column}' AS column_name FROM {lines}"
            f" JOIN known ON known.kind = '{kind}' AND external_id = {column} WHERE {column}"
            f" NOT IN (SELECT id FROM {name} WHERE id IS NOT NULL) ORDER BY line",
            "NO_SUCH_RECORD",
            f"names {'an' if kind == 'invoice' else 'a'} {kind} that is not in {name}.csv",
            f"send {'an' if kind == 'invoice' else 'a'} {kind} together with its lines",
        )
    check_sessions(staging, faults)


def check_sessions(staging: Staging, faults: Faults) -> None:
    """Refuse sessions that are on two valid invoices."""
    staging.faults_of(
        faults,
        BY_NAME["invoice_lines"],
        "SELECT line, first, 'session_id' AS column_name FROM (SELECT own.line,"
        " min(own.line) OVER (PARTITION BY session_id) AS first FROM invoice_lines AS own"
        " JOIN invoices ON invoices.id = invoice_id"
        " WHERE session_id IS NOT NULL AND voided_on IS NULL) WHERE line > first ORDER BY line",
        "DUPLICATE",
        "is the session of line {first}, which is invoiced already",
        "leave one of the two out, or void one of the invoices by voided_on",
    )


def check_numbers(staging: Staging, faults: Faults) -> None:
    for name in ("invoices", "superbills", "documents"):
        staging.faults_of(
            faults,
            BY_NAME[name],
            "SELECT line, first, 'number' AS column_name FROM (SELECT line, min(line) OVER"
            f" (PARTITION BY number) AS first FROM {name} WHERE number IS NOT NULL)"
            " WHERE line > first ORDER BY line",
            "NUMBER_TAKEN",
            "is the number of line {first} too",
            f"give each {BY_NAME[name].kind} a number of its own",
        )


def check_visits(staging: Staging, faults: Faults) -> None:
    """Refuse visits outside the superbill's period, and diagnoses that are not on it."""
    layout = BY_NAME["superbill_lines"]
    staging.faults_of(
        faults,
        layout,
        "SELECT own.line, 'date' AS column_name FROM superbill_lines AS own"
        " JOIN superbills AS owner ON owner.id = own.superbill_id"
        " WHERE own.date NOT BETWEEN owner.period_start AND owner.period_end ORDER BY own.line",
        "BAD_VALUE",
        "is outside the period of the superbill",
        "correct the day, or the period",
    )
    staging.faults_of(
        faults,
        layout,
        "SELECT DISTINCT own.line, 'diagnoses' AS column_name FROM superbill_lines AS own,"
        " json_each('[' || replace(own.diagnoses, ' ', ',') || ']') AS pointer"
        " WHERE own.diagnoses IS NOT NULL AND NOT EXISTS (SELECT 1 FROM superbill_diagnoses"
        " WHERE superbill_id = own.superbill_id AND position = pointer.value) ORDER BY own.line",
        "NO_SUCH_RECORD",
        "has a position that superbill_diagnoses.csv has not for this superbill",
        "correct the positions, or add the diagnosis",
    )


def check_allocations(staging: Staging, faults: Faults) -> None:
    """Refuse more than a payment or an invoice has, and two ways of allocating one payment."""
    layout = BY_NAME["allocations"]
    for kind, amounts in (
        ("payment", "SELECT id, amount AS minor FROM payments"),
        (
            "invoice",
            "SELECT invoice_id AS id, sum(amount_of_line(quantity, unit_price)) AS minor"
            " FROM invoice_lines GROUP BY invoice_id",
        ),
    ):
        staging.faults_of(
            faults,
            layout,
            f"SELECT line, 'amount' AS column_name FROM (SELECT line, {kind}_id AS of_id,"
            f" sum(amount) OVER (PARTITION BY {kind}_id ORDER BY line) AS total FROM allocations"
            f" WHERE amount IS NOT NULL) JOIN ({amounts}) ON id = of_id"
            " WHERE total > minor ORDER BY line",
            "EXCEEDS_AMOUNT",
            f"exceeds, with the lines before, the amount of the {kind}",
            "correct the amounts",
        )
    staging.faults_of(
        faults,
        layout,
        "SELECT own.line, 'invoice_id' AS column_name FROM allocations AS own"
        " JOIN invoices ON invoices.id = own.invoice_id WHERE voided_on IS NOT NULL"
        " ORDER BY own.line",
        "INVOICE_IS_VOID",
        "names an invoice that is void",
        "leave the row out, or name the invoice that replaced it",
    )
    staging.faults_of(
        faults,
        layout,
        "SELECT own.line, payments.line AS other, 'payment_id' AS column_name"
        " FROM allocations AS own JOIN payments ON payments.id = own.payment_id"
        " WHERE payments.invoice_id IS NOT NULL ORDER BY own.line",
        "DUPLICATE",
        "is a payment with an invoice_id of its own, on line {other}",
        "give a payment's invoices in one of the two files",
    )


def check_days(staging: Staging, faults: Faults) -> None:
    """Refuse a refund before its payment, and an adjustment before its invoice."""
    for name, column, owner, owner_day in (
        ("refunds", "refunded_on", "payment", "paid_on"),
        ("adjustments", "date", "invoice", "issued_on"),
    ):
        staging.faults_of(
            faults,
            BY_NAME[name],
            f"SELECT own.line, '{column}' AS column_name FROM {name} AS own"
            f" JOIN {owner}s AS owner ON owner.id = own.{owner}_id"
            f" WHERE own.{column} < owner.{owner_day} ORDER BY own.line",
            "BAD_VALUE",
            f"is before {owner_day} of the {owner}",
            "correct one of the two days",
        )


def check_clients(staging: Staging, faults: Faults) -> None:
    """Refuse a record that names another client's record."""
    for name, column, owner in links():
        layout = BY_NAME[name]
        target = FILE_OF_KIND[column.removesuffix("_id")]
        staging.faults_of(
            faults,
            layout,
            f"SELECT own.line, '{column}' AS column_name FROM {name} AS own {owner}"
            f" JOIN (SELECT id, client_id FROM {target.name} UNION ALL"
            f" SELECT external_id, client_id FROM known WHERE known.kind = '{target.kind}'"
            f" AND external_id NOT IN (SELECT id FROM {target.name} WHERE id IS NOT NULL))"
            " AS target"
            f" ON target.id = own.{column} WHERE target.client_id <> owner.client_id"
            " ORDER BY own.line",
            "OTHER_CLIENT",
            f"names the {column.removesuffix('_id')} of another client",
            "correct the id",
        )


def links() -> Iterator[tuple[str, str, str]]:
    """Yield the columns that name a record of the same client, with the join of that client."""
    of_invoice = "JOIN invoices AS owner ON owner.id = own.invoice_id"
    of_payment = "JOIN payments AS owner ON owner.id = own.payment_id"
    yield "invoice_lines", "session_id", of_invoice
    of_superbill = "JOIN superbills AS owner ON owner.id = own.superbill_id"
    yield "superbill_lines", "session_id", of_superbill
    yield "payments", "invoice_id", "JOIN payments AS owner ON owner.line = own.line"
    yield "allocations", "invoice_id", of_payment
    yield "refunds", "invoice_id", of_payment
    for kind in ("invoice", "superbill", "payment"):
        yield "documents", f"{kind}_id", "JOIN documents AS owner ON owner.line = own.line"
