"""The mutations of cards on file: each checks its input and makes one call."""

import re
from typing import Any

from sqlalchemy import Row

from billing.errors import (
    CardRemovalOffError,
    InvalidInputError,
    NotFoundError,
    OnlinePaymentsOffError,
)
from billing.payment_methods import commands, setup_finish, setup_start
from billing.payment_methods.setup_finish import FormOwner
from billing.payments.customers import owner_of_row
from billing.stripe import Rejected, Unknown
from resolvers.mutations import lookup
from resolvers.mutations.inputs import CardChoice, CardToRemove, ClientChoice, SetupChoice
from resolvers.mutations.result import (
    MutationContext,
    Outcome,
    catch_user_errors,
    read_id,
    stripe_unavailable,
)

SETUP = re.compile(r"seti_[0-9A-Za-z]{8,100}")
CARD, REPLACEMENT = ("input", "paymentMethodId"), ("input", "replacementId")


async def prepare_card(mutation: MutationContext, input: ClientChoice) -> Outcome:
    """Return the values that a page needs to save a card."""
    return await catch_user_errors(lambda: prepare_outcome(mutation, input))


async def add_card(mutation: MutationContext, input: SetupChoice) -> Outcome:
    """Save the card that a page's form has confirmed."""
    return await catch_user_errors(lambda: add_outcome(mutation, input))


async def make_card_default(mutation: MutationContext, input: CardChoice) -> Outcome:
    """Make a card the Default Card."""
    return await catch_user_errors(lambda: default_outcome(mutation, input))


async def share_card(mutation: MutationContext, input: CardChoice) -> Outcome:
    """Share a card with others who may pay for the client."""
    return await catch_user_errors(
        lambda: sharing_outcome(mutation, input, "CardShared", is_shared=True)
    )


async def unshare_card(mutation: MutationContext, input: CardChoice) -> Outcome:
    """Share a card no longer."""
    return await catch_user_errors(
        lambda: sharing_outcome(mutation, input, "CardUnshared", is_shared=False)
    )


async def remove_card(mutation: MutationContext, input: CardToRemove) -> Outcome:
    """Remove a card from file."""
    return await catch_user_errors(lambda: remove_outcome(mutation, input))


async def prepare_outcome(mutation: MutationContext, input: ClientChoice) -> Outcome:
    try:
        setup = await setup_start.start_setup(
            mutation.payment_context, await form_owner(mutation, input)
        )
    except (Unknown, Rejected):
        raise stripe_unavailable() from None
    values = {"setup_intent_id": setup.id, "client_secret": setup.client_secret}
    return Outcome("CardPrepared", values)


async def add_outcome(mutation: MutationContext, input: SetupChoice) -> Outcome:
    owner = await form_owner(mutation, input)
    if not SETUP.fullmatch(input.setup_intent_id):
        raise InvalidInputError("This is not the id of a SetupIntent (seti_…).", setup_finish.PATH)
    wanted = input.setup_intent_id, input.make_default
    try:
        filed = await setup_finish.finish_setup(
            mutation.payment_context, owner, wanted[0], make_default=wanted[1]
        )
    except (Unknown, Rejected):
        raise stripe_unavailable() from None
    values = {"card_id": filed.id, "was_on_file": filed.was_on_file}
    return Outcome("CardAdded", values | {"client_id": owner.client_id})


async def default_outcome(mutation: MutationContext, input: CardChoice) -> Outcome:
    card = await card_of(mutation, input)
    await commands.make_default(
        mutation.payment_context, owner_of_row(card), card.id, mutation.today
    )
    return Outcome("DefaultMade", {"card_id": card.id, "client_id": card.client_id})


async def sharing_outcome(
    mutation: MutationContext, input: CardChoice, result: str, *, is_shared: bool
) -> Outcome:
    card = await card_of(mutation, input)
    own = owner_of_row(card)
    await commands.share(mutation.payment_context, own, card.id, is_shared=is_shared)
    return Outcome(result, {"card_id": card.id, "client_id": card.client_id})


async def remove_outcome(mutation: MutationContext, input: CardToRemove) -> Outcome:
    card = await card_of(mutation, input)
    if not card.clients_remove_cards:
        raise CardRemovalOffError("Ask the practice to remove the card.")
    replacement_id = None
    if input.replacement_id is not None:
        replacement_id = read_id(input.replacement_id, "crd", REPLACEMENT)
    own = owner_of_row(card)
    await commands.remove(mutation.payment_context, own, card.id, replacement_id, mutation.today)
    return Outcome("CardRemoved", {"client_id": card.client_id})


async def form_owner(mutation: MutationContext, input: ClientChoice) -> FormOwner:
    """Return the client that the card is for, and the viewer as its holder."""
    if input.client_id is not None:
        client_id = read_id(input.client_id, "cli", ("input", "clientId"))
    elif mutation.viewer.sole_client_id is not None:
        client_id = mutation.viewer.sole_client_id
    else:
        raise InvalidInputError("The client's id is required.", ("input", "clientId"))
    owner = await lookup.paying_client(mutation, client_id, None)
    if owner.stripe_account is None:
        raise OnlinePaymentsOffError("The practice takes no payments online.")
    return FormOwner(
        practice_id=mutation.viewer.practice_id,
        client_id=owner.id,
        contact_id=mutation.viewer.contact_id,
        account=owner.stripe_account,
        address_hash=mutation.address_hash,
    )


async def card_of(mutation: MutationContext, input: CardChoice) -> Row[Any]:
    return await lookup.manageable_card(mutation, read_card_id(input))


def read_card_id(input: CardChoice) -> str:
    """Return the card's row id.

    An id of another type names no card: these results have no InvalidInput.
    """
    try:
        return read_id(input.payment_method_id, "crd", CARD)
    except InvalidInputError as wrong:
        raise NotFoundError(str(wrong), CARD) from None
