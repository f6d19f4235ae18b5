"""An invented practice's records as files, as another system would export them.

The same date, seed and number of clients give the same files. All data is fictitious.
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
from demo.names import american_address, email, npi, strangers

Record = Mapping[str, object]
THERAPISTS = ("Ruth Adeyemi", "Oskar Lindqvist", "Mina Haddad", "Paul Santos")
SERVICES = {"90834": ("Psychotherapy, 45 minutes", 15_000), "90837": ("Psychotherapy, 60 minutes",
                                                                      19_500)}  # fmt: skip
METHODS = ("CHECK", "CASH", "CARD", "BANK_TRANSFER", "INSURANCE")
# A client's first session is so many weeks ago at most.
LONGEST = 52
COLUMNS: Mapping[str, Sequence[str]] = {
    "clinicians": ("id", "name", "credentials", "npi", "licence_number"),
    "clients": (
        "id", "first_name", "last_name", "email", "phone", "date_of_birth", "clinician_id",
        "address_line1", "address_line2", "city", "region", "postal_code", "country",
        "created_on",
    ),
    "contacts": ("id", "client_id", "name", "email", "relation", "sees_documents", "can_pay"),
    "sessions": (
        "id", "client_id", "clinician_id", "date", "starts_at", "duration_minutes", "description",
        "service_code", "fee",
    ),
    "invoices": ("id", "client_id", "number", "issued_on", "due_on", "notes", "voided_on"),
    "invoice_lines": ("invoice_id", "position", "session_id", "description", "quantity",
                      "unit_price"),
    "payments": ("id", "client_id", "paid_on", "amount", "method", "payer", "reference",
                 "invoice_id"),
    "totals": ("client_id", "balance"),
}  # fmt: skip


@dataclass
class ExportedClient:
    """The records of one client, by file. `balance` follows them."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    balance: int = 0

    def add(self, file: str, **values: object) -> None:
        self.records[file].append(values)


@dataclass(frozen=True)
class InventedExport:
    """The plan of an export: its last day, its seed, and the number of clients."""

    today: dt.date
    clients: int
    seed: int = 1

    def write(self, folder: Path) -> Counter[str]:
        """Write the files into a folder, and return the number of records by file."""
        folder.mkdir(parents=True, exist_ok=True)
        counted = Counter[str]()
        with ExitStack() as files:
            writers: dict[str, Any] = {}
            for name, columns in COLUMNS.items():
                file = files.enter_context((folder / f"{name}.csv").open("w", newline=""))
                writers[name] = csv.DictWriter(file, columns)
                writers[name].writeheader()
            for records in self.records():
                for name, rows in records.items():
                    writers[name].writerows(rows)
                    counted[name] += len(rows)
        return counted

    def records(self) -> Iterator[Mapping[str, list[Record]]]:
        """Yield the practice's clinicians, and then the records of each client."""
        chance = Chance(self.seed, "export")
        yield {
            "clinicians": [
                {
                    "id": f"T{nth}",
                    "name": name,
                    "credentials": "PhD",
                    "npi": npi(chance),
                    "licence_number": f"L{chance.digits(5)}",
                }
                for nth, name in enumerate(THERAPISTS, 1)
            ]
        }
        names = strangers(Chance(self.seed, "export", "names"))
        for nth in range(1, self.clients + 1):
            yield self.client(nth, next(names)).records

    def client(self, nth: int, name: str) -> ExportedClient:
        chance, client = Chance(self.seed, "export", nth), ExportedClient()
        draw, client_id = chance.random, f"C{nth:05}"
        last, began = draw.randrange(1, 5), draw.randrange(20, LONGEST)
        clinician = f"T{draw.randint(1, len(THERAPISTS))}"
        first, _, family = name.rpartition(" ")
        address = vars(american_address(chance))
        born = self.today - dt.timedelta(draw.randrange(20 * 365, 75 * 365))
        client.add(
            "clients",
            id=client_id,
            first_name=first,
            last_name=family,
            email=f"{client_id.lower()}.{email(name)}",
            phone=f"+1 207 555 01{draw.randrange(100):02}",
            date_of_birth=born,
            clinician_id=clinician,
            created_on=self.day(began + 1),
            **{f"address_{part}": address[part] for part in ("line1", "line2")},
            **{part: address[part] for part in ("city", "region", "postal_code", "country")},
        )
        if chance.happens(0.1):
            self.add_contact(client, client_id, family, draw.choice(("PARENT", "PARTNER")))
        self.add_history(client, client_id, clinician, chance, range(began, last, -1))
        client.add("totals", client_id=client_id, balance=dollars(client.balance))
        return client

    def day(self, weeks_ago: int, later: int = 0) -> dt.date:
        return self.today - dt.timedelta(7 * weeks_ago - later)

    def add_contact(
        self, client: ExportedClient, client_id: str, family: str, relation: str
    ) -> None:
        client.add(
            "contacts",
            id=f"K{client_id[1:]}",
            client_id=client_id,
            name=f"Alex {family}",
            email=f"k{client_id[1:]}@example.com",
            relation=relation,
            sees_documents="yes",
            can_pay="yes",
        )

    def add_history(
        self,
        client: ExportedClient,
        client_id: str,
        clinician: str,
        chance: Chance,
        weeks: Sequence[int],
    ) -> None:
        """Add a session each week, an invoice for four of them, and a payment of most invoices."""
        code = chance.random.choice(list(SERVICES))
        description, fee = SERVICES[code]
        waiting: list[str] = []
        for nth, week in enumerate(weeks, 1):
            session_id = f"S{client_id[1:]}-{nth}"
            waiting.append(session_id)
            client.add(
                "sessions",
                id=session_id,
                client_id=client_id,
                clinician_id=clinician,
                date=self.day(week),
                starts_at=f"{chance.random.randint(8, 17):02}:00",
                duration_minutes=45 if code == "90834" else 60,
                description=description,
                service_code=code,
                fee=dollars(fee),
            )
            if len(waiting) == 4:
                self.add_invoice(client, client_id, chance, week, waiting, fee)
                waiting = []

    def add_invoice(
        self,
        client: ExportedClient,
        client_id: str,
        chance: Chance,
        week: int,
        sessions: Sequence[str],
        fee: int,
    ) -> None:
        number = len(client.records["invoices"]) + 1
        invoice_id = f"I{client_id[1:]}-{number}"
        issued = self.day(week, 1)
        client.add(
            "invoices",
            id=invoice_id,
            client_id=client_id,
            number=f"{client_id[1:]}-{number:03}",
            issued_on=issued,
            due_on=issued + dt.timedelta(14),
        )
        for position, session_id in enumerate(sessions, 1):
            client.add(
                "invoice_lines",
                invoice_id=invoice_id,
                position=position,
                session_id=session_id,
                unit_price=dollars(fee),
            )
        client.balance += fee * len(sessions)
        if chance.happens(0.85):
            paid = fee * len(sessions) // (1 if chance.happens(0.9) else 2)
            method = chance.random.choice(METHODS)
            client.add(
                "payments",
                id=f"P{client_id[1:]}-{number}",
                client_id=client_id,
                paid_on=issued + dt.timedelta(chance.random.randrange(1, 6)),
                amount=dollars(paid),
                method=method,
                payer="Blue Harbor Health" if method == "INSURANCE" else "",
                reference=chance.digits(4) if method == "CHECK" else "",
            )
            client.balance -= paid


def dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
