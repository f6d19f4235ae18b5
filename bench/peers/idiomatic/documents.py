"""A client's statements, superbills, cards and account history."""

import datetime as dt
from typing import Any

import strawberry

from bench.peers.idiomatic import enums as enums
from bench.peers.idiomatic.context import Context, Info
from bench.peers.idiomatic.money import Money
from bench.peers.idiomatic.pages import Node
from billing.ledger.history import HistoryStatus
from billing.ledger.invoices import InvoiceStatus
from models import CardBrand, EntryKind
from models import PaymentMethod as Card
from models import Statement as StatementRow
from models import Superbill as SuperbillRow

CHARGES = (EntryKind.SESSION, EntryKind.CHARGE)


@strawberry.type
class Statement(Node):
    number: str
    period_start: dt.date
    period_end: dt.date
    ending_balance: Money

    @classmethod
    def of(cls, row: StatementRow, context: Context) -> "Statement":
        return cls(
            id=strawberry.ID(f"stm_{row.id}"),
            number=row.number,
            period_start=row.period_start,
            period_end=row.period_end,
            ending_balance=context.money(row.ending_minor),
        )


@strawberry.type
class Superbill(Node):
    number: str
    period_start: dt.date
    period_end: dt.date
    row_id: strawberry.Private[str]

    @classmethod
    def of(cls, row: SuperbillRow, _: Context) -> "Superbill":
        return cls(
            id=strawberry.ID(f"sbl_{row.id}"),
            number=row.number,
            period_start=row.period_start,
            period_end=row.period_end,
            row_id=row.id,
        )

    @strawberry.field
    async def total_fee(self, info: Info) -> Money:
        return info.context.money(await info.context.loaders.fees.load(self.row_id))


@strawberry.type
class PaymentMethod(Node):
    brand: CardBrand
    last4: str
    exp_month: int
    exp_year: int
    is_default: bool
    is_expired: bool

    @classmethod
    def of(cls, row: Card, context: Context) -> "PaymentMethod":
        return cls(
            id=strawberry.ID(f"crd_{row.id}"),
            brand=row.brand,
            last4=row.last4,
            exp_month=row.exp_month,
            exp_year=row.exp_year,
            is_default=row.is_default,
            # A card works until the end of its month.
            is_expired=(row.exp_year, row.exp_month) < (context.today.year, context.today.month),
        )


@strawberry.type
class AccountHistoryEntry(Node):
    date: dt.date
    kind: EntryKind
    description: str
    amount: Money
    balance_after: Money
    row: strawberry.Private[Any]

    @classmethod
    def of(cls, row: Any, context: Context) -> "AccountHistoryEntry":
        return cls(
            id=strawberry.ID(f"aht_{row.id}"),
            date=row.date,
            kind=EntryKind(row.kind),
            description=row.description,
            amount=context.money(row.amount_minor),
            balance_after=context.money(row.balance_after_minor),
            row=row,
        )

    @strawberry.field
    async def status(self, info: Info) -> HistoryStatus | None:
        """Return a charge's status from its invoice, and a payment's from its disputes
        and refunds.
        """
        if self.row.status is not None:
            return HistoryStatus(self.row.status)
        if self.kind in CHARGES:
            standing = await info.context.loaders.standings.load(self.row.invoice_id)
            is_void = standing.status is InvoiceStatus.VOID
            return None if is_void else HistoryStatus(standing.status.value)
        if self.kind is EntryKind.PAYMENT:
            disputed = await info.context.loaders.disputed.load(self.row.payment_id)
            if disputed is not None:
                return HistoryStatus(disputed.value)
            refunded = await info.context.loaders.refunded.load(self.row.payment_id)
            is_refunded = refunded >= -self.row.amount_minor
            return HistoryStatus.REFUNDED if is_refunded else HistoryStatus.PAID
        return None
