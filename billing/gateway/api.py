"""Stripe's API: what this project asks of it. What it answers leaves here as our own values."""

import datetime as dt
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import stripe

from billing.gateway.calls import Rejected, answered, client, named, plain
from billing.gateway.objects import (
    Card,
    Disputed,
    Event,
    Intent,
    NotAnEvent,
    Refunded,
    Setup,
    card,
    disputed,
    hint,
    intent,
    refunded,
    setup,
)

CONFIRM_TIMEOUT_S, TIMEOUT_S = 20.0, 10.0
# How far a webhook's time may be off, either way.
TOLERANCE = dt.timedelta(seconds=300)
# Objects that a page of a list has, at the most.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Order:
    """What Stripe is told of a payment: opaque ids and an amount in minor units, nothing else."""

    payment_id: str
    practice_id: str
    account: str
    amount_minor: int
    currency: str
    customer: str | None
    save_card: bool


class Stripe:
    """Stripe's API, by one HTTP client of one event loop."""

    def __init__(
        self,
        api_key: str,
        *,
        base: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.webhook_secret = webhook_secret
        self.http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        if transport is not None:
            self.http._client_async = httpx.AsyncClient(transport=transport)
        self.slow_http = stripe.HTTPXClient(timeout=CONFIRM_TIMEOUT_S)
        self.slow_http._client_async = self.http._client_async
        self.api = client(api_key, base, self.http)
        self.slow_api = client(api_key, base, self.slow_http)

    async def close(self) -> None:
        await self.http._client_async.aclose()

    async def verify(self) -> None:
        """Rejected, if Stripe doesn't know the key."""
        await answered(lambda: self.api.accounts.retrieve_current_async())

    # -- payments ----------------------------------------------------------------------------------

    async def create(self, order: Order) -> Intent:
        """An unconfirmed PaymentIntent: it can't move money. The same for the same payment."""
        params: dict[str, Any] = {
            "amount": order.amount_minor,
            "currency": order.currency.lower(),
            "payment_method_types": ["card"],
            "metadata": {"payment": order.payment_id, "practice": order.practice_id},
        }
        if order.customer is not None:
            params["customer"] = order.customer
        if order.save_card:
            params["setup_future_usage"] = "on_session"
        options = named(order.account, f"{order.payment_id}-create")
        created = await answered(lambda: self.api.payment_intents.create_async(params, options))
        return intent(plain(created))

    async def confirm(
        self,
        payment_id: str,
        account: str,
        intent_id: str,
        *,
        method: str | None = None,
        token: str | None = None,
    ) -> Intent:
        """The one call that moves money, by a saved card or by a new one's token."""
        source = {"payment_method": method} if method else {"confirmation_token": token}
        params: Any = {**source, "use_stripe_sdk": True, "expand": ["payment_method"]}
        options = named(account, f"{payment_id}-confirm")
        confirm = self.slow_api.payment_intents.confirm_async
        return intent(plain(await answered(lambda: confirm(intent_id, params, options))))

    async def cancel(self, account: str, intent_id: str) -> Intent:
        """The fence: after it no charge can follow. Rejected, where the money may have moved."""
        params: Any = {"expand": ["payment_method"]}
        cancel = self.api.payment_intents.cancel_async
        return intent(plain(await answered(lambda: cancel(intent_id, params, named(account)))))

    async def intent(self, account: str, intent_id: str) -> Intent:
        params: Any = {"expand": ["payment_method"]}
        retrieve = self.api.payment_intents.retrieve_async
        return intent(plain(await answered(lambda: retrieve(intent_id, params, named(account)))))

    # -- cards -------------------------------------------------------------------------------------

    async def customer(self, account: str, practice_id: str, client_id: str) -> str:
        """The id of the client's customer: made once, whoever asks and however often."""
        params: Any = {"metadata": {"client": client_id, "practice": practice_id}}
        options = named(account, f"{client_id}-customer")
        made = await answered(lambda: self.api.customers.create_async(params, options))
        return str(made.id)

    async def token(self, account: str, token_id: str) -> Card:
        """The card that a page's confirmation token is of."""
        retrieve = self.api.confirmation_tokens.retrieve_async
        found = await answered(lambda: retrieve(token_id, None, named(account)))
        preview = plain(found)["payment_method_preview"]
        if not preview.get("card"):
            raise Rejected("not a card's token")
        return card(preview)

    async def prepare(
        self, account: str, practice_id: str, client_id: str, setup_id: str, customer: str
    ) -> Setup:
        """A SetupIntent, which a page's form confirms; its metadata names whose card it will be."""
        params: Any = {
            "customer": customer,
            "usage": "on_session",
            "payment_method_types": ["card"],
            "metadata": {"client": client_id, "practice": practice_id},
        }
        options = named(account, f"{setup_id}-setup")
        create = self.api.setup_intents.create_async
        return setup(plain(await answered(lambda: create(params, options))))

    async def setup(self, account: str, setup_id: str) -> Setup:
        params: Any = {"expand": ["payment_method"]}
        retrieve = self.api.setup_intents.retrieve_async
        return setup(plain(await answered(lambda: retrieve(setup_id, params, named(account)))))

    async def abandon(self, account: str, setup_id: str) -> Setup:
        """Cancel a SetupIntent, so that no more cards are tried with it."""
        params: Any = {"expand": ["payment_method"]}
        cancel = self.api.setup_intents.cancel_async
        return setup(plain(await answered(lambda: cancel(setup_id, params, named(account)))))

    async def method(self, account: str, method_id: str) -> Card:
        """A card as Stripe has it now."""
        retrieve = self.api.payment_methods.retrieve_async
        return card(plain(await answered(lambda: retrieve(method_id, None, named(account)))))

    async def detach(self, account: str, method_id: str) -> None:
        """Have Stripe forget a card; Rejected, where it has none attached."""
        detach = self.api.payment_methods.detach_async
        await answered(lambda: detach(method_id, None, named(account)))

    # -- money that goes back ----------------------------------------------------------------------

    async def refund(
        self, account: str, practice_id: str, refund_id: str, intent_id: str, amount_minor: int
    ) -> Refunded:
        """Give back so much of a payment: once for the same refund."""
        params: Any = {
            "payment_intent": intent_id,
            "amount": amount_minor,
            "metadata": {"refund": refund_id, "practice": practice_id},
        }
        options = named(account, f"{refund_id}-refund")
        create = self.slow_api.refunds.create_async
        return refunded(plain(await answered(lambda: create(params, options))))

    async def refunds(self, account: str, **which: Any) -> list[Refunded]:
        """Refunds, the oldest first: of a `payment_intent`, or those `created` in a range."""
        return [refunded(one) for one in await self.listed(self.api.refunds, account, which)]

    async def disputes(self, account: str, **which: Any) -> list[Disputed]:
        """Disputes, the oldest first: of a `payment_intent`, or those `created` in a range."""
        return [disputed(one) for one in await self.listed(self.api.disputes, account, which)]

    async def intents(self, account: str, **which: Any) -> list[Intent]:
        """PaymentIntents, the oldest first: those `created` in a range."""
        return [intent(one) for one in await self.listed(self.api.payment_intents, account, which)]

    async def listed(
        self, service: Any, account: str, which: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """All pages of a list, which Stripe gives the newest first, the other way round."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            params = which | {"limit": PAGE_SIZE} | after
            ask = partial(service.list_async, params, named(account))
            page = plain(await answered(ask))
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            after = {"starting_after": found[-1]["id"]}

    # -- webhooks ----------------------------------------------------------------------------------

    def event(self, body: bytes, signature: str | None, now: dt.datetime) -> Event:
        """The event of a webhook that Stripe signed within five minutes of now, either way."""
        try:
            header = signature or ""
            stripe.WebhookSignature.verify_header(body.decode(), header, self.webhook_secret)
            signed_at = int(dict(part.split("=", 1) for part in header.split(","))["t"])
            event = json.loads(body)
        except (stripe.SignatureVerificationError, ValueError, KeyError):
            raise NotAnEvent from None
        if abs(now.timestamp() - signed_at) > TOLERANCE.total_seconds():
            raise NotAnEvent
        return hint(event)
