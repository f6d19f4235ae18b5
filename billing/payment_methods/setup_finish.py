"""Cards that are kept without a payment: the end of a SetupIntent, written once.

A page, a webhook event or the daily comparison starts the check; the state at Stripe decides. An
end state at Stripe is an end state here, and no other state follows.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import record
from billing.errors import CardRefusedError, InvalidInputError, NotFoundError
from billing.payment_methods.store import Consent, StoredCard, choose_default, store_card
from billing.payments import states
from billing.payments.context import PaymentContext, client_lock
from billing.payments.customers import Owner, owner_of_row
from billing.payments.states import is_final
from billing.stripe import Missing, Rejected
from billing.stripe.objects import Card, Setup, SetupStatus
from models import CardSetup, DeclineReason, PaymentMethod, SetupState

PATH = ("input", "setupIntentId")

log = logging.getLogger("portal.payments")


@dataclass(frozen=True)
class FormOwner(Owner):
    """The owner of a new card, with the network address of the request."""

    address_hash: str | None


async def finish_setup(
    context: PaymentContext, owner: FormOwner, stripe_id: str, *, make_default: bool
) -> StoredCard:
    """Return the card of a SetupIntent. Raise NotFound, InvalidInput or CardRefused."""
    setup = await find_setup(context, owner.account, stripe_id)
    if setup is None or (setup.practice_id, setup.client_id, setup.contact_id) != (
        owner.practice_id,
        owner.client_id,
        owner.contact_id,
    ):
        raise NotFoundError("There is no such SetupIntent of this client.", PATH)
    setup = await settle_setup(context, setup)
    if setup.state is SetupState.REFUSED:
        raise CardRefusedError(setup.reason)
    if setup.state is SetupState.CANCELED:
        raise InvalidInputError("This form is closed: begin again with `prepareCard`.", PATH)
    if setup.state is not SetupState.KEPT:
        raise InvalidInputError("The card isn't confirmed yet: `stripe.confirmSetup` first.", PATH)
    await use_setup(context, setup, make_default=make_default)
    return StoredCard(setup.payment_method_id, bool(setup.was_on_file))


async def use_setup(context: PaymentContext, setup: Row[Any], *, make_default: bool) -> None:
    """Check that the card is still on file, and make it the default if requested."""
    owner = owner_of_row(setup)
    async with client_lock(context, setup.practice_id, setup.client_id) as conn:
        removed_at = await conn.scalar(
            select(PaymentMethod.removed_at).where(
                PaymentMethod.practice_id == setup.practice_id,
                PaymentMethod.id == setup.payment_method_id,
            )
        )
        if removed_at is not None:
            raise NotFoundError("The card has been removed in the meantime.", PATH)
        await record(conn, context.actor, setup.client_id, context.now())
        if make_default:
            await choose_default(conn, owner, setup.payment_method_id)


async def find_setup(context: PaymentContext, account: str, stripe_id: str) -> Row[Any] | None:
    """Return the setup of this SetupIntent."""
    condition = (CardSetup.stripe_account == account) & (CardSetup.stripe_id == stripe_id)
    async with context.engine.connect() as conn:
        return (await conn.execute(select(CardSetup.__table__).where(condition))).first()


async def find_again(context: PaymentContext, setup: Row[Any]) -> Row[Any]:
    async with context.engine.connect() as conn:
        return (await conn.execute(select(CardSetup.__table__).where(is_one(setup)))).one()


def is_one(setup: Row[Any]) -> Any:
    return (CardSetup.practice_id == setup.practice_id) & (CardSetup.id == setup.id)


# -- reading SetupIntents from Stripe --------------------------------------------------------------


async def settle_setup(context: PaymentContext, setup: Row[Any]) -> Row[Any]:
    """Read a SetupIntent from Stripe, and write its end. Raise Unknown or Rejected without a
    result.

    A SetupIntent with a refused card is cancelled first, so that it accepts no other card.
    """
    if is_final(setup.state) or setup.stripe_id is None:
        return setup
    try:
        stripe_setup = await context.stripe.setup(setup.stripe_account, setup.stripe_id)
        reason = stripe_setup.decline
        if stripe_setup.status is SetupStatus.REQUIRES_PAYMENT_METHOD and reason:
            stripe_setup = await canceled(context, setup)
    except Missing:
        log.error("alert: Stripe has no SetupIntent of setup %s any more", setup.id)
        await end_setup(context, setup, SetupState.CANCELED)
    else:
        await write_setup_end(context, setup, stripe_setup, reason)
    return await find_again(context, setup)


async def close_setup(context: PaymentContext, setup: Row[Any]) -> None:
    """Cancel a SetupIntent that is no longer needed, unless it has ended otherwise."""
    if setup.stripe_id is None:
        await end_setup(context, setup, SetupState.CANCELED)
        setup = await find_again(context, setup)
    if is_final(setup.state):
        return
    stripe_setup = await canceled(context, setup)
    await write_setup_end(context, setup, stripe_setup, stripe_setup.decline)


async def canceled(context: PaymentContext, setup: Row[Any]) -> Setup:
    """Cancel a SetupIntent, and return its resulting state, which may be another end."""
    try:
        return await context.stripe.abandon(setup.stripe_account, setup.stripe_id)
    except Missing:
        raise
    except Rejected:
        return await context.stripe.setup(setup.stripe_account, setup.stripe_id)


async def write_setup_end(
    context: PaymentContext, setup: Row[Any], stripe_setup: Setup, reason: DeclineReason | None
) -> None:
    """Write the end of a SetupIntent, if it has ended at Stripe."""
    named = stripe_setup.client_id, stripe_setup.contact_id
    if named != (setup.client_id, setup.contact_id):
        log.error("alert: the metadata of setup %s names another client or contact", setup.id)
    elif stripe_setup.status is SetupStatus.SUCCEEDED:
        await succeed_setup(context, setup, stripe_setup.card)
    elif stripe_setup.status is SetupStatus.CANCELED:
        state = SetupState.REFUSED if reason else SetupState.CANCELED
        await end_setup(context, setup, state, reason)


async def succeed_setup(context: PaymentContext, setup: Row[Any], card: Card | None) -> None:
    """Put the card on file, or record it as refused if it was detached in the meantime."""
    now, owner = context.now(), owner_of_row(setup)
    async with client_lock(context, setup.practice_id, setup.client_id) as conn:
        if await has_ended(conn, setup):
            return
        consent = Consent(setup.consent_version, setup.created_at)
        filed = (
            await store_card(conn, owner, card, consent, now, make_default=False) if card else None
        )
        if filed is None:
            await move(conn, setup, SetupState.REFUSED, now, reason=DeclineReason.GENERIC)
            return
        kept = {"payment_method_id": filed.id, "was_on_file": filed.was_on_file}
        await move(conn, setup, SetupState.KEPT, now, **kept)


async def end_setup(
    context: PaymentContext, setup: Row[Any], state: SetupState, reason: DeclineReason | None = None
) -> None:
    """Write an end without a card."""
    async with client_lock(context, setup.practice_id, setup.client_id) as conn:
        await move(conn, setup, state, context.now(), reason=reason)


async def has_ended(conn: AsyncConnection, setup: Row[Any]) -> bool:
    state = await conn.scalar(select(CardSetup.state).where(is_one(setup)))
    return state is None or is_final(state)


async def move(
    conn: AsyncConnection, setup: Row[Any], state: SetupState, now: dt.datetime, **values: Any
) -> None:
    """Change a setup's state, if its state and its SetupIntent are still the same."""
    same = is_one(setup), CardSetup.stripe_id.is_not_distinct_from(setup.stripe_id)
    await states.change(conn, same, setup.state, state, now, **values)
