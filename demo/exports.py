"""An invented practice's records as files, in the form of another system's reports.

The same last day, seed and number of clients give the same files. All data is fictitious.
docs/import/mapping.toml maps these files for `portal import`.
"""

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.entries import Chance
from demo.export_documents import FOLDER, ExportedDocuments, american
from demo.names import american_address, email, npi, strangers

Record = Mapping[str, object]
THERAPISTS = ("Ruth Adeyemi", "Oskar Lindqvist", "Mina Haddad", "Paul Santos")
# The usual services: the CPT code, the name, the minutes and the fee in cents.
SERVICES = (
    ("90834", "Psychotherapy, 45 minutes", 45, 15_000),
    ("90837", "Psychotherapy, 60 minutes", 60, 19_500),
    ("90847", "Family psychotherapy", 50, 21_000),
)
METHODS = ("Check", "Cash", "Credit card", "Bank transfer", "Insurance")
# A client's first session was so many weeks ago at most, and at least.
LONGEST, SHORTEST = 52, 20
REPORTS: Mapping[str, Sequence[str]] = {
    "Clinicians": ("Clinician ID", "Clinician", "Credentials", "NPI", "License"),
    "Clients": (
        "Client ID", "First Name", "Last Name", "Preferred Pronouns", "Email", "Phone",
        "Date of Birth", "Clinician ID", "Street", "Apt", "City", "State", "Zip", "Added On",
    ),
    "Client Contacts": (
        "Contact ID", "Client ID", "Contact Name", "Contact Email", "Relationship",
        "May See Bills", "May Pay",
    ),
    "Appointments": (
        "Appointment ID", "Client ID", "Clinician ID", "Date", "Start", "Minutes", "Service",
        "CPT", "Fee", "Status",
    ),
    "Invoice Items": (
        "Invoice ID", "Client ID", "Invoice Number", "Invoice Date", "Due Date", "Voided On",
        "Item", "Appointment ID", "Item Description", "Qty", "Rate",
    ),
    "Payments": (
        "Payment ID", "Client ID", "Date", "Amount", "Type", "Payer", "Check Number",
    ),
    "Refunds": ("Refund ID", "Payment ID", "Date", "Amount"),
    "Credits": ("Credit ID", "Client ID", "Date", "Amount", "Reason"),
    "Adjustments": (
        "Adjustment ID", "Invoice ID", "Date", "Type", "Amount", "Reason",
    ),
    "Superbills": (
        "Superbill ID", "Client ID", "Superbill Number", "Superbill Date", "From", "To",
        "Clinician ID",
    ),
    "Superbill Visits": (
        "Superbill ID", "Visit", "Appointment ID", "Visit Date", "Place", "CPT", "Diagnoses",
        "Fee", "Paid",
    ),
    "Superbill Diagnoses": ("Superbill ID", "No.", "ICD-10", "Diagnosis"),
    "Documents": (
        "Document ID", "Client ID", "Document Type", "File", "Invoice ID", "Superbill ID",
        "Document Number", "Document Date", "From", "To",
    ),
    "Client Balances": ("Client ID", "Balance"),
}  # fmt: skip


@dataclass
class ExportedClient:
    """The records of one client by report, and the balance that they come to."""

    id: str
    chance: Chance
    reports: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    files: Mapping[str, bytes] = field(default_factory=dict)
    balance: int = 0

    def add(self, report: str, *values: object) -> None:
        self.reports[report].append(dict(zip(REPORTS[report], values, strict=True)))

    def count(self, report: str) -> int:
        return len(self.reports[report]) + 1


