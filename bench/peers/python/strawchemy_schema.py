"""The schema that strawchemy makes from the views. Each root field is one statement.

A hook on each type adds the viewer's condition and the order. Amounts and ids are fields with
resolvers, which say the columns that they read.
"""

from typing import Any

import strawberry
from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.extensions import ParserCache, ValidationCache
from strawchemy import (
    DateComparison,
    ModelInstance,
    QueryHook,
    Strawchemy,
    StrawchemyAsyncRepository,
)
from strawchemy import StrawchemyConfig as Config
from strawchemy.schema.pagination import DefaultOffsetPagination

from bench.peers.python import strawchemy_models as models
from bench.peers.python.amounts import (
    OF_PERMISSION,
    REVENUE,
    SUMS,
    Balance,
    DateRange,
    Money,
    Permission,
    RevenuePeriod,
    is_expired,
    is_past_due,
)
from bench.peers.python.viewers import Viewer, row_id

REMEMBERED = 100

strawchemy = Strawchemy(
    Config(
        "postgresql",
        repository_type=StrawchemyAsyncRepository,
        session_getter=lambda info: info.context.session,
        deterministic_ordering=False,
    )
)


class Context:
    """The viewer and the session of a request."""

    def __init__(self, session: AsyncSession, viewer: Viewer) -> None:
        self.session, self.viewer = session, viewer
        self.history_range: DateRange | None = None


def viewer_of(info: Any) -> Viewer:
    found: Viewer = info.context.viewer
    return found


class Visible(QueryHook[Any]):
    """The viewer's rows, in the order of some columns. `client` is the column with the client."""

    def __init__(
        self, *order: str, client: str = "client_id", is_newest_first: bool = True
    ) -> None:
        super().__init__()
        self.order, self.client, self.is_newest_first = order, client, is_newest_first

    def apply_hook(self, statement: Select[Any], alias: Any) -> Select[Any]:
        viewer = viewer_of(self.info)
        statement = statement.where(alias.practice_id == viewer.practice_id)
        if viewer.is_client and hasattr(alias, self.client):
            statement = statement.where(getattr(alias, self.client) == viewer.client_id)
        if viewer.is_client and hasattr(alias, "shared_at"):
            statement = statement.where(alias.shared_at.is_not(None))
        keys = (getattr(alias, name) for name in self.order)
        return statement.order_by(*(key.desc() if self.is_newest_first else key for key in keys))


def reads(model: Any, *names: str) -> Any:
    """Return the decorator of a field that reads these columns of its row."""
    columns = [getattr(model, name) for name in names]
    return strawchemy.field(query_hook=QueryHook(load=columns))


def identified(model: Any, prefix: str) -> Any:
    """Return a field for the public id of a model's rows."""

    def id_(self: Any) -> strawberry.ID:
        return strawberry.ID(f"{prefix}_{self.instance.id}")

    return reads(model, "id")(id_)


def amount_in(model: Any, column: str) -> Any:
    """Return a field for the amount in a column."""

    def money(self: Any, info: strawberry.Info) -> Money:
        return Money.of(getattr(self.instance, column), viewer_of(info))

    return reads(model, column)(money)


class WithinRange(Visible):
    """The entries within the range of `Query.client`: a relation takes no filter of its own."""

    def apply_hook(self, statement: Select[Any], alias: Any) -> Select[Any]:
        within = self.info.context.history_range
        if within is not None:
            statement = statement.where(alias.date.between(within.gte, within.lte))
        return super().apply_hook(statement, alias)


# -- types -----------------------------------------------------------------------------------------


@strawchemy.type(
    models.Client,
    include=["name"],
    query_hook=Visible(client="id"),
    paginate="all",
    scope="schema",
)
class Client:
    instance: ModelInstance[models.Client]
    id = identified(models.Client, "cli")
    invoices: list["Invoice"]
    statements: list["Statement"]
    superbills: list["Superbill"]
    account_history: list["AccountHistoryEntry"]
    payment_methods: list["PaymentMethod"]

    @reads(models.Client, *SUMS)
    def balance(self, info: strawberry.Info) -> Balance:
        return Balance.of(self.instance, viewer_of(info))

    @reads(models.Client, *OF_PERMISSION)
    def can_pay(self, info: strawberry.Info) -> Permission:
        return Permission.to_pay(self.instance, viewer_of(info))


@strawchemy.type(
    models.Invoice,
    include=["number", "issued_on", "due_on", "status"],
    query_hook=Visible("issued_on", "serial"),
    scope="schema",
)
class Invoice:
    instance: ModelInstance[models.Invoice]
    id = identified(models.Invoice, "inv")
    client: "Client"
    payments: list["Payment"]
    total = amount_in(models.Invoice, "total_minor")
    amount_due = amount_in(models.Invoice, "due_minor")

    @reads(models.Invoice, "due_on", "is_void", "due_minor")
    def is_past_due(self, info: strawberry.Info) -> bool:
        return is_past_due(self.instance, viewer_of(info))


