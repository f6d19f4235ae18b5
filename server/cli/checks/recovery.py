"""The check that a restored database was recovered."""

from billing.payments.context import PaymentContext
from server import recovery_check
from server.cli.checks.check import CheckContext, CheckResult
from server.cli.payments import all_accounts
from server.clock import utc_now
from server.sandbox import Sandbox


async def check_recovery(context: CheckContext) -> CheckResult:
    """Return whether the database has all payments that Stripe has, or its sandbox."""
    await recovery_check.refuse_restored(context.engine)
    stripe = context.stripe or Sandbox(context.settings.sandbox_file).stripe()
    payments = PaymentContext(context.engine, stripe, utc_now)
    try:
        unanswered = await recovery_check.refuse_lost_payments(
            payments, await all_accounts(payments)
        )
    finally:
        if context.stripe is None:
            await stripe.close()
    if unanswered:
        return CheckResult.warning(" ".join(unanswered))
    return CheckResult.ok("The database was not restored from a backup, or it was recovered.")
