"""The operator's payment commands: refunds, ended payments, and the comparison with Stripe."""

import datetime as dt
import logging
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.audit_log import record
from billing.money import currency_digits
from billing.payments import audit, force_end
from billing.payments import refund as payments_refund
from billing.payments.audit import Difference
from billing.payments.context import PaymentContext
from billing.payments.status import PaymentsMode
from billing.payments.stripe_accounts import accounts
from billing.stripe import Rejected, Stripe, StripeTrouble, Unknown
from models import AccessAction, Invoice, Payment, Practice, database
from planner.deferred import FieldError
from resolvers.ids import bare
from server import stripe_check
from server.cli.amounts import minor_units
from server.cli.operators import operator
from server.clock import utc_now
from server.command_errors import CommandError
from server.sandbox import Sandbox
from server.settings import Settings
from server.stripe_client import stripe_client

SINCE = dt.timedelta(days=90)
UNKNOWN = "Stripe doesn't answer. Resume the refund later by its key: it is made only once."
KEY_LENGTHS = range(1, 256)

log = logging.getLogger("portal.payments")


class NotDone(CommandError):
    """Nothing was done. The text gives the reason."""


@asynccontextmanager
async def context_of(settings: Settings) -> AsyncIterator[PaymentContext]:
    """Yield the database and Stripe, or its sandbox, for one command.

    Raise WrongSettings if the settings select neither.
    """
    async with (
        database.open_engine(settings.database_url) as engine,
        open_stripe(settings, engine) as stripe,
    ):
        yield PaymentContext(engine, stripe, utc_now)


@asynccontextmanager
async def open_stripe(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Stripe]:
    """Yield Stripe, or its sandbox. Raise WrongSettings if the settings select neither."""
    await stripe_check.check_stripe(settings, engine)
    is_sandbox = settings.mode is PaymentsMode.SANDBOX
    stripe = Sandbox(settings.sandbox_file).stripe() if is_sandbox else stripe_client(settings)
    try:
        yield stripe
    finally:
        await stripe.close()


async def refund_by_operator(
    settings: Settings,
    payment: str,
    amount: str | None,
    key: str | None,
    say: Callable[[str], None],
    *,
    invoice: str | None = None,
) -> str:
    """Refund a payment and return a sentence about the result. `invoice` is its id or number.

    `say` is called with the command to resume it, before the request to Stripe.
    """
    if key is not None and len(key) not in KEY_LENGTHS:
        raise NotDone("A key has 1 to 255 characters.")
    async with context_of(settings) as context:
        practice_id, payment_id, currency = await find_payment_row(context, payment)
        context = replace(context, actor=operator(practice_id, "portal refund"))
        minor = None if amount is None else minor_units(amount, currency)
        invoice_id = await find_invoice(context, practice_id, invoice) if invoice else None
        of_invoice = f" --invoice {shlex.quote(invoice)}" if invoice else ""

        def begun(row: Row[Any]) -> None:
            given = Decimal(row.amount_minor).scaleb(-currency_digits(currency))
            say(f"Refunding {given} {currency}. If this is interrupted, resume it by")
            own = f" --amount {given} --key {shlex.quote(row.key)}"
            say(f"  portal refund {payment}{of_invoice}{own}")

        try:
            done = await payments_refund.refund_payment(
                context, payment_id, minor, invoice_id=invoice_id, key=key, begun=begun
            )
        except payments_refund.NotRefunded as error:
            raise NotDone(str(error)) from None
        except Unknown:
            raise NotDone(UNKNOWN) from None
        except Rejected as rejected:
            raise NotDone(f"Stripe gives no information about this payment: {rejected}.") from None
    given = Decimal(done.amount_minor).scaleb(-currency_digits(currency))
    return f"{given} {currency} of pmt_{payment_id}: {done.state} ({done.stripe_id})."


async def end_by_operator(settings: Settings, payment: str, because: str) -> str:
    """End a payment that Stripe gives no answer about, and return a sentence about the result."""
    if not because.strip():
        raise NotDone("Give a reason by --because: it is stored with the payment.")
    async with context_of(settings) as context:
        practice_id, payment_id, _ = await find_payment_row(context, payment)
        context = replace(context, actor=operator(practice_id, "portal payment end"))
        try:
            state = await force_end.force_end(context, payment_id, because)
        except force_end.NotEnded as error:
            raise NotDone(str(error)) from None
    return f"pmt_{payment_id}: {state}."


async def find_payment_row(context: PaymentContext, payment: str) -> tuple[str, str, str]:
    """Return the payment's practice, row id and currency."""
    try:
        payment_id = bare(payment) if payment.startswith("pmt_") else ""
    except FieldError:
        payment_id = ""
    same = Practice.id == Payment.practice_id
    async with context.engine.connect() as conn:
        columns = select(Practice.id, Practice.currency).join(Payment, same)
        statement = columns.where(Payment.id == payment_id)
        row = (await conn.execute(statement)).first() if payment_id else None
    if row is None:
        raise NotDone(f"There is no payment {payment}.")
    return row.id, payment_id, row.currency


async def find_invoice(context: PaymentContext, practice_id: str, invoice: str) -> str:
    """Return the row id of an invoice, given by its id or number."""
    try:
        same = Invoice.id == bare(invoice) if invoice.startswith("inv_") else None
    except FieldError:
        same = None
    same = Invoice.number == invoice if same is None else same
    statement = select(Invoice.id).where(Invoice.practice_id == practice_id, same)
    async with context.engine.connect() as conn:
        found: str | None = await conn.scalar(statement)
    if found is None:
        raise NotDone(f"There is no invoice {invoice}.")
    return found


async def differences(settings: Settings, since: dt.datetime | None) -> list[str]:
    """Return a line for each difference, and for each account that could not be compared."""
    begin = since.replace(tzinfo=dt.UTC) if since else utc_now() - SINCE
    async with context_of(settings) as context:
        lines: list[str] = []
        for practice_id, account in await all_accounts(context):
            by = operator(practice_id, "portal reconcile")
            async with context.engine.begin() as conn:
                await record(conn, by, None, context.now(), AccessAction.READ)
            try:
                found = await audit.audit(context, practice_id, account, begin)
            except StripeTrouble:
                found = [Difference(account, "not compared: Stripe does not answer for it")]
            except Exception as error:
                log.exception("account %s of pra_%s was not compared", account, practice_id)
                found = [Difference(account, f"not compared: {type(error).__name__}")]
            lines += [f"pra_{practice_id}  {one.what}  {one.why}" for one in found]
    return lines


async def all_accounts(context: PaymentContext) -> list[tuple[str, str]]:
    """Return each practice with each of its accounts at Stripe."""
    async with context.engine.connect() as conn:
        practices = list(await conn.scalars(select(Practice.id).order_by(Practice.id)))
    used = {practice: await accounts(context, practice) for practice in practices}
    return [(practice, account) for practice in practices for account in used[practice]]
