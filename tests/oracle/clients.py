"""Root types of a query, and the lists of a client and of a whole practice."""

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import models
from tests.oracle import (
    documents,  # noqa: F401  (registers types of the lists)
    gaps,  # noqa: F401
    history,
    money,
    nodes,
    payments,
    reports,
)
from tests.oracle.names import folded, is_named
from tests.oracle.pages import Connection, Order, Unnamed, bare_id, day, identifier
from tests.oracle.shown import Balance, Shown
from tests.oracle.world import PROGRAMS, World, by_id, refusal

NEVER = dt.date(9999, 12, 31)
INVOICES = {
    "ISSUED_ON": Order("invoice-issued", lambda row: (row.issued_on, row.serial), (day, int)),
    "DUE_ON": Order("invoice-due", lambda row: (row.due_on or NEVER, row.serial), (day, int)),
    "NUMBER": Order("invoice-number", lambda row: (row.serial,), (int,)),
}
STATEMENTS = Order("statement", lambda row: (row.issued_on, row.serial), (day, int))
SUPERBILLS = Order("superbill", lambda row: (row.issued_on, row.serial), (day, int))
SESSIONS = Order("session", lambda row: (row.date, row.id), (day, identifier))
HISTORY = Order("history", lambda entry: (entry.date, entry.id), (day, identifier))
PAYMENTS = Order("payment", lambda row: (row.created_on, row.id), (day, identifier))
ACCESS = Order("access", lambda row: (row.id,), (identifier,))
RECEIPTS = Order("receipt", lambda row: (row.issued_on, row.serial), (day, int))
CLIENTS = {
    "NAME": Unnamed("client-name", lambda row: (folded(row.name), row.id), (identifier,)),
    "CREATED": Unnamed("client-created", lambda row: (row.created_at, row.id), (identifier,)),
}
WHOLE_PRACTICE = 500
DEFAULT_RANGE = dt.timedelta(days=30)


class Query(Shown):
    @property
    def viewer(self) -> Any:
        return self.world.token

    def client(self, id: str | None) -> Any:
        if id is None:
            return self.only_client()
        bare = bare_id(id, "cli")
        return next((client for client in self.world.clients() if client.id == bare), None)

    def node(self, id: str) -> Any:
        return nodes.node(self.world, id)

    def nodes(self, ids: list[str]) -> Any:
        return nodes.nodes(self.world, ids)

    def clients(
        self,
        search: str | None,
        with_balance: bool | None,
        is_archived: bool | None,
        order_by: Any,
        changed_since: str | None,
        **page: Any,
    ) -> Connection:
        seen = self.world.clients()
        chosen = [
            client
            for client in changed(seen, changed_since)
            if (search is None or is_named(client.name, search))
            and with_balance in (None, money.balance(self.world, client.id) != 0)
            and is_archived in (None, client.archived_on is not None)
        ]
        asked = order_by or {}
        order = CLIENTS[asked.get("field", "NAME")]
        order = replace(order, places={client.id: order.keys(client) for client in seen})
        going = order.going(descending=asked.get("direction", "ASC") == "DESC")
        return Connection(self.world, chosen, going, **page, most=WHOLE_PRACTICE)

    def only_client(self) -> Any:
        seen = self.world.clients()
        if self.world.token.kind in PROGRAMS or len(seen) != 1:
            raise refusal("CLIENT_REQUIRED")
        return seen[0]


