"""What arguments are made of."""

import datetime as dt

import strawberry

from resolvers import clients, filters, invoices
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from resolvers.orders import OrderDirection


@strawberry.input(
    description="Days from one to another, both included, in the practice's time zone."
    " Either end may be left out; a first day after the last is an error."
)
class DateRange(filters.DateRange):
    gte: dt.date | None = strawberry.field(default=None, description="The first day.")
    lte: dt.date | None = strawberry.field(default=None, description="The last day.")


@strawberry.input(description="How invoices are ordered; the newest first unless said.")
class InvoiceOrder(invoices.InvoiceOrder):
    field: InvoiceOrderField = strawberry.field(
        default=InvoiceOrderField.ISSUED_ON, description="What they are ordered by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Which end comes first."
    )


@strawberry.input(description="How clients are ordered; by name unless said.")
class ClientOrder(clients.ClientOrder):
    field: ClientOrderField = strawberry.field(
        default=ClientOrderField.NAME, description="What they are ordered by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which end comes first."
    )
