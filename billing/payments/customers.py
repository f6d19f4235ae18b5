"""Customers at Stripe: one for each client and account, recorded before any request names it.

A customer that was deleted at Stripe is marked as deleted, and a new one is created.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payments import recheck
from billing.payments.context import PaymentContext, client_lock
from billing.stripe import Missing, Unknown
from models import PaymentMethod, StripeCustomer
from models.ids import new_id
from models.upsert import insert_into

T = TypeVar("T")

# How often a new customer is created if Stripe returns deleted ones.
TRIES = 3


@dataclass(frozen=True)
class Owner:
    """A client, and the Stripe account that holds its customer and its cards."""

    practice_id: str
    client_id: str
    account: str

    def owns(self, table: Any) -> ColumnElement[bool]:
        """Return the condition for the rows of a table that belong to this client and account."""
        condition: ColumnElement[bool] = (
            (table.practice_id == self.practice_id)
            & (table.client_id == self.client_id)
            & (table.stripe_account == self.account)
        )
        return condition


async def current_customer(context: PaymentContext, owner: Owner) -> str:
    """Return the id of the client's customer. Create a customer if there is none."""
    async with context.engine.connect() as conn:
        known = await recorded(conn, owner)
    for _ in range(TRIES):
        if known is not None:
            return known
        known = await create_and_record(context, owner)
    raise Unknown("each customer is deleted already")


async def replace(context: PaymentContext, owner: Owner, deleted_id: str) -> str:
    """Mark a customer as deleted at Stripe, and return the id of another one."""
    await mark_deleted(context, owner, deleted_id)
    return await current_customer(context, owner)


async def call_with_customer(
    context: PaymentContext, owner: Owner, call: Callable[[str], Awaitable[T]]
) -> T:
    """Make a call that names the client's customer. Repeat it with a new customer if Stripe has
    deleted that one.
    """
    customer_id = await current_customer(context, owner)
    try:
        return await call(customer_id)
    except Missing:
        if not await is_deleted(context, owner.account, customer_id):
            raise
    return await call(await replace(context, owner, customer_id))


async def check_deleted(context: PaymentContext, owner: Owner) -> None:
    """Mark the client's customer as deleted, if Stripe says that it is."""
    async with context.engine.connect() as conn:
        known = await recorded(conn, owner)
    if known is not None and await is_deleted(context, owner.account, known):
        await mark_deleted(context, owner, known)


async def is_deleted(context: PaymentContext, account: str, customer_id: str) -> bool:
    return not await context.stripe.has_customer(account, customer_id)


async def create_and_record(context: PaymentContext, owner: Owner) -> str | None:
    """Create a customer at Stripe and record it. Return None if it is already recorded as deleted.

    The idempotency key contains the number of earlier customers, so concurrent calls get the same
    customer.
    """
    async with context.engine.connect() as conn:
        earlier = select(func.count()).select_from(StripeCustomer).where(owner.owns(StripeCustomer))
        number = 1 + int((await conn.execute(earlier)).scalar_one())
    made = await context.stripe.customer(owner.account, owner.practice_id, owner.client_id, number)
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        row = insert_into(conn, StripeCustomer).values(
            practice_id=owner.practice_id,
            id=new_id(),
            client_id=owner.client_id,
            stripe_account=owner.account,
            stripe_id=made,
            created_at=context.now(),
        )
        await conn.execute(row.on_conflict_do_nothing())
        return await recorded(conn, owner)


async def mark_deleted(context: PaymentContext, owner: Owner, customer_id: str) -> None:
    """Mark a customer as deleted, and have its cards read from Stripe, which sends no event for
    them.
    """
    now = context.now()
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        marked = await conn.execute(
            update(StripeCustomer)
            .where(
                owner.owns(StripeCustomer),
                StripeCustomer.stripe_id == customer_id,
                StripeCustomer.deleted_at.is_(None),
            )
            .values(deleted_at=now)
        )
        if marked.rowcount:
            for stripe_id in await cards_on_file(conn, owner):
                await recheck.leave(conn, owner.account, stripe_id, now)


async def cards_on_file(conn: AsyncConnection, owner: Owner) -> list[str]:
    on_file = owner.owns(PaymentMethod) & PaymentMethod.removed_at.is_(None)
    return list(await conn.scalars(select(PaymentMethod.stripe_id).where(on_file)))


async def recorded(conn: AsyncConnection, owner: Owner) -> str | None:
    """Return the id of the client's current customer, if one is recorded."""
    known: str | None = await conn.scalar(
        select(StripeCustomer.stripe_id).where(
            owner.owns(StripeCustomer), StripeCustomer.deleted_at.is_(None)
        )
    )
    return known


async def owner_of(context: PaymentContext, account: str, customer_id: str) -> Owner | None:
    """Return the client that currently has this customer."""
    async with context.engine.connect() as conn:
        result = await conn.execute(
            select(StripeCustomer.practice_id, StripeCustomer.client_id).where(
                StripeCustomer.stripe_account == account,
                StripeCustomer.stripe_id == customer_id,
                StripeCustomer.deleted_at.is_(None),
            )
        )
        row = result.first()
    return Owner(row.practice_id, row.client_id, account) if row else None