@dataclass(frozen=True)
class InventedExport:
    """The plan of an export: its last day, the number of clients, its seed, and the number of the
    first client, which ids and the numbers of documents begin with.
    """

    today: dt.date
    clients: int
    seed: int = 1
    first: int = 1

    def write(self, folder: Path) -> Counter[str]:
        """Write the reports and the PDFs into a folder. Return the number of records of each."""
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        counted = Counter[str]()
        with ExitStack() as files:
            writers: dict[str, Any] = {}
            for name, columns in REPORTS.items():
                path = folder / f"{name}.csv"
                file = files.enter_context(path.open("w", newline="", encoding="utf-8"))
                writers[name] = csv.DictWriter(file, columns, lineterminator="\n")
                writers[name].writeheader()
            for part in self.parts():
                for name, records in part.reports.items():
                    writers[name].writerows(records)
                    counted[name] += len(records)
                for name, content in part.files.items():
                    (folder / name).write_bytes(content)
        return counted

    def parts(self) -> Iterator[ExportedClient]:
        """Yield the clinicians, of no client, and then the records of each client."""
        staff = ExportedClient("", Chance(self.seed, "export"))
        for nth, name in enumerate(THERAPISTS, 1):
            chance = staff.chance
            staff.add("Clinicians", f"T{nth}", name, "PhD", npi(chance), f"L{chance.digits(5)}")
        yield staff
        names = strangers(Chance(self.seed, "export", "names"))
        for nth in range(self.first, self.first + self.clients):
            yield self.client(nth, next(names))

    def client(self, nth: int, name: str) -> ExportedClient:
        client = ExportedClient(f"C{nth:05}", Chance(self.seed, "export", nth))
        draw = client.chance.random
        weeks = range(draw.randrange(SHORTEST, LONGEST), draw.randrange(1, 5), -1)
        clinician = f"T{draw.randint(1, len(THERAPISTS))}"
        self.add_person(client, name, clinician, weeks[0])
        self.add_history(client, clinician, weeks)
        self.add_documents(client, clinician, weeks)
        client.add("Client Balances", client.id, dollars(client.balance))
        return client

    def day(self, weeks_ago: int, later: int = 0) -> str:
        return american(self.today - dt.timedelta(7 * weeks_ago - later))

    def add_person(self, client: ExportedClient, name: str, clinician: str, weeks_ago: int) -> None:
        chance, draw = client.chance, client.chance.random
        first, _, family = name.rpartition(" ")
        address = american_address(chance)
        born = american(self.today - dt.timedelta(draw.randrange(20 * 365, 75 * 365)))
        mailbox, phone = f"{client.id.lower()}.{email(name)}", f"+1 207 555 01{chance.digits(2)}"
        street = (address.line1, address.line2, address.city, address.region, address.postal_code)
        own = client.id, first, family, draw.choice(("she/her", "he/him", "they/them"))
        added = self.day(weeks_ago + 1)
        client.add("Clients", *own, mailbox, phone, born, clinician, *street, added)
        if chance.happens(0.1):
            relation = draw.choice(("Parent", "Partner", "Guardian"))
            contact = f"K{client.id[1:]}", client.id, f"Alex {family}"
            address_ = f"k{client.id[1:]}@example.com"
            client.add("Client Contacts", *contact, address_, relation, "Yes", "Yes")

    def add_history(self, client: ExportedClient, clinician: str, weeks: Sequence[int]) -> None:
        """Add a session each week, an invoice for four of them, and an appointment to come."""
        code, name, minutes, fee = client.chance.random.choice(SERVICES)
        start = f"{client.chance.random.randint(8, 11):02}:00 AM"
        session = client.id, clinician
        service = start, minutes, name, code, dollars(fee)
        waiting: list[str] = []
        for week in weeks:
            waiting.append(f"A{client.id[1:]}-{client.count('Appointments')}")
            client.add("Appointments", waiting[-1], *session, self.day(week), *service, "Attended")
            if len(waiting) == 4:
                self.add_invoice(client, week, waiting, fee)
                waiting = []
        planned = f"A{client.id[1:]}-{client.count('Appointments')}"
        client.add("Appointments", planned, *session, self.day(-1), *service, "Scheduled")

    def add_documents(self, client: ExportedClient, clinician: str, weeks: Sequence[int]) -> None:
        """Add the documents about the first four sessions: an invoice's PDF, and of some clients a
        superbill or a statement.
        """
        first, last = (self.today - dt.timedelta(7 * weeks[place]) for place in (0, 3))
        documents = ExportedDocuments(client.id, client.id[1:], first, last)
        documents.add_invoice()
        if int(client.id[1:]) % 2:
            documents.add_superbill(clinician, client.reports["Appointments"][:4])
        if int(client.id[1:]) % 3 == 0:
            documents.add_statement()
        for report, row in documents.rows:
            client.add(report, *row)
        client.files = documents.files

    def add_invoice(
        self, client: ExportedClient, week: int, sessions: Sequence[str], fee: int
    ) -> None:
        """Add an invoice, sometimes void and issued again, and what became of it."""
        chance = client.chance
        if chance.happens(0.03):
            self.add_items(client, week, sessions, fee, voided_on=self.day(week, 2))
        invoice_id = self.add_items(client, week, sessions, fee, later=2)
        total = fee * len(sessions)
        client.balance += total
        if chance.happens(0.85):
            self.add_payment(client, week, total if chance.happens(0.9) else total // 2)
        elif chance.happens(0.2):
            self.adjust(client, invoice_id, week, "Write-off", fee, "Sliding scale")
            client.balance -= fee
        elif chance.happens(0.2):
            self.adjust(client, invoice_id, week, "Correction", -1_000, "Correction of")
            client.balance -= 1_000
        if chance.happens(0.02):
            credit_id = f"G{client.id[1:]}-{client.count('Credits')}"
            credit = credit_id, client.id, self.day(week, 7), dollars(2_500), "Courtesy"
            client.add("Credits", *credit)
            client.balance -= 2_500

    def add_items(
        self,
        client: ExportedClient,
        week: int,
        sessions: Sequence[str],
        fee: int,
        *,
        later: int = 1,
        voided_on: str = "",
    ) -> str:
        last = len({one["Invoice ID"] for one in client.reports["Invoice Items"]}) + 1
        invoice_id = f"I{client.id[1:]}-{last}"
        days = self.day(week, later), self.day(week, later + 14), voided_on
        own = invoice_id, client.id, f"{client.id[1:]}-{last:03}", *days
        for item, session_id in enumerate(sessions, 1):
            client.add("Invoice Items", *own, item, session_id, "", "", dollars(fee))
        return invoice_id

    def add_payment(self, client: ExportedClient, week: int, cents: int) -> None:
        """Add a payment some days later, and sometimes a refund of a part of it."""
        chance, draw = client.chance, client.chance.random
        method, paid_on = draw.choice(METHODS), draw.randrange(3, 6)
        payment_id = f"P{client.id[1:]}-{client.count('Payments')}"
        payer = "Blue Harbor Health" if method == "Insurance" else ""
        check = chance.digits(4) if method == "Check" else ""
        money = self.day(week, paid_on), dollars(cents), method
        client.add("Payments", payment_id, client.id, *money, payer, check)
        client.balance -= cents
        if chance.happens(0.03):
            refund_id = f"R{client.id[1:]}-{client.count('Refunds')}"
            client.add("Refunds", refund_id, payment_id, self.day(week, 6), dollars(4_000))
            client.balance += 4_000

    def adjust(
        self, client: ExportedClient, invoice_id: str, week: int, kind: str, cents: int, why: str
    ) -> None:
        adjustment_id = f"D{client.id[1:]}-{client.count('Adjustments')}"
        day = self.day(week, 7)
        client.add("Adjustments", adjustment_id, invoice_id, day, kind, dollars(cents), why)


def dollars(cents: int) -> str:
    units, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${units:,}.{rest:02}"
