"""A client's customer at Stripe: one in each account, whose id is written before it is used."""

from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from billing.till import Till
from models import StripeCustomer
from models.ids import new_id
from models.inserting import insert_into


async def current(till: Till, account: str, practice_id: str, client_id: str) -> str:
    """Return the id of the client's customer in this account; create one where there is none."""
    of_client = own(account, practice_id, client_id)
    written = select(StripeCustomer.stripe_id).where(
        *of_client, StripeCustomer.deleted_at.is_(None)
    )
    async with till.engine.connect() as conn:
        before = await conn.scalar(written)
        made_before = await conn.scalar(
            select(func.count()).select_from(StripeCustomer).where(*of_client)
        )
    if before is not None:
        return str(before)
    number = 1 + int(made_before or 0)
    made = await till.stripe.customer(account, practice_id, client_id, number)
    async with till.engine.begin() as conn:
        row = insert_into(conn, StripeCustomer).values(
            practice_id=practice_id,
            id=new_id(),
            client_id=client_id,
            stripe_account=account,
            stripe_id=made,
            created_at=till.now(),
        )
        await conn.execute(row.on_conflict_do_nothing())
        return str(await conn.scalar(written))


async def replace(
    till: Till, account: str, practice_id: str, client_id: str, deleted_id: str
) -> None:
    """Write down that Stripe has deleted a customer, so that another is made."""
    async with till.engine.begin() as conn:
        gone = update(StripeCustomer).where(
            *own(account, practice_id, client_id), StripeCustomer.stripe_id == deleted_id
        )
        await conn.execute(gone.values(deleted_at=till.now()))


def own(account: str, practice_id: str, client_id: str) -> tuple[ColumnElement[Any], ...]:
    return (
        StripeCustomer.practice_id == practice_id,
        StripeCustomer.client_id == client_id,
        StripeCustomer.stripe_account == account,
    )
