"""The recovery of a practice: first its numbers, then Stripe's objects in the order of their times.

Each step finds out by itself whether it is done, so an interrupted recovery is run again.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from billing.audit_log import Actor, record
from billing.payments.context import PaymentContext
from billing.payments.daily_comparison import OVERLAP, PaymentsLost
from billing.payments.stripe_accounts import accounts
from billing.recovery.account import recover_account
from billing.recovery.adoption import Outcome, adopt
from billing.recovery.identity import Identity, accept_identity, read_identity
from billing.recovery.lost_payments import unknown_here
from billing.recovery.numbers import move_numbers
from billing.recovery.recoveries import (
    begin_recovery,
    change_recovery,
    end_recovery,
    open_recovery,
    was_recovered,
)
from billing.recovery.report import Problem, Report
from billing.stripe import Forbidden, StripeTrouble
from billing.stripe.objects import Intent
from models import Practice, UnadoptedPayment
from models.database import DatabaseUnavailable

log = logging.getLogger("portal.payments")


async def recover_all(
    context: PaymentContext, actor: Callable[[str], Actor], *, restored: bool = False
) -> AsyncIterator[Report]:
    """Recover all practices, and yield the report of each. `actor` returns a practice's actor.

    With `restored` the operator says that the database was restored, which nothing else may show.
    """
    async with context.engine.connect() as conn:
        identity = await read_identity(conn)
        practices = list(await conn.scalars(select(Practice.id).order_by(Practice.id)))
    is_complete = True
    for practice_id in practices:
        own = replace(context, actor=actor(practice_id))
        report = await recover_practice(own, practice_id, identity, restored=restored)
        is_complete &= report.is_complete
        yield report
    if is_complete:
        async with context.engine.begin() as conn:
            await accept_identity(conn, identity)


async def recover_practice(
    context: PaymentContext, practice_id: str, identity: Identity, *, restored: bool
) -> Report:
    """Recover one practice. Nothing is begun if Stripe has nothing that the database lacks."""
    report = Report(practice_id)
    practice = await read_practice(context, practice_id)
    since = practice.compared_at - OVERLAP if practice.compared_at else None
    found: dict[str, list[Intent]] = {}
    for account in await accounts(context, practice_id):
        with noting(report, account, practice.stripe_account):
            found[account] = await context.stripe.intents(account, since)
    lost = [await unknown_here(context, practice_id, intents) for intents in found.values()]
    await begin(context, report, identity, needed=restored or any(lost))
    for account, intents in found.items():
        with noting(report, account, practice.stripe_account):
            await recover_account(context, report, account, intents, since)
    async with context.engine.begin() as conn:
        recovery = await open_recovery(conn, practice_id)
        if recovery is not None and report.is_complete:
            await end_recovery(conn, recovery, context.now())
    return report


async def read_practice(context: PaymentContext, practice_id: str) -> Any:
    """Return the practice's account at Stripe, and the time of its last comparison."""
    columns = select(Practice.stripe_account, Practice.compared_at)
    async with context.engine.connect() as conn:
        return (await conn.execute(columns.where(Practice.id == practice_id))).one()


async def begin(
    context: PaymentContext, report: Report, identity: Identity, *, needed: bool
) -> None:
    """Begin a recovery if one is needed, and move the numbers on, once in a recovery."""
    async with context.engine.begin() as conn:
        is_open = await open_recovery(conn, report.practice_id) is not None
        if identity.is_restored:
            needed |= not await was_recovered(conn, report.practice_id, identity)
        report.was_needed = needed or is_open
        if not report.was_needed:
            return
        await record(conn, context.actor, None, context.now())
        recovery = await begin_recovery(conn, report.practice_id, identity, context.now())
        if recovery.numbers_moved_at is None:
            report.moved = await move_numbers(conn, report.practice_id)
            await change_recovery(conn, recovery, numbers_moved_at=context.now())


@contextmanager
def noting(report: Report, account: str, own: str | None) -> Iterator[None]:
    """Note a failure, so that other accounts and practices are recovered.

    An earlier account of the practice may be closed, and then Stripe never answers about it.
    """
    try:
        yield
    except DatabaseUnavailable:
        raise
    except Forbidden:
        report.is_complete &= account != own
        reason = "Stripe gives no access to this account: what was paid in it is not known"
        report.problems.append(Problem(account, account, reason))
    except Exception as error:
        if not isinstance(error, StripeTrouble | PaymentsLost):
            log.exception("account %s of pra_%s was not recovered", account, report.practice_id)
        report.is_complete = False
        reason = f"was not recovered ({type(error).__name__}): run `portal recover` again"
        report.problems.append(Problem(account, account, reason))


class NotAssigned(Exception):
    """A payment that could not be assigned and is unchanged. The text gives the reason."""


async def assign(context: PaymentContext, practice_id: str, intent_id: str, client_id: str) -> None:
    """Adopt a payment for another client, since its own client is not in the database."""
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
    if outcome is Outcome.OTHER_INTENT:
        raise NotAssigned("The payment has another PaymentIntent: refund this one at Stripe.")
