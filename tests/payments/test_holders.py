"""Cards and payments belong to a person: the client, or the contact who saved or made them.

Two guardians pay for the same client, and one of them for another client too.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, update

from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.people import ContactLink, ContactUnlink, link_contact, unlink_contact
from billing.payment_methods import card_comparison, detach
from identity.tokens import Subject
from models import (
    ACTIVE_STATES,
    Contact,
    ContactRight,
    Detachment,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Relation,
    StripeCustomer,
)
from models.ids import new_id
from resolvers.mutations import payments
from tests.support import card_forms
from tests.support.payments import ACCOUNT, ASKS, Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MASTERCARD = "5555555555554444"
CARD = "id brand last4 expMonth holder isShared isDefault cardholderName billingZip"
CARDS = (
    f"query C($id: ID!) {{ client(id: $id) {{ paymentMethods {{ {CARD} }}"
    " defaultPaymentMethod { id } cardsToPayWith { id } } }"
)
NODE = "query N($id: ID!) { node(id: $id) { id } }"
SHARE, UNSHARE = (
    f"mutation S($i: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $i) {{ __typename"
    f" ... on {result} {{ paymentMethod {{ {CARD} }} }} ... on UserError {{ message }} }} }}"
    for name, result in (("shareCard", "CardShared"), ("unshareCard", "CardUnshared"))
)
PAYMENTS = """
query P($id: ID!) { client(id: $id) {
  payments { nodes { id payer card { last4 } receipt { id number } } }
  receipts { nodes { id document { printUrl } } } } }
