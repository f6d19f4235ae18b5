"""DataLoaders of related rows, for all fields that need them at the same time."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from strawberry.dataloader import DataLoader

from bench.peers.idiomatic.sight import PRACTICE_ID, SUBJECT_ID, Sight, seen
from bench.peers.idiomatic.sums import (
    ACCOUNTS,
    DISPUTED,
    DUES,
    FEES,
    IDS,
    REFUNDED,
    STANDINGS,
)
from billing.ledger.invoices import InvoiceStatus
from billing.payments.status import PaymentStatus
from billing.stripe.currencies import smallest_charge
from models import Allocation, Client, Invoice, Payment, ViewerKind

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Standing:
    """The total and the paid amount of an invoice, in minor units."""

    is_void: bool
    billed: int
    paid: int

    @property
    def due(self) -> int:
        return self.billed - self.paid

    @property
    def status(self) -> InvoiceStatus:
        if self.is_void:
            return InvoiceStatus.VOID
        if self.due <= 0:
            return InvoiceStatus.PAID
        return InvoiceStatus.PARTIALLY_PAID if self.paid > 0 else InvoiceStatus.UNPAID

    def is_past_due(self, due_on: dt.date | None, today: dt.date) -> bool:
        return due_on is not None and due_on < today and not self.is_void and self.due > 0


class Loaders:
    """The loaders of one request."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.clients = DataLoader(self.load_clients)
        self.accounts = DataLoader(self.load_accounts)
        self.invoices = DataLoader(self.load_invoices)
        self.standings = DataLoader(self.load_standings)
        self.payments_of_invoice = DataLoader(self.load_payments_of_invoices)
        self.allocations_of_payment = DataLoader(self.load_allocations_of_payments)
        self.refunded = DataLoader(self.load_refunded)
        self.disputed = DataLoader(self.load_disputed)
        self.fees = DataLoader(self.load_fees)
        self.due_after = DataLoader(self.load_due_after)

    async def load_clients(self, ids: list[str]) -> list[Client | None]:
        clients = await self.sight.entities(clients_seen(self.sight.viewer.kind), ids=ids)
        return in_order({client.id: client for client in clients}, ids)

    async def load_accounts(self, ids: list[str]) -> list[Any]:
        viewer = self.sight.viewer
        rows = await self.sight.rows(
            ACCOUNTS,
            ids=ids,
            may_pay=viewer.kind is ViewerKind.CLIENT,
            smallest=smallest_charge(viewer.currency),
        )
        return in_order({row.id: row for row in rows}, ids)

    async def load_invoices(self, ids: list[str]) -> list[Invoice | None]:
        invoices = await self.sight.entities(invoices_seen(self.sight.viewer.kind), ids=ids)
        return in_order({invoice.id: invoice for invoice in invoices}, ids)

    async def load_standings(self, ids: list[str]) -> list[Standing]:
        rows = await self.sight.rows(STANDINGS, ids=ids)
        found = {id_: Standing(*sums) for id_, *sums in rows}
        return [found[id_] for id_ in ids]

    async def load_payments_of_invoices(self, ids: list[str]) -> list[list[Payment]]:
        rows = await self.sight.rows(payments_of_invoices(self.sight.viewer.kind), ids=ids)
        return grouped(((invoice_id, payment) for invoice_id, payment in rows), ids)

    async def load_allocations_of_payments(self, ids: list[str]) -> list[list[tuple[Invoice, int]]]:
        rows = await self.sight.rows(allocations_of_payments(self.sight.viewer.kind), ids=ids)
        return grouped(
            ((payment_id, (invoice, int(minor))) for payment_id, invoice, minor in rows), ids
        )

    async def load_refunded(self, payment_ids: list[str]) -> list[int]:
        return await self.sums(REFUNDED, payment_ids)

    async def load_disputed(self, payment_ids: list[str]) -> list[PaymentStatus | None]:
        """Return the status of each payment under an open or lost dispute."""
        open_: dict[str, bool] = dict(map(tuple, await self.sight.rows(DISPUTED, ids=payment_ids)))
        statuses = {True: PaymentStatus.DISPUTED, False: PaymentStatus.CHARGED_BACK}
        return [statuses[open_[id_]] if id_ in open_ else None for id_ in payment_ids]

    async def load_fees(self, superbill_ids: list[str]) -> list[int]:
        return await self.sums(FEES, superbill_ids)

    async def sums(self, statement: Select[*tuple[Any, ...]], ids: list[str]) -> list[int]:
        found: dict[str, int] = dict(map(tuple, await self.sight.rows(statement, ids=ids)))
        return [found.get(id_, 0) for id_ in ids]

    async def load_due_after(self, days: list[dt.date]) -> list[int]:
        """Return the amount due at the end of each day."""
        ends = sorted(days)
        nexts = [end + dt.timedelta(1) for end in ends]
        rows = await self.sight.rows(DUES, days=nexts, last_day=ends[-1])
        found: dict[int, int] = dict(map(tuple, rows))
        so_far = accumulate(found.get(number, 0) for number in range(len(ends)))
        due = dict(zip(ends, so_far, strict=True))
        return [due[day] for day in days]


def in_order(found: Mapping[K, V], keys: Sequence[K]) -> list[V | None]:
    return [found.get(key) for key in keys]


def grouped(pairs: Iterable[tuple[K, V]], keys: Sequence[K]) -> list[list[V]]:
    found: defaultdict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return [found[key] for key in keys]


# -- statements ------------------------------------------------------------------------------------


@cache
def clients_seen(kind: ViewerKind) -> Select[Any]:
    statement = select(Client).where(Client.practice_id == PRACTICE_ID, Client.id == IDS)
    return statement.where(Client.id == SUBJECT_ID) if kind is ViewerKind.CLIENT else statement


@cache
def invoices_seen(kind: ViewerKind) -> Select[Any]:
    return select(Invoice).where(*seen(Invoice, kind), Invoice.id == IDS)


@cache
def payments_of_invoices(kind: ViewerKind) -> Select[*tuple[Any, ...]]:
    """Return the payments with an allocation to the invoices, the newest first."""
    paid = (
        select(Allocation.invoice_id, Allocation.payment_id)
        .where(Allocation.practice_id == PRACTICE_ID, Allocation.invoice_id == IDS)
        .distinct()
        .subquery()
    )
    return (
        select(paid.c.invoice_id, Payment)
        .join(paid, paid.c.payment_id == Payment.id)
        .where(*seen(Payment, kind))
        .order_by(Payment.created_on.desc(), Payment.id.desc())
    )


@cache
def allocations_of_payments(kind: ViewerKind) -> Select[*tuple[Any, ...]]:
    """Return the payments' allocations to visible invoices, net of amounts taken back."""
    minor = func.sum(Allocation.amount_minor)
    return (
        select(Allocation.payment_id, Invoice, minor)
        .join(Invoice, Invoice.id == Allocation.invoice_id)
        .where(
            *seen(Invoice, kind),
            Allocation.practice_id == PRACTICE_ID,
            Allocation.payment_id == IDS,
        )
        .group_by(Allocation.payment_id, Invoice.practice_id, Invoice.id)
        .having(minor != 0)
        .order_by(Invoice.serial)
    )
