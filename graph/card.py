"""Cards on file."""

import datetime as dt

import strawberry

from graph.node import Node, identity
from graph.payment import LazyClient, client
from models import CardBrand
from resolvers import cards
from resolvers.planner.sources import Value, column, field
from resolvers.planner.texts import instant


@strawberry.type(description="A card on file. Its number is known to Stripe alone.")
class PaymentMethod(Node):
    id: strawberry.ID = identity("crd")
    client: LazyClient = client
    brand: CardBrand = column("brand", "The network.")
    last4: str = column("last4", "The number's last four digits.")
    exp_month: int = column("exp_month", "The last month in which it works, 1 to 12.")
    exp_year: int = column("exp_year", "That month's year, of four digits.")
    cardholder_name: str | None = column("cardholder_name", "The name on the card.")
    billing_zip: str | None = column("billing_zip", "The postal code that the bank knows.")
    is_default: bool = column("is_default", "Whether it is the client's Default Card.")
    is_expired: bool = field(
        Value(cards.is_expired), description="Whether its last month is over: it can't pay."
    )
    expires_soon: bool = field(
        Value(cards.expires_soon), description="Whether its last month is this one or the next."
    )
    added_at: dt.datetime = field(
        Value(lambda card: instant(card.c.added_at)), description="When it was kept."
    )
