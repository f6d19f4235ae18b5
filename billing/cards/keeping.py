"""A card without a payment: a page's form confirms a SetupIntent, and the card is put on file.

Whether the page asks for that, a webhook tells of it or the daily comparison finds it: it is done
once, by what Stripe says of the SetupIntent.
"""

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from billing import attempts
from billing.access import record
from billing.cards.filing import Consent, Filed, choose, keep
from billing.customers import current as customer
from billing.gateway import Rejected
from billing.gateway.objects import Card, Setup, SetupStatus
from billing.payments import CONSENT_VERSION
from billing.refusals import CardRefused, InvalidInput, NotFound
from billing.till import Till, lock
from models import CardSetup, DeclineReason, PaymentMethod, Practice, SetupState
from models.ids import new_id

PATH = ("input", "setupIntentId")

log = logging.getLogger("portal.payments")


@dataclass(frozen=True)
class Holder:
    """Whose card it will be, in which account of Stripe's, and from where it is asked."""

    practice_id: str
    client_id: str
    account: str
    address_hash: str | None


async def prepare(till: Till, holder: Holder) -> Setup:
    """A SetupIntent for a page's form, or TooManyAttempts."""
    own = holder.practice_id, holder.client_id
    async with till.engine.connect() as rows:
        await attempts.allow(rows, *own, holder.address_hash, till.now())
    named = await customer(till, holder.account, *own)
    setup_id, now = new_id(), till.now()
    made = await till.stripe.prepare(holder.account, *own, setup_id, named)
    async with till.engine.begin() as rows:
        await record(rows, till.by, holder.client_id, now)
        await rows.execute(
            insert(CardSetup).values(
                practice_id=holder.practice_id,
                id=setup_id,
                client_id=holder.client_id,
                stripe_id=made.id,
                state=SetupState.PREPARED,
                consent_version=CONSENT_VERSION,
                address_hash=holder.address_hash,
                created_at=now,
                changed_at=now,
            )
        )
    return made


async def add(till: Till, holder: Holder, stripe_id: str, *, make_default: bool) -> Filed:
    """The card that a SetupIntent has become; or NotFound, InvalidInput, CardRefused."""
    setup = await find(till, holder.account, stripe_id)
    if setup is None or (setup.practice_id, setup.client_id) != (
        holder.practice_id,
        holder.client_id,
    ):
        raise NotFound("There is no such SetupIntent of this client.", PATH)
    setup = await settle(till, setup)
    if setup.state is SetupState.REFUSED:
        raise CardRefused(setup.reason)
    if setup.state is not SetupState.KEPT:
        raise InvalidInput("The card isn't confirmed yet: `stripe.confirmSetup` first.", PATH)
    await use(till, setup, make_default=make_default)
    return Filed(setup.payment_method_id, bool(setup.was_on_file))


async def use(till: Till, setup: Row[Any], *, make_default: bool) -> None:
    """That the card is still on file; the default, if that is asked for."""
    async with till.engine.begin() as rows:
        await lock(rows, setup.practice_id, setup.client_id)
        removed_at = await rows.scalar(
            select(PaymentMethod.removed_at).where(
                PaymentMethod.practice_id == setup.practice_id,
                PaymentMethod.id == setup.payment_method_id,
            )
        )
        if removed_at is not None:
            raise NotFound("The card was removed since.", PATH)
        await record(rows, till.by, setup.client_id, till.now())
        if make_default:
            await choose(rows, setup.practice_id, setup.client_id, setup.payment_method_id)


async def find(till: Till, account: str, stripe_id: str) -> Row[Any] | None:
    """The setup of this SetupIntent, with its practice's account."""
    columns: list[Any] = [*CardSetup.__table__.c, Practice.stripe_account]
    async with till.engine.connect() as rows:
        found = await rows.execute(
            select(*columns)
            .join(Practice, Practice.id == CardSetup.practice_id)
            .where(Practice.stripe_account == account, CardSetup.stripe_id == stripe_id)
        )
        return found.first()


async def settle(till: Till, setup: Row[Any]) -> Row[Any]:
    """The setup as it is once it was asked for; Unknown or Rejected, if Stripe doesn't tell."""
    if setup.state is SetupState.KEPT:
        return setup
    told = await till.stripe.setup(setup.stripe_account, setup.stripe_id)
    if told.status is SetupStatus.REQUIRES_PAYMENT_METHOD and told.decline:
        told = await fenced(till, setup)
    if told.client_id != setup.client_id:
        log.error("alert: the metadata of setup %s names another client", setup.id)
    elif told.card and told.card.customer and told.status is SetupStatus.SUCCEEDED:
        await fold(till, setup, told.card)
    elif told.status in (SetupStatus.CANCELED, SetupStatus.SUCCEEDED):
        # Succeeded, and its card is kept for nobody: it was detached since.
        await refuse(till, setup, told.decline or DeclineReason.GENERIC)
    after = await find(till, setup.stripe_account, setup.stripe_id)
    assert after is not None
    return after


async def fenced(till: Till, setup: Row[Any]) -> Setup:
    """A SetupIntent whose card was refused takes no other: whoever tries many is counted."""
    try:
        return await till.stripe.abandon(setup.stripe_account, setup.stripe_id)
    except Rejected:
        return await till.stripe.setup(setup.stripe_account, setup.stripe_id)


async def fold(till: Till, setup: Row[Any], card: Card) -> None:
    """The card, put on file once."""
    own, now = (setup.practice_id, setup.client_id), till.now()
    async with till.engine.begin() as rows:
        await lock(rows, *own)
        mine = CardSetup.practice_id == setup.practice_id, CardSetup.id == setup.id
        if await rows.scalar(select(CardSetup.state).where(*mine)) is SetupState.KEPT:
            return
        consent = Consent(setup.consent_version, setup.created_at)
        filed = await keep(rows, *own, card, consent, now, make_default=False)
        values = {"payment_method_id": filed.id, "was_on_file": filed.was_on_file}
        kept = {"state": SetupState.KEPT, "reason": None, "changed_at": now}
        await rows.execute(update(CardSetup).where(*mine).values(values | kept))


async def refuse(till: Till, setup: Row[Any], reason: DeclineReason) -> None:
    async with till.engine.begin() as rows:
        waiting = update(CardSetup).where(
            CardSetup.practice_id == setup.practice_id,
            CardSetup.id == setup.id,
            CardSetup.state == SetupState.PREPARED,
        )
        refused = {"state": SetupState.REFUSED, "reason": reason, "changed_at": till.now()}
        await rows.execute(waiting.values(refused))
