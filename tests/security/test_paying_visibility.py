"""Mutations reach only the viewer's own rows: each id argument, for each kind of viewer."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from identity.tokens import Subject
from models import Client, Contact, ContactRight, PaymentMethod, Practice, Relation
from models.ids import new_id
from tests.security.isolation.changes import CHANGERS
from tests.support import card_forms
from tests.support.payments import ASKS, Paying, paying
from tests.support.portal import practice

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# An amount other than the payable one, so that a permitted payment is refused without a charge.
WRONG = 123
# The day of the tests' clock in the practice's time zone.
TODAY = dt.date(2026, 3, 15)
REACHED = {
    "pay": "AmountChanged",
    "cancelPayment": "PayCanceled",
    "refreshPayment": "PayCanceled",
    "prepareCard": "CardPrepared",
    # The form was not confirmed.
    "addCard": "InvalidInput",
    "makeDefault": "DefaultMade",
    "removeCard": "CardRemovalOff",
    "shareCard": "CardShared",
    "unshareCard": "CardUnshared",
}


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal with a client's invoice, own card and canceled payment."""
    async with new_database() as url, paying(url) as portal:
        await portal.invoice(5_000)
        await portal.pay(5_000, portal.card(saveCard=True))
        await portal.invoice(10_000)
        given_up = await portal.pay(10_000, portal.card(ASKS))
        await portal.cancel(given_up["payment"]["id"])
        await card_forms.prepare(portal)
        yield portal


async def own(portal: Paying) -> Subject:
    return Subject(portal.practice_id, client_id=portal.client_id)


async def sibling(portal: Paying) -> Subject:
    return Subject(portal.practice_id, client_id=portal.other_id)


async def dashboard(portal: Paying) -> Subject:
    return Subject(portal.practice_id)


async def stranger(portal: Paying) -> Subject:
    """Return a client of another practice that takes cards too."""
    elsewhere, client_id = new_id(), new_id()
    await portal.insert(Practice, practice(elsewhere) | {"stripe_account": f"acct_{elsewhere}"})
    row = {"practice_id": elsewhere, "id": client_id, "name": "Zoe", "created_at": portal.clock()}
    await portal.insert(Client, row)
    return Subject(elsewhere, client_id=client_id)


def contact(
    *, linked: bool, sees: bool = False, pays: bool = False, days_left: int | None = None
) -> Any:
    async def made(portal: Paying) -> Subject:
        id_ = new_id()
        row = {"practice_id": portal.practice_id, "id": id_, "name": "Gail Ahn"}
        await portal.insert(Contact, row)
        right = {
            "practice_id": portal.practice_id,
            "contact_id": id_,
            "client_id": portal.client_id if linked else portal.other_id,
            "relation": Relation.PARENT,
            "sees_documents": sees,
            "can_pay": pays,
            "until": None if days_left is None else TODAY + dt.timedelta(days_left),
        }
        await portal.insert(ContactRight, right)
        return Subject(portal.practice_id, contact_id=id_)

    return made


# The outcome for a contact of the ids of the client's own card and form.
OF_CLIENT = {"card": "NotFound", "setup": "NotFound", "addCard": "NotFound"}
# The outcome of an id of the client's, by mutation or kind of id; otherwise the last one.
VIEWERS: dict[str, tuple[Any, dict[str, str], str]] = {
    "the client": (own, {}, "reached"),
    "a sibling": (sibling, {}, "NotFound"),
    "a stranger": (stranger, {}, "NotFound"),
    "a dashboard": (dashboard, {}, "NotAllowed"),
    "a contact who may do both": (
        contact(linked=True, sees=True, pays=True),
        {**OF_CLIENT, "payment": "NotAllowed"},
        "reached",
    ),
    "a contact who may only see": (
        contact(linked=True, sees=True),
        {"card": "NotFound", "pay": "NotAllowed"},
        "NotAllowed",
    ),
    "a contact who may only pay": (
        contact(linked=True, pays=True),
        {**OF_CLIENT, "payment": "NotFound", "invoice": "NotFound"},
        "reached",
    ),
    "a contact on the last day": (
        contact(linked=True, sees=True, pays=True, days_left=0),
        {**OF_CLIENT, "payment": "NotAllowed"},
        "reached",
    ),
    "a former contact": (contact(linked=True, sees=True, pays=True, days_left=-1), {}, "NotFound"),
    "a contact of another": (contact(linked=False, sees=True, pays=True), {}, "NotFound"),
}


