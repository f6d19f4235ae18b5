"""The schema of strawberry-django over the views. Its optimizer makes the statements.

`get_queryset` of each type adds the viewer's condition. Amounts and ids are fields with resolvers,
which say the columns that they read.
"""

import datetime as dt
from typing import Any

import strawberry
import strawberry_django
from django.db import connection
from strawberry.extensions import ParserCache, ValidationCache
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.relay import DjangoListConnection

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
from bench.peers.python.django_app import models
from bench.peers.python.viewers import Viewer, row_id

REMEMBERED = 100
MONTHS = REVENUE.format(practice_id="%s", first_day="%s", last_day="%s")


def viewer_of(info: Any) -> Viewer:
    found: Viewer = info.context.request.viewer
    return found


class Visible:
    """The rows of the viewer's practice; for a client, its own rows and shared documents."""

    @classmethod
    def get_queryset(cls, queryset: Any, info: Any, **_: Any) -> Any:
        viewer = viewer_of(info)
        columns = {field.attname for field in queryset.model._meta.fields}
        client = "id" if queryset.model is models.Client else "client_id"
        queryset = queryset.filter(practice_id=viewer.practice_id)
        if viewer.is_client and client in columns:
            queryset = queryset.filter(**{client: viewer.client_id})
        if viewer.is_client and "shared_at" in columns:
            queryset = queryset.filter(shared_at__isnull=False)
        return queryset


def identified(prefix: str) -> Any:
    """Return a field for the public id of a model's rows."""

    def id_(root: Any) -> strawberry.ID:
        return strawberry.ID(f"{prefix}_{root.id}")

    return strawberry_django.field(id_, only=["id"])


def amount_in(column: str) -> Any:
    """Return a field for the amount in a column."""

    def money(root: Any, info: strawberry.Info) -> Money:
        return Money.of(getattr(root, column), viewer_of(info))

    return strawberry_django.field(money, only=[column])


@strawberry_django.filter_type(models.Invoice)
class InvoiceFilter:
    issued_on: strawberry_django.DateFilterLookup | None


@strawberry_django.filter_type(models.AccountHistoryEntry)
class HistoryFilter:
    date: strawberry_django.DateFilterLookup | None


# -- types -----------------------------------------------------------------------------------------


@strawberry_django.type(models.Statement)
class Statement(Visible):
    id: strawberry.ID = identified("stm")
    number: str
    period_start: dt.date
    period_end: dt.date
    ending_balance: Money = amount_in("ending_minor")


@strawberry_django.type(models.Superbill)
class Superbill(Visible):
    id: strawberry.ID = identified("sbl")
    number: str
    period_start: dt.date
    period_end: dt.date
    total_fee: Money = amount_in("fee_minor")


@strawberry_django.type(models.AccountHistoryEntry, filters=HistoryFilter)
class AccountHistoryEntry(Visible):
    id: strawberry.ID = identified("aht")
    date: dt.date
    kind: str
    description: str
    status: str | None
    amount: Money = amount_in("amount_minor")
    balance_after: Money = amount_in("balance_after_minor")


@strawberry_django.type(models.PaymentMethod)
class PaymentMethod(Visible):
    id: strawberry.ID = identified("crd")
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    is_default: bool

    @strawberry_django.field(only=["exp_month", "exp_year"])
    def is_expired(self, info: strawberry.Info) -> bool:
        return is_expired(self, viewer_of(info))


@strawberry_django.type(models.PaymentAllocation)
class Allocation(Visible):
    amount: Money = amount_in("amount_minor")
    invoice: "Invoice"


@strawberry_django.type(models.InvoicePayment)
class Payment(Visible):
    id: strawberry.ID = identified("pmt")
    status: str
    amount: Money = amount_in("amount_minor")
    allocations: list[Allocation]


@strawberry_django.type(models.Invoice, filters=InvoiceFilter)
class Invoice(Visible):
    id: strawberry.ID = identified("inv")
    number: str
    issued_on: dt.date
    due_on: dt.date | None
    status: str
    total: Money = amount_in("total_minor")
    amount_due: Money = amount_in("due_minor")
    client: "Client"
    payments: list[Payment]

    @strawberry_django.field(only=["due_on", "is_void", "due_minor"])
    def is_past_due(self, info: strawberry.Info) -> bool:
        return is_past_due(self, viewer_of(info))


@strawberry_django.type(models.Client)
class Client(Visible):
    id: strawberry.ID = identified("cli")
    name: str
    invoices: DjangoListConnection[Invoice] = strawberry_django.connection(filters=InvoiceFilter)
    statements: DjangoListConnection[Statement] = strawberry_django.connection()
    superbills: DjangoListConnection[Superbill] = strawberry_django.connection()
    account_history: DjangoListConnection[AccountHistoryEntry] = strawberry_django.connection(
        filters=HistoryFilter
    )
    payment_methods: list[PaymentMethod]

    @strawberry_django.field(only=list(SUMS))
    def balance(self, info: strawberry.Info) -> Balance:
        return Balance.of(self, viewer_of(info))

    @strawberry_django.field(only=list(OF_PERMISSION))
    def can_pay(self, info: strawberry.Info) -> Permission:
        return Permission.to_pay(self, viewer_of(info))


# -- root fields -----------------------------------------------------------------------------------


@strawberry.type
class Practice:
    invoices: DjangoListConnection[Invoice] = strawberry_django.connection(
        filters=InvoiceFilter, max_results=500
    )

    @strawberry.field
    def revenue(self, info: strawberry.Info, date_range: DateRange) -> list[RevenuePeriod]:
        """Return sums of months, which a resolver reads."""
        viewer = viewer_of(info)
        viewer.needs("AGGREGATES_READ")
        with connection.cursor() as cursor:
            cursor.execute(MONTHS, [viewer.practice_id, date_range.gte, date_range.lte])
            return [RevenuePeriod.of(row, viewer) for row in cursor.fetchall()]


@strawberry.type
class Query:
    @strawberry_django.field
    def client(self, info: strawberry.Info) -> Client | None:
        viewer = viewer_of(info)
        viewer.needs("BILLING_READ", "PHI_READ")
        return models.Client.objects.filter(id=viewer.client_id)

    @strawberry_django.field
    def invoice(self, info: strawberry.Info, id: strawberry.ID) -> Invoice | None:
        viewer_of(info).needs("BILLING_READ", "PHI_READ")
        return models.Invoice.objects.filter(id=row_id(id, "inv"))

    @strawberry.field
    def practice(self, info: strawberry.Info) -> Practice:
        viewer_of(info).needs("BILLING_READ", "PHI_READ")
        return Practice(invoices=models.Invoice.objects)


schema = strawberry.Schema(
    Query,
    extensions=[
        DjangoOptimizerExtension,
        lambda: ParserCache(REMEMBERED),
        lambda: ValidationCache(REMEMBERED),
    ],
)
