"""Step T1: write a payment and its claims, or refuse it and write nothing."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, exists, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.errors import (
    AmountChangedError,
    AmountTooLargeError,
    AmountTooSmallError,
    AnotherPersonPaysError,
    CardUnusableError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    NothingToPayError,
    OnlinePaymentsOffError,
    PaymentInProgressError,
)
from billing.ledger.allocation import AmountsDue, owed, payable_amount
from billing.ledger.versions import stamp
from billing.payments import rate_limit
from billing.payments.context import PaymentContext, client_lock, local_day
from billing.payments.rows import claim_columns
from billing.payments.settle import record_success
from billing.payments.states import first
from billing.payments.status import CONSENT_VERSION
from billing.stripe import currencies
from billing.stripe.objects import Card
from models import (
    ACTIVE_STATES,
    Claim,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Practice,
    Recovery,
)
from models.ids import new_id

# The part of a page's input that selects the means of payment.
SOURCE = ("input", "source")
EXPECTED = ("input", "expectedAmount", "amount")
# The other payment may have ended before it is found.
TRIES = 5


@dataclass(frozen=True)
class PaymentRequest:
    """A requested payment: by a saved card, by a new card, or by credit alone (neither).

    `contact_id` is the payer, if it is a contact. `invoice_id` is the one invoice to pay, or None
    for the balance. `expected_minor` is the amount that the page showed. `new_card` is only looked
    up when needed, so not for a repeated request.
    """

    practice_id: str
    client_id: str
    contact_id: str | None
    invoice_id: str | None
    expected_minor: int
    idempotency_key: str
    saved_card: Row[Any] | None = None
    has_new_card: bool = False
    new_card: Card | None = None
    save_card: bool = False
    make_default: bool = False
    address_hash: str | None = None

    def with_card(self, card: Card) -> "PaymentRequest":
        return replace(self, new_card=card)


async def start_payment(context: PaymentContext, wanted: PaymentRequest) -> str:
    """Return the id of the payment, which is a new one or that of the same request sent before.

    Raise a Refusal if the payment is not allowed.
    """
    for _ in range(TRIES):
        try:
            return await insert_or_find(context, wanted)
        except IntegrityError:
            # The database allows one active payment of a client at a time.
            active = await active_payment(context, wanted)
        if active is None:
            continue
        if active.contact_id != wanted.contact_id:
            raise AnotherPersonPaysError
        raise PaymentInProgressError(active.id)
    raise AssertionError("refused by the database, and no payment is under way")


async def insert_or_find(context: PaymentContext, wanted: PaymentRequest) -> str:
    async with client_lock(context, wanted.practice_id, wanted.client_id) as conn:
        before = await same_key(conn, wanted)
        if before is not None:
            return before
        await record(conn, context.actor, wanted.client_id, context.now())
        payment_id = await insert_checked(conn, wanted, context.now())
        await stamp(conn, wanted.practice_id, payment_id)
        return payment_id


async def is_repeated(context: PaymentContext, wanted: PaymentRequest) -> bool:
    """Return whether the same request was sent before. Raise IdempotencyKeyReused if
    another was.
    """
    async with context.engine.connect() as conn:
        return await same_key(conn, wanted) is not None


async def same_key(conn: AsyncConnection, wanted: PaymentRequest) -> str | None:
    """Return the payment that this request began before, if any.

    Raise IdempotencyKeyReused if another request used the key.
    """
    result = await conn.execute(
        select(Payment).where(
            Payment.practice_id == wanted.practice_id,
            Payment.client_id == wanted.client_id,
            Payment.idempotency_key == wanted.idempotency_key,
        )
    )
    before = result.first()
    if before is None:
        return None
    if stored_request(before) != request_to_compare(wanted):
        raise IdempotencyKeyReusedError(
            "This key was sent with another request before.", ("input", "idempotencyKey")
        )
    return str(before.id)


def stored_request(payment: Row[Any]) -> tuple[object, ...]:
    return (
        payment.contact_id,
        payment.invoice_id,
        payment.amount_minor,
        payment.payment_method_id if not payment.save_card else None,
        bool(payment.save_card),
        bool(payment.make_default),
        payment.method,
    )


def request_to_compare(wanted: PaymentRequest) -> tuple[object, ...]:
    """Return the request's values to compare, without the confirmation token: a retry has a new
    one.
    """
    card = wanted.saved_card
    return (
        wanted.contact_id,
        wanted.invoice_id,
        wanted.expected_minor,
        card.id if card is not None else None,
        wanted.save_card,
        wanted.make_default,
        method(wanted),
    )


def method(wanted: PaymentRequest) -> PaymentMethodKind:
    return PaymentMethodKind.CARD if wanted.expected_minor else PaymentMethodKind.CREDIT


async def insert_checked(conn: AsyncConnection, wanted: PaymentRequest, now: dt.datetime) -> str:
    """Write and check a new payment. The insert comes first: it fails while another one
    is active.
    """
    await rate_limit.allow(conn, wanted.practice_id, wanted.client_id, wanted.address_hash, now)
    practice = await read_practice(conn, wanted.practice_id)
    if practice.is_recovering:
        raise OnlinePaymentsOffError("Payments are being restored from a backup. Try again later.")
    if wanted.saved_card is not None:
        await check_saved_card(conn, wanted, wanted.saved_card)
    payment_id = new_id()
    await insert_payment(conn, wanted, payment_id, now, practice)
    of_client = wanted.practice_id, wanted.client_id
    amounts_due = (await owed(conn, *of_client)).of(wanted.invoice_id)
    if amounts_due.due_minor <= 0:
        raise NothingToPayError("Nothing is due.")
    check_expected_amount(
        await payable_amount(conn, *of_client, wanted.invoice_id), wanted, practice
    )
    await claim_dues(conn, wanted, payment_id, amounts_due)
    if not wanted.expected_minor:
        await record_success(conn, wanted.practice_id, payment_id, now)
    return payment_id


async def check_saved_card(conn: AsyncConnection, wanted: PaymentRequest, card: Row[Any]) -> None:
    """Refuse a card that its holder has taken off file, or shares no more, since it was looked up.

    Both changes of a shared card take the lock that this transaction holds.
    """
    same = PaymentMethod.practice_id == wanted.practice_id, PaymentMethod.id == card.id
    is_own = PaymentMethod.contact_id.is_not_distinct_from(wanted.contact_id)
    usable = PaymentMethod.removed_at.is_(None), or_(is_own, PaymentMethod.is_shared)
    found = await conn.scalar(select(PaymentMethod.id).where(*same, *usable))
    if found is None:
        path = (*SOURCE, "paymentMethodId")
        raise CardUnusableError("The card is no longer on file: use another card.", path)


async def read_practice(conn: AsyncConnection, practice_id: str) -> Row[Any]:
    """Return the practice's currency, time zone and account at Stripe, and whether it is being
    recovered after a restore.
    """
    recovery = exists().where(Recovery.practice_id == practice_id, Recovery.ended_at.is_(None))
    columns: list[Any] = [Practice.currency, Practice.time_zone, Practice.stripe_account]
    columns.append(recovery.label("is_recovering"))
    return (await conn.execute(select(*columns).where(Practice.id == practice_id))).one()


def check_expected_amount(payable: int, wanted: PaymentRequest, practice: Row[Any]) -> None:
    """Raise the reason why the expected amount is not payable or can't be charged."""
    if payable != wanted.expected_minor:
        raise AmountChangedError(wanted.expected_minor, payable)
    if payable:
        check_charge(payable, practice)
    card = wanted.saved_card
    if payable and card is None and not wanted.has_new_card:
        raise InvalidInputError("Credit doesn't cover this: a card is needed.", (*SOURCE, "credit"))
    if card is not None and card.stripe_account != practice.stripe_account:
        path = (*SOURCE, "paymentMethodId")
        raise CardUnusableError(
            "The practice can't charge this card any more: pay with another.", path
        )


