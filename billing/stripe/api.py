"""Stripe's API: the calls that this project makes. Responses are returned as our own values."""

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import httpx
import stripe

from billing.payments.status import OWN
from billing.stripe import webhook_signatures
from billing.stripe.calls import (
    Missing,
    Rejected,
    call_once,
    call_repeatedly,
    request_options,
    sdk_services,
)
from billing.stripe.currencies import to_stripe
from billing.stripe.objects import (
    Card,
    Disputed,
    Event,
    Intent,
    NotAnEvent,
    Order,
    Refunded,
    Setup,
    hint,
    order_metadata,
    parse_card,
    parse_dispute,
    parse_intent,
    parse_refund,
    parse_setup,
)

if TYPE_CHECKING:
    from stripe.params import (
        ConfirmationTokenRetrieveParams,
        CustomerCreateParams,
        CustomerPaymentMethodListParams,
        CustomerRetrieveParams,
        DisputeListParams,
        EventListParams,
        PaymentIntentCancelParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        PaymentIntentListParams,
        PaymentIntentRetrieveParams,
        PaymentMethodDetachParams,
        PaymentMethodRetrieveParams,
        RefundCreateParams,
        RefundListParams,
        SetupIntentCancelParams,
        SetupIntentCreateParams,
        SetupIntentRetrieveParams,
    )

CONFIRM_TIMEOUT_S, TIMEOUT_S = 20.0, 10.0
# The largest page of a list.
PAGE_SIZE = 100
# Objects returned with a PaymentIntent: its card, and the charge with its time.
WHOLE = ["payment_method", "latest_charge"]
# The events that are listed in case one was lost. Stripe accepts at most twenty names.
EVENT_TYPES = [
    *(f"payment_intent.{end}" for end in ("succeeded", "payment_failed", "canceled")),
    *(f"payment_intent.{end}" for end in ("processing", "requires_action")),
    *(f"setup_intent.{end}" for end in ("succeeded", "setup_failed", "canceled")),
    *(f"payment_method.{end}" for end in ("detached", "updated", "automatically_updated")),
    *(f"refund.{end}" for end in ("created", "updated", "failed")),
    *(f"charge.dispute.{end}" for end in ("created", "updated", "closed")),
    *(f"charge.dispute.{end}" for end in ("funds_withdrawn", "funds_reinstated")),
    "customer.deleted",
]


