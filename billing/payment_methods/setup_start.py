"""SetupIntents for card forms: few are open at a time, and few are created in an hour.

A test of stolen cards could otherwise try many cards at once, before the first refusal is counted.
So the open forms are checked first, and a form counts even before Stripe has created it.
"""

import datetime as dt
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.errors import TooManyAttemptsError
from billing.payment_methods import setup_finish
from billing.payment_methods.setup_finish import FormOwner
from billing.payments import customers, rate_limit, states
from billing.payments.context import PaymentContext, client_lock
from billing.payments.customers import Owner
from billing.payments.states import first
from billing.payments.status import CONSENT_VERSION
from billing.stripe import StripeTrouble
from billing.stripe.objects import Setup
from models import CardSetup, SetupState
from models.ids import new_id

# The open forms of a holder for a client: two tabs, and one in reserve.
OPEN_FORMS = 3
# The delay before a new try, after too many concurrent requests.
AT_ONCE = dt.timedelta(seconds=10)


async def start_setup(context: PaymentContext, owner: FormOwner) -> Setup:
    """Return a SetupIntent for a page's form. Raise TooManyAttempts if there were too many."""
    for setup in await open_forms(context, owner):
        await setup_finish.settle_setup(context, setup)
    setup_id, surplus = await reserve(context, owner)
    for setup in surplus:
        await setup_finish.close_setup(context, setup)
    try:
        made = await customers.call_with_customer(
            context,
            owner.holder,
            lambda customer: context.stripe.prepare(
                owner.account,
                owner.practice_id,
                owner.client_id,
                owner.contact_id,
                setup_id,
                customer,
                CONSENT_VERSION,
            ),
        )
    except StripeTrouble:
        await abandon_form(context, owner, setup_id)
        raise
    if not await record_stripe_id(context, owner, setup_id, made.id):
        # Newer forms have closed this one. Its secret was given to no one.
        with suppress(StripeTrouble):
            await context.stripe.abandon(owner.account, made.id)
        raise TooManyAttemptsError(context.now() + AT_ONCE, "Too many forms were opened at once.")
    return made


async def reserve(context: PaymentContext, owner: FormOwner) -> tuple[str, list[Row[Any]]]:
    """Record a form before Stripe creates it. Return its id, and the open forms beyond
    the limit.
    """
    setup_id, now = new_id(), context.now()
    practice_id, client_id, address_hash = (
        owner.practice_id,
        owner.client_id,
        owner.address_hash,
    )
    async with client_lock(context, practice_id, client_id) as conn:
        await rate_limit.allow(conn, practice_id, client_id, address_hash, now)
        await rate_limit.allow_form(conn, practice_id, client_id, address_hash, now)
        await record(conn, context.actor, owner.client_id, now)
        before = await open_setups(conn, owner)
        await conn.execute(
            insert(CardSetup).values(
                practice_id=owner.practice_id,
                id=setup_id,
                client_id=owner.client_id,
                contact_id=owner.contact_id,
                stripe_account=owner.account,
                **first(SetupState.PREPARED),
                consent_version=CONSENT_VERSION,
                address_hash=owner.address_hash,
                created_at=now,
                changed_at=now,
            )
        )
    return setup_id, before[: -(OPEN_FORMS - 1)]


async def record_stripe_id(
    context: PaymentContext, owner: Owner, setup_id: str, stripe_id: str
) -> bool:
    """Record the id of the SetupIntent. Return False if the form was closed in the meantime."""
    async with context.engine.begin() as conn:
        unnamed = update(CardSetup).where(
            *is_form(owner, setup_id),
            CardSetup.state == SetupState.PREPARED,
            CardSetup.stripe_id.is_(None),
        )
        return bool((await conn.execute(unnamed.values(stripe_id=stripe_id))).rowcount)


async def abandon_form(context: PaymentContext, owner: Owner, setup_id: str) -> None:
    """Close a form that Stripe has probably not created. Its secret was given to no one."""
    before, after = SetupState.PREPARED, SetupState.UNMADE
    async with context.engine.begin() as conn:
        await states.change(conn, is_form(owner, setup_id), before, after, context.now())


def is_form(owner: Owner, setup_id: str) -> tuple[Any, ...]:
    return owner.owns(CardSetup), CardSetup.id == setup_id


async def open_forms(context: PaymentContext, owner: Owner) -> list[Row[Any]]:
    async with context.engine.connect() as conn:
        return await open_setups(conn, owner)


async def open_setups(conn: AsyncConnection, owner: Owner) -> list[Row[Any]]:
    """Return the holder's forms for the client without an end, the oldest first."""
    result = await conn.execute(
        select(CardSetup.__table__)
        .where(owner.owns(CardSetup), CardSetup.state == SetupState.PREPARED)
        .order_by(CardSetup.created_at, CardSetup.id)
    )
    return list(result)
