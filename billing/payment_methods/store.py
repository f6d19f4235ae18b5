"""Cards on file and the Default Card, by client, holder and Stripe account.

The first card is the default. If the default is removed, the chosen replacement or else the newest
card that works becomes the default. The caller holds the lock of the client's row. A contact's row
is locked too while a card is stored, since the contact's customer has cards for several clients.

Each write to a row raises its revision. So a response of Stripe to an earlier request is recognised
as stale.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.locks import lock_contact
from billing.payment_methods.detach import is_recorded, record_detachment
from billing.payments import customers, recheck
from billing.payments.customers import Owner, owner_of_row
from billing.stripe.objects import Card
from models import PaymentMethod
from models.ids import new_id


@dataclass(frozen=True)
class Consent:
    """The version of the consent text that the client agreed to by keeping the card,
    and the time.
    """

    version: str
    at: dt.datetime


@dataclass(frozen=True)
class StoredCard:
    """A card on file, with a flag whether it was there before."""

    id: str
    was_on_file: bool


async def store_card(
    conn: AsyncConnection,
    owner: Owner,
    card: Card,
    consent: Consent,
    now: dt.datetime,
    *,
    make_default: bool,
) -> StoredCard | None:
    """Put a card on file, as Stripe had it before this transaction. Return None if that is not
    allowed.

    Stripe's fingerprint makes the same card appear once. Of two copies the one with the latest
    consent stays, and Stripe detaches the other. A hint is left to read the card from Stripe once
    more, since it may have been detached before it was on file here.
    """
    if owner.contact_id is not None:
        await lock_contact(conn, owner.practice_id, owner.contact_id)
    if not await may_be_kept(conn, owner, card, now):
        return None
    assert card.stripe_id is not None
    kept = await stored_cards(conn, owner)
    same = next((one for one in kept if is_same(one, card)), None)
    if same is None:
        filed = StoredCard(await insert_card(conn, owner, card, consent, now), False)
    else:
        filed = StoredCard(same.id, True)
        if same.stripe_id != card.stripe_id:
            await replace_copy(conn, owner, same, card, consent, now)
    await recheck.leave(conn, owner.account, card.stripe_id, now)
    if make_default or not kept:
        await choose_default(conn, owner, filed.id)
    return filed


async def may_be_kept(conn: AsyncConnection, owner: Owner, card: Card, now: dt.datetime) -> bool:
    """Return whether a card may be put on file. If not, have an attached card detached.

    A card is refused if it has no customer at Stripe or a deleted one, and if it was on file and
    has been removed: a detached card can't be used again.
    """
    if card.stripe_id is None or card.customer is None:
        return False
    is_detached = await is_recorded(conn, owner.holder, card.stripe_id)
    was_removed = await conn.scalar(
        select(PaymentMethod.removed_at).where(
            owner.holder.holds(PaymentMethod), PaymentMethod.stripe_id == card.stripe_id
        )
    )
    is_current = card.customer == await customers.recorded(conn, owner.holder)
    if is_current and not is_detached and was_removed is None:
        return True
    await record_detachment(conn, owner.holder, card.stripe_id, now)
    return False


def is_same(row: Row[Any], card: Card) -> bool:
    """Return whether a card on file is this one. A card without a fingerprint equals no
    other card.
    """
    by_number = row.fingerprint is not None and row.fingerprint == card.fingerprint
    return row.stripe_id == card.stripe_id or by_number


async def insert_card(
    conn: AsyncConnection, owner: Owner, card: Card, consent: Consent, now: dt.datetime
) -> str:
    """Insert a card and return its id."""
    card_id = new_id()
    await conn.execute(
        insert(PaymentMethod).values(
            practice_id=owner.practice_id,
            client_id=owner.client_id,
            contact_id=owner.contact_id,
            stripe_account=owner.account,
            id=card_id,
            is_default=False,
            is_shared=False,
            added_at=now,
            **card_columns(card),
            **consent_columns(consent),
        )
    )
    return card_id


async def replace_copy(
    conn: AsyncConnection,
    owner: Owner,
    same: Row[Any],
    card: Card,
    consent: Consent,
    now: dt.datetime,
) -> None:
    """Keep the copy with the latest consent, and have Stripe detach the other."""
    is_older = consent.at < same.consented_at
    surplus = str(card.stripe_id if is_older else same.stripe_id)
    await record_detachment(conn, owner.holder, surplus, now)
    if not is_older:
        await update_card(conn, same, **card_columns(card), **consent_columns(consent))


def card_columns(card: Card) -> dict[str, Any]:
    """Return the columns that are copied from Stripe's card."""
    return {
        "stripe_id": card.stripe_id,
        "fingerprint": card.fingerprint,
        "brand": card.brand,
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "cardholder_name": card.name,
        "billing_zip": card.zip,
    }


def consent_columns(consent: Consent) -> dict[str, Any]:
    return {"consent_version": consent.version, "consented_at": consent.at}


async def update_card(conn: AsyncConnection, card: Row[Any], **values: Any) -> None:
    """Update a card's row and raise its revision."""
    mine = (PaymentMethod.practice_id == card.practice_id) & (PaymentMethod.id == card.id)
    raised = {"revision": PaymentMethod.revision + 1}
    await conn.execute(update(PaymentMethod).where(mine).values(values | raised))


async def choose_default(conn: AsyncConnection, owner: Owner, card_id: str) -> None:
    """Make a card the holder's only default for the client."""
    raised = {"revision": PaymentMethod.revision + 1}
    condition = owner.owns(PaymentMethod)
    others = update(PaymentMethod).where(
        condition, PaymentMethod.is_default, PaymentMethod.id != card_id
    )
    await conn.execute(others.values(is_default=False, **raised))
    chosen = update(PaymentMethod).where(
        condition, PaymentMethod.id == card_id, ~PaymentMethod.is_default
    )
    await conn.execute(chosen.values(is_default=True, **raised))


async def remove_from_file(
    conn: AsyncConnection,
    card: Row[Any],
    now: dt.datetime,
    today: dt.date,
    *,
    replacement_id: str | None = None,
) -> None:
    """Take a card off file. If it was the default, make the replacement the default, or else the
    newest card that works.
    """
    await update_card(conn, card, is_default=False, is_shared=False, removed_at=now)
    if not card.is_default:
        return
    owner = owner_of_row(card)
    left = await stored_cards(conn, owner)
    if left:
        await choose_default(conn, owner, replacement_id or best_card(left, today).id)


async def stored_cards(conn: AsyncConnection, owner: Owner) -> Sequence[Row[Any]]:
    """Return the holder's cards for the client in this account, the newest first."""
    result = await conn.execute(
        select(PaymentMethod)
        .where(owner.owns(PaymentMethod), PaymentMethod.removed_at.is_(None))
        .order_by(PaymentMethod.added_at.desc(), PaymentMethod.id.desc())
    )
    return result.all()


def best_card(cards: Sequence[Row[Any]], today: dt.date) -> Row[Any]:
    """Return the newest card that works, or the newest card if none does."""
    return next((card for card in cards if not is_over(card, today)), cards[0])


def is_over(card: Any, today: dt.date) -> bool:
    """Return whether a card has expired. It works to the end of its month."""
    return (card.exp_year, card.exp_month) < (today.year, today.month)
