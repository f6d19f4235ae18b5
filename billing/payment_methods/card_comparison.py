"""The daily comparison of cards. It updates the file where an event from Stripe was lost.

Stripe's lists only show where to look: each card that differs is then requested by itself.
"""

import datetime as dt
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from sqlalchemy import Row, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payment_methods import rights, setup_finish, sync
from billing.payment_methods.detach import record_detachment
from billing.payments import customers
from billing.payments.context import PaymentContext, client_lock, local_day
from billing.payments.customers import Holder
from billing.payments.states import is_final
from billing.stripe import Missing, StripeTrouble
from billing.stripe.objects import Card
from models import (
    ACTIVE_STATES,
    CardSetup,
    Payment,
    PaymentMethod,
    Practice,
    SetupState,
    StripeCustomer,
)
from models.leases import first_to_raise

# An older form is closed, because its page is gone.
FORM_LIFETIME = dt.timedelta(days=1)
# The number of holders read from the database at a time.
PAGE_SIZE = 200
# After this number of consecutive failures Stripe counts as unreachable.
MOST_TROUBLES = 5

log = logging.getLogger("portal.payments")


class Failures:
    """The failures of a comparison. The failure of one item is noted and the next item follows.

    Several consecutive failures of Stripe end the comparison, since Stripe is unreachable then.
    """

    def __init__(self) -> None:
        self.met: list[Exception] = []
        self.in_a_row = 0

    async def guard(self, what: str, work: Awaitable[None]) -> None:
        """Await the comparison of an item, and note its failure."""
        try:
            await work
        except StripeTrouble as trouble:
            log.warning("%s was not compared with Stripe: %s", what, trouble)
            self.met.append(trouble)
            self.in_a_row += 1
            if self.in_a_row >= MOST_TROUBLES:
                raise
        except Exception as error:
            log.warning("%s was not compared with Stripe: %s", what, type(error).__name__)
            self.met.append(error)
        else:
            self.in_a_row = 0

    def raise_one(self) -> None:
        if self.met:
            raise first_to_raise(self.met)


async def compare_cards(context: PaymentContext, practice_id: str, account: str) -> None:
    """Remove cards whose holder may not pay for their client any more, and compare the forms
    without an end and the cards of each holder. Raise one of the failures.
    """
    await remove_cards_without_right(context, practice_id)
    troubles = Failures()
    for setup in await unfinished_forms(context, practice_id, account):
        await troubles.guard(f"setup {setup.id}", finish_form(context, setup))
    for is_contact in (False, True):
        last = ""
        while found := await page_of_holders(context, practice_id, account, last, is_contact):
            last = found[-1]
            for id_ in found:
                contact_id, client_id = (id_, None) if is_contact else (None, id_)
                holder = Holder(practice_id, client_id, contact_id, account)
                await troubles.guard(f"holder {id_}", compare_holder(context, holder))
    troubles.raise_one()


async def remove_cards_without_right(context: PaymentContext, practice_id: str) -> None:
    """Remove the cards of contacts whose rights have ended by their day."""
    now = context.now()
    async with context.engine.connect() as conn:
        zone = await conn.scalar(select(Practice.time_zone).where(Practice.id == practice_id))
        today = local_day(now, str(zone))
        clients = await rights.clients_with_ended_rights(conn, practice_id, today)
    for client_id in clients:
        async with client_lock(context, practice_id, client_id) as conn:
            await rights.remove_cards_without_right(conn, practice_id, client_id, now, today)


# -- forms -----------------------------------------------------------------------------------------


async def unfinished_forms(
    context: PaymentContext, practice_id: str, account: str
) -> Sequence[Row[Any]]:
    """Return the SetupIntents without a known end, regardless of their age."""
    async with context.engine.connect() as conn:
        result = await conn.execute(
            select(CardSetup.__table__).where(
                CardSetup.practice_id == practice_id,
                CardSetup.stripe_account == account,
                CardSetup.state == SetupState.PREPARED,
            )
        )
        return result.all()


