"""Clients with their balances, invoices, and the payments of the invoices."""

import datetime as dt
from typing import Any

import strawberry

from bench.peers.idiomatic import enums as enums
from bench.peers.idiomatic import lists
from bench.peers.idiomatic.context import Context, Info
from bench.peers.idiomatic.documents import (
    AccountHistoryEntry,
    PaymentMethod,
    Statement,
    Superbill,
)
from bench.peers.idiomatic.money import Money
from bench.peers.idiomatic.pages import Connection, DateRange, Node, days, page
from billing.ledger.balance import BalanceTermKind, PermissionReason
from billing.ledger.invoices import InvoiceStatus
from billing.payments.status import PENDING, PaymentStatus
from models import Invoice as InvoiceRow
from models import Payment as PaymentRow
from models import PaymentState, Scope

HISTORY_DAYS = 30


@strawberry.type
class Invoice(Node):
    number: str
    issued_on: dt.date
    due_on: dt.date | None
    total: Money
    client: "Client"
    row: strawberry.Private[InvoiceRow]

    @classmethod
    def of(cls, row: InvoiceRow, context: Context) -> "Invoice":
        return cls(
            id=strawberry.ID(f"inv_{row.id}"),
            number=row.number,
            issued_on=row.issued_on,
            due_on=row.due_on,
            total=context.money(row.total_minor),
            client=Client.of(row.client_id),
            row=row,
        )

    @strawberry.field
    async def status(self, info: Info) -> InvoiceStatus:
        return (await info.context.loaders.standings.load(self.row.id)).status

    @strawberry.field
    async def amount_due(self, info: Info) -> Money:
        standing = await info.context.loaders.standings.load(self.row.id)
        return info.context.money(standing.due)

    @strawberry.field
    async def is_past_due(self, info: Info) -> bool:
        standing = await info.context.loaders.standings.load(self.row.id)
        return standing.is_past_due(self.due_on, info.context.today)

    @strawberry.field
    async def payments(self, info: Info) -> list["Payment"]:
        paid = await info.context.loaders.payments_of_invoice.load(self.row.id)
        return [Payment.of(row, info.context) for row in paid]


@strawberry.type
class PaymentAllocation:
    amount: Money
    invoice: Invoice


@strawberry.type
class Payment(Node):
    amount: Money
    row_id: strawberry.Private[str]
    state: strawberry.Private[PaymentState]

    @classmethod
    def of(cls, row: PaymentRow, context: Context) -> "Payment":
        return cls(
            id=strawberry.ID(f"pmt_{row.id}"),
            amount=context.money(row.amount_minor),
            row_id=row.id,
            state=row.state,
        )

    @strawberry.field
    async def status(self, info: Info) -> PaymentStatus:
        if self.state in PENDING:
            return PaymentStatus.PENDING
        disputed = await info.context.loaders.disputed.load(self.row_id)
        return disputed or PaymentStatus(self.state.value)

    @strawberry.field
    async def allocations(self, info: Info) -> list[PaymentAllocation]:
        context = info.context
        return [
            PaymentAllocation(amount=context.money(minor), invoice=Invoice.of(row, context))
            for row, minor in await context.loaders.allocations_of_payment.load(self.row_id)
        ]


@strawberry.type
class BalanceTerm:
    kind: BalanceTermKind
    amount: Money


@strawberry.type
class Balance:
    amount: Money
    payable: Money
    account: strawberry.Private[Any]

    @strawberry.field
    def terms(self, info: Info) -> list[BalanceTerm]:
        sums = self.account._mapping
        return [
            BalanceTerm(kind=kind, amount=info.context.money(sums[kind.value]))
            for kind in BalanceTermKind
        ]


@strawberry.type
class Permission:
    is_allowed: bool
    reason: PermissionReason | None


@strawberry.type
class Client(Node):
    row_id: strawberry.Private[str]

    @classmethod
    def of(cls, row_id: str) -> "Client":
        """Return a client whose row is not read until a field needs it."""
        return cls(id=strawberry.ID(f"cli_{row_id}"), row_id=row_id)

    @strawberry.field
    async def name(self, info: Info) -> str:
        info.context.viewer.needs(Scope.PHI_READ)
        client = await info.context.loaders.clients.load(self.row_id)
        assert client is not None
        return client.name

    @strawberry.field
    async def balance(self, info: Info) -> Balance:
        context = info.context
        account = await context.loaders.accounts.load(self.row_id)
        return Balance(
            amount=context.money(account.balance),
            payable=context.money(account.payable),
            account=account,
        )

    @strawberry.field
    async def can_pay(self, info: Info) -> Permission:
        why_not = (await info.context.loaders.accounts.load(self.row_id)).why_not_pay
        reason = None if why_not is None else PermissionReason(why_not)
        return Permission(is_allowed=reason is None, reason=reason)

    @strawberry.field
    async def invoices(
        self, info: Info, first: int | None = None, date_range: DateRange | None = None
    ) -> Connection[Invoice]:
        listed = lists.invoices(info.context.viewer.kind, of_client=True)
        values = {"client_id": self.row_id, **days(date_range)}
        return await page(info.context, listed, first, Invoice.of, values)

    @strawberry.field
    async def statements(self, info: Info, first: int | None = None) -> Connection[Statement]:
        listed = lists.documents(*lists.STATEMENTS, info.context.viewer.kind)
        return await page(info.context, listed, first, Statement.of, {"client_id": self.row_id})

    @strawberry.field
    async def superbills(self, info: Info, first: int | None = None) -> Connection[Superbill]:
        listed = lists.documents(*lists.SUPERBILLS, info.context.viewer.kind)
        return await page(info.context, listed, first, Superbill.of, {"client_id": self.row_id})

    @strawberry.field
    async def account_history(
        self, info: Info, first: int | None = None, date_range: DateRange | None = None
    ) -> Connection[AccountHistoryEntry]:
        context = info.context
        range_ = date_range or DateRange(gte=context.today - dt.timedelta(HISTORY_DAYS))
        values = {"client_id": self.row_id, **days(range_)}
        return await page(context, lists.HISTORY, first, AccountHistoryEntry.of, values)

    @strawberry.field
    async def payment_methods(self, info: Info) -> list[PaymentMethod]:
        context = info.context
        rows = await context.sight.entities(lists.cards(context.viewer.kind), client_id=self.row_id)
        return [PaymentMethod.of(row, context) for row in rows]