async def ids(portal: Paying) -> dict[str, str]:
    (card,) = await portal.all(PaymentMethod)
    query = """{ client { id payments { nodes { id } }
                          invoices(status: [UNPAID]) { nodes { id } } } }"""
    client = (await portal.ask(query, portal.bearer)).json()["data"]["client"]
    (setup, *_) = portal.store.all("setup_intent")
    (invoice,), payment = client["invoices"]["nodes"], client["payments"]["nodes"][0]
    return {
        "client": client["id"],
        "invoice": invoice["id"],
        "payment": payment["id"],
        "card": f"crd_{card.id}",
        "setup": setup["id"],
    }


OF_PAYMENT = " ... on PaymentOutcome { payment { id } }"


def query_of(field: str) -> str:
    type_ = f"{field[0].upper()}{field[1:]}Input"
    return (
        f"mutation M($input: {type_}!) {{ {field}(input: $input) {{ __typename"
        f"{OF_PAYMENT if 'ay' in field else ''} }} }}"
    )


def input_of(portal: Paying, field: str, kind: str, asked: dict[str, str]) -> dict[str, Any]:
    if kind == "payment":
        return {"paymentId": asked["payment"]}
    if field in ("makeDefault", "removeCard", "shareCard", "unshareCard"):
        return {"paymentMethodId": asked["card"]}
    if field == "prepareCard":
        return {"clientId": asked["client"]}
    if field == "addCard":
        return {"clientId": asked["client"], "setupIntentId": asked["setup"]}
    if kind == "card":
        source = {"paymentMethodId": asked["card"]}
        return portal.input(WRONG, source, clientId=asked["client"])
    return portal.input(WRONG, portal.card(), **{f"{kind}Id": asked[kind]})


@pytest.mark.share(3)
@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("changer", CHANGERS)
async def test_mutation_reaches_only_own_rows(portal: Paying, changer: str, viewer: str) -> None:
    make, by_kind, otherwise = VIEWERS[viewer]
    field, kind = changer.partition("(")[0].removeprefix("Mutation."), CHANGERS[changer]
    token = await portal.token(await make(portal))
    async with portal.engine.begin() as conn:
        await conn.execute(update(PaymentMethod).values(is_shared=False))
    input = input_of(portal, field, kind, await ids(portal))
    answer = (await portal.ask(query_of(field), token, input=input)).json()
    expected = by_kind.get(field) or by_kind.get(kind, otherwise)
    # A dashboard lacks the permission to pay, and learns nothing more.
    assert answer["data"][field]["__typename"] == (
        REACHED[field] if expected == "reached" else expected
    )
    if expected != "reached":
        assert set(answer["data"][field]) == {"__typename"}


async def test_invoice_and_card_have_to_belong_to_the_paying_client(portal: Paying) -> None:
    """A guardian of two clients pays for one with the other's invoice or card."""
    async with portal.engine.begin() as conn:
        await conn.execute(update(ContactRight).values(can_pay=True))
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    asked, other = await ids(portal), f"cli_{portal.other_id}"
    for input in (
        portal.input(WRONG, portal.card(), clientId=other, invoiceId=asked["invoice"]),
        portal.input(WRONG, {"paymentMethodId": asked["card"]}, clientId=other),
    ):
        answer = (await portal.ask(query_of("pay"), guardian, input=input)).json()
        assert answer["data"]["pay"]["__typename"] == "NotFound"
