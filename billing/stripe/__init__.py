"""The gateway to Stripe. No other package imports the SDK.

`api` holds the requests to Stripe, `objects` our own values for the responses, and `calls` the
possible outcomes of a call.
"""

from billing.stripe.api import Stripe
from billing.stripe.calls import (
    Declined,
    Forbidden,
    Missing,
    Rejected,
    StripeTrouble,
    Unknown,
)
from billing.stripe.objects import Order

__all__ = [
    "Declined",
    "Forbidden",
    "Missing",
    "Order",
    "Rejected",
    "Stripe",
    "StripeTrouble",
    "Unknown",
]
