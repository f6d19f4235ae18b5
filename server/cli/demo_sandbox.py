"""The sandbox's part of the demo: the objects at Stripe that the demo's rows refer to."""

from typing import Any

from sqlalchemy import Update, and_, case, select, update

from billing.payments.confirm import order
from billing.stripe.currencies import to_stripe
from billing.stripe.objects import order_metadata
from models import (
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    StripeCustomer,
    database,
)
from sandbox import seeds
from sandbox.cards import fingerprint
from sandbox.store import Store

SEEDED = (PaymentState.PROCESSING, PaymentState.SUCCEEDED)


async def seeded(url: str, store: Store) -> None:
    """Create the customers, the cards on file, and the payments that succeeded or are
    processing.
    """
    engine = database.engine(url)
    is_of_client = PaymentMethod.contact_id.is_(None)
    same_holder = and_(
        StripeCustomer.practice_id == PaymentMethod.practice_id,
        case(
            (is_of_client, StripeCustomer.client_id == PaymentMethod.client_id),
            else_=StripeCustomer.contact_id == PaymentMethod.contact_id,
        ),
        StripeCustomer.stripe_account == PaymentMethod.stripe_account,
    )
    customer = StripeCustomer.stripe_id.label("stripe_customer")
    cards = select(PaymentMethod, customer).join(StripeCustomer, same_holder)
    paid = (
        select(Payment, Practice.currency)
        .join(Practice, Practice.id == Payment.practice_id)
        .where(Payment.state.in_(SEEDED), Payment.stripe_id.is_not(None))
    )
    customers = select(StripeCustomer.stripe_account, StripeCustomer.stripe_id)
    async with engine.connect() as conn:
        found = (await conn.execute(cards)).all(), (await conn.execute(paid)).all()
        owners = (await conn.execute(customers)).all()
    with store.transaction():
        for account, customer_id in owners:
            seeds.seed_customer(store, account, customer_id)
        for card in found[0]:
            seed_card(store, card)
        for payment in found[1]:
            seed_payment(store, payment)
    async with engine.begin() as conn:
        for card in found[0]:
            await conn.execute(known_as(card))
    await engine.dispose()


def known_as(card: Any) -> Update:
    """Return an update of the card's fingerprint to Stripe's, so that it is never kept twice."""
    same = and_(PaymentMethod.practice_id == card.practice_id, PaymentMethod.id == card.id)
    number = seeds.number_of(card.brand.lower(), card.last4)
    return update(PaymentMethod).where(same).values(fingerprint=fingerprint(number))


def seed_card(store: Store, card: Any) -> None:
    number = seeds.number_of(card.brand.lower(), card.last4)
    seeds.seed_saved_card(
        store,
        card.stripe_account,
        card.stripe_id,
        card.stripe_customer,
        number,
        (card.exp_month, card.exp_year),
        card.cardholder_name,
        card.billing_zip,
    )


def seed_payment(store: Store, payment: Any) -> None:
    has_ended = payment.state is PaymentState.SUCCEEDED
    moved_at = payment.charged_at or payment.created_at
    seeds.seed_intent(
        store,
        payment.stripe_account,
        payment.stripe_id,
        order_metadata(order(payment, None)),
        to_stripe(payment.amount_minor, payment.currency),
        payment.currency,
        status="succeeded" if has_ended else "processing",
        created=int(moved_at.timestamp()),
    )
