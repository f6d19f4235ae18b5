"""Checks of payments: where they go, Stripe's key, its webhooks, and the practices' accounts."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import select

from billing.payments.status import OWN, PaymentsMode
from billing.public_urls import is_this_machine, split
from billing.stripe import Forbidden, Rejected, Stripe, StripeTrouble, Unknown
from billing.stripe.inspection import EndpointFacts, can_charge, webhook_endpoints
from billing.stripe.lists import EVENT_TYPES
from models import Practice
from server import sandbox, stripe_check
from server.cli.checks.check import CheckContext, CheckResult, listed
from server.stripe_client import WEBHOOK_PATH

UNKNOWN_KEY = "STRIPE_API_KEY: Stripe rejects this key, or it may not take payments."
NO_ANSWER = "Stripe doesn't answer now; the portal starts anyway."
IN_SANDBOX = "Payments go to the sandbox."
UNREADABLE_ENDPOINTS = (
    "The key may not read webhook endpoints: see in Stripe's dashboard that they send to {}."
)
EVENTS = frozenset(EVENT_TYPES)
ACCOUNTS_AT_ONCE = 8


async def check_destination(context: CheckContext) -> CheckResult:
    """Return whether payments go where the settings and the practices' accounts agree on."""
    await stripe_check.check_stripe(context.settings, context.engine)
    if context.settings.mode is PaymentsMode.SANDBOX:
        return CheckResult.warning(sandbox.WARNING)
    return CheckResult.ok(f"Payments go to Stripe, in {context.settings.mode.lower()} mode.")


async def check_key(context: CheckContext) -> CheckResult:
    if context.stripe is None:
        return CheckResult.skipped(IN_SANDBOX)
    try:
        await context.stripe.verify()
    except (Forbidden, Rejected):
        return CheckResult.fatal(UNKNOWN_KEY)
    except Unknown:
        return CheckResult.failed(NO_ANSWER)
    return CheckResult.ok("Stripe accepts STRIPE_API_KEY.")


# -- webhooks --------------------------------------------------------------------------------------


async def check_webhooks(context: CheckContext) -> CheckResult:
    """Return whether Stripe sends every event that is needed, and whether each has its secret."""
    if context.stripe is None:
        return CheckResult.skipped(IN_SANDBOX)
    address = context.settings.public_url + WEBHOOK_PATH
    try:
        endpoints = await webhook_endpoints(context.stripe)
    except Forbidden:
        return CheckResult.warning(UNREADABLE_ENDPOINTS.format(address))
    except StripeTrouble:
        return CheckResult.failed(NO_ANSWER)
    ours = [endpoint for endpoint in endpoints if endpoint.url == address and endpoint.is_enabled]
    if not ours and is_this_machine(split(address).hostname or ""):
        return CheckResult.warning(
            f"Stripe can't reach {address}; forward events by `stripe listen`."
        )
    kinds = {"account" if one == OWN else "connected" for one in await accounts_used(context)}
    faults = list(endpoint_faults(ours, address, len(kinds)))
    if len(context.settings.stripe_webhook_secret) < len(ours):
        faults.append(
            f"STRIPE_WEBHOOK_SECRET has {len(context.settings.stripe_webhook_secret)} secrets for"
            f" {len(ours)} endpoints: give one for each, with commas between."
        )
    if faults:
        return CheckResult.failed(listed(faults))
    return CheckResult.ok(f"Stripe sends every event that is needed to {address}.")


def endpoint_faults(endpoints: Sequence[EndpointFacts], address: str, needed: int) -> list[str]:
    """Return a sentence for each thing that the endpoints of an address lack.

    The key's own account and connected accounts need an endpoint each, and Stripe does not say
    which of the two an endpoint is for.
    """
    if not endpoints:
        return [f"No enabled webhook endpoint of Stripe sends to {address}: create one."]
    faults = [
        f"The webhook endpoint {endpoint.id} lacks {', '.join(sorted(lacks))}."
        for endpoint in endpoints
        if (lacks := EVENTS - endpoint.events) and "*" not in endpoint.events
    ]
    if len(endpoints) < needed:
        faults.append(
            "Practices use the key's own account and connected accounts, and there is one webhook"
            " endpoint: create one for each kind."
        )
    return faults


# -- accounts --------------------------------------------------------------------------------------


async def accounts_used(context: CheckContext) -> list[str]:
    columns = select(Practice.stripe_account).where(Practice.stripe_account.is_not(None))
    async with context.engine.connect() as conn:
        found = (await conn.scalars(columns.order_by(Practice.id))).all()
    return [account for account in found if account is not None]


async def check_accounts(context: CheckContext) -> CheckResult:
    """Return whether Stripe takes charges in the account of each practice."""
    if context.stripe is None:
        return CheckResult.skipped(IN_SANDBOX)
    accounts = await accounts_used(context)
    places = asyncio.Semaphore(ACCOUNTS_AT_ONCE)
    stripe = context.stripe
    faults = await asyncio.gather(*(account_fault(stripe, one, places) for one in accounts))
    if found := [fault for fault in faults if fault is not None]:
        return CheckResult.failed(listed(found))
    return CheckResult.ok(
        f"Practices with Online Payments: {len(accounts):,}. Stripe charges in each one's account."
    )


async def account_fault(stripe: Stripe, account: str, places: asyncio.Semaphore) -> str | None:
    async with places:
        try:
            is_charged = await can_charge(stripe, account)
        except (Forbidden, Rejected):
            return f"The key has no access to the account {account}."
        except Unknown:
            return f"Stripe gives no answer about the account {account}."
    return None if is_charged else f"Stripe takes no charges in the account {account}."
