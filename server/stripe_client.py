"""Stripe by the settings: the server's client, and the values for pages."""

from billing.payments.status import Online, PaymentsMode
from billing.stripe import Stripe
from billing.stripe.release import STRIPE_JS
from server.settings import Settings

# Stripe sends events to this path of PUBLIC_URL.
WEBHOOK_PATH = "/stripe/webhook"


def stripe_client(settings: Settings) -> Stripe:
    """Return Stripe's client, with the settings' keys."""
    key, secrets = settings.stripe_api_key, settings.stripe_webhook_secret
    assert key is not None
    return Stripe(
        key.get_secret_value(),
        base=settings.stripe_api_base,
        webhook_secrets=[secret.get_secret_value() for secret in secrets],
    )


def online(settings: Settings) -> Online:
    """Return the destination of payments for pages. The sandbox's form needs no Stripe.js."""
    if settings.mode is PaymentsMode.SANDBOX:
        return Online(settings.mode, wallets=settings.wallets)
    key = settings.stripe_publishable_key
    return Online(settings.mode, key, STRIPE_JS, settings.wallets)