async def finish_form(context: PaymentContext, setup: Row[Any]) -> None:
    """Read a SetupIntent from Stripe, and close it if it is old and still open."""
    setup = await setup_finish.settle_setup(context, setup)
    if not is_final(setup.state) and setup.created_at < context.now() - FORM_LIFETIME:
        await setup_finish.close_setup(context, setup)


# -- cards -----------------------------------------------------------------------------------------


async def page_of_holders(
    context: PaymentContext, practice_id: str, account: str, after: str, is_contact: bool
) -> list[str]:
    """Return the ids of a page of clients, or of contacts, that have a customer or a card in the
    account.
    """
    tables: tuple[Any, ...] = (
        (PaymentMethod, PaymentMethod.removed_at.is_(None)),
        (StripeCustomer, StripeCustomer.deleted_at.is_(None)),
    )
    each = [
        select((table.contact_id if is_contact else table.client_id).label("id")).where(
            table.practice_id == practice_id,
            table.stripe_account == account,
            table.contact_id.is_not(None) if is_contact else table.contact_id.is_(None),
            condition,
        )
        for table, condition in tables
    ]
    holders = union(*each).subquery()
    page = select(holders.c.id).order_by(holders.c.id).limit(PAGE_SIZE)
    if after:
        page = page.where(holders.c.id > after)
    async with context.engine.connect() as conn:
        return list(await conn.scalars(page))


async def compare_holder(context: PaymentContext, holder: Holder) -> None:
    """Update a holder's cards from Stripe, and have Stripe detach cards that are not on file."""
    async with context.engine.connect() as conn:
        customer_id = await customers.recorded(conn, holder)
    attached = await stripe_cards(context, holder, customer_id) if customer_id else {}
    async with context.engine.connect() as conn:
        cards = await cards_of(conn, holder)
    for card in cards:
        stripe_card = attached.get(card.stripe_id)
        if stripe_card is None or sync.differs_from_row(card, stripe_card):
            await sync.sync_card(context, holder.account, card.stripe_id)
    on_file = {card.stripe_id for card in cards}
    if strange := [stripe_id for stripe_id in attached if stripe_id not in on_file]:
        await detach_strange(context, holder, strange)


async def cards_of(conn: AsyncConnection, holder: Holder) -> Sequence[Row[Any]]:
    """Return the holder's cards on file, for whichever client they were saved."""
    on_file = holder.holds(PaymentMethod), PaymentMethod.removed_at.is_(None)
    return (await conn.execute(select(PaymentMethod).where(*on_file))).all()


async def stripe_cards(
    context: PaymentContext, holder: Holder, customer_id: str
) -> dict[str, Card]:
    """Return the cards that Stripe has for a customer, by their ids. Note if the customer is
    deleted.
    """
    try:
        found = await context.stripe.cards(holder.account, customer_id)
    except Missing:
        found = []
    if not found:
        await customers.check_deleted(context, holder)
    return {str(card.stripe_id): card for card in found}


async def detach_strange(context: PaymentContext, holder: Holder, strange: Sequence[str]) -> None:
    """Have Stripe detach cards that are not on file, unless a card is about to be filed."""
    now = context.now()
    async with holder.lock(context) as conn:
        if await is_underway(conn, holder):
            return
        known = {card.stripe_id for card in await cards_of(conn, holder)}
        for stripe_id in strange:
            if stripe_id not in known:
                log.warning("holder %s has a card at Stripe that is not on file", holder.id)
                await record_detachment(conn, holder, stripe_id, now)


async def is_underway(conn: AsyncConnection, holder: Holder) -> bool:
    """Return whether a form or a payment of the holder may still put a card on file."""
    is_open = CardSetup.state == SetupState.PREPARED
    form = select(CardSetup.id).where(holder.holds(CardSetup), is_open)
    payment = select(Payment.id).where(
        holder.holds(Payment), Payment.state.in_(ACTIVE_STATES), Payment.save_card.is_(True)
    )
    return any([await conn.scalar(statement.limit(1)) for statement in (form, payment)])
