"""The adoption of a payment that Stripe has and the restored database has not.

The payment gets its row as of the moment at which its PaymentIntent's id was committed, and from
there on the payment protocol settles it. A charge and all that follows from it is written in one
transaction, so a process that ends in between leaves all of a payment or nothing.
"""

import enum
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.ledger.allocation import AmountsDue, owed
from billing.ledger.versions import stamp
from billing.payments import states
from billing.payments.confirm import cancel_or_settle, find_payment, refresh
from billing.payments.context import PaymentContext, client_lock, local_day
from billing.payments.reconcile import converge
from billing.payments.rows import claim_columns
from billing.payments.settle import record_success
from billing.payments.states import first
from billing.stripe import Rejected
from billing.stripe.objects import Intent, IntentStatus, Order
from models import (
    ACTIVE_STATES,
    Claim,
    Client,
    Contact,
    Invoice,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Practice,
    UnadoptedPayment,
)
from models.ids import new_id
from models.upsert import insert_into

# The statuses of a PaymentIntent that may still be charged.
MAY_MOVE = (
    IntentStatus.REQUIRES_PAYMENT_METHOD,
    IntentStatus.REQUIRES_CONFIRMATION,
    IntentStatus.REQUIRES_ACTION,
    IntentStatus.PROCESSING,
)
# No invoice is paid: the whole charge becomes unused credit.
NOTHING_DUE = AmountsDue([], 0)


class Outcome(enum.Enum):
    ADOPTED = enum.auto()
    # An invoice that it paid is not in the database: that part of the money is unused credit.
    WITHOUT_INVOICE = enum.auto()
    # The client is not in the database, and nothing was written but a report.
    NO_CLIENT = enum.auto()
    # The client has another payment that has not ended.
    CLIENT_BUSY = enum.auto()
    # The payment has another PaymentIntent here.
    OTHER_INTENT = enum.auto()


@dataclass(frozen=True)
class Adoption:
    """A PaymentIntent to adopt, read from Stripe with its card and its charge."""

    account: str
    intent: Intent
    order: Order

    @property
    def is_own(self) -> ColumnElement[bool]:
        own = Payment.practice_id == self.order.practice_id
        return own & (Payment.id == self.order.payment_id)


async def adopt(
    context: PaymentContext, account: str, intent_id: str, *, client_id: str | None = None
) -> Outcome:
    """Adopt a payment, and have the protocol end it if it can. Raise Unknown or Rejected if Stripe
    gives no result.

    With `client_id` it is adopted for this client, and pays the client's balance.
    """
    intent = await context.stripe.intent(account, intent_id)
    assert intent.order is not None
    order = intent.order
    if client_id is not None:
        order = replace(order, client_id=client_id, invoice_id=None)
    adoption = Adoption(account, intent, order)
    async with client_lock(context, order.practice_id, order.client_id) as conn:
        outcome = await write_adoption(context, conn, adoption)
    if outcome in (Outcome.ADOPTED, Outcome.WITHOUT_INVOICE):
        await finish(context, order.practice_id, order.payment_id)
        if outcome is Outcome.WITHOUT_INVOICE:
            # A payment that has not been charged yet is canceled: it can't pay its invoice.
            await cancel_or_settle(context, order.practice_id, order.payment_id)
    if outcome is Outcome.NO_CLIENT and intent.status in MAY_MOVE:
        with suppress(Rejected):
            await context.stripe.cancel(account, intent_id)
    return outcome


async def finish(context: PaymentContext, practice_id: str, payment_id: str) -> None:
    """Read an unfinished payment from Stripe, and give it up if no one can confirm it any more."""
    await refresh(context, practice_id, payment_id)
    row = await find_payment(context, practice_id, payment_id)
    if row.state in ACTIVE_STATES:
        await converge(context, row)


# -- rows ------------------------------------------------------------------------------------------


async def write_adoption(
    context: PaymentContext, conn: AsyncConnection, adoption: Adoption
) -> Outcome:
    order, now = adoption.order, context.now()
    if not await exists(conn, Client, order.practice_id, order.client_id):
        await report(context, conn, adoption)
        return Outcome.NO_CLIENT
    before = (await conn.execute(select(Payment.__table__).where(adoption.is_own))).first()
    if before is not None and before.stripe_id not in (None, adoption.intent.id):
        await report(context, conn, adoption)
        return Outcome.OTHER_INTENT
    if await has_other_active(conn, order):
        return Outcome.CLIENT_BUSY
    invoice_id = order.invoice_id
    is_invoice_lost = invoice_id is not None and not await exists(
        conn, Invoice, order.practice_id, invoice_id, Invoice.client_id == order.client_id
    )
    if order.contact_id and not await exists(conn, Contact, order.practice_id, order.contact_id):
        # The card can't be told to be anybody's, so it is not kept.
        order = replace(order, contact_id=None, save_card=False)
        adoption = replace(adoption, order=order)
    if before is None:
        await insert_payment(context, conn, adoption, None if is_invoice_lost else invoice_id)
    await record(conn, context.actor, order.client_id, now)
    await announce(context, conn, adoption)
    unused = 0
    if adoption.intent.status is IntentStatus.SUCCEEDED:
        pays = NOTHING_DUE if is_invoice_lost else None
        own = order.practice_id, order.payment_id
        unused = await record_success(conn, *own, now, adoption.intent, pays)
    elif before is None and not is_invoice_lost and adoption.intent.status in MAY_MOVE:
        await claim(conn, order)
    await stamp(conn, order.practice_id, order.payment_id)
    reported = UnadoptedPayment.practice_id == order.practice_id
    of_payment = UnadoptedPayment.id == order.payment_id
    await conn.execute(delete(UnadoptedPayment).where(reported, of_payment))
    return Outcome.WITHOUT_INVOICE if is_invoice_lost or unused else Outcome.ADOPTED


