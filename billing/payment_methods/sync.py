"""Updates of cards on file from Stripe, for instance after a detachment or a renewal by the bank.

The request to Stripe runs outside the lock, and its result is written inside. A result is only
written if the row still has the revision it had before the request; otherwise Stripe is asked
again.
"""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payment_methods import store
from billing.payment_methods.detach import record_detachment
from billing.payments import customers
from billing.payments.context import PaymentContext, client_lock, local_day
from billing.stripe import Missing, Unknown
from billing.stripe.objects import Card
from models import PaymentMethod, Practice

# How often Stripe is asked in a row, if the card's row changes each time.
TRIES = 5


async def sync_card(context: PaymentContext, account: str, stripe_id: str) -> None:
    """Update a card on file. Raise Unknown or Rejected if Stripe gives no result."""
    for _ in range(TRIES):
        card = await find_stored_card(context, account, stripe_id)
        if card is None or await write_card(context, card, await read_card(context, card)):
            return
    raise Unknown("a card's row changed again and again")


async def sync_customer(context: PaymentContext, account: str, customer_id: str) -> None:
    """Mark a holder's customer as deleted, if Stripe says that it is."""
    holder = await customers.holder_of(context, account, customer_id)
    if holder is not None:
        await customers.check_deleted(context, holder)


async def read_card(context: PaymentContext, card: Row[Any]) -> Card | None:
    """Return the card as Stripe has it, or None if it is attached to no customer."""
    try:
        stripe_card = await context.stripe.method(card.stripe_account, card.stripe_id)
    except Missing:
        return None
    return stripe_card if stripe_card.customer else None


async def write_card(context: PaymentContext, card: Row[Any], stripe_card: Card | None) -> bool:
    """Write Stripe's response. Return False if the card's row has changed since the request."""
    now, owner = context.now(), customers.owner_of_row(card)
    async with client_lock(context, card.practice_id, card.client_id) as conn:
        cards = await store.stored_cards(conn, owner)
        mine = next((one for one in cards if one.id == card.id), None)
        if mine is None:
            return True
        if mine.revision != card.revision:
            return False
        others = [one for one in cards if one.id != card.id]
        if stripe_card is not None and await is_usable(conn, owner, others, stripe_card):
            if differs_from_row(mine, stripe_card):
                await store.update_card(conn, mine, **store.card_columns(stripe_card))
            return True
        if stripe_card is not None:
            await record_detachment(conn, owner.holder, card.stripe_id, now)
        await store.remove_from_file(conn, mine, now, local_day(now, card.time_zone))
        return True


async def is_usable(
    conn: AsyncConnection, owner: customers.Owner, others: list[Row[Any]], card: Card
) -> bool:
    """Return whether the card still belongs to its holder and is on file only once.

    After a renewal by the bank its number may be that of another card on file.
    """
    is_current = card.customer == await customers.recorded(conn, owner.holder)
    return is_current and not any(store.is_same(one, card) for one in others)


def differs_from_row(card: Row[Any], stripe_card: Card) -> bool:
    """Return whether Stripe's card differs from the row."""
    return any(
        card._mapping[name] != value for name, value in store.card_columns(stripe_card).items()
    )


async def find_stored_card(
    context: PaymentContext, account: str, stripe_id: str
) -> Row[Any] | None:
    """Return the card on file with this PaymentMethod, and the time zone of its practice."""
    columns: list[Any] = [*PaymentMethod.__table__.c, Practice.time_zone]
    async with context.engine.connect() as conn:
        result = await conn.execute(
            select(*columns)
            .join(Practice, Practice.id == PaymentMethod.practice_id)
            .where(
                PaymentMethod.stripe_account == account,
                PaymentMethod.stripe_id == stripe_id,
                PaymentMethod.removed_at.is_(None),
            )
        )
        return result.first()
