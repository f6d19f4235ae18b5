"""Customers at Stripe: one for each holder of cards and account, recorded before any request names
it.

A customer that was deleted at Stripe is marked as deleted, and a new one is created.
"""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payments import recheck
from billing.payments.context import PaymentContext, client_lock, contact_lock
from billing.stripe import Missing, Unknown
from models import PaymentMethod, StripeCustomer
from models.ids import new_id
from models.upsert import insert_into

T = TypeVar("T")

# How often a new customer is created if Stripe returns deleted ones.
TRIES = 3


@dataclass(frozen=True)
class Holder:
    """A person whose cards a Stripe account holds, as one customer: a client or a contact.

    The other one of the two ids is None.
    """

    practice_id: str
    client_id: str | None
    contact_id: str | None
    account: str

    @property
    def id(self) -> str:
        return self.contact_id or str(self.client_id)

    def holds(self, table: Any) -> ColumnElement[bool]:
        """Return the condition for the rows of a table that belong to this holder and account."""
        by_client = (table.client_id == self.client_id, table.contact_id.is_(None))
        is_held = by_client if self.contact_id is None else (table.contact_id == self.contact_id,)
        of_account = table.practice_id == self.practice_id, table.stripe_account == self.account
        return and_(*of_account, *is_held)

    @asynccontextmanager
    async def lock(self, context: PaymentContext) -> AsyncIterator[AsyncConnection]:
        """Open a transaction with exclusive access to the holder's customers."""
        if self.client_id is not None:
            lock = client_lock(context, self.practice_id, self.client_id)
        else:
            lock = contact_lock(context, self.practice_id, self.id)
        async with lock as conn:
            yield conn


@dataclass(frozen=True)
class Owner:
    """A client and a holder who saves cards for the client: a contact, or the client without one.

    Cards, the Default Card and forms are of an owner; the customer at Stripe is the holder's.
    """

    practice_id: str
    client_id: str
    contact_id: str | None
    account: str

    @property
    def holder(self) -> Holder:
        client_id = self.client_id if self.contact_id is None else None
        return Holder(self.practice_id, client_id, self.contact_id, self.account)

    def owns(self, table: Any) -> ColumnElement[bool]:
        """Return the condition for the rows of a table that belong to this owner and account."""
        return and_(self.holder.holds(table), table.client_id == self.client_id)


def owner_of_row(row: Any) -> Owner:
    """Return the owner of a card, a form or a payment by card."""
    return Owner(row.practice_id, row.client_id, row.contact_id, row.stripe_account)


async def current_customer(context: PaymentContext, holder: Holder) -> str:
    """Return the id of the holder's customer. Create a customer if there is none."""
    async with context.engine.connect() as conn:
        known = await recorded(conn, holder)
    for _ in range(TRIES):
        if known is not None:
            return known
        known = await create_and_record(context, holder)
    raise Unknown("each customer is deleted already")


async def replace(context: PaymentContext, holder: Holder, deleted_id: str) -> str:
    """Mark a customer as deleted at Stripe, and return the id of another one."""
    await mark_deleted(context, holder, deleted_id)
    return await current_customer(context, holder)


async def call_with_customer(
    context: PaymentContext, holder: Holder, call: Callable[[str], Awaitable[T]]
) -> T:
    """Make a call that names the holder's customer. Repeat it with a new customer if Stripe has
    deleted that one.
    """
    customer_id = await current_customer(context, holder)
    try:
        return await call(customer_id)
    except Missing:
        if not await is_deleted(context, holder.account, customer_id):
            raise
    return await call(await replace(context, holder, customer_id))


async def check_deleted(context: PaymentContext, holder: Holder) -> None:
    """Mark the holder's customer as deleted, if Stripe says that it is."""
    async with context.engine.connect() as conn:
        known = await recorded(conn, holder)
    if known is not None and await is_deleted(context, holder.account, known):
        await mark_deleted(context, holder, known)


async def is_deleted(context: PaymentContext, account: str, customer_id: str) -> bool:
    return not await context.stripe.has_customer(account, customer_id)


async def create_and_record(context: PaymentContext, holder: Holder) -> str | None:
    """Create a customer at Stripe and record it. Return None if it is already recorded as deleted.

    The idempotency key contains the number of earlier customers, so concurrent calls get the same
    customer.
    """
    async with context.engine.connect() as conn:
        mine = holder.holds(StripeCustomer)
        earlier = select(func.count()).select_from(StripeCustomer).where(mine)
        number = 1 + int((await conn.execute(earlier)).scalar_one())
    made = await context.stripe.customer(
        holder.account, holder.practice_id, holder.client_id, holder.contact_id, number
    )
    async with holder.lock(context) as conn:
        await insert_customer(conn, holder, made, context.now())
        return await recorded(conn, holder)


async def insert_customer(
    conn: AsyncConnection, holder: Holder, customer_id: str, created_at: dt.datetime
) -> None:
    """Record a holder's customer, unless a current one is recorded."""
    row = insert_into(conn, StripeCustomer).values(
        practice_id=holder.practice_id,
        id=new_id(),
        client_id=holder.client_id,
        contact_id=holder.contact_id,
        stripe_account=holder.account,
        stripe_id=customer_id,
        created_at=created_at,
    )
    await conn.execute(row.on_conflict_do_nothing())


async def mark_deleted(context: PaymentContext, holder: Holder, customer_id: str) -> None:
    """Mark a customer as deleted, and have its cards read from Stripe, which sends no event for
    them.
    """
    now = context.now()
    async with holder.lock(context) as conn:
        marked = await conn.execute(
            update(StripeCustomer)
            .where(
                holder.holds(StripeCustomer),
                StripeCustomer.stripe_id == customer_id,
                StripeCustomer.deleted_at.is_(None),
            )
            .values(deleted_at=now)
        )
        if marked.rowcount:
            for stripe_id in await cards_on_file(conn, holder):
                await recheck.leave(conn, holder.account, stripe_id, now)


async def cards_on_file(conn: AsyncConnection, holder: Holder) -> list[str]:
    on_file = holder.holds(PaymentMethod) & PaymentMethod.removed_at.is_(None)
    return list(await conn.scalars(select(PaymentMethod.stripe_id).where(on_file)))


async def recorded(conn: AsyncConnection, holder: Holder) -> str | None:
    """Return the id of the holder's current customer, if one is recorded."""
    known: str | None = await conn.scalar(
        select(StripeCustomer.stripe_id).where(
            holder.holds(StripeCustomer), StripeCustomer.deleted_at.is_(None)
        )
    )
    return known


async def holder_of(context: PaymentContext, account: str, customer_id: str) -> Holder | None:
    """Return the person who currently has this customer."""
    async with context.engine.connect() as conn:
        result = await conn.execute(
            select(
                StripeCustomer.practice_id, StripeCustomer.client_id, StripeCustomer.contact_id
            ).where(
                StripeCustomer.stripe_account == account,
                StripeCustomer.stripe_id == customer_id,
                StripeCustomer.deleted_at.is_(None),
            )
        )
        row = result.first()
    return Holder(row.practice_id, row.client_id, row.contact_id, account) if row else None
