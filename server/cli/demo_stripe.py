"""The command `portal demo --stripe`: the demo's practice, paid in a Stripe test account.

The demo's history is invented, so none of it is at Stripe: no card is on file, and the old payments
can't be refunded there. Later payments exist at Stripe.
"""

import os
import secrets
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments import states
from billing.payments.status import OWN, SANDBOX_ACCOUNT
from models import Claim, Payment, PaymentMethod, PaymentState, Practice, StripeCustomer
from server import secret_files
from server.clock import utc_now
from server.command_errors import CommandError

TEST_KEYS = ("sk_test_", "rk_test_")
EVENTS_ON = "Stripe's events are received at /stripe/webhook."
EVENTS_OFF = (
    "STRIPE_WEBHOOK_SECRET is not set: Stripe's events are not received. Payments end anyway;"
    " refunds and disputes made at Stripe are seen a day later."
)


class NoTestAccount(CommandError):
    """The environment names no Stripe test account. The text names the missing part."""


@dataclass(frozen=True)
class DemoAccount:
    """The keys of a Stripe test account, from the environment."""

    api_key: str
    publishable_key: str
    webhook_secret: str | None
    api_base: str | None

    def settings(self) -> dict[str, object]:
        """Return the settings of a demo in this account, in addition to the demo's own."""
        # Without a secret no event may be trusted, so a random secret is used.
        secret = self.webhook_secret or f"whsec_{secrets.token_hex(32)}"
        return {
            "stripe_api_key": SecretStr(self.api_key),
            "stripe_publishable_key": self.publishable_key,
            "stripe_webhook_secret": secret,
            "stripe_api_base": self.api_base,
        }

    @property
    def said(self) -> str:
        """Return a sentence for the terminal: whether Stripe's events are received."""
        return EVENTS_OFF if self.webhook_secret is None else EVENTS_ON


def test_account() -> DemoAccount:
    """Return the test account of the environment. Raise NoTestAccount if there is none."""
    api_key = secret_files.secret("STRIPE_API_KEY")
    publishable_key = os.environ.get("STRIPE_PUBLISHABLE_KEY", "")
    if not api_key.startswith(TEST_KEYS):
        raise NoTestAccount(
            "STRIPE_API_KEY: the demo takes a test key, which begins with sk_test_."
        )
    if not publishable_key.startswith("pk_test_"):
        raise NoTestAccount("STRIPE_PUBLISHABLE_KEY: it begins with pk_test_, of the same account.")
    return DemoAccount(
        api_key,
        publishable_key,
        secret_files.secret("STRIPE_WEBHOOK_SECRET") or None,
        os.environ.get("STRIPE_API_BASE") or None,
    )


async def move_to_stripe(engine: AsyncEngine) -> None:
    """Remove all claims about Stripe from the demo's rows, once."""
    is_sandboxed = Practice.stripe_account.startswith(SANDBOX_ACCOUNT, autoescape=True)
    async with engine.begin() as conn:
        if await conn.scalar(select(Practice.id).where(is_sandboxed).limit(1)) is None:
            return
        await conn.execute(delete(Claim))
        under_way, given_up = PaymentState.PROCESSING, PaymentState.CANCELED
        await states.change(conn, (), under_way, given_up, utc_now())
        await conn.execute(update(Payment).values(stripe_id=None, stripe_account=None))
        await conn.execute(update(PaymentMethod).values(is_default=False, removed_at=utc_now()))
        await conn.execute(delete(StripeCustomer))
        await conn.execute(update(Practice).where(is_sandboxed).values(stripe_account=OWN))