@strawchemy.type(
    models.InvoicePayment,
    include=["status"],
    query_hook=Visible("created_on", "id"),
    scope="schema",
)
class Payment:
    instance: ModelInstance[models.InvoicePayment]
    id = identified(models.InvoicePayment, "pmt")
    allocations: list["Allocation"]
    amount = amount_in(models.InvoicePayment, "amount_minor")


@strawchemy.type(
    models.PaymentAllocation,
    include=[],
    query_hook=Visible("serial", is_newest_first=False),
    scope="schema",
)
class Allocation:
    instance: ModelInstance[models.PaymentAllocation]
    invoice: "Invoice"
    amount = amount_in(models.PaymentAllocation, "amount_minor")


@strawchemy.type(
    models.Statement,
    include=["number", "period_start", "period_end"],
    query_hook=Visible("issued_on", "serial"),
    scope="schema",
)
class Statement:
    instance: ModelInstance[models.Statement]
    id = identified(models.Statement, "stm")
    ending_balance = amount_in(models.Statement, "ending_minor")


@strawchemy.type(
    models.Superbill,
    include=["number", "period_start", "period_end"],
    query_hook=Visible("issued_on", "serial"),
    scope="schema",
)
class Superbill:
    instance: ModelInstance[models.Superbill]
    id = identified(models.Superbill, "sbl")
    total_fee = amount_in(models.Superbill, "fee_minor")


@strawchemy.type(
    models.AccountHistoryEntry,
    include=["date", "kind", "description", "status"],
    query_hook=WithinRange("date", "id"),
    scope="schema",
)
class AccountHistoryEntry:
    instance: ModelInstance[models.AccountHistoryEntry]
    id = identified(models.AccountHistoryEntry, "aht")
    amount = amount_in(models.AccountHistoryEntry, "amount_minor")
    balance_after = amount_in(models.AccountHistoryEntry, "balance_after_minor")


@strawchemy.type(
    models.PaymentMethod,
    include=["brand", "last4", "exp_month", "exp_year", "is_default"],
    query_hook=Visible("is_default", "added_at", "id"),
    scope="schema",
)
class PaymentMethod:
    instance: ModelInstance[models.PaymentMethod]
    id = identified(models.PaymentMethod, "crd")

    @reads(models.PaymentMethod, "exp_month", "exp_year")
    def is_expired(self, info: strawberry.Info) -> bool:
        return is_expired(self.instance, viewer_of(info))


@strawchemy.filter(models.Invoice, include=["issued_on"])
class InvoiceFilter: ...


# -- root fields -----------------------------------------------------------------------------------


@strawberry.type
class Practice:
    invoices: list[Invoice] = strawchemy.field(
        filter_input=InvoiceFilter, pagination=DefaultOffsetPagination(limit=25)
    )

    @strawberry.field
    async def invoice_count(self, info: strawberry.Info, range: DateComparison) -> int:
        """Return the number of invoices up to a day.

        The library counts rows only beside a type that it makes itself, so a resolver counts them.
        """
        counted = select(func.count()).where(
            models.Invoice.practice_id == viewer_of(info).practice_id,
            models.Invoice.issued_on <= range.lte,
        )
        return int((await info.context.session.execute(counted)).scalar_one())

    @strawberry.field
    async def revenue(self, info: strawberry.Info, date_range: DateRange) -> list[RevenuePeriod]:
        """Return sums of months. The library has no sums by groups, so a resolver reads them."""
        viewer = viewer_of(info)
        viewer.needs("AGGREGATES_READ")
        values = {
            "practice_id": viewer.practice_id,
            "first_day": date_range.gte,
            "last_day": date_range.lte,
        }
        rows = await info.context.session.execute(text(MONTHS), values)
        return [RevenuePeriod.of(row, viewer) for row in rows]


MONTHS = REVENUE.format(practice_id=":practice_id", first_day=":first_day", last_day=":last_day")


@strawberry.type
class Query:
    @strawchemy.field
    async def client(
        self, info: strawberry.Info, history_range: DateRange | None = None
    ) -> Client | None:
        viewer, info.context.history_range = viewer_of(info), history_range
        viewer.needs("BILLING_READ", "PHI_READ")
        own = select(models.Client).where(models.Client.id == viewer.client_id)
        found = StrawchemyAsyncRepository(Client, info, filter_statement=own)
        return (await found.get_one_or_none()).graphql_type_or_none()

    @strawchemy.field
    async def invoice(self, info: strawberry.Info, id: strawberry.ID) -> Invoice | None:
        viewer_of(info).needs("BILLING_READ", "PHI_READ")
        own = select(models.Invoice).where(models.Invoice.id == row_id(id, "inv"))
        found = StrawchemyAsyncRepository(Invoice, info, filter_statement=own)
        return (await found.get_one_or_none()).graphql_type_or_none()

    @strawberry.field
    def practice(self, info: strawberry.Info) -> Practice:
        viewer_of(info).needs("BILLING_READ", "PHI_READ")
        return Practice(invoices=[])


schema = strawberry.Schema(
    Query, extensions=[lambda: ParserCache(REMEMBERED), lambda: ValidationCache(REMEMBERED)]
)