"""


@dataclass
class Person:
    """The client or a guardian, with a token. `contact_id` is None for the client."""

    portal: Paying
    token: str
    contact_id: str | None = None

    async def ask(self, query: str, **variables: Any) -> Any:
        answer = (await self.portal.ask(query, self.token, **variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def cards(self, client_id: str | None = None) -> list[dict[str, Any]]:
        found = await self.ask(CARDS, id=f"cli_{client_id or self.portal.client_id}")
        cards: list[dict[str, Any]] = found["client"]["paymentMethods"]
        return cards

    async def default(self) -> str | None:
        found = await self.ask(CARDS, id=f"cli_{self.portal.client_id}")
        chosen = found["client"]["defaultPaymentMethod"]
        return chosen and str(chosen["id"])

    async def payments(self) -> Any:
        return (await self.ask(PAYMENTS, id=f"cli_{self.portal.client_id}"))["client"]

    async def pay(self, source: dict[str, Any], client_id: str | None = None) -> dict[str, Any]:
        """Pay an invoice of 10.00, which is new unless there is one."""
        of = client_id or self.portal.client_id
        await self.portal.invoice(1_000, client_id=of)
        asked = self.portal.input(1_000, source, clientId=f"cli_{of}")
        return await self.portal.sent(asked, self.token)

    async def save(self, number: str = MASTERCARD, client_id: str | None = None) -> str:
        """Save a card for a client by a form, and return its id."""
        of = f"cli_{client_id or self.portal.client_id}"
        prepared = await card_forms.prepare(self.portal, self.token, clientId=of)
        card_forms.fill_in(self.portal, prepared["setupIntentId"], number)
        setup = prepared["setupIntentId"]
        added = await card_forms.add(self.portal, setup, self.token, clientId=of)
        return str(added["paymentMethod"]["id"])

    async def share(self, card_id: str) -> dict[str, Any]:
        found = await self.ask(SHARE, i={"paymentMethodId": card_id})
        return dict(found["shareCard"])

    async def unshare(self, card_id: str) -> dict[str, Any]:
        found = await self.ask(UNSHARE, i={"paymentMethodId": card_id})
        return dict(found["unshareCard"])


@dataclass
class Family:
    portal: Paying
    client: Person
    ada: Person
    bob: Person

    async def link(self, person: Person, *, sees: bool, pays: bool) -> None:
        link = ContactLink(str(person.contact_id), Relation.PARENT, sees, pays)
        await enter_for_client(self.entering, *self.of_client, link_contact, link)

    async def unlink(self, person: Person) -> None:
        wanted = ContactUnlink(str(person.contact_id))
        await enter_for_client(self.entering, *self.of_client, unlink_contact, wanted)

    @property
    def entering(self) -> EntryContext:
        return EntryContext(self.portal.engine, self.portal.clock)

    @property
    def of_client(self) -> tuple[str, str]:
        return self.portal.practice_id, self.portal.client_id

    async def attached(self) -> set[str]:
        """Return the ids of the cards that Stripe has attached to a customer."""
        methods = self.portal.store.all("payment_method")
        return {str(one["id"]) for one in methods if one["customer"]}


@pytest.fixture
async def family(new_database: NewDatabase) -> AsyncIterator[Family]:
    async with new_database() as url, paying(url) as portal:
        async with portal.engine.begin() as conn:
            await conn.execute(delete(ContactRight))
        ada = await guardian(portal, portal.client_id, portal.other_id)
        bob = await guardian(portal, portal.client_id)
        yield Family(portal, Person(portal, portal.bearer), ada, bob)


async def guardian(portal: Paying, *clients: str) -> Person:
    id_ = new_id()
    own = {"practice_id": portal.practice_id}
    await portal.insert(Contact, own | {"id": id_, "name": "A guardian"})
    for client_id in clients:
        right = {"contact_id": id_, "client_id": client_id, "relation": Relation.PARENT}
        await portal.insert(ContactRight, own | right | {"sees_documents": True, "can_pay": True})
    token = await portal.token(Subject(portal.practice_id, contact_id=id_))
    return Person(portal, token, id_)


async def test_nobody_else_sees_or_uses_a_card(family: Family) -> None:
    paid = await family.ada.pay(family.portal.card(saveCard=True, name="Ada Ahn"))
    assert paid["__typename"] == "PaySucceeded"
    (card,) = await family.ada.cards()
    assert (card["holder"], card["cardholderName"], card["isDefault"]) == (
        "VIEWER",
        "Ada Ahn",
        True,
    )
    for other in (family.bob, family.client):
        assert await other.cards() == []
        assert await other.ask(NODE, id=card["id"]) == {"node": None}
        refused = await other.pay({"paymentMethodId": card["id"]})
        assert (refused["__typename"], refused["path"][-1]) == ("NotFound", "paymentMethodId")
        made = await card_forms.make_default(family.portal, card["id"], other.token)
        removed = await card_forms.remove(family.portal, card["id"], other.token)
        assert [made["__typename"], removed["__typename"]] == ["NotFound", "NotFound"]
        assert "4242" not in str((await other.payments())["payments"])
    assert len(family.portal.charges()) == 1


async def test_shared_card_is_used_and_seen_without_its_name(family: Family) -> None:
    await family.ada.pay(family.portal.card(saveCard=True, name="Ada Ahn"))
    (own,) = await family.ada.cards()
    assert (await family.bob.share(own["id"]))["__typename"] == "NotFound"
    shared = await family.ada.share(own["id"])
    assert shared["paymentMethod"] == own | {"isShared": True}
    for other in (family.bob, family.client):
        (seen,) = await other.cards()
        assert seen == own | {
            "holder": "CONTACT",
            "isShared": True,
            "isDefault": False,
            "cardholderName": None,
            "billingZip": None,
        }
        assert await other.default() is None
        assert (await other.pay({"paymentMethodId": own["id"]}))["__typename"] == "PaySucceeded"
        made = await card_forms.make_default(family.portal, own["id"], other.token)
        removed = await card_forms.remove(family.portal, own["id"], other.token)
        stopped = await other.unshare(own["id"])
        assert {made["__typename"], removed["__typename"], stopped["__typename"]} == {"NotAllowed"}
    # Stripe charged the card with its holder's customer.
    (customer,) = await family.portal.all(StripeCustomer)
    assert customer.contact_id == family.ada.contact_id
    intents = family.portal.store.all("payment_intent")
    assert {one["customer"] for one in intents} == {customer.stripe_id}
    assert (await family.ada.unshare(own["id"]))["__typename"] == "CardUnshared"
    assert await family.bob.cards() == []
    assert (await family.bob.pay({"paymentMethodId": own["id"]}))["__typename"] == "NotFound"
    # Who has paid with it still sees with what, and its holder sees that it was used.
    for viewer, count in ((family.bob, 1), (family.client, 1), (family.ada, 3)):
        nodes = (await viewer.payments())["payments"]["nodes"]
        assert len([one for one in nodes if one["card"]]) == count


async def test_card_that_is_unshared_meanwhile_is_not_charged(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await family.ada.save()
    await family.ada.share(card)
    find = payments.find_saved_card

    async def find_and_unshare(*asked: Any) -> Any:
        found = await find(*asked)
        await family.ada.unshare(card)
        return found

    monkeypatch.setattr(payments, "find_saved_card", find_and_unshare)
    refused = await family.bob.pay({"paymentMethodId": card})
    assert refused["__typename"] == "CardUnusable"
    assert await family.portal.count(Payment) == 0


async def test_each_holder_has_a_default_card_for_a_client(family: Family) -> None:
    of_client = await family.client.save()
    first, second = await family.ada.save(), await family.ada.save("4242424242424242")
    of_bob = await family.bob.save()
    assert await family.ada.default() == first
    made = await card_forms.make_default(family.portal, second, family.ada.token)
    assert made["__typename"] == "DefaultMade"
    assert await family.ada.default() == second
    assert await family.bob.default() == of_bob
    assert await family.client.default() == of_client
    dashboard = Person(family.portal, await family.portal.token(Subject(family.portal.practice_id)))
    assert await dashboard.default() == of_client
    assert len(await dashboard.cards()) == 4


async def test_contact_pays_for_each_client_with_one_card(family: Family) -> None:
    card = await family.ada.save()
    found = await family.ada.ask(CARDS, id=f"cli_{family.portal.other_id}")
    assert found["client"]["paymentMethods"] == []
    assert found["client"]["cardsToPayWith"] == [{"id": card}]
    source = {"paymentMethodId": card}
    assert (await family.ada.pay(source, family.portal.other_id))["__typename"] == "PaySucceeded"
    # Sharing is for the client that the card was saved for.
    await family.ada.share(card)
    bob = await guardian(family.portal, family.portal.client_id, family.portal.other_id)
    refused = await bob.pay(source, family.portal.other_id)
    assert refused["__typename"] == "NotFound"
    await family.ada.save("4242424242424242", family.portal.other_id)
    assert len(await family.portal.all(StripeCustomer)) == 1


async def test_unlinked_contacts_card_is_gone_and_detached(family: Family) -> None:
    await family.ada.save()
    await family.ada.save("4242424242424242", family.portal.other_id)
    (card,) = await family.ada.cards()
    await family.ada.share(card["id"])
    own = await family.client.save()
    await family.unlink(family.ada)
    assert [one["id"] for one in await family.client.cards()] == [own]
    assert await family.client.default() == own
    rows = {f"crd_{one.id}": one for one in await family.portal.all(PaymentMethod)}
    gone = rows[card["id"]]
    assert gone.removed_at is not None
    assert [gone.is_default, gone.is_shared] == [False, False]
    (detachment,) = await family.portal.all(Detachment)
    assert (detachment.stripe_id, detachment.contact_id) == (gone.stripe_id, family.ada.contact_id)
    await detach.detach_cards(family.portal.payment_context)
    kept = {one.stripe_id for one in rows.values() if one.removed_at is None}
    assert await family.attached() == kept
    assert len(kept) == 2


async def test_contact_who_may_only_see_from_now_on_keeps_no_card(family: Family) -> None:
    await family.ada.save()
    await family.link(family.ada, sees=True, pays=False)
    assert await family.ada.cards() == []
    (card,) = await family.portal.all(PaymentMethod)
    assert card.removed_at is not None
    assert [one.stripe_id for one in await family.portal.all(Detachment)] == [card.stripe_id]


async def test_card_ends_with_the_last_day_of_the_right(family: Family) -> None:
    card = await family.ada.save()
    await family.ada.share(card)
    today = family.portal.clock().date()
    await set_until(family, today)
    assert [one["id"] for one in await family.bob.cards()] == [card]
    await set_until(family, today - dt.timedelta(1))
    dashboard = Person(family.portal, await family.portal.token(Subject(family.portal.practice_id)))
    for viewer in (family.bob, family.client, dashboard):
        assert await viewer.cards() == []
    assert (await family.bob.pay({"paymentMethodId": card}))["__typename"] == "NotFound"
    context, practice_id = family.portal.payment_context, family.portal.practice_id
    await card_comparison.compare_cards(context, practice_id, ACCOUNT)
    await detach.detach_cards(context)
    (row,) = await family.portal.all(PaymentMethod)
    assert row.removed_at is not None
    assert await family.attached() == set()


async def set_until(family: Family, day: dt.date) -> None:
    mine = ContactRight.contact_id == family.ada.contact_id
    async with family.portal.engine.begin() as conn:
        await conn.execute(update(ContactRight).where(mine).values(until=day))


async def test_comparison_keeps_a_contacts_cards_for_all_clients(family: Family) -> None:
    await family.ada.save()
    await family.ada.save("4242424242424242", family.portal.other_id)
    context, practice_id = family.portal.payment_context, family.portal.practice_id
    await card_comparison.compare_cards(context, practice_id, ACCOUNT)
    assert await family.portal.all(Detachment) == []
    async with family.portal.engine.begin() as conn:
        gone = {"removed_at": family.portal.clock(), "is_default": False}
        await conn.execute(update(PaymentMethod).values(gone))
    await card_comparison.compare_cards(context, practice_id, ACCOUNT)
    found = await family.portal.all(Detachment)
    assert {one.contact_id for one in found} == {family.ada.contact_id}
    assert len(found) == 2


async def test_who_only_pays_sees_their_own_payments_and_receipts(family: Family) -> None:
    await family.link(family.bob, sees=False, pays=True)
    paid = await family.bob.pay(family.portal.card())
    assert paid["payment"]["receipt"]["number"].startswith("RCP-")
    assert paid["payment"]["card"]["last4"] == "4242"
    assert paid["payment"]["allocations"] == []
    await family.ada.pay(family.portal.card())
    await family.client.pay(family.portal.card())
    seen = await family.bob.payments()
    (payment,) = seen["payments"]["nodes"]
    (receipt,) = seen["receipts"]["nodes"]
    assert (payment["id"], payment["payer"]) == (paid["payment"]["id"], "VIEWER")
    assert payment["receipt"]["id"] == receipt["id"]
    printed = await family.portal.http.get(receipt["document"]["printUrl"])
    assert printed.status_code == 200
    for other in (await family.client.payments())["receipts"]["nodes"]:
        if other["id"] != receipt["id"]:
            assert await family.bob.ask(NODE, id=other["id"]) == {"node": None}
    # Who sees documents sees all payments, and of another person's no card.
    nodes = (await family.ada.payments())["payments"]["nodes"]
    found = [(one["payer"], one["card"]) for one in nodes]
    assert sorted(found, key=str) == [
        ("CLIENT", None),
        ("CONTACT", None),
        ("VIEWER", {"last4": "4242"}),
    ]
    assert all("4242" not in entry.description for entry in await family.portal.all(LedgerEntry))


async def test_only_the_payer_continues_or_cancels_a_payment(family: Family) -> None:
    waits = await family.ada.pay(family.portal.card(ASKS))
    id_ = waits["payment"]["id"]
    for other in (family.bob, family.client):
        for refused in (
            await family.portal.refresh(id_, other.token),
            await family.portal.cancel(id_, other.token),
        ):
            assert refused["__typename"] == "NotAllowed"
            assert "clientSecret" not in refused
    refused = await family.bob.pay(family.portal.card())
    assert (refused["__typename"], refused["code"]) == ("AnotherPersonPays", "PAYMENT_IN_PROGRESS")
    await family.link(family.bob, sees=False, pays=True)
    assert (await family.portal.cancel(id_, family.bob.token))["__typename"] == "NotFound"
    own = await family.ada.pay(family.portal.card())
    assert (own["__typename"], own["payment"]["id"]) == ("PaymentInProgress", id_)
    assert (await family.portal.cancel(id_, family.ada.token))["__typename"] == "PayCanceled"


async def test_key_of_another_person_is_not_repeated(family: Family) -> None:
    await family.portal.invoice(1_000)
    asked = family.portal.input(
        1_000, family.portal.card(), clientId=f"cli_{family.portal.client_id}"
    )
    assert (await family.portal.sent(asked, family.ada.token))["__typename"] == "PaySucceeded"
    other = await family.portal.sent(asked, family.bob.token)
    assert other["__typename"] == "IdempotencyKeyReused"


async def test_two_guardians_at_once_pay_a_balance_once(family: Family) -> None:
    await family.portal.invoice(1_000)
    client = f"cli_{family.portal.client_id}"
    results = await asyncio.gather(
        *(
            family.portal.sent(
                family.portal.input(1_000, family.portal.card(), clientId=client), person.token
            )
            for person in (family.ada, family.bob) * 4
        )
    )
    kinds = [one["__typename"] for one in results]
    assert kinds.count("PaySucceeded") == 1
    losers = {"AnotherPersonPays", "PaymentInProgress", "NothingToPay", "PayProcessing"}
    assert {*kinds} - {"PaySucceeded"} <= losers | {"AmountChanged"}
    assert len(family.portal.charges()) == 1
    assert not [one for one in await family.portal.all(Payment) if one.state in ACTIVE_STATES]