class Practice(Shown):
    prefix = "pra"

    @property
    def online_payments(self) -> Any:
        return self.row

    @property
    def clinicians(self) -> list[Any]:
        return by_id(self.world.where(models.Clinician))

    @property
    def version(self) -> str | None:
        """Return the version, which only the practice's programs may read."""
        if self.world.token.kind not in PROGRAMS:
            return None
        (last, *_) = [*self.world.where(models.PracticeVersion), None]
        return str(last.version) if last else "0"

    def invoices(
        self, clinician_id: str | None, order_by: Any, changed_since: str | None, **given: Any
    ) -> Connection:
        world = self.world
        seen = [one for one in world.where(models.Invoice) if world.reads(one)]
        seen = changed(seen, changed_since)
        if clinician_id is not None:
            id_ = bare_id(clinician_id, "cln")
            seen = [one for one in seen if one.clinician_id == id_]
        return invoices(world, seen, ordered(order_by), most=WHOLE_PRACTICE, **given)

    def payments(self, changed_since: str | None, **given: Any) -> Connection:
        world = self.world
        seen = [one for one in world.where(models.Payment) if world.sees_payment(one)]
        seen = changed(seen, changed_since)
        return listed_payments(world, seen, most=WHOLE_PRACTICE, **given)

    def sessions(self, date_range: Any, changed_since: str | None, **page: Any) -> Connection:
        world, within = self.world, overlapping(date_range)
        seen = [one for one in world.where(models.Session) if world.opens(one.client_id)]
        chosen = [one for one in changed(seen, changed_since) if within(one.date, one.date)]
        return Connection(world, chosen, SESSIONS, **page, most=WHOLE_PRACTICE)

    def statements(self, date_range: Any, changed_since: str | None, **page: Any) -> Connection:
        chosen = self.of_period(models.Statement, date_range, changed_since)
        return Connection(self.world, chosen, STATEMENTS, **page, most=WHOLE_PRACTICE)

    def superbills(self, date_range: Any, changed_since: str | None, **page: Any) -> Connection:
        chosen = self.of_period(models.Superbill, date_range, changed_since)
        return Connection(self.world, chosen, SUPERBILLS, **page, most=WHOLE_PRACTICE)

    def receipts(self, date_range: Any, changed_since: str | None, **page: Any) -> Connection:
        world, within = self.world, overlapping(date_range)
        payments = changed(world.where(models.Payment), changed_since)
        paid = {one.id for one in payments}
        chosen = [
            one
            for one in world.where(models.Receipt)
            if world.sees_payment(one)
            and one.payment_id in paid
            and within(one.issued_on, one.issued_on)
        ]
        return Connection(world, chosen, RECEIPTS, **page, most=WHOLE_PRACTICE)

    def of_period(
        self, model: type[models.Row], date_range: Any, changed_since: str | None
    ) -> list[Any]:
        """Return the documents of a period that the viewer may read."""
        within = overlapping(date_range)
        seen = [one for one in self.world.where(model) if self.world.reads(one)]
        found = changed(seen, changed_since)
        return [one for one in found if within(one.period_start, one.period_end)]

    def ledger(self, date_range: Any, kind: Any, **page: Any) -> Connection:
        within = overlapping(date_range)
        found = [
            history.of_ledger(self.world, row)
            for row in self.world.where(models.LedgerEntry)
            if self.world.opens(row.client_id)
        ]
        chosen = [
            entry
            for entry in found
            if any(within(day, day) for day in entry.days)
            and (kind is None or entry.kind.value in kind)
        ]
        return Connection(self.world, chosen, HISTORY, **page, most=WHOLE_PRACTICE)

    def revenue(self, date_range: Any, group_by: str, clinician_id: str | None) -> list[Any]:
        therapist = reports.therapist(clinician_id)
        return reports.revenue(self.world, date_range, group_by, therapist)

    def aging(self, as_of: Any, clinician_id: str | None) -> Any:
        return reports.aging(self.world, as_of, reports.therapist(clinician_id))


