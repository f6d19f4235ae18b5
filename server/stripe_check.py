"""Checks of the payments' destination, made before any request to Stripe or its sandbox."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments.status import SANDBOX_ACCOUNT, PaymentsMode, is_reached
from billing.stripe.currencies import SUPPORTED
from models import Practice
from server.settings import Settings, WrongSettings

NO_KEY = (
    "STRIPE_API_KEY is not set. Set it to take payments, or set SANDBOX=true to try the portal with"
    " its sandbox, where no money moves."
)
IN_SANDBOX = f"SANDBOX is true, and these accounts are not the sandbox's ({SANDBOX_ACCOUNT}…)"
AT_STRIPE = "STRIPE_API_KEY is set, and these accounts are the sandbox's"
WHAT_TO_DO = (
    "Name an account that this server can charge in, by `portal practice update pra_…"
    " --stripe-account`, or turn payments off, by `--no-online-payments`."
)
NOT_CHARGED = "Stripe does not charge cards in the currency of these practices"
OFF = "Turn their Online Payments off, by `portal practice update pra_… --no-online-payments`."
# The number of practices that a sentence names.
NAMED = 5


def refuse_unsaid_sandbox(settings: Settings) -> None:
    """Raise WrongSettings if payments would go to the sandbox without an explicit setting."""
    if settings.mode is PaymentsMode.SANDBOX and not settings.sandbox:
        raise WrongSettings(NO_KEY)


async def check_stripe(settings: Settings, engine: AsyncEngine) -> None:
    """Raise WrongSettings for an unintended sandbox, or an account that can't be charged."""
    refuse_unsaid_sandbox(settings)
    columns = select(Practice.id, Practice.stripe_account, Practice.currency)
    async with engine.connect() as conn:
        practices = list(await conn.execute(columns.order_by(Practice.id)))
    paid = [practice for practice in practices if practice.stripe_account]
    why = IN_SANDBOX if settings.mode is PaymentsMode.SANDBOX else AT_STRIPE
    refuse(
        why,
        WHAT_TO_DO,
        [
            f"pra_{practice.id} has {practice.stripe_account}"
            for practice in paid
            if not is_reached(practice.stripe_account, settings.mode)
        ],
    )
    refuse(
        NOT_CHARGED,
        OFF,
        [
            f"pra_{practice.id} has {practice.currency}"
            for practice in paid
            if practice.currency not in SUPPORTED
        ],
    )


def account_fault(settings: Settings, account: str, currency: str) -> str | None:
    """Return the reason why a practice can't have an account, or None if it can.

    Without any setting for payments, each account of Stripe and of the sandbox may be named.
    """
    if currency not in SUPPORTED:
        return f"Stripe does not charge cards in {currency}"
    is_said = settings.sandbox or settings.stripe_api_key is not None
    if not is_said or is_reached(account, settings.mode):
        return None
    if settings.mode is PaymentsMode.SANDBOX:
        return f"SANDBOX is true, and the sandbox's accounts begin with {SANDBOX_ACCOUNT}"
    return "STRIPE_API_KEY is set, and this account is the sandbox's"


def refuse(why: str, what_to_do: str, practices: list[str]) -> None:
    """Raise WrongSettings that names the first of these practices, if there are any."""
    if practices:
        more = f", and {len(practices) - NAMED} more" if len(practices) > NAMED else ""
        raise WrongSettings(f"{why}: {', '.join(practices[:NAMED])}{more}. {what_to_do}")
