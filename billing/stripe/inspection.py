"""Facts about an installation's setup at Stripe: accounts, webhook endpoints, and the clock."""

import datetime as dt
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from billing.payments.status import OWN
from billing.stripe.api import Stripe
from billing.stripe.calls import call_repeatedly, request_options, to_dict
from billing.stripe.lists import PAGE_SIZE, collect

if TYPE_CHECKING:
    from stripe import Account
    from stripe.params import WebhookEndpointListParams


@dataclass(frozen=True)
class EndpointFacts:
    """A webhook endpoint: its address, and the names of the events that it is sent."""

    id: str
    url: str
    events: frozenset[str]
    is_enabled: bool


async def webhook_endpoints(stripe: Stripe) -> list[EndpointFacts]:
    """Return the webhook endpoints of the key's own account."""

    async def page(after: str | None) -> Any:
        params: WebhookEndpointListParams = {"limit": PAGE_SIZE}
        if after:
            params["starting_after"] = after
        return await stripe.api.webhook_endpoints.list_async(params)

    return [
        EndpointFacts(
            one["id"], one["url"], frozenset(one["enabled_events"]), one["status"] == "enabled"
        )
        for one in await collect(page)
    ]


async def can_charge(stripe: Stripe, account: str) -> bool:
    """Return whether an account takes charges. Raise Forbidden if the key has no access to it."""
    return bool(to_dict(await read_account(stripe, account)).get("charges_enabled"))


async def stripe_time(stripe: Stripe) -> dt.datetime | None:
    """Return the time of an answer by Stripe's clock, in whole seconds; None if it names none."""
    response = (await read_account(stripe, OWN)).last_response
    headers = httpx.Headers(response.headers if response else None)
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None


async def read_account(stripe: Stripe, account: str) -> "Account":
    retrieve = stripe.api.accounts.retrieve_current_async
    return await call_repeatedly(lambda _: retrieve(None, request_options(account)))
