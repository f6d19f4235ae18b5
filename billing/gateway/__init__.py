"""The gateway to Stripe: nothing else imports its SDK.

`api` has what is asked of Stripe, `objects` what it answers as our own values, and `calls` what a
call may end in.
"""

from billing.gateway.api import Order, Stripe
from billing.gateway.calls import (
    Declined,
    Forbidden,
    Missing,
    Rejected,
    StripeTrouble,
    Unknown,
)
from billing.gateway.keys import mode

__all__ = [
    "Declined",
    "Forbidden",
    "Missing",
    "Order",
    "Rejected",
    "Stripe",
    "StripeTrouble",
    "Unknown",
    "mode",
]
