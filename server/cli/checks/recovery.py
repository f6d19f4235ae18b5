"""The check that a restored database was recovered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from billing.payments.context import PaymentContext
from billing.stripe import Stripe
from server import recovery_check
from server.cli.checks.check import CheckContext, CheckResult
from server.cli.payments import all_accounts
from server.clock import utc_now
from server.sandbox import Sandbox

RECOVERED = "The database was not restored from a backup, or it was recovered."


async def check_recovery(context: CheckContext) -> CheckResult:
    """Return whether the database has all payments that Stripe has, or its sandbox."""
    await recovery_check.refuse_restored(context.engine)
    if context.stripe is not None:
        return await check_payments(context, context.stripe)
    if not await asyncio.to_thread(Path(context.settings.sandbox_file).exists):
        return CheckResult.ok(RECOVERED)
    async with closing_stripe(Sandbox(context.settings.sandbox_file).stripe()) as stripe:
        return await check_payments(context, stripe)


async def check_payments(context: CheckContext, stripe: Stripe) -> CheckResult:
    payments = PaymentContext(context.engine, stripe, utc_now)
    accounts = await all_accounts(payments)
    unanswered = await recovery_check.refuse_lost_payments(payments, accounts)
    return CheckResult.warning(" ".join(unanswered)) if unanswered else CheckResult.ok(RECOVERED)


@asynccontextmanager
async def closing_stripe(stripe: Stripe) -> AsyncIterator[Stripe]:
    try:
        yield stripe
    finally:
        await stripe.close()
