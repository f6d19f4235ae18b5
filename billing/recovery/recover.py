"""The recovery of a practice: numbers first, then what Stripe has, in the order of its times.

Each step finds out by itself whether it is done, so an interrupted recovery is run again.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Row, select

from billing.audit_log import Actor, record
from billing.payments.context import PaymentContext
from billing.payments.daily_comparison import OVERLAP, compare_account
from billing.payments.reconcile import converge
from billing.payments.reversals import reverse
from billing.payments.stripe_accounts import accounts
from billing.payments.webhook_inbox import paid_by
from billing.recovery.adoption import Outcome, adopt, finish, unfinished_here
from billing.recovery.cards import adopt_customer, adopt_setup
from billing.recovery.identity import Identity, accept_identity, read_identity
from billing.recovery.lost_payments import STILL, unknown_here
from billing.recovery.numbers import Moved, move_numbers
from billing.recovery.recoveries import (
    begin_recovery,
    change_recovery,
    end_recovery,
    open_recovery,
)
from billing.recovery.timeline import Created, in_order
from billing.stripe import Forbidden, StripeTrouble
from billing.stripe.objects import Disputed, Intent, Refunded, Setup
from models import Practice, UnadoptedPayment


@dataclass(frozen=True)
class Problem:
    """A payment or an account that the recovery could not deal with: its Stripe id, and why."""

    account: str
    subject: str
    reason: str


@dataclass
class Report:
    """The result of a practice's recovery. Without `is_complete` it has to be run again."""

    practice_id: str
    moved: Sequence[Moved] = ()
    adopted: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = True
    was_needed: bool = False


async def recover_all(
    context: PaymentContext, actor: Callable[[str], Actor], *, restored: bool = False
) -> AsyncIterator[Report]:
    """Recover all practices, and yield the report of each. `actor` returns a practice's actor.

    With `restored` the operator says that the database was restored, which nothing else may show.
    """
    async with context.engine.connect() as conn:
        identity = await read_identity(conn)
        practices = list(await conn.scalars(select(Practice.id).order_by(Practice.id)))
    is_restored, is_complete = restored or identity.is_restored, True
    for practice_id in practices:
        own = replace(context, actor=actor(practice_id))
        report = await recover_practice(own, practice_id, identity, is_restored=is_restored)
        is_complete &= report.is_complete
        yield report
    if is_complete:
        async with context.engine.begin() as conn:
            await accept_identity(conn, identity)


async def recover_practice(
    context: PaymentContext, practice_id: str, identity: Identity, *, is_restored: bool
) -> Report:
    """Recover one practice. Nothing is begun if Stripe has nothing that the database lacks."""
    report = Report(practice_id)
    since = await first_time(context, practice_id)
    found: dict[str, list[Intent]] = {}
    for account in await accounts(context, practice_id):
        try:
            found[account] = await context.stripe.intents(account, since)
        except StripeTrouble as trouble:
            report_trouble(report, account, trouble)
    lost = [await unknown_here(context, practice_id, intents) for intents in found.values()]
    async with context.engine.begin() as conn:
        is_open = await open_recovery(conn, practice_id) is not None
        report.was_needed = is_restored or is_open or any(lost)
        if report.was_needed:
            await record(conn, context.actor, None, context.now())
            recovery = await begin_recovery(conn, practice_id, identity, context.now())
            if recovery.numbers_moved_at is None:
                report.moved = await move_numbers(conn, practice_id)
                await change_recovery(conn, recovery, numbers_moved_at=context.now())
    for account, intents in found.items():
        try:
            await recover_account(context, report, account, intents, since)
        except StripeTrouble as trouble:
            report_trouble(report, account, trouble)
    async with context.engine.begin() as conn:
        recovery_now = await open_recovery(conn, practice_id)
        if recovery_now is not None and report.is_complete:
            await end_recovery(conn, recovery_now, context.now())
    return report


async def first_time(context: PaymentContext, practice_id: str) -> dt.datetime | None:
    """Return the time from which on Stripe is asked; None: from the beginning."""
    compared = select(Practice.compared_at).where(Practice.id == practice_id)
    async with context.engine.connect() as conn:
        compared_at: dt.datetime | None = await conn.scalar(compared)
    return compared_at - OVERLAP if compared_at else None


def report_trouble(report: Report, account: str, trouble: StripeTrouble) -> None:
    """Note an account in which Stripe gave no answer. A closed account never gives one again."""
    if isinstance(trouble, Forbidden):
        reason = "Stripe gives no access to this account: what was paid in it is not known"
    else:
        reason = f"Stripe gave no answer ({trouble}): run `portal recover` again"
        report.is_complete = False
    report.problems.append(Problem(account, account, reason))


# -- an account ------------------------------------------------------------------------------------


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
        await recovering.adopt_created(one)
    await compare_account(context, report.practice_id, account, since or context.now() - OVERLAP)


def problem_of(account: str, intent: Intent, outcome: Outcome) -> Problem:
    assert intent.order is not None
    client, invoice_id = f"cli_{intent.order.client_id}", intent.order.invoice_id
    invoice = f"inv_{invoice_id}" if invoice_id else "invoices"
    reasons = {
        Outcome.WITHOUT_INVOICE: (
            f"paid {invoice} that the backup has not: its money is unused credit of {client}, which"
            " pays what is issued again"
        ),
        Outcome.NO_CLIENT: (
            f"is of {client}, whom the backup has not: enter the client again, then run `portal"
            f" recover --assign {intent.id}=cli_…` with the client's new id"
        ),
        Outcome.CLIENT_BUSY: (
            f"is of {client}, who has another payment under way: run `portal recover` again later"
        ),
        Outcome.OTHER_INTENT: (
            f"is a second charge of pmt_{intent.order.payment_id}: refund it at Stripe"
        ),
    }
    return Problem(account, intent.id, reasons[outcome])


class NotAssigned(Exception):
    """The payment is unchanged. The text gives the reason."""


async def assign(context: PaymentContext, practice_id: str, intent_id: str, client_id: str) -> None:
    """Adopt a payment whose own client is not in the database for another client."""
    rows = select(UnadoptedPayment.stripe_account).where(
        UnadoptedPayment.practice_id == practice_id, UnadoptedPayment.stripe_id == intent_id
    )
    async with context.engine.connect() as conn:
        account = await conn.scalar(rows)
    if account is None:
        raise NotAssigned(f"No payment {intent_id} waits for a client of pra_{practice_id}.")
    outcome = await adopt(context, account, intent_id, client_id=client_id)
    if outcome is Outcome.CLIENT_BUSY:
        raise NotAssigned(f"cli_{client_id} has another payment under way: try again later.")
