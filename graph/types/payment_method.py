"""Cards on file."""

import datetime as dt

import strawberry

import models
from graph.fields import column, field
from graph.node import Node, identity
from graph.types.payment import LazyClient, client
from models import CardBrand
from planner.sources import Value
from resolvers import payment_methods
from resolvers.field_facts import BILLING, PHI, needs


@needs(BILLING)
@strawberry.type(description="A card on file. Only Stripe knows the card number.")
class PaymentMethod(Node):
    id: strawberry.ID = identity("crd")
    client: LazyClient = client
    brand: CardBrand = column(models.PaymentMethod.brand, "The card network.")
    last4: str = column(
        models.PaymentMethod.last4, "The last four digits of the card number.", scopes=BILLING
    )
    exp_month: int = column(
        models.PaymentMethod.exp_month, "The last month in which the card is valid, 1 to 12."
    )
    exp_year: int = column(models.PaymentMethod.exp_year, "The four-digit year of that month.")
    cardholder_name: str | None = column(
        models.PaymentMethod.cardholder_name,
        "The name on the card.",
        scopes=PHI,
    )
    billing_zip: str | None = column(
        models.PaymentMethod.billing_zip,
        "The postal code known to the bank.",
        scopes=PHI,
    )
    is_default: bool = column(
        models.PaymentMethod.is_default, "Whether this is the client's Default Card."
    )
    is_expired: bool = field(
        Value(payment_methods.is_expired),
        description="Whether the card has expired and cannot be charged.",
    )
    expires_soon: bool = field(
        Value(payment_methods.expires_soon),
        description="Whether the card expires at the end of this month or the next.",
    )
    added_at: dt.datetime = column(models.PaymentMethod.added_at, "When the card was saved.")
