"""An invoice while it is being kept: its items, how it stands, and what statements tell of it."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """What will be a line of an invoice; without a session, a charge or a correction."""

    description: str
    amount: int
    date: dt.date | None = None
    code: str | None = None
    session_id: str | None = None


@dataclass
class Bill:
    """An invoice and how it stands: what the ledger asks for it, less what was put toward it."""

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
        """What a payment itself put toward it, not the credit that was used with it."""
        return sum(
            allocation["amount_minor"]
            for allocation in self.allocations
            if allocation["payment_id"] == payment_id and not allocation["is_credit"]
        )


@dataclass(frozen=True)
class Movement:
    """What a statement tells of a deed: an invoice on its day of issue, not session by session."""

    day: dt.date
    description: str
    bill: Bill | None = None
    invoiced: int = 0
    paid: int = 0
