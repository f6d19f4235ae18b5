"""The recovery of one Stripe account of a practice: its objects, in the order of their times."""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from billing.payments.context import PaymentContext
from billing.payments.daily_comparison import OVERLAP, compare_account
from billing.payments.reconcile import converge
from billing.payments.reversals import reverse
from billing.payments.webhook_inbox import paid_by
from billing.recovery.adoption import Outcome, adopt, finish, unfinished_here
from billing.recovery.cards import adopt_customer, adopt_setup
from billing.recovery.lost_payments import STILL, unknown_here
from billing.recovery.report import Problem, Report, problem_of
from billing.recovery.timeline import Created, in_order
from billing.stripe import Unknown
from billing.stripe.objects import Disputed, Intent, Refunded, Setup
from models.database import DatabaseUnavailable

log = logging.getLogger("portal.payments")


@dataclass
class Recovering:
    """The recovery of one account of a practice."""

    context: PaymentContext
    report: Report
    account: str

    @property
    def practice_id(self) -> str:
        return self.report.practice_id

    async def end_unfinished(self, intents: Sequence[Intent]) -> None:
        """End the payments that were active at the backup: each was, before a later one began."""
        moving = {
            intent.order.payment_id
            for intent in intents
            if intent.order and intent.status not in STILL
        }
        for payment in await unfinished_here(self.context, self.practice_id, self.account):
            if payment.stripe_id is not None:
                await finish(self.context, self.practice_id, payment.id)
            elif payment.id not in moving:
                await converge(self.context, payment)

    async def try_created(self, one: Created) -> None:
        """Adopt an object. Without an answer of Stripe the rest is left to the next run, in order;
        any other failure is noted, and stops no other object.
        """
        try:
            await self.adopt_created(one)
        except (DatabaseUnavailable, Unknown):
            raise
        except Exception as error:
            log.exception("%s was not adopted", one.id)
            reason = f"was not adopted ({type(error).__name__}): run `portal recover` again"
            self.report.problems.append(Problem(self.account, one.id, reason))
            self.report.is_complete = False

    async def adopt_created(self, one: Created) -> None:
        if isinstance(one, Intent):
            await self.adopt_lost(one)
        elif isinstance(one, Setup):
            if one.practice_id == self.practice_id:
                await adopt_setup(self.context, self.account, one)
        else:
            await self.reverse_until(one)

    async def adopt_lost(self, intent: Intent) -> None:
        outcome = await adopt(self.context, self.account, intent.id)
        if outcome in (Outcome.ADOPTED, Outcome.WITHOUT_INVOICE):
            self.report.adopted += 1
        if outcome is not Outcome.ADOPTED:
            self.report.problems.append(problem_of(self.account, intent, outcome))
        if outcome is Outcome.CLIENT_BUSY:
            self.report.is_complete = False

    async def reverse_until(self, reversal: Refunded | Disputed) -> None:
        """Write a payment's refunds and disputes up to this one."""
        payment = await self.payment_of(reversal)
        if payment is not None:
            await reverse(self.context, self.practice_id, payment.id, until=reversal.created)

    async def payment_of(self, reversal: Refunded | Disputed) -> Row[Any] | None:
        """Return the payment of this practice that a refund or a dispute reverses."""
        if reversal.intent_id is None:
            return None
        payment = await paid_by(self.context, self.account, reversal.intent_id)
        return payment if payment and payment.practice_id == self.practice_id else None


async def recover_account(
    context: PaymentContext,
    report: Report,
    account: str,
    intents: Sequence[Intent],
    since: dt.datetime | None,
) -> None:
    """Adopt customers, and then payments, refunds, disputes and card forms in the order in which
    they were created.

    So each payment finds the invoices due that it found before. Then the daily comparison updates
    all that may have changed since the backup.
    """
    recovering = Recovering(context, report, account)
    for customer in await context.stripe.customers(account, since):
        if customer.practice_id == report.practice_id:
            await adopt_customer(context, account, customer)
    await recovering.end_unfinished(intents)
    lost = await unknown_here(context, report.practice_id, intents)
    refunds = await context.stripe.refunds(account, since=since)
    disputes = await context.stripe.disputes(account, since=since)
    setups = await context.stripe.setups(account, since)
    for one in in_order(lost, [*refunds, *disputes], setups):
        await recovering.try_created(one)
    await compare_account(context, report.practice_id, account, since or context.now() - OVERLAP)
