"""Cards on file as a page changes them: forms at Stripe's double, and the mutations."""

from typing import Any

from sandbox import setups
from sandbox.errors import StripeError
from sandbox.methods import create_card
from tests.support.payments import GOOD, Paying

REFUSAL = " ... on UserError { code message path }"
CARD = "paymentMethod { id last4 expMonth expYear isDefault cardholderName billingZip }"
CLIENT = "client { paymentMethods { id last4 isDefault } defaultPaymentMethod { id } }"
PREPARE = (
    "mutation ($i: PrepareCardInput!) { prepareCard(input: $i) { __typename"
    " ... on CardPrepared { setupIntentId clientSecret publishableKey }"
    " ... on TooManyAttempts { retryAt }" + REFUSAL + " } }"
)
ADD = (
    "mutation ($i: AddCardInput!) { addCard(input: $i) { __typename"
    f" ... on CardAdded {{ {CARD} wasAlreadyKept {CLIENT} }}"
    " ... on CardRefused { reason }" + REFUSAL + " } }"
)
MAKE_DEFAULT = (
    "mutation ($i: MakeDefaultInput!) { makeDefault(input: $i) { __typename"
    f" ... on DefaultMade {{ {CARD} {CLIENT} }}" + REFUSAL + " } }"
)
REMOVE = (
    "mutation ($i: RemoveCardInput!) { removeCard(input: $i) { __typename"
    f" ... on CardRemoved {{ {CLIENT} }}" + REFUSAL + " } }"
)


async def prepare(portal: Paying, token: str | None = None, **input: Any) -> dict[str, Any]:
    return await portal.came_to("prepareCard", PREPARE, token, i=input)


async def add(
    portal: Paying, setup_id: str, token: str | None = None, **input: Any
) -> dict[str, Any]:
    return await portal.came_to("addCard", ADD, token, i={"setupIntentId": setup_id, **input})


async def make_default(portal: Paying, card_id: str, token: str | None = None) -> dict[str, Any]:
    return await portal.came_to("makeDefault", MAKE_DEFAULT, token, i={"paymentMethodId": card_id})


async def remove(
    portal: Paying, card_id: str, token: str | None = None, **input: Any
) -> dict[str, Any]:
    asked = {"paymentMethodId": card_id, **input}
    return await portal.came_to("removeCard", REMOVE, token, i=asked)


def fill_in(portal: Paying, setup_id: str, number: str = GOOD, **facts: Any) -> str:
    """Confirm a form as Stripe.js does, and return the SetupIntent's status then."""
    account = account_of(portal, setup_id)
    given: dict[str, Any] = {"month": 12, "year": 2031, "name": "Ana Prieto", "zip_": "04101"}
    with portal.store.transaction():
        method = create_card(portal.store, account, number, **given | facts)
        try:
            setup = setups.confirm_setup(portal.store, account, setup_id, method)
        except StripeError:
            return "declined"
    return str(setup["status"])


def answer_the_bank(portal: Paying, setup_id: str, *, succeed: bool) -> None:
    with portal.store.transaction():
        account = account_of(portal, setup_id)
        setups.authenticate_setup(portal.store, account, setup_id, succeed=succeed)


def account_of(portal: Paying, stripe_id: str) -> str:
    """Return the Stripe account of an object."""
    query = "SELECT account FROM object WHERE id = ?"
    (account,) = portal.store.connection.execute(query, (stripe_id,)).fetchone()
    return str(account)


async def keep(portal: Paying, number: str = GOOD, **more: Any) -> dict[str, Any]:
    """Put a card on file: prepare, fill in the form, add."""
    make = {"makeDefault": more.pop("makeDefault")} if "makeDefault" in more else {}
    setup_id = (await prepare(portal))["setupIntentId"]
    fill_in(portal, setup_id, number, **more)
    return await add(portal, setup_id, **make)


def events(portal: Paying, *types: str) -> list[dict[str, Any]]:
    """Return the events of these types so far."""
    return [event for event in portal.store.all("event") if event["type"] in types]
