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
from resolvers.payment_methods import Payer


@needs(BILLING)
@strawberry.type(
    description="A card on file for a client: the viewer's own, or one that another person shares."
    " A program sees the cards of all holders. Only Stripe knows the card number."
)
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
    holder: Payer = field(
        Value[payment_methods.CardRow](lambda card: card.holder),
        description="Whose card it is. Only the holder may change, share or remove it.",
    )
    is_shared: bool = column(
        models.PaymentMethod.is_shared,
        "Whether the holder shares the card: everybody who may pay for the client may then see its"
        " network, last four digits and expiry, and pay for the client with it.",
    )
    cardholder_name: str | None = field(
        Value[payment_methods.CardRow](lambda card: card.cardholder_name),
        description="The name on the card; null for another person's card.",
        scopes=PHI,
    )
    billing_zip: str | None = field(
        Value[payment_methods.CardRow](lambda card: card.billing_zip),
        description="The postal code known to the bank; null for another person's card.",
        scopes=PHI,
    )
    is_default: bool = field(
        Value[payment_methods.CardRow](lambda card: card.is_default),
        description="Whether this is its holder's Default Card for the client; false for another"
        " person's card.",
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