class Stripe:
    """Stripe's API, over one HTTP client of one event loop."""

    def __init__(
        self,
        api_key: str,
        *,
        base: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        webhook_secrets: Sequence[str] = (),
    ) -> None:
        self.webhook_secrets = webhook_secrets
        # Certificates are read for each HTTP client, and a transport of its own needs none.
        self.http = stripe.HTTPXClient(timeout=TIMEOUT_S, verify_ssl_certs=transport is None)
        if transport is not None:
            self.http._client_async = httpx.AsyncClient(transport=transport)
        self.slow_http = copy(self.http)
        self.slow_http._timeout = CONFIRM_TIMEOUT_S
        self.api = sdk_services(api_key, base, self.http)
        self.slow_api = sdk_services(api_key, base, self.slow_http)

    async def close(self) -> None:
        await self.http._client_async.aclose()

    async def verify(self) -> None:
        """Raise Forbidden if Stripe does not know the key."""
        await call_repeatedly(lambda _: self.api.accounts.retrieve_current_async())

    # -- payments ----------------------------------------------------------------------------------

    async def create(self, account: str, order: Order) -> Intent:
        """Create an unconfirmed PaymentIntent, which can't move money.

        The same payment gets the same PaymentIntent. Raise NotChargeable if Stripe can't represent
        the amount.
        """
        params: PaymentIntentCreateParams = {
            "amount": to_stripe(order.amount_minor, order.currency),
            "currency": order.currency.lower(),
            "payment_method_types": ["card"],
            "metadata": order_metadata(order),
        }
        if order.customer is not None:
            params["customer"] = order.customer
        if order.save_card:
            params["setup_future_usage"] = "on_session"
        create, key = self.api.payment_intents.create_async, f"{order.payment_id}-create"
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return parse_intent(to_dict(made))

    async def confirm(
        self,
        payment_id: str,
        account: str,
        intent_id: str,
        *,
        method: str | None = None,
        token: str | None = None,
    ) -> Intent:
        """Confirm a PaymentIntent by a saved card or by a new card's token: this moves money.

        The idempotency key never changes, so the bank is asked once for a payment.
        """
        params: PaymentIntentConfirmParams = {"use_stripe_sdk": True, "expand": WHOLE}
        if method is not None:
            params["payment_method"] = method
        elif token is not None:
            params["confirmation_token"] = token
        confirm, named = self.slow_api.payment_intents.confirm_async, f"{payment_id}-confirm"
        return parse_intent(
            to_dict(
                await call_once(lambda: confirm(intent_id, params, request_options(account, named)))
            )
        )

    async def cancel(self, account: str, intent_id: str) -> Intent:
        """Cancel a PaymentIntent: the fence, after which no charge can follow.

        Raise Rejected if it is over or the money may have moved.
        """
        params: PaymentIntentCancelParams = {"expand": WHOLE}
        cancel = self.api.payment_intents.cancel_async
        return parse_intent(
            to_dict(
                await call_repeatedly(lambda _: cancel(intent_id, params, request_options(account)))
            )
        )

    async def intent(self, account: str, intent_id: str) -> Intent:
        params: PaymentIntentRetrieveParams = {"expand": WHOLE}
        retrieve = self.api.payment_intents.retrieve_async
        return parse_intent(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(intent_id, params, request_options(account))
                )
            )
        )

    async def intents(self, account: str, since: dt.datetime | None) -> list[Intent]:
        """Return this project's PaymentIntents created since a time or all, the oldest first."""

        async def page(after: str | None) -> Any:
            params: PaymentIntentListParams = {"limit": PAGE_SIZE}
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.payment_intents.list_async(params, request_options(account))

        intents = [parse_intent(one) for one in await collect(page)]
        return [intent for intent in intents if intent.order is not None]

    # -- cards -------------------------------------------------------------------------------------

    async def customer(self, account: str, practice_id: str, client_id: str, number: int) -> str:
        """Create a client's customer and return its id.

        Each `number` creates one customer, however often the call is made. A new number is only
        used after Stripe has deleted the previous customer.
        """
        params: CustomerCreateParams = {"metadata": {"client": client_id, "practice": practice_id}}
        create, key = self.api.customers.create_async, f"{client_id}-customer-{number}"
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return str(made.id)

    async def has_customer(self, account: str, customer: str) -> bool:
        """Return whether Stripe has a customer. Deleted customers can still be retrieved."""
        params: CustomerRetrieveParams = {}
        retrieve = self.api.customers.retrieve_async
        try:
            found = await call_repeatedly(
                lambda _: retrieve(customer, params, request_options(account))
            )
        except Missing:
            return False
        return not to_dict(found).get("deleted")

    async def cards(self, account: str, customer: str) -> list[Card]:
        """Return the cards that are attached to a customer. Raise Missing if it was deleted."""

        async def page(after: str | None) -> Any:
            params: CustomerPaymentMethodListParams = {"limit": PAGE_SIZE, "type": "card"}
            if after:
                params["starting_after"] = after
            found = self.api.customers.payment_methods
            return await found.list_async(customer, params, request_options(account))

        return [parse_card(one) for one in await collect(page)]

    async def token(self, account: str, token_id: str) -> Card:
        """Return the card of a page's confirmation token. Raise Rejected if the token is not of a
        card.
        """
        params: ConfirmationTokenRetrieveParams = {}
        retrieve = self.api.confirmation_tokens.retrieve_async
        found = await call_repeatedly(
            lambda _: retrieve(token_id, params, request_options(account))
        )
        preview = to_dict(found).get("payment_method_preview") or {}
        if not preview.get("card"):
            raise Rejected("not a card's token")
        return parse_card(preview)

    async def prepare(
        self, account: str, practice_id: str, client_id: str, setup_id: str, customer: str
    ) -> Setup:
        """Create a SetupIntent for a page's form; its metadata names the client."""
        params: SetupIntentCreateParams = {
            "customer": customer,
            "usage": "on_session",
            "payment_method_types": ["card"],
            "metadata": {"client": client_id, "practice": practice_id},
        }
        create, key = self.api.setup_intents.create_async, f"{setup_id}-setup"
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return parse_setup(to_dict(made))

    async def setup(self, account: str, setup_id: str) -> Setup:
        params: SetupIntentRetrieveParams = {"expand": ["payment_method"]}
        retrieve = self.api.setup_intents.retrieve_async
        return parse_setup(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(setup_id, params, request_options(account))
                )
            )
        )

    async def abandon(self, account: str, setup_id: str) -> Setup:
        """Cancel a SetupIntent, so that no more cards are tried with it."""
        params: SetupIntentCancelParams = {"expand": ["payment_method"]}
        cancel = self.api.setup_intents.cancel_async
        return parse_setup(
            to_dict(
                await call_repeatedly(lambda _: cancel(setup_id, params, request_options(account)))
            )
        )

    async def method(self, account: str, method_id: str) -> Card:
        """Return a card as Stripe has it now."""
        params: PaymentMethodRetrieveParams = {}
        retrieve = self.api.payment_methods.retrieve_async
        return parse_card(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(method_id, params, request_options(account))
                )
            )
        )

    async def detach(self, account: str, method_id: str) -> None:
        """Detach a card at Stripe. Raise Rejected if it is attached to no customer."""
        params: PaymentMethodDetachParams = {}
        detach = self.api.payment_methods.detach_async
        await call_repeatedly(lambda _: detach(method_id, params, request_options(account)))

    # -- refunds and disputes ----------------------------------------------------------------------

    async def refund(
        self,
        account: str,
        practice_id: str,
        refund_id: str,
        intent_id: str,
        amount_minor: int,
        currency: str,
    ) -> Refunded:
        """Refund an amount of a payment, once for each refund id."""
        params: RefundCreateParams = {
            "payment_intent": intent_id,
            "amount": to_stripe(amount_minor, currency),
            "metadata": {"refund": refund_id, "practice": practice_id},
        }
        create, named = self.slow_api.refunds.create_async, f"{refund_id}-refund"
        return parse_refund(
            to_dict(await call_once(lambda: create(params, request_options(account, named))))
        )

    async def refunds(
        self, account: str, *, intent_id: str | None = None, since: dt.datetime | None = None
    ) -> list[Refunded]:
        """Return refunds, the oldest first: of a PaymentIntent, or those created since a time."""

        async def page(after: str | None) -> Any:
            params: RefundListParams = {"limit": PAGE_SIZE}
            if intent_id:
                params["payment_intent"] = intent_id
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.refunds.list_async(params, request_options(account))

        return [parse_refund(one) for one in await collect(page)]

    async def disputes(
        self, account: str, *, intent_id: str | None = None, since: dt.datetime | None = None
    ) -> list[Disputed]:
        """Return disputes, the oldest first: of a PaymentIntent, or those created since a time."""

        async def page(after: str | None) -> Any:
            params: DisputeListParams = {"limit": PAGE_SIZE}
            if intent_id:
                params["payment_intent"] = intent_id
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.disputes.list_async(params, request_options(account))

        return [parse_dispute(one) for one in await collect(page)]

    # -- events ------------------------------------------------------------------------------------

    async def events(self, account: str, since: dt.datetime) -> list[Event]:
        """Return the events since a time, the oldest first. Stripe keeps them for thirty days."""

        async def page(after: str | None) -> Any:
            params: EventListParams = {
                "limit": PAGE_SIZE,
                "created": {"gte": unix(since)},
                "types": EVENT_TYPES,
            }
            if after:
                params["starting_after"] = after
            return await self.api.events.list_async(params, request_options(account))

        named = None if account == OWN else account
        found: list[Event] = []
        for one in await collect(page):
            # An unreadable event must not stop the others.
            with contextlib.suppress(NotAnEvent):
                found.append(hint(one, named))
        return found

    def event(self, body: bytes, signature: str | None, now: dt.datetime) -> Event:
        """Return the event of a webhook that Stripe has signed just now. Raise NotAnEvent
        otherwise.
        """
        return webhook_signatures.event(body, signature, self.webhook_secrets, now)


async def collect(page: Callable[[str | None], Awaitable[Any]]) -> list[dict[str, Any]]:
    """Return the objects of all pages of a list in reverse, since Stripe lists the newest first."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        answer = to_dict(await call_repeatedly(lambda _: page(after)))  # noqa: B023 - awaited at once
        found += answer["data"]
        if not answer["has_more"]:
            return found[::-1]
        after = found[-1]["id"]


def unix(moment: dt.datetime) -> int:
    return int(moment.timestamp())


def to_dict(answer: Any) -> dict[str, Any]:
    made: dict[str, Any] = answer.to_dict()
    return made
