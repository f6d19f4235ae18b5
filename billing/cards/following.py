"""What is done to a card at Stripe: it is detached, or the bank renews it."""

from typing import Any

from sqlalchemy import Row, select, update

from billing.cards import filing
from billing.gateway import Missing
from billing.gateway.objects import Card
from billing.till import Till, day, lock
from models import PaymentMethod, Practice


async def follow(till: Till, account: str, stripe_id: str) -> None:
    """Bring a card on file up to date with Stripe's; off file, if it has it no more."""
    card = await find(till, account, stripe_id)
    if card is None:
        return
    try:
        told = await till.stripe.method(account, stripe_id)
    except Missing:
        told = None
    await fold(till, card, told if told and told.customer else None)


async def fold(till: Till, card: Row[Any], told: Card | None) -> None:
    now = till.now()
    async with till.engine.begin() as rows:
        await lock(rows, card.practice_id, card.client_id)
        cards = await filing.on_file(rows, card.practice_id, card.client_id)
        mine = next((one for one in cards if one.id == card.id), None)
        if mine is None or mine.stripe_id != card.stripe_id:
            return
        today = day(now, card.time_zone)
        # With another number it may be a card that is on file already.
        twice = told and any(
            one.fingerprint == told.fingerprint for one in cards if one.id != card.id
        )
        if told is None or twice:
            await filing.remove(rows, mine, now, today)
            return
        of_card = filing.one_of(card.practice_id, card.id)
        await rows.execute(update(PaymentMethod).where(of_card).values(filing.facts(told)))


async def find(till: Till, account: str, stripe_id: str) -> Row[Any] | None:
    """The card on file that is this PaymentMethod, with its practice's time zone."""
    columns: list[Any] = [*PaymentMethod.__table__.c, Practice.time_zone]
    async with till.engine.connect() as rows:
        found = await rows.execute(
            select(*columns)
            .join(Practice, Practice.id == PaymentMethod.practice_id)
            .where(
                Practice.stripe_account == account,
                PaymentMethod.stripe_id == stripe_id,
                PaymentMethod.removed_at.is_(None),
            )
        )
        return found.first()