def check_charge(payable: int, practice: Row[Any]) -> None:
    """Raise the reason why the practice can't charge this amount to a card."""
    currency = practice.currency
    if practice.stripe_account is None or currency not in currencies.SUPPORTED:
        raise OnlinePaymentsOffError("The practice takes no payments online.")
    if payable < currencies.smallest_charge(currency):
        raise AmountTooSmallError(currencies.smallest_charge(currency))
    if payable > currencies.largest_charge(currency):
        raise AmountTooLargeError(currencies.largest_charge(currency))
    if payable % currencies.increment(currency):
        amounts = f"Cards are charged {currency} in steps of {currencies.increment(currency)}"
        raise InvalidInputError(f"{amounts} minor units: ask the practice.", EXPECTED)


async def insert_payment(
    conn: AsyncConnection,
    wanted: PaymentRequest,
    payment_id: str,
    now: dt.datetime,
    practice: Row[Any],
) -> None:
    card = (wanted.saved_card or wanted.new_card) if wanted.expected_minor else None
    saved = wanted.saved_card
    await conn.execute(
        insert(Payment).values(
            practice_id=wanted.practice_id,
            id=payment_id,
            client_id=wanted.client_id,
            contact_id=wanted.contact_id,
            invoice_id=wanted.invoice_id,
            method=method(wanted),
            **first(PaymentState.CREATED),
            amount_minor=wanted.expected_minor,
            payment_method_id=saved.id if saved is not None else None,
            card_brand=card.brand if card is not None else None,
            card_last4=card.last4 if card is not None else None,
            idempotency_key=wanted.idempotency_key,
            stripe_account=practice.stripe_account if wanted.expected_minor else None,
            created_at=now,
            created_on=local_day(now, practice.time_zone),
            save_card=wanted.save_card,
            make_default=wanted.make_default,
            consent_version=CONSENT_VERSION if wanted.save_card else None,
            address_hash=wanted.address_hash,
            changed_at=now,
            checked_at=now,
        )
    )


async def claim_dues(
    conn: AsyncConnection, wanted: PaymentRequest, payment_id: str, amounts_due: AmountsDue
) -> None:
    """Claim the amount due of each invoice, and credit, until the payment has ended."""
    own = {"practice_id": wanted.practice_id, "client_id": wanted.client_id}
    claims = claim_columns(payment_id, amounts_due)
    await conn.execute(insert(Claim), [own | {"id": new_id()} | claim for claim in claims])


async def active_payment(context: PaymentContext, wanted: PaymentRequest) -> Row[Any] | None:
    """Return the client's active payment, unless it has ended by now."""
    async with context.engine.connect() as conn:
        active = await conn.execute(
            select(Payment.__table__).where(
                Payment.practice_id == wanted.practice_id,
                Payment.client_id == wanted.client_id,
                Payment.state.in_(ACTIVE_STATES),
            )
        )
        return active.first()
