"""What a client does with cards on file: another default, and removal."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from billing.access import record
from billing.cards import filing
from billing.cards.forgetting import write_down
from billing.refusals import CardUnusable, NotFound, ReplacementNeeded
from billing.till import Till, lock

CARD, REPLACEMENT = ("input", "paymentMethodId"), ("input", "replacementId")


async def make_default(
    till: Till, practice_id: str, client_id: str, card_id: str, today: dt.date
) -> None:
    """NotFound, or CardUnusable for a card that has expired."""
    async with till.engine.begin() as rows:
        await lock(rows, practice_id, client_id)
        card = found(await filing.on_file(rows, practice_id, client_id), card_id, CARD)
        if filing.is_over(card, today):
            raise CardUnusable("The card has expired.", CARD)
        await record(rows, till.by, client_id, till.now())
        await filing.choose(rows, practice_id, client_id, card_id)


async def remove(
    till: Till,
    practice_id: str,
    client_id: str,
    card_id: str,
    replacement_id: str | None,
    today: dt.date,
) -> None:
    """NotFound, or ReplacementNeeded for the default while there are others."""
    now = till.now()
    async with till.engine.begin() as rows:
        await lock(rows, practice_id, client_id)
        cards = await filing.on_file(rows, practice_id, client_id)
        card = found(cards, card_id, CARD)
        others = [one for one in cards if one.id != card_id]
        if replacement_id is not None:
            replaces(found(others, replacement_id, REPLACEMENT), today)
        elif card.is_default and others:
            raise ReplacementNeeded("Say which card is the default instead.", REPLACEMENT)
        await record(rows, till.by, client_id, now)
        await filing.remove(rows, card, now, today, replacement_id=replacement_id)
        await write_down(rows, practice_id, client_id, card.stripe_id, now)


def found(cards: Sequence[Row[Any]], card_id: str, path: Sequence[str]) -> Row[Any]:
    card = next((one for one in cards if one.id == card_id), None)
    if card is None:
        raise NotFound("There is no such card on file.", path)
    return card


def replaces(card: Row[Any], today: dt.date) -> None:
    if filing.is_over(card, today):
        raise ReplacementNeeded("That card has expired: name another.", REPLACEMENT)
