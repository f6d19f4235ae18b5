"""Step T3: write Stripe's result of a payment, once and in one transaction.

SUCCEEDED is final: nothing changes it, and it replaces FAILED and CANCELED if Stripe reports that
the money moved. So the source, number and order of reports about an intent don't matter.
"""

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.allocation import AmountDue, AmountsDue, allocate, owed
from billing.ledger.hash_chain import NewRow, append
from billing.ledger.versions import stamp
from billing.payment_methods.store import Consent, store_card
from billing.payments import receipts, states
from billing.payments.context import PaymentContext, client_lock, local_day, read_payment
from billing.payments.customers import owner_of_row
from billing.payments.rows import CARD_DESCRIPTION, allocation_columns, entry_columns
from billing.payments.states import StateChanged
from billing.stripe.objects import Intent, IntentStatus
from models import (
    ENDED_STATES,
    Allocation,
    Claim,
    DeclineReason,
    LedgerEntry,
    Payment,
    PaymentMethodKind,
    PaymentRefusal,
    PaymentState,
    Receipt,
)
from models.ids import new_id

STATES = {
    IntentStatus.REQUIRES_PAYMENT_METHOD: PaymentState.CONFIRMING,
    IntentStatus.REQUIRES_CONFIRMATION: PaymentState.CONFIRMING,
    IntentStatus.REQUIRES_ACTION: PaymentState.REQUIRES_ACTION,
    IntentStatus.PROCESSING: PaymentState.PROCESSING,
    IntentStatus.SUCCEEDED: PaymentState.SUCCEEDED,
}

NO_FACTS: Mapping[str, object] = {}
log = logging.getLogger("portal.payments")


async def apply_intent(
    context: PaymentContext, asked: Row[Any], intent: Intent, reason: DeclineReason | None = None
) -> bool:
    """Write a result from Stripe. Return False if it may be older than the stored one.

    `asked` is the payment as it was before the request to Stripe. Success and end states are final,
    so such results are never stale. `reason` is the bank's reason, if the caller knows it.
    """
    now, why = context.now(), reason or intent.decline
    async with client_lock(context, asked.practice_id, asked.client_id) as conn:
        before = await read_payment(conn, asked.practice_id, asked.id)
        state = state_of(intent, why) or before.state
        if state is not before.state and not states.allowed(before.state, state):
            return True
        if state not in ENDED_STATES and before.version != asked.version:
            return False
        if state is before.state:
            return True
        if state is PaymentState.SUCCEEDED:
            await record_success(conn, asked.practice_id, asked.id, now, intent)
        else:
            await change_state(conn, before, state, now, why)
        await stamp(conn, asked.practice_id, asked.id)
        return True


def state_of(intent: Intent, reason: DeclineReason | None) -> PaymentState | None:
    """Return the payment's state for Stripe's status, or None if the status has no counterpart."""
    if intent.status is IntentStatus.CANCELED:
        return PaymentState.FAILED if reason else PaymentState.CANCELED
    return STATES.get(intent.status)


async def change_state(
    conn: AsyncConnection,
    before: Row[Any],
    state: PaymentState,
    now: dt.datetime,
    reason: DeclineReason | None = None,
    refusal: PaymentRefusal | None = None,
    facts: Mapping[str, object] = NO_FACTS,
) -> None:
    """Write another state of a payment, with `facts` of its row. An end state also releases the
    payment's claims.

    Raise StateChanged if the state of the payment's row is no longer that of `before`.
    """
    failure = reason if state is PaymentState.FAILED else None
    values = {"checked_at": now, "refusal": refusal, "failure_reason": failure, **facts}
    mine = Payment.practice_id == before.practice_id, Payment.id == before.id
    if not await states.change(conn, mine, before.state, state, now, **values):
        raise StateChanged(f"payment {before.id} is no longer {before.state}")
    if state in ENDED_STATES:
        claims = Claim.practice_id == before.practice_id, Claim.payment_id == before.id
        await conn.execute(delete(Claim).where(*claims))


# -- the money moved -------------------------------------------------------------------------------


