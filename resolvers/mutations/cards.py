"""The mutations of cards on file: each checks its input and makes one call."""

import re
from typing import Any

from sqlalchemy import Row

from billing.errors import CardRemovalOff, InvalidInput, NotFound, OnlinePaymentsOff
from billing.payment_methods import commands, setup_finish, setup_start
from billing.payment_methods.setup_finish import Holder
from billing.payments.customers import Owner
from billing.stripe import Rejected, Unknown
from resolvers.mutations import lookup
from resolvers.mutations.result import Acting, Outcome, read_id, refusable, unavailable

SETUP = re.compile(r"seti_[0-9A-Za-z]{8,100}")
CARD, REPLACEMENT = ("input", "paymentMethodId"), ("input", "replacementId")


async def prepare(acting: Acting, input: Any) -> Outcome:
    """Return the values that a page needs to save a card."""
    return await refusable(lambda: prepared(acting, input))


async def add(acting: Acting, input: Any) -> Outcome:
    """Save the card that a page's form has confirmed."""
    return await refusable(lambda: added(acting, input))


async def make_default(acting: Acting, input: Any) -> Outcome:
    """Make a card the Default Card."""
    return await refusable(lambda: made_default(acting, input))


async def remove(acting: Acting, input: Any) -> Outcome:
    """Remove a card from file."""
    return await refusable(lambda: removed(acting, input))


async def prepared(acting: Acting, input: Any) -> Outcome:
    try:
        setup = await setup_start.prepare(acting.till, await holder(acting, input))
    except (Unknown, Rejected):
        raise unavailable() from None
    values = {"setup_intent_id": setup.id, "client_secret": setup.client_secret}
    return Outcome("CardPrepared", values)


async def added(acting: Acting, input: Any) -> Outcome:
    owner = await holder(acting, input)
    if not SETUP.fullmatch(input.setup_intent_id):
        raise InvalidInput("This is not the id of a SetupIntent (seti_…).", setup_finish.PATH)
    wanted = input.setup_intent_id, input.make_default
    try:
        filed = await setup_finish.add(acting.till, owner, wanted[0], make_default=wanted[1])
    except (Unknown, Rejected):
        raise unavailable() from None
    values = {"card_id": filed.id, "was_on_file": filed.was_on_file}
    return Outcome("CardAdded", values | {"client_id": owner.client_id})


async def made_default(acting: Acting, input: Any) -> Outcome:
    card = await card_of(acting, input)
    await commands.make_default(acting.till, owner(acting, card), card.id, acting.today)
    return Outcome("DefaultMade", {"card_id": card.id, "client_id": card.client_id})


async def removed(acting: Acting, input: Any) -> Outcome:
    card = await card_of(acting, input)
    if not card.clients_remove_cards:
        raise CardRemovalOff("Ask the practice to remove the card.")
    replacement_id = None
    if input.replacement_id is not None:
        replacement_id = read_id(input.replacement_id, "crd", REPLACEMENT)
    own = owner(acting, card)
    await commands.remove(acting.till, own, card.id, replacement_id, acting.today)
    return Outcome("CardRemoved", {"client_id": card.client_id})


async def holder(acting: Acting, input: Any) -> Holder:
    """Return the client that the card is for."""
    if input.client_id is not None:
        client_id = read_id(input.client_id, "cli", ("input", "clientId"))
    elif acting.viewer.sole_client_id is not None:
        client_id = acting.viewer.sole_client_id
    else:
        raise InvalidInput("The client's id is required.", ("input", "clientId"))
    owner = await lookup.payer(acting, client_id, None)
    if owner.stripe_account is None:
        raise OnlinePaymentsOff("The practice takes no payments online.")
    return Holder(
        practice_id=acting.viewer.practice_id,
        client_id=owner.id,
        account=owner.stripe_account,
        address_hash=acting.address_hash,
    )


def owner(acting: Acting, card: Row[Any]) -> Owner:
    return Owner(acting.viewer.practice_id, card.client_id, card.stripe_account)


async def card_of(acting: Acting, input: Any) -> Row[Any]:
    return await lookup.held_card(acting, read_card_id(input))


def read_card_id(input: Any) -> str:
    """Return the card's row id.

    An id of another type names no card: these results have no InvalidInput.
    """
    try:
        return read_id(input.payment_method_id, "crd", CARD)
    except InvalidInput as wrong:
        raise NotFound(str(wrong), CARD) from None
