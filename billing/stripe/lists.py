"""Stripe's lists: the objects of an account since a time, read to the last page."""

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from billing.payments.status import OWN
from billing.stripe.calls import call_repeatedly, request_options, to_dict
from billing.stripe.objects import (
    Card,
    CustomerFacts,
    Disputed,
    Event,
    Intent,
    NotAnEvent,
    Refunded,
    Setup,
    hint,
    parse_card,
    parse_customer,
    parse_dispute,
    parse_intent,
    parse_refund,
    parse_setup,
)

if TYPE_CHECKING:
    from stripe._v1_services import V1Services
    from stripe.params import (
        CustomerListParams,
        CustomerPaymentMethodListParams,
        DisputeListParams,
        EventListParams,
        PaymentIntentListParams,
        RefundListParams,
        SetupIntentListParams,
    )

# The largest page of a list.
PAGE_SIZE = 100
# The object in a list of PaymentIntents that names Stripe's fee.
LISTED_FEE = ["data.latest_charge.balance_transaction"]
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


class StripeLists:
    """The lists of objects at Stripe, the oldest first."""

    api: "V1Services"

    async def intents(self, account: str, since: dt.datetime | None) -> list[Intent]:
        """Return this project's PaymentIntents created since a time or all, the oldest first."""

        async def page(after: str | None) -> Any:
            params: PaymentIntentListParams = {"limit": PAGE_SIZE, "expand": LISTED_FEE}
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.payment_intents.list_async(params, request_options(account))

        intents = [parse_intent(one) for one in await collect(page)]
        return [intent for intent in intents if intent.order is not None]

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

    async def customers(self, account: str, since: dt.datetime | None) -> list[CustomerFacts]:
        """Return this project's customers created since a time or all, without deleted ones."""

        async def page(after: str | None) -> Any:
            params: CustomerListParams = {"limit": PAGE_SIZE}
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.customers.list_async(params, request_options(account))

        found = [parse_customer(one) for one in await collect(page)]
        return [customer for customer in found if customer is not None]

    async def setups(self, account: str, since: dt.datetime | None) -> list[Setup]:
        """Return this project's SetupIntents created since a time or all."""

        async def page(after: str | None) -> Any:
            params: SetupIntentListParams = {"limit": PAGE_SIZE}
            if since:
                params["created"] = {"gte": unix(since)}
            if after:
                params["starting_after"] = after
            return await self.api.setup_intents.list_async(params, request_options(account))

        found = [parse_setup(one) for one in await collect(page)]
        return [setup for setup in found if setup.setup_id is not None]

    async def cards(self, account: str, customer: str) -> list[Card]:
        """Return the cards that are attached to a customer. Raise Missing if it was deleted."""

        async def page(after: str | None) -> Any:
            params: CustomerPaymentMethodListParams = {"limit": PAGE_SIZE, "type": "card"}
            if after:
                params["starting_after"] = after
            found = self.api.customers.payment_methods
            return await found.list_async(customer, params, request_options(account))

        return [parse_card(one) for one in await collect(page)]

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
