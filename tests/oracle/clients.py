"""Where a query begins, and a client with all their lists."""

import datetime as dt
from typing import Any

import models
from tests.oracle import (
    documents,  # noqa: F401  (what the lists are of)
    history,
    money,
)
from tests.oracle.pages import ID, Connection, Order, day, identifier
from tests.oracle.shown import Shown
from tests.oracle.world import refusal

NEVER = dt.date(9999, 12, 31)
INVOICES = {
    "ISSUED_ON": Order("invoice-issued", lambda row: (row.issued_on, row.serial), (day, int)),
    "DUE_ON": Order("invoice-due", lambda row: (row.due_on or NEVER, row.serial), (day, int)),
    "NUMBER": Order("invoice-number", lambda row: (row.serial,), (int,)),
}
STATEMENTS = Order("statement", lambda row: (row.issued_on, row.serial), (day, int))
SUPERBILLS = Order("superbill", lambda row: (row.issued_on, row.serial), (day, int))
HISTORY = Order("history", lambda entry: (entry.date, entry.id), (day, identifier))
DEFAULT_RANGE = dt.timedelta(days=30)


class Query(Shown):
    @property
    def viewer(self) -> Any:
        return self.world.token

    def client(self, id: str | None) -> Any:
        if id is None:
            return self.only_client()
        kind, _, bare = id.partition("_")
        if kind != "cli" or not ID.fullmatch(bare):
            raise refusal("BAD_ID")
        return next((client for client in self.world.clients() if client.id == bare), None)

    def only_client(self) -> Any:
        seen = self.world.clients()
        if self.world.token.kind is models.ViewerKind.DASHBOARD or len(seen) != 1:
            raise refusal("CLIENT_REQUIRED")
        return seen[0]


class Client(Shown):
    prefix = "cli"

    @property
    def balance(self) -> Any:
        return self.row

    @property
    def can_pay(self) -> list[str]:
        return money.why_not_pay(self.world, self.row.id)

    @property
    def can_add_card(self) -> list[str]:
        return money.why_no_card(self.world, self.row.id)

    @property
    def payment_methods(self) -> list[Any]:
        kept = self.world.where(models.PaymentMethod, client_id=self.row.id, removed_at=None)
        return sorted(kept, key=lambda r: (r.is_default, r.added_at, r.id), reverse=True)

    @property
    def default_payment_method(self) -> Any:
        return next((card for card in self.payment_methods if card.is_default), None)

    def invoices(
        self, date_range: Any, status: Any, past_due: bool | None, order_by: Any, **page: Any
    ) -> Connection:
        world, within = self.world, overlapping(date_range)
        chosen = [
            invoice
            for invoice in self.documents(models.Invoice)
            if within(invoice.issued_on, invoice.issued_on)
            and (status is None or money.status(world, invoice) in status)
            and past_due in (None, money.is_past_due(world, invoice))
        ]
        return Connection(world, chosen, ordered(order_by), **page)

    def statements(self, date_range: Any, **page: Any) -> Connection:
        within = overlapping(date_range)
        found = self.documents(models.Statement)
        chosen = [one for one in found if within(one.period_start, one.period_end)]
        return Connection(self.world, chosen, STATEMENTS, **page)

    def superbills(self, date_range: Any, **page: Any) -> Connection:
        within = overlapping(date_range)
        found = self.documents(models.Superbill)
        chosen = [one for one in found if within(one.period_start, one.period_end)]
        return Connection(self.world, chosen, SUPERBILLS, **page)

    def account_history(self, date_range: Any, kind: Any, **page: Any) -> Connection:
        within = overlapping(date_range or {})
        if date_range is None:
            within = overlapping({"gte": self.world.today - DEFAULT_RANGE})
        chosen = [
            entry
            for entry in history.entries(self.world, self.row.id)
            if within(entry.date, entry.date) and (kind is None or entry.kind.value in kind)
        ]
        return Connection(self.world, chosen, HISTORY, **page)

    def documents(self, model: type[models.Row]) -> list[Any]:
        """The client's documents that the viewer may read."""
        found = self.world.where(model, client_id=self.row.id)
        return [document for document in found if self.world.reads(document)]


def ordered(order_by: Any) -> Order:
    asked = order_by or {}
    order = INVOICES[asked.get("field", "ISSUED_ON")]
    return order.going(descending=asked.get("direction", "DESC") == "DESC")


def overlapping(date_range: Any) -> Any:
    """Whether at least a day of a period is in the range."""
    first, last = (date_range or {}).get("gte"), (date_range or {}).get("lte")
    if first is not None and last is not None and first > last:
        raise refusal("BAD_RANGE")
    return lambda start, end: (first is None or first <= end) and (last is None or start <= last)
