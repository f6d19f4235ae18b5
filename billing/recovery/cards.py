"""Customers and cards that Stripe has and a restored database has not.

A card is kept only with the client's consent, which the metadata of its SetupIntent or of its
payment has. The daily comparison has Stripe detach all others.
"""

from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payment_methods.setup_finish import find_setup, settle_setup
from billing.payment_methods.setup_start import record_stripe_id
from billing.payments import customers
from billing.payments.context import PaymentContext, client_lock
from billing.payments.customers import Holder, Owner
from billing.payments.states import first
from billing.stripe.objects import CustomerFacts, Setup
from models import CardSetup, Client, Contact, SetupState


async def adopt_customer(context: PaymentContext, account: str, customer: CustomerFacts) -> None:
    """Record the customer of a client or a contact, unless a current one is recorded."""
    holder = Holder(customer.practice_id, customer.client_id, customer.contact_id, account)
    # The one in the backup may have been deleted since, and this one may have replaced it.
    await customers.check_deleted(context, holder)
    async with holder.lock(context) as conn:
        table = Client if holder.contact_id is None else Contact
        if await is_known(conn, table, holder.practice_id, holder.id):
            await customers.insert_customer(conn, holder, customer.id, customer.created)


async def is_known(conn: AsyncConnection, table: Any, practice_id: str, id_: str) -> bool:
    """Return whether a client or a contact is in the database."""
    same = table.practice_id == practice_id, table.id == id_
    return (await conn.execute(select(table.id).where(*same))).first() is not None


async def is_owner_known(conn: AsyncConnection, owner: Owner) -> bool:
    """Return whether the client of a form, and the contact who opened it, are in the database."""
    known = await is_known(conn, Client, owner.practice_id, owner.client_id)
    if not known or owner.contact_id is None:
        return known
    return await is_known(conn, Contact, owner.practice_id, owner.contact_id)


async def adopt_setup(context: PaymentContext, account: str, setup: Setup) -> None:
    """Give a card form its row as of its creation, and have the protocol end it if it can."""
    if setup.client_id is None or setup.practice_id is None or setup.consent_version is None:
        return
    owner = Owner(setup.practice_id, setup.client_id, setup.contact_id, account)
    row = await find_setup(context, account, setup.id) or await write_setup(context, owner, setup)
    if row is not None:
        await settle_setup(context, row)


async def write_setup(context: PaymentContext, owner: Owner, setup: Setup) -> Row[Any] | None:
    """Write a form's row, or its SetupIntent's id into a row without one. Return None if the owner
    is not in the database, or has closed the form.
    """
    assert setup.setup_id is not None
    if await record_stripe_id(context, owner, setup.setup_id, setup.id):
        return await find_setup(context, owner.account, setup.id)
    now = context.now()
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        same = CardSetup.practice_id == owner.practice_id, CardSetup.id == setup.setup_id
        known = (await conn.execute(select(CardSetup.id).where(*same))).first()
        if known is not None or not await is_owner_known(conn, owner):
            return None
        await conn.execute(
            insert(CardSetup).values(
                practice_id=owner.practice_id,
                id=setup.setup_id,
                client_id=owner.client_id,
                contact_id=owner.contact_id,
                stripe_account=owner.account,
                stripe_id=setup.id,
                **first(SetupState.PREPARED),
                consent_version=setup.consent_version,
                created_at=setup.created,
                changed_at=now,
            )
        )
    return await find_setup(context, owner.account, setup.id)
