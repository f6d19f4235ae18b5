"""Balances of the demo's rows, computed independently of the generator."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from models import (
    Allocation,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Practice,
    Row,
    Session,
)

Values = Mapping[str, Any]
ISSUED = (EntryKind.SESSION, EntryKind.CHARGE)


class Ledgers:
    """All rows by table, as of a day."""

    def __init__(self, rows: Mapping[type[Row], Iterable[Values]], today: dt.date) -> None:
        self.rows = {row: list(values) for row, values in rows.items()}
        self.today = today
        self.grouped = cache(self.group)

    def group(self, row: type[Row], column: str) -> dict[Any, list[Values]]:
        groups: dict[Any, list[Values]] = defaultdict(list)
        for values in self.rows.get(row, []):
            groups[values[column]].append(values)
        return groups

    def all(self, row: type[Row], **wanted: Any) -> list[Values]:
        """Return the rows with these values. The first column is looked up in an index."""
        if not wanted:
            return self.rows.get(row, [])
        column, value = next(iter(wanted.items()))
        found = self.grouped(row, column).get(value, [])
        return [each for each in found if all(each[key] == wanted[key] for key in wanted)]

    def one(self, row: type[Row], **wanted: Any) -> Values:
        (found,) = self.all(row, **wanted)
        return found

    def day(self, practice_id: str, at: dt.datetime) -> dt.date:
        zone: str = self.one(Practice, id=practice_id)["time_zone"]
        return at.astimezone(ZoneInfo(zone)).date()

    # -- an invoice --------------------------------------------------------------------------------

    def paid(self, invoice: Values) -> int:
        return total(self.all(Allocation, invoice_id=invoice["id"]))

    def due(self, invoice: Values) -> int:
        """Return the invoice's total with corrections, less the amount allocated to it; zero if
        void.
        """
        if invoice["is_void"]:
            return 0
        entries = self.all(LedgerEntry, invoice_id=invoice["id"])
        corrections = [entry for entry in entries if entry["kind"] not in ISSUED]
        return int(invoice["total_minor"]) + total(corrections) - self.paid(invoice)

    def status(self, invoice: Values) -> str:
        if invoice["is_void"]:
            return "VOID"
        if self.due(invoice) == 0:
            return "PAID"
        return "PARTIALLY_PAID" if self.paid(invoice) > 0 else "UNPAID"

    def is_past_due(self, invoice: Values) -> bool:
        due_on = invoice["due_on"]
        return due_on is not None and due_on < self.today and self.due(invoice) > 0

    def lines(self, invoice: Values) -> list[Values]:
        return by(self.all(InvoiceLine, invoice_id=invoice["id"]), "position")

    # -- a client ----------------------------------------------------------------------------------

    def balance(self, client_id: str) -> int:
        return total(self.all(LedgerEntry, client_id=client_id))

    def credit(self, client_id: str) -> int:
        pool = total(self.all(LedgerEntry, client_id=client_id, invoice_id=None))
        return -pool - total(self.all(Allocation, client_id=client_id))

    def all_due(self, client_id: str) -> int:
        return sum(self.due(invoice) for invoice in self.all(Invoice, client_id=client_id))

    def uninvoiced(self, client_id: str) -> list[Values]:
        sessions = self.all(Session, client_id=client_id)
        return [
            session
            for session in sessions
            if not self.all(InvoiceLine, session_id=session["id"], is_void=False)
        ]

    def credit_over_time(self, client_id: str) -> list[int]:
        """Return the credit after each minute: rows of the same minute belong together."""
        moved: dict[str, int] = defaultdict(int)
        for entry in self.all(LedgerEntry, client_id=client_id, invoice_id=None):
            moved[f"{entry['created_at']:%Y-%m-%d %H:%M}"] -= entry["amount_minor"]
        for allocation in self.all(Allocation, client_id=client_id):
            moved[f"{allocation['created_at']:%Y-%m-%d %H:%M}"] -= allocation["amount_minor"]
        return sums(moved[minute] for minute in sorted(moved))

    def due_over_time(self, invoice: Values) -> list[int]:
        moved: dict[str, int] = defaultdict(int)
        for entry in self.all(LedgerEntry, invoice_id=invoice["id"]):
            moved[f"{entry['created_at']:%Y-%m-%d %H:%M}"] += entry["amount_minor"]
        for allocation in self.all(Allocation, invoice_id=invoice["id"]):
            moved[f"{allocation['created_at']:%Y-%m-%d %H:%M}"] -= allocation["amount_minor"]
        return sums(moved[minute] for minute in sorted(moved))


def total(rows: Iterable[Values]) -> int:
    return sum(row["amount_minor"] for row in rows)


def sums(amounts: Iterable[int]) -> list[int]:
    running = 0
    return [running := running + amount for amount in amounts]


def by(rows: Iterable[Values], *columns: str) -> list[Values]:
    return sorted(rows, key=lambda row: [row[column] for column in columns])


def milliseconds(row_id: str) -> int:
    """Return the time of a UUIDv7."""
    return int(row_id.replace("-", "")[:12], 16)
