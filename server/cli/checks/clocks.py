"""Check of this machine's clock against those of the database and of Stripe."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import suppress

from sqlalchemy import text

from billing.stripe import StripeTrouble
from billing.stripe.inspection import stripe_time
from server.cli.checks.check import CheckContext, CheckResult
from server.clock import utc_now

# Half of a minute: webhooks may be five minutes off, and links to documents are dated too.
MOST_S = 30.0
WRONG = "This machine's clock is {} the clock of {}. Set it by NTP."


async def check_clock(context: CheckContext) -> CheckResult:
    """Compare the clocks. An answer is as old as half of its round trip at most."""
    compared: list[str] = []
    async for name, ahead_s in differences_of_clocks(context):
        if abs(ahead_s) > MOST_S:
            direction = "ahead of" if ahead_s > 0 else "behind"
            return CheckResult.failed(WRONG.format(f"{abs(ahead_s):,.0f} s {direction}", name))
        compared.append(name)
    if not compared:
        return CheckResult.skipped("There is no other clock to compare this machine's with.")
    return CheckResult.ok(
        f"This machine's clock agrees with {' and '.join(compared)} within {MOST_S:.0f} s."
    )


async def differences_of_clocks(context: CheckContext) -> AsyncIterator[tuple[str, float]]:
    """Yield each other clock with the seconds that this machine's is ahead of it."""
    if context.engine.dialect.name == "postgresql":
        async with context.engine.connect() as conn:
            before = utc_now()
            other: dt.datetime = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        yield "the database", seconds_ahead(before, utc_now(), other)
    if context.stripe is not None:
        before = utc_now()
        with suppress(StripeTrouble):
            if (at_stripe := await stripe_time(context.stripe)) is not None:
                yield "Stripe", seconds_ahead(before, utc_now(), at_stripe)


def seconds_ahead(before: dt.datetime, after: dt.datetime, other: dt.datetime) -> float:
    """Return how far the own clock is ahead of another one that was read between two times."""
    return (before + (after - before) / 2 - other).total_seconds()
