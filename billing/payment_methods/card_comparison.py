"""The daily comparison of cards. It updates the file where an event from Stripe was lost.

Stripe's lists only show where to look: each card that differs is then requested by itself.
"""

import datetime as dt
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from sqlalchemy import Row, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payment_methods import setup_finish, store, sync
from billing.payment_methods.detach import record_detachment
from billing.payments import customers
from billing.payments.context import PaymentContext, client_lock
from billing.payments.customers import Owner
from billing.payments.states import is_final
from billing.stripe import Missing, StripeTrouble
from billing.stripe.objects import Card
from models import (
    ACTIVE_STATES,
    CardSetup,
    Payment,
    PaymentMethod,
    SetupState,
    StripeCustomer,
)
from models.leases import first_to_raise

# An older form is closed, because its page is gone.
FORM_LIFETIME = dt.timedelta(days=1)
# The number of clients read from the database at a time.
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
    """Compare the forms without an end, and the cards of each client. Raise one of the failures."""
    troubles = Failures()
    for setup in await unfinished_forms(context, practice_id, account):
        await troubles.guard(f"setup {setup.id}", finish_form(context, setup))
    last = ""
    while clients := await page_of_clients(context, practice_id, account, last):
        last = clients[-1]
        for client_id in clients:
            owner = Owner(practice_id, client_id, account)
            await troubles.guard(f"client {client_id}", compare_client(context, owner))
    troubles.raise_one()


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


async def page_of_clients(
    context: PaymentContext, practice_id: str, account: str, after: str
) -> list[str]:
    """Return the ids of a page of clients that have a customer or a card in the account."""
    tables = (
        (PaymentMethod, PaymentMethod.removed_at.is_(None)),
        (StripeCustomer, StripeCustomer.deleted_at.is_(None)),
    )
    each = [
        select(table.client_id.label("client_id")).where(
            table.practice_id == practice_id, table.stripe_account == account, condition
        )
        for table, condition in tables
    ]
    clients = union(*each).subquery()
    page = select(clients.c.client_id).order_by(clients.c.client_id).limit(PAGE_SIZE)
    if after:
        page = page.where(clients.c.client_id > after)
    async with context.engine.connect() as conn:
        return list(await conn.scalars(page))


async def compare_client(context: PaymentContext, owner: Owner) -> None:
    """Update a client's cards from Stripe, and have Stripe detach cards that are not on file."""
    async with context.engine.connect() as conn:
        customer_id = await customers.recorded(conn, owner)
    attached = await stripe_cards(context, owner, customer_id) if customer_id else {}
    async with context.engine.connect() as conn:
        cards = await store.stored_cards(conn, owner)
    for card in cards:
        stripe_card = attached.get(card.stripe_id)
        if stripe_card is None or sync.differs_from_row(card, stripe_card):
            await sync.sync_card(context, owner.account, card.stripe_id)
    on_file = {card.stripe_id for card in cards}
    if strange := [stripe_id for stripe_id in attached if stripe_id not in on_file]:
        await detach_strange(context, owner, strange)


async def stripe_cards(context: PaymentContext, owner: Owner, customer_id: str) -> dict[str, Card]:
    """Return the cards that Stripe has for a customer, by their ids. Note if the customer is
    deleted.
    """
    try:
        found = await context.stripe.cards(owner.account, customer_id)
    except Missing:
        found = []
    if not found:
        await customers.check_deleted(context, owner)
    return {str(card.stripe_id): card for card in found}


async def detach_strange(context: PaymentContext, owner: Owner, strange: Sequence[str]) -> None:
    """Have Stripe detach cards that are not on file, unless a card is about to be filed."""
    now = context.now()
    async with client_lock(context, owner.practice_id, owner.client_id) as conn:
        if await is_underway(conn, owner):
            return
        known = {card.stripe_id for card in await store.stored_cards(conn, owner)}
        for stripe_id in strange:
            if stripe_id not in known:
                log.warning("client %s has a card at Stripe that is not on file", owner.client_id)
                await record_detachment(conn, owner, stripe_id, now)


async def is_underway(conn: AsyncConnection, owner: Owner) -> bool:
    """Return whether a form or a payment of the client may still put a card on file."""
    form = select(CardSetup.id).where(owner.owns(CardSetup), CardSetup.state == SetupState.PREPARED)
    payment = select(Payment.id).where(
        owner.owns(Payment), Payment.state.in_(ACTIVE_STATES), Payment.save_card.is_(True)
    )
    return any([await conn.scalar(statement.limit(1)) for statement in (form, payment)])
