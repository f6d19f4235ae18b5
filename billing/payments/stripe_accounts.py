"""A practice's accounts at Stripe: the current one and earlier ones."""

from sqlalchemy import select, union

from billing.payments.context import PaymentContext
from models import CardSetup, Payment, PaymentMethod, Practice, SetupState, StripeCustomer


async def accounts(context: PaymentContext, practice_id: str) -> list[str]:
    """Return the practice's own account and all accounts of its rows, sorted.

    The rows are payments, cards on file, customers, and forms without an end.
    """
    used = (
        (Payment, Payment.stripe_account.is_not(None)),
        (PaymentMethod, PaymentMethod.removed_at.is_(None)),
        (StripeCustomer, StripeCustomer.deleted_at.is_(None)),
        (CardSetup, CardSetup.state == SetupState.PREPARED),
    )
    each = [select(Practice.stripe_account).where(Practice.id == practice_id)]
    for table, condition in used:
        each.append(select(table.stripe_account).where(table.practice_id == practice_id, condition))
    async with context.engine.connect() as conn:
        return sorted(filter(None, await conn.scalars(union(*each))))
