"""What the demo's rows say is at Stripe, its sandbox has too."""

from typing import Any

from sqlalchemy import and_, select

from models import Client, Payment, PaymentMethod, PaymentState, Practice, connections
from sandbox import seeds
from sandbox.store import Store


async def seeded(url: str, store: Store) -> None:
    """Customers, cards on file, and payments that the bank has not decided."""
    engine = connections.engine(url)
    same_client = and_(
        Client.practice_id == PaymentMethod.practice_id, Client.id == PaymentMethod.client_id
    )
    cards = select(PaymentMethod, Client.stripe_customer, Practice.stripe_account)
    cards = cards.join(Client, same_client).join(Practice, Practice.id == Client.practice_id)
    pending = (
        select(Payment, Practice.stripe_account, Practice.currency)
        .join(Practice, Practice.id == Payment.practice_id)
        .where(Payment.state == PaymentState.PROCESSING)
    )
    async with engine.connect() as rows:
        for card in await rows.execute(cards):
            seed_card(store, card)
        for payment in (await rows.execute(pending)).all():
            seed_payment(store, payment)
    await engine.dispose()


def seed_card(store: Store, card: Any) -> None:
    """Only a test card is taken; any other was made before there was a sandbox."""
    number = seeds.number_of(card.brand.lower(), card.last4)
    if number is None:
        return
    seeds.customer(store, card.stripe_account, card.stripe_customer)
    seeds.saved_card(
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
    seeds.processing(
        store,
        payment.stripe_account,
        payment.stripe_id,
        payment.id,
        payment.amount_minor,
        payment.currency,
    )
