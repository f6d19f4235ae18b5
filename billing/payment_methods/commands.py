"""Commands of a card's holder: choose another default, share a card, and remove a card."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from billing.audit_log import record
from billing.errors import CardUnusableError, NotFoundError, ReplacementNeededError
from billing.payment_methods import store
from billing.payment_methods.detach import record_detachment
from billing.payments.context import PaymentContext, client_lock
from billing.payments.customers import Owner

CARD, REPLACEMENT = ("input", "paymentMethodId"), ("input", "replacementId")


async def make_default(context: PaymentContext, owner: Owner, card_id: str, today: dt.date) -> None:
    """Make a card the default. Raise NotFound, or CardUnusable for an expired card."""
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        card = find_card(await store.stored_cards(conn, owner), card_id, CARD)
        if store.is_over(card, today):
            raise CardUnusableError("The card has expired.", CARD)
        await record(conn, context.actor, owner.client_id, context.now())
        await store.choose_default(conn, owner, card_id)


async def share(context: PaymentContext, owner: Owner, card_id: str, *, is_shared: bool) -> None:
    """Let others who may pay for the client use a card, or no longer. Raise NotFound."""
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        card = find_card(await store.stored_cards(conn, owner), card_id, CARD)
        await record(conn, context.actor, owner.client_id, context.now())
        if card.is_shared is not is_shared:
            await store.update_card(conn, card, is_shared=is_shared)


async def remove(
    context: PaymentContext, owner: Owner, card_id: str, replacement_id: str | None, today: dt.date
) -> None:
    """Remove a card. Raise NotFound, or ReplacementNeeded for the default while others exist."""
    now = context.now()
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        cards = await store.stored_cards(conn, owner)
        card = find_card(cards, card_id, CARD)
        others = [one for one in cards if one.id != card_id]
        if replacement_id is not None:
            check_replacement(find_card(others, replacement_id, REPLACEMENT), today)
        elif card.is_default and others:
            raise ReplacementNeededError("Name the card that becomes the default.", REPLACEMENT)
        await record(conn, context.actor, owner.client_id, now)
        await store.remove_from_file(conn, card, now, today, replacement_id=replacement_id)
        await record_detachment(conn, owner.holder, card.stripe_id, now)


def find_card(cards: Sequence[Row[Any]], card_id: str, path: Sequence[str]) -> Row[Any]:
    card = next((one for one in cards if one.id == card_id), None)
    if card is None:
        raise NotFoundError("There is no such card on file.", path)
    return card


def check_replacement(card: Row[Any], today: dt.date) -> None:
    if store.is_over(card, today):
        raise ReplacementNeededError("That card has expired: name another one.", REPLACEMENT)
