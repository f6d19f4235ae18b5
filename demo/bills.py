"""An invoice of the demo: its items, its totals, and its movements on statements."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """A future line of an invoice. Without a session, it is a charge or a correction."""

    description: str
    amount: int
    date: dt.date | None = None
    code: str | None = None
    session_id: str | None = None


@dataclass
class Bill:
    """An invoice and its totals: the billed amount less the paid amount."""

    facts: dict[str, Any]
    items: list[Item]
    asked: int
    paid: int = 0
    is_void: bool = False
    allocations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.facts["id"])

    @property
    def number(self) -> str:
        return str(self.facts["number"])

    @property
    def due(self) -> int:
        return self.asked - self.paid

    def paid_by(self, payment_id: str) -> int:
        """Return the amount that a payment itself allocated to the bill, without credit used with
        it.
        """
        return sum(
            allocation["amount_minor"]
            for allocation in self.allocations
            if allocation["payment_id"] == payment_id and not allocation["is_credit"]
        )


@dataclass(frozen=True)
class Movement:
    """An action as statements list it: a whole invoice on its day of issue, not single sessions."""

    day: dt.date
    description: str
    bill: Bill | None = None
    invoiced: int = 0
    paid: int = 0
