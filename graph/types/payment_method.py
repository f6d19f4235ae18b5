"""Cards on file."""

import datetime as dt

import strawberry

from graph.node import Node, identity
from graph.types.payment import LazyClient, client
from models import CardBrand
from planner.sources import Value, column, field
from planner.sql_text import rfc3339
from resolvers import payment_methods


@strawberry.type(description="A card on file. Only Stripe knows the card number.")
class PaymentMethod(Node):
    id: strawberry.ID = identity("crd")
    client: LazyClient = client
    brand: CardBrand = column("brand", "The card network.")
    last4: str = column("last4", "The last four digits of the card number.")
    exp_month: int = column("exp_month", "The last month in which the card is valid, 1 to 12.")
    exp_year: int = column("exp_year", "The four-digit year of that month.")
    cardholder_name: str | None = column("cardholder_name", "The name on the card.")
    billing_zip: str | None = column("billing_zip", "The postal code known to the bank.")
    is_default: bool = column("is_default", "Whether this is the client's Default Card.")
    is_expired: bool = field(
        Value(payment_methods.is_expired),
        description="Whether the card has expired and cannot be charged.",
    )
    expires_soon: bool = field(
        Value(payment_methods.expires_soon),
        description="Whether the card expires at the end of this month or the next.",
    )
    added_at: dt.datetime = field(
        Value(lambda card: rfc3339(card.c.added_at)), description="When the card was saved."
    )
