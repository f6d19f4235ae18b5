"""Late responses of Stripe: something else happens between a response and its use."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from billing.payments.context import PaymentContext


class Late:
    """Stripe's gateway, which calls a function after the first responses of one call."""

    def __init__(self, stripe: Any, call: str, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.stripe, self.call, self.meanwhile = stripe, call, meanwhile
        self.times = 1

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.stripe, name)
        if name != self.call or self.times <= 0:
            return call
        self.times -= 1

        async def late(*given: Any, **named: Any) -> Any:
            answer = await call(*given, **named)
            await self.meanwhile()
            return answer

        return late


def late(
    context: PaymentContext, call: str, meanwhile: Callable[[], Awaitable[None]], times: int = 1
) -> PaymentContext:
    """Return a payment context in which the first responses of a call are late."""
    stripe: Any = Late(context.stripe, call, meanwhile)
    stripe.times = times
    return dataclasses.replace(context, stripe=stripe)
