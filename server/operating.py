"""What the practice's operator does about money: refunds, and the ledger against Stripe."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Row, select

from billing.charging import auditing, refunding
from billing.gateway import StripeTrouble, Unknown
from billing.money import digits
from billing.payments import PaymentsMode
from billing.till import Till
from models import Payment, Practice, connections
from resolvers.ids import bare
from resolvers.planner.later import Refusal
from server.app import at_stripe, utc_now
from server.sandboxed import Sandbox
from server.settings import Settings

SINCE = dt.timedelta(days=90)
UNKNOWN = "Stripe doesn't answer: run the same again, nothing is done twice."


class NotDone(Exception):
    """Nothing was done; the text says why."""


@asynccontextmanager
async def till_of(settings: Settings) -> AsyncIterator[Till]:
    """The database and Stripe, or its sandbox, for one command."""
    is_sandbox = settings.mode is PaymentsMode.SANDBOX
    stripe = Sandbox(settings.sandbox_file).stripe() if is_sandbox else at_stripe(settings)
    engine = connections.engine(settings.database_url)
    try:
        yield Till(engine, stripe, utc_now)
    finally:
        await stripe.close()
        await engine.dispose()


async def refund(settings: Settings, payment: str, amount: str | None) -> str:
    """What was given back, in words."""
    async with till_of(settings) as till:
        payment_id, currency = await known(till, payment)
        minor = None if amount is None else minor_units(amount, currency)
        try:
            done = await refunding.refund(till, payment_id, minor)
        except refunding.NotRefunded as error:
            raise NotDone(str(error)) from None
        except Unknown:
            raise NotDone(UNKNOWN) from None
    given = Decimal(done.amount_minor).scaleb(-digits(currency))
    return f"{given} {currency} of pmt_{payment_id}: {done.state} ({done.stripe_id})."


async def known(till: Till, payment: str) -> tuple[str, str]:
    """The payment's row id, and its currency."""
    try:
        payment_id = bare(payment) if payment.startswith("pmt_") else ""
    except Refusal:
        payment_id = ""
    same = Practice.id == Payment.practice_id
    async with till.engine.connect() as rows:
        currency = payment_id and await rows.scalar(
            select(Practice.currency).join(Payment, same).where(Payment.id == payment_id)
        )
    if not currency:
        raise NotDone(f"There is no payment {payment}.")
    return payment_id, str(currency)


def minor_units(amount: str, currency: str) -> int:
    try:
        units = Decimal(amount).scaleb(digits(currency))
        if units == units.to_integral_value():
            return int(units)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise NotDone(f"{amount} is no amount of {currency}.")


async def differences(settings: Settings, since: dt.datetime | None) -> list[str]:
    """A line for each."""
    begin = since.replace(tzinfo=dt.UTC) if since else utc_now() - SINCE
    async with till_of(settings) as till:
        lines: list[str] = []
        for practice in await with_stripe(till):
            whose = practice.id, practice.stripe_account
            try:
                found = await auditing.audit(till, *whose, begin)
            except StripeTrouble:
                raise NotDone(f"Stripe doesn't tell of practice pra_{practice.id}.") from None
            lines += [f"pra_{practice.id}  {one.what}  {one.why}" for one in found]
    return lines


async def with_stripe(till: Till) -> list[Row[Any]]:
    columns: list[Any] = [Practice.id, Practice.stripe_account]
    theirs = select(*columns).where(Practice.stripe_account.is_not(None)).order_by(Practice.id)
    async with till.engine.connect() as rows:
        return list(await rows.execute(theirs))
