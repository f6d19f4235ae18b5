"""The file of a client's cards. The client's row is to be locked by who changes it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.cards.forgetting import write_down
from billing.gateway.objects import Card
from models import PaymentMethod
from models.ids import new_id


@dataclass(frozen=True)
class Consent:
    """Which text a client agreed to by keeping the card, and when."""

    version: str
    at: dt.datetime


@dataclass(frozen=True)
class Filed:
    """A card on file, and whether it was there before."""

    id: str
    was_on_file: bool


async def keep(
    rows: AsyncConnection,
    practice_id: str,
    client_id: str,
    card: Card,
    consent: Consent,
    now: dt.datetime,
    *,
    make_default: bool,
) -> Filed:
    """A card put on file. One that is there already, by Stripe's fingerprint, is brought up to
    date, and Stripe forgets the other copy of it."""
    kept = await on_file(rows, practice_id, client_id)
    same = next((one for one in kept if one.fingerprint == card.fingerprint), None)
    values = facts(card) | {"consent_version": consent.version, "consented_at": consent.at}
    if same is not None:
        if same.stripe_id != card.stripe_id:
            await write_down(rows, practice_id, client_id, same.stripe_id, now)
        mine = one_of(practice_id, same.id)
        await rows.execute(update(PaymentMethod).where(mine).values(values))
        filed = Filed(same.id, True)
    else:
        filed = Filed(new_id(), False)
        own = {"practice_id": practice_id, "client_id": client_id, "id": filed.id}
        new = own | values | {"is_default": False, "added_at": now}
        await rows.execute(insert(PaymentMethod).values(new))
    if make_default or not kept:
        await choose(rows, practice_id, client_id, filed.id)
    return filed


def facts(card: Card) -> dict[str, Any]:
    """What is kept of a card as Stripe has it."""
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


async def choose(rows: AsyncConnection, practice_id: str, client_id: str, card_id: str) -> None:
    """Make a card the default; it is the only one."""
    of_client = PaymentMethod.practice_id == practice_id, PaymentMethod.client_id == client_id
    others = update(PaymentMethod).where(*of_client, PaymentMethod.is_default)
    await rows.execute(others.values(is_default=False))
    mine = update(PaymentMethod).where(one_of(practice_id, card_id))
    await rows.execute(mine.values(is_default=True))


async def remove(
    rows: AsyncConnection,
    card: Row[Any],
    now: dt.datetime,
    today: dt.date,
    *,
    replacement_id: str | None = None,
) -> None:
    """Take a card off file. If it was the default, another is: the one that is named, or else the
    newest that works."""
    mine = update(PaymentMethod).where(one_of(card.practice_id, card.id))
    await rows.execute(mine.values(is_default=False, removed_at=now))
    if not card.is_default:
        return
    left = await on_file(rows, card.practice_id, card.client_id)
    if left:
        next_id = replacement_id or best(left, today).id
        await choose(rows, card.practice_id, card.client_id, next_id)


async def on_file(rows: AsyncConnection, practice_id: str, client_id: str) -> Sequence[Row[Any]]:
    """The client's cards, the newest first."""
    found = await rows.execute(
        select(PaymentMethod)
        .where(
            PaymentMethod.practice_id == practice_id,
            PaymentMethod.client_id == client_id,
            PaymentMethod.removed_at.is_(None),
        )
        .order_by(PaymentMethod.added_at.desc(), PaymentMethod.id.desc())
    )
    return found.all()


def best(cards: Sequence[Row[Any]], today: dt.date) -> Row[Any]:
    """The newest that works; the newest, where none does."""
    return next((card for card in cards if not is_over(card, today)), cards[0])


def is_over(card: Any, today: dt.date) -> bool:
    """A card works to the end of its month."""
    return (card.exp_year, card.exp_month) < (today.year, today.month)


def one_of(practice_id: str, card_id: str) -> ColumnElement[bool]:
    return (PaymentMethod.practice_id == practice_id) & (PaymentMethod.id == card_id)