class Client(Shown):
    prefix = "cli"

    def balance(self, as_of: Any) -> Balance:
        if as_of is not None and as_of > self.world.today:
            raise refusal("BAD_INPUT")
        return Balance(self.world, self.row, as_of)

    @property
    def can_pay(self) -> list[str]:
        return money.why_not_pay(self.world, self.row.id)

    @property
    def can_add_card(self) -> list[str]:
        return money.why_no_card(self.world, self.row.id)

    @property
    def payment_methods(self) -> list[Any]:
        return [card for card in self.visible_cards if card.client_id == self.row.id]

    @property
    def cards_to_pay_with(self) -> list[Any]:
        if self.world.token.kind in PROGRAMS:
            return []
        mine = self.row.id
        return [
            card for card in self.visible_cards if card.client_id == mine or self.world.holds(card)
        ]

    @property
    def visible_cards(self) -> list[Any]:
        """Return the visible cards on file, of all clients."""
        world, account = self.world, self.world.practice.stripe_account
        cards = [
            card
            for card in world.where(models.PaymentMethod, removed_at=None)
            if account in (None, card.stripe_account)
            and world.holder_may_pay(card)
            and world.sees_card(card)
        ]

        def place(card: Any) -> Any:
            is_known = world.token.kind in PROGRAMS or world.holds(card)
            return is_known and card.is_default, card.added_at, card.id

        return sorted(cards, key=place, reverse=True)

    @property
    def default_payment_method(self) -> Any:
        """Return the viewer's Default Card, or the client's own for a program."""
        is_program = self.world.token.kind in PROGRAMS
        own = (
            card
            for card in self.payment_methods
            if (card.contact_id is None if is_program else self.world.holds(card))
        )
        return next((card for card in own if card.is_default), None)

    @property
    def active_payment(self) -> Any:
        of_client = self.world.where(models.Payment, client_id=self.row.id)
        seen = [one for one in of_client if self.world.sees_payment(one)]
        return next((one for one in seen if one.state not in money.AT_REST), None)

    def invoices(self, order_by: Any, **given: Any) -> Connection:
        found = self.documents(models.Invoice)
        return invoices(self.world, found, ordered(order_by), **given)

    def payments(self, **given: Any) -> Connection:
        of_client = self.world.where(models.Payment, client_id=self.row.id)
        seen = [one for one in of_client if self.world.sees_payment(one)]
        return listed_payments(self.world, seen, **given)

    def access_log(self, **page: Any) -> Connection:
        found = self.world.where(models.AccessEntry, client_id=self.row.id)
        return Connection(
            self.world, found if self.world.opens(self.row.id) else [], ACCESS, **page
        )

    def receipts(self, date_range: Any, **page: Any) -> Connection:
        within = overlapping(date_range)
        found = self.world.where(models.Receipt, client_id=self.row.id)
        seen = [one for one in found if self.world.sees_payment(one)]
        chosen = [one for one in seen if within(one.issued_on, one.issued_on)]
        return Connection(self.world, chosen, RECEIPTS, **page)

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
            if any(within(day, day) for day in entry.days)
            and (kind is None or entry.kind.value in kind)
        ]
        return Connection(self.world, chosen, HISTORY, **page)

    def documents(self, model: type[models.Row]) -> list[Any]:
        """Return the client's documents that the viewer may read."""
        found = self.world.where(model, client_id=self.row.id)
        return [document for document in found if self.world.reads(document)]


def changed(rows: list[Any], since: str | None) -> list[Any]:
    """Return the rows changed after a version."""
    if since is None:
        return rows
    if not re.fullmatch("0|[1-9][0-9]{0,17}", since, re.ASCII):
        raise refusal("BAD_INPUT")
    return [row for row in rows if row.version is not None and row.version > int(since)]


def invoices(
    world: World,
    found: list[Any],
    order: Order,
    date_range: Any,
    status: Any,
    past_due: bool | None,
    **page: Any,
) -> Connection:
    within = overlapping(date_range)
    chosen = [
        invoice
        for invoice in found
        if within(invoice.issued_on, invoice.issued_on)
        and (status is None or money.status(world, invoice) in status)
        and past_due in (None, money.is_past_due(world, invoice))
    ]
    return Connection(world, chosen, order, **page)


def listed_payments(
    world: World, found: list[Any], date_range: Any, status: Any, **page: Any
) -> Connection:
    within = overlapping(date_range)
    chosen = [
        payment
        for payment in found
        if within(payment.created_on, payment.created_on)
        and (status is None or payments.status(world, payment) in status)
    ]
    return Connection(world, chosen, PAYMENTS, **page)


def ordered(order_by: Any) -> Order:
    asked = order_by or {}
    order = INVOICES[asked.get("field", "ISSUED_ON")]
    return order.going(descending=asked.get("direction", "DESC") == "DESC")


def overlapping(date_range: Any) -> Any:
    """Return a predicate: whether at least one day of a period is in the range."""
    first, last = (date_range or {}).get("gte"), (date_range or {}).get("lte")
    if first is not None and last is not None and first > last:
        raise refusal("BAD_RANGE")
    return lambda start, end: (first is None or first <= end) and (last is None or start <= last)
