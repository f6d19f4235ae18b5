"""Cards on file: the same card is kept once, and a client who has cards has one default."""

import datetime as dt

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.stripe_objects import Card
from models import PaymentMethod
from models.ids import new_id


async def keep(
    rows: AsyncConnection,
    practice_id: str,
    client_id: str,
    card: Card,
    *,
    make_default: bool,
    consent_version: str,
    consented_at: dt.datetime,
    now: dt.datetime,
) -> str:
    """The id of the card on file. One that is there already, by Stripe's fingerprint, is brought
    up to date. The client's row is to be locked."""
    of_client = (
        PaymentMethod.practice_id == practice_id,
        PaymentMethod.client_id == client_id,
        PaymentMethod.removed_at.is_(None),
    )
    kept = (await rows.execute(select(PaymentMethod).where(*of_client))).all()
    same = next((one for one in kept if one.fingerprint == card.fingerprint), None)
    is_default = make_default or not kept or (same is not None and same.is_default)
    if is_default:
        await rows.execute(update(PaymentMethod).where(*of_client).values(is_default=False))
    values = {
        "stripe_id": card.stripe_id,
        "brand": card.brand,
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "cardholder_name": card.name,
        "billing_zip": card.zip,
        "is_default": is_default,
        "consent_version": consent_version,
        "consented_at": consented_at,
    }
    if same is not None:
        mine = PaymentMethod.practice_id == practice_id, PaymentMethod.id == same.id
        await rows.execute(update(PaymentMethod).where(*mine).values(values))
        return str(same.id)
    id_ = new_id()
    own = {"practice_id": practice_id, "client_id": client_id, "id": id_}
    new = own | values | {"fingerprint": card.fingerprint, "added_at": now}
    await rows.execute(insert(PaymentMethod).values(new))
    return id_
