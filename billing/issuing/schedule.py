"""The schedule: documents of the last month, issued by any serving process on a practice's day."""

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.commands import EntryContext
from billing.issuing.monthly import MonthlyDocuments, issue_month
from billing.issuing.months import BillingMonth
from billing.issuing.statements import STATEMENTS
from billing.issuing.superbills import SUPERBILLS
from billing.payments.context import PaymentContext, local_day
from models import DocumentKind, DocumentSchedule, Practice
from models.ids import new_id
from models.leases import Excluded, Lease, Queue

RETRY = dt.timedelta(hours=1)
# The time for one practice. The next attempt issues the remaining documents.
WITHIN_S, AT_ONCE = 1_800.0, 2
MONTHLY = {documents.kind: documents for documents in (STATEMENTS, SUPERBILLS)}

log = logging.getLogger("portal.documents")
QUEUE = Queue("schedule of documents", DocumentSchedule, log, within_s=WITHIN_S, at_once=AT_ONCE)


class PartlyIssued(Exception):
    """Some clients did not get their documents. They are tried again in an hour."""


async def issue_due(context: PaymentContext) -> int:
    """Issue the documents that are due. Return the number of schedules that were kept.

    A practice that fails stops no other, and a client that fails stops no other client.
    """

    async def claim(but: Excluded) -> Lease | None:
        now = context.now()
        due, retry = DocumentSchedule.attempt_at <= now, {"attempt_at": now + RETRY}
        order = [DocumentSchedule.attempt_at]
        return await QUEUE.claim(context.engine, but, due, order=order, **retry)

    return await QUEUE.run(context.engine, claim, lambda schedule: keep(context, schedule))


async def keep(context: PaymentContext, schedule: Row[Any]) -> None:
    """Issue a schedule's documents of a month, and set it to the next one.

    Clients that failed are tried again each hour, until the next month's documents are due.
    """
    time_zone = await practice_time_zone(context, schedule.practice_id)
    month, documents = BillingMonth(schedule.month), MONTHLY[schedule.kind]
    entering = EntryContext(context.engine, context.now, turns=context.turns)
    report = await issue_month(entering, schedule.practice_id, documents, month)
    next_at = month.following.due_at(schedule.day_of_month, time_zone)
    if report.failed:
        if context.now() < next_at:
            raise PartlyIssued
        given_up(schedule, documents, month, report.failed)
    # If the day was changed during the run, the month is looked at again, and is complete then.
    unchanged = and_(
        DocumentSchedule.practice_id == schedule.practice_id,
        DocumentSchedule.id == schedule.id,
        DocumentSchedule.month == schedule.month,
        DocumentSchedule.day_of_month == schedule.day_of_month,
    )
    following = {"month": month.following.first, "attempt_at": next_at}
    async with context.engine.begin() as conn:
        await conn.execute(update(DocumentSchedule).where(unchanged).values(following))


def given_up(
    schedule: Row[Any], documents: MonthlyDocuments, month: BillingMonth, failed: int
) -> None:
    log.error(
        "alert: practice %s has no %ss of %s for %d clients: issue them by `portal issue`",
        schedule.practice_id,
        documents.noun,
        month,
        failed,
    )


async def practice_time_zone(context: PaymentContext, practice_id: str) -> str:
    async with context.engine.connect() as conn:
        statement = select(Practice.time_zone).where(Practice.id == practice_id)
        found: str = (await conn.execute(statement)).scalar_one()
    return found


# -- a practice's choice ---------------------------------------------------------------------------


async def set_schedule(
    conn: AsyncConnection,
    practice_id: str,
    kind: DocumentKind,
    day_of_month: int | None,
    now: dt.datetime,
) -> BillingMonth | None:
    """Set the day on which a practice's documents are issued; None: by command alone.

    Return the month that is issued next. A new schedule begins with the last month if its day is
    still to come, and with the current month otherwise.
    """
    schedule = of_practice(practice_id, kind)
    practice = Practice.id == practice_id
    locked = select(Practice.time_zone).where(practice).with_for_update(key_share=True)
    time_zone: str = (await conn.execute(locked)).scalar_one()
    if day_of_month is None:
        await conn.execute(delete(DocumentSchedule).where(schedule))
        return None
    known = await conn.scalar(select(DocumentSchedule.month).where(schedule))
    if known is not None:
        month = BillingMonth(known)
        values = {"day_of_month": day_of_month, "attempt_at": month.due_at(day_of_month, time_zone)}
        await conn.execute(update(DocumentSchedule).where(schedule).values(values))
        return month
    month = first_month(now, day_of_month, time_zone)
    row = {
        "practice_id": practice_id,
        "id": new_id(),
        "kind": kind,
        "day_of_month": day_of_month,
        "month": month.first,
        "attempt_at": month.due_at(day_of_month, time_zone),
        "leased_until": None,
    }
    await conn.execute(insert(DocumentSchedule).values(row))
    return month


def of_practice(practice_id: str, kind: DocumentKind) -> Any:
    return and_(DocumentSchedule.practice_id == practice_id, DocumentSchedule.kind == kind)


def first_month(now: dt.datetime, day_of_month: int, time_zone: str) -> BillingMonth:
    """Return the month that a new schedule begins with."""
    current = BillingMonth.of(local_day(now, time_zone))
    last = current.before
    return last if last.due_at(day_of_month, time_zone) > now else current
