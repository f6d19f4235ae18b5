"""Commands of clients for cards on file: choose another default, and remove a card."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from billing.audit_log import record
from billing.errors import CardUnusable, NotFound, ReplacementNeeded
from billing.payment_methods import store
from billing.payment_methods.detach import write_down
from billing.payments.context import Till, locked
from billing.payments.customers import Owner

CARD, REPLACEMENT = ("input", "paymentMethodId"), ("input", "replacementId")


async def make_default(till: Till, owner: Owner, card_id: str, today: dt.date) -> None:
    """Make a card the default. Raise NotFound, or CardUnusable for an expired card."""
    async with locked(till, owner.practice_id, owner.client_id) as conn:
        card = find(await store.on_file(conn, owner), card_id, CARD)
        if store.is_over(card, today):
            raise CardUnusable("The card has expired.", CARD)
        await record(conn, till.by, owner.client_id, till.now())
        await store.choose(conn, owner, card_id)


async def remove(
    till: Till, owner: Owner, card_id: str, replacement_id: str | None, today: dt.date
) -> None:
    """Remove a card. Raise NotFound, or ReplacementNeeded for the default while others exist."""
    now = till.now()
    async with locked(till, owner.practice_id, owner.client_id) as conn:
        cards = await store.on_file(conn, owner)
        card = find(cards, card_id, CARD)
        others = [one for one in cards if one.id != card_id]
        if replacement_id is not None:
            check_replacement(find(others, replacement_id, REPLACEMENT), today)
        elif card.is_default and others:
            raise ReplacementNeeded("Name the card that becomes the default.", REPLACEMENT)
        await record(conn, till.by, owner.client_id, now)
        await store.remove(conn, card, now, today, replacement_id=replacement_id)
        await write_down(conn, owner, card.stripe_id, now)


def find(cards: Sequence[Row[Any]], card_id: str, path: Sequence[str]) -> Row[Any]:
    card = next((one for one in cards if one.id == card_id), None)
    if card is None:
        raise NotFound("There is no such card on file.", path)
    return card


def check_replacement(card: Row[Any], today: dt.date) -> None:
    if store.is_over(card, today):
        raise ReplacementNeeded("That card has expired: name another one.", REPLACEMENT)
