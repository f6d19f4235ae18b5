"""Cards of contacts whose right to pay for a client has ended. They are taken off file.

The right is a condition of each read and each use of a card, so such a card is out of sight and out
of use from the first moment (`resolvers/payment_methods.py`). An entry that changes a contact's
rights removes the card in its own transaction; a right that ends by its day, the daily comparison.
"""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payment_methods import store
from billing.payment_methods.detach import record_detachment
from billing.payments.customers import owner_of_row
from models import ContactRight, PaymentMethod


def may_pay(table: Any, today: Any) -> ColumnElement[bool]:
    """Return the condition that the contact of a table's row may pay for the row's client."""
    right = ContactRight.__table__.alias()
    return exists().where(
        right.c.practice_id == table.practice_id,
        right.c.client_id == table.client_id,
        right.c.contact_id == table.contact_id,
        right.c.can_pay,
        or_(right.c.until.is_(None), right.c.until >= today),
    )


def has_ended(practice_id: str, today: dt.date) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for cards on file whose holder may not pay for their client."""
    return (
        PaymentMethod.practice_id == practice_id,
        PaymentMethod.contact_id.is_not(None),
        PaymentMethod.removed_at.is_(None),
        ~may_pay(PaymentMethod, today),
    )


async def remove_cards_without_right(
    conn: AsyncConnection, practice_id: str, client_id: str, now: dt.datetime, today: dt.date
) -> bool:
    """Take the cards of contacts who may not pay for a client off file, and have Stripe detach
    them. Return whether there were any. The caller holds the lock of the client's row.
    """
    ended = has_ended(practice_id, today)
    found = await conn.execute(
        select(PaymentMethod).where(*ended, PaymentMethod.client_id == client_id)
    )
    cards = found.all()
    for card in cards:
        await store.remove_from_file(conn, card, now, today)
        await record_detachment(conn, owner_of_row(card).holder, card.stripe_id, now)
    return bool(cards)


async def clients_with_ended_rights(
    conn: AsyncConnection, practice_id: str, today: dt.date
) -> list[str]:
    """Return the clients for whom a contact without the right to pay has a card on file."""
    ended = select(PaymentMethod.client_id).where(*has_ended(practice_id, today)).distinct()
    return sorted(await conn.scalars(ended))