async def record_success(
    conn: AsyncConnection,
    practice_id: str,
    payment_id: str,
    now: dt.datetime,
    intent: Intent | None = None,
    amounts_due: AmountsDue | None = None,
) -> int:
    """Write the ledger entry, the allocations, the receipt, and the card to keep. Return the part
    of the charge that pays no invoice.

    Without an intent nothing was charged, because credit covered the whole amount. The payment pays
    the given amounts due, or by default those that it has claimed.
    """
    paid = await read_payment(conn, practice_id, payment_id)
    received = intent.received_minor if intent else 0
    if amounts_due is None:
        amounts_due = await claimed_dues(conn, paid)
    today = local_day(now, paid.time_zone)
    # Stripe may report it days later.
    paid_at = intent.charged_at or now if intent else now
    paid_on = local_day(paid_at, paid.time_zone)
    own = {"practice_id": practice_id, "client_id": paid.client_id}
    rows: list[NewRow] = []
    if intent and received:
        rows.append((LedgerEntry, own | payment_entry(paid, intent, now, paid_on)))
    shares = allocate(amounts_due, received)
    for row in allocation_columns(payment_id, shares, today, now):
        rows.append((Allocation, own | {"id": new_id()} | row))
    receipt = await receipts.create_receipt(conn, paid, received, now, paid_on)
    await append(conn, rows, now, inserted=[(Receipt, receipt)])
    if intent and intent.card:
        await remember(conn, paid, intent, now)
    unused = received - sum(share.minor for share in shares if not share.is_credit)
    warn(paid, received, unused)
    charged_at, fee = (intent.charged_at, intent.fee_minor) if intent else (None, None)
    facts = {"paid_at": paid_at, "charged_at": charged_at, "processor_fee_minor": fee}
    await change_state(conn, paid, PaymentState.SUCCEEDED, now, facts=facts)
    return unused


async def claimed_dues(conn: AsyncConnection, paid: Row[Any]) -> AmountsDue:
    """Return the dues that the payment may pay: the invoices it claims, as far as they are still
    due.

    A payment that was given up and succeeded later has no claims any more. It pays its invoices as
    far as no other payment claims them, and uses no credit if another payment claims it.
    """
    practice_id, client_id = paid.practice_id, paid.client_id
    held = (
        await conn.execute(
            select(Claim.payment_id, Claim.invoice_id, Claim.amount_minor).where(
                Claim.practice_id == practice_id, Claim.client_id == client_id
            )
        )
    ).all()
    mine = {claim.invoice_id: claim.amount_minor for claim in held if claim.payment_id == paid.id}
    others = {claim.invoice_id for claim in held if claim.payment_id != paid.id}
    if mine:
        # Amounts that a refund or a dispute has made due since then were not charged.
        all_dues = await owed(conn, practice_id, client_id, also_disputed=True)
        amounts_due = all_dues.of(paid.invoice_id)
        invoices = [
            AmountDue(due.invoice_id, min(due.minor, mine.get(due.invoice_id, 0)))
            for due in amounts_due.invoices
            if due.minor < 0 or due.invoice_id in mine
        ]
        return AmountsDue(invoices, min(amounts_due.credit_minor, mine.get(None, 0)))
    amounts_due = (await owed(conn, practice_id, client_id)).of(paid.invoice_id)
    free = [due for due in amounts_due.invoices if due.invoice_id not in others]
    return AmountsDue(free, 0 if others else amounts_due.credit_minor)


def payment_entry(
    paid: Row[Any], intent: Intent, now: dt.datetime, paid_on: dt.date
) -> dict[str, Any]:
    """Return the payment's ledger row."""
    return entry_columns(
        paid.id,
        intent.received_minor,
        CARD_DESCRIPTION,
        paid_on=paid_on,
        posted_on=local_day(now, paid.time_zone),
        now=now,
    )


async def remember(conn: AsyncConnection, paid: Row[Any], intent: Intent, now: dt.datetime) -> None:
    """Store the card's brand and digits with the payment, and put the card on file if requested."""
    card = intent.card
    assert card is not None
    values: dict[str, object] = {"card_brand": card.brand, "card_last4": card.last4}
    if paid.save_card and card.stripe_id:
        consent = Consent(paid.consent_version or "", paid.created_at)
        owner = owner_of_row(paid)
        is_default = bool(paid.make_default)
        try:
            async with conn.begin_nested():
                filed = await store_card(conn, owner, card, consent, now, make_default=is_default)
        except (IntegrityError, DataError):
            # The money has moved, so a card that can't be filed must not prevent the write.
            log.exception("alert: the card of payment %s could not be kept", paid.id)
            filed = None
        if filed is not None:
            values["payment_method_id"] = filed.id
    mine = Payment.practice_id == paid.practice_id, Payment.id == paid.id
    await conn.execute(update(Payment).where(*mine).values(values))


def warn(paid: Row[Any], received_minor: int, unused_minor: int) -> None:
    """Log alerts for the practice, for instance about money that came after the payment was given
    up.
    """
    if paid.state in ENDED_STATES:
        log.error("alert: payment %s was %s, and the money moved", paid.id, paid.state)
    if paid.method is PaymentMethodKind.CARD and received_minor != paid.amount_minor:
        log.error("alert: payment %s received another amount than it asked for", paid.id)
    if unused_minor > 0:
        log.error("alert: payment %s is more than is due: the rest is unused credit", paid.id)
