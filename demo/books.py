"""The rows of a client's account: the base of all actions."""

import datetime as dt
from typing import Any

from demo.bills import Bill, Item
from demo.entries import Chance, Entered, blank
from demo.office import Office
from models import Allocation, EntryKind, LedgerEntry, Row

MILLISECOND = dt.timedelta(milliseconds=1)


class Books:
    """The rows of one client. `at` is the time at which the next row is written."""

    def __init__(self, office: Office, chance: Chance, at: dt.datetime) -> None:
        self.office, self.chance, self.at = office, chance, at
        self.client: dict[str, Any] = {"id": chance.id(at)}
        self.entered: list[Entered] = []

    @property
    def today(self) -> dt.date:
        return self.office.day(self.at)

    def allocate(
        self, targets: list[Bill], amount: int, payment_id: str | None, *, is_credit: bool
    ) -> None:
        for bill in targets:
            part = min(amount, bill.due)
            if part > 0:
                self.put(bill, part, payment_id, is_credit=is_credit)
                amount -= part

    def put(self, bill: Bill, amount: int, payment_id: str | None, *, is_credit: bool) -> None:
        allocation = self.write(
            Allocation,
            invoice_id=bill.id,
            payment_id=payment_id,
            is_credit=is_credit,
            amount_minor=amount,
            date=self.today,
            created_at=self.at,
        )
        bill.allocations.append(allocation)
        bill.paid += amount

    def move_for(
        self, bill: Bill, item: Item, amount: int, date: dt.date | None, reference: str
    ) -> None:
        kind = EntryKind.SESSION if item.session_id else EntryKind.CHARGE
        self.move(
            kind,
            amount,
            item.description,
            reference=reference,
            bill=bill,
            session_id=item.session_id,
            date=date or self.today,
        )

    def move(
        self, kind: EntryKind, amount: int, description: str, bill: Bill | None = None, **facts: Any
    ) -> None:
        self.write(
            LedgerEntry,
            kind=kind,
            amount_minor=amount,
            description=description,
            invoice_id=bill.id if bill else None,
            created_at=self.at,
            posted_on=self.today,
            **{"date": self.today} | facts,
        )

    def write(self, row: type[Row], **values: Any) -> dict[str, Any]:
        # Rows are a millisecond apart, so that their ids are in the order of writing.
        self.at += MILLISECOND
        written = blank(row) | values
        written["practice_id"] = self.office.id
        if "client_id" in written:
            written["client_id"] = self.client["id"]
        if "id" in written and "id" not in values:
            written["id"] = self.chance.id(self.at)
        self.entered.append(Entered(self.at, row, written))
        return written

    def written(self) -> list[Entered]:
        """Return the rows that were written since the last call."""
        entered, self.entered = self.entered, []
        return entered