async def exists(
    conn: AsyncConnection, table: Any, practice_id: str, id_: str, *where: ColumnElement[bool]
) -> bool:
    same = table.practice_id == practice_id, table.id == id_, *where
    return (await conn.execute(select(table.id).where(*same))).first() is not None


async def has_other_active(conn: AsyncConnection, order: Order) -> bool:
    """Return whether the client has an active payment other than this one."""
    active = select(Payment.id).where(
        Payment.practice_id == order.practice_id,
        Payment.client_id == order.client_id,
        Payment.id != order.payment_id,
        Payment.state.in_(ACTIVE_STATES),
    )
    return (await conn.execute(active)).first() is not None


async def insert_payment(
    context: PaymentContext, conn: AsyncConnection, adoption: Adoption, invoice_id: str | None
) -> None:
    """Insert the payment as it was when its PaymentIntent was created."""
    order, intent, now = adoption.order, adoption.intent, context.now()
    card = intent.card
    time_zone: str = (
        await conn.execute(select(Practice.time_zone).where(Practice.id == order.practice_id))
    ).scalar_one()
    await conn.execute(
        insert(Payment).values(
            practice_id=order.practice_id,
            id=order.payment_id,
            client_id=order.client_id,
            contact_id=order.contact_id,
            invoice_id=invoice_id,
            method=PaymentMethodKind.CARD,
            **first(PaymentState.CREATED),
            amount_minor=order.amount_minor,
            payment_method_id=await card_on_file(conn, adoption),
            card_brand=card.brand if card else None,
            card_last4=card.last4 if card else None,
            stripe_account=adoption.account,
            created_at=intent.created,
            created_on=local_day(intent.created, time_zone),
            save_card=order.save_card,
            make_default=order.make_default,
            consent_version=order.consent_version,
            changed_at=now,
            checked_at=now,
        )
    )


async def card_on_file(conn: AsyncConnection, adoption: Adoption) -> str | None:
    """Return the saved card that the payment was made with, if it is still on file."""
    order, card = adoption.order, adoption.intent.card
    if order.save_card or card is None or card.stripe_id is None:
        return None
    found: str | None = await conn.scalar(
        select(PaymentMethod.id).where(
            PaymentMethod.practice_id == order.practice_id,
            PaymentMethod.stripe_account == adoption.account,
            PaymentMethod.stripe_id == card.stripe_id,
        )
    )
    return found


async def announce(context: PaymentContext, conn: AsyncConnection, adoption: Adoption) -> None:
    """Write the PaymentIntent's id: step T2. A payment that was given up here stays so for now."""
    now, announced = context.now(), {"stripe_id": adoption.intent.id}
    where = adoption.is_own, Payment.stripe_id.is_(None)
    before, after = PaymentState.CREATED, PaymentState.CONFIRMING
    if not await states.change(conn, where, before, after, now, **announced, checked_at=now):
        await conn.execute(update(Payment).where(*where).values(announced))


async def claim(conn: AsyncConnection, order: Order) -> None:
    """Claim the amounts due for a payment that may still be charged."""
    own = {"practice_id": order.practice_id, "client_id": order.client_id}
    amounts_due = await owed(conn, order.practice_id, order.client_id)
    claims = claim_columns(order.payment_id, amounts_due.of(order.invoice_id))
    if claims:
        await conn.execute(insert(Claim), [own | {"id": new_id()} | one for one in claims])


async def report(context: PaymentContext, conn: AsyncConnection, adoption: Adoption) -> None:
    """Store that the payment can't be adopted."""
    row = insert_into(conn, UnadoptedPayment).values(
        practice_id=adoption.order.practice_id,
        id=adoption.order.payment_id,
        stripe_account=adoption.account,
        stripe_id=adoption.intent.id,
        received_minor=adoption.intent.received_minor,
        found_at=context.now(),
    )
    await conn.execute(row.on_conflict_do_nothing())


async def unfinished_here(
    context: PaymentContext, practice_id: str, account: str
) -> list[Row[Any]]:
    """Return the payments of the database that have not ended, the oldest first."""
    of_account = Payment.practice_id == practice_id, Payment.stripe_account == account
    active = select(Payment.__table__).where(*of_account, Payment.state.in_(ACTIVE_STATES))
    async with context.engine.connect() as conn:
        return list(await conn.execute(active.order_by(Payment.created_at, Payment.id)))
