"""One sign-in for all people of an address in a practice, and the switch between them."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import delete, update

from identity.tokens import Subject
from models import Client, Contact, ContactRight, Token
from models.ids import new_id
from tests.support.sign_in import SIGN_OUT, SigningIn, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE = dt.timedelta(minutes=1)
CLIENTS = "{ viewer { name clients { name } } }"
MOTHER = "ana@example.com"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    """Yield a portal where one address belongs to a client and to another client's guardian."""
    async with new_database() as url, signing_in(url) as it:
        await it.change(Contact, it.guardian_id, email=" ANA@example.com")
        async with it.engine.begin() as conn:
            ward = ContactRight.client_id == it.other_id
            await conn.execute(delete(ContactRight).where(~ward))
        yield it


async def names(portal: SigningIn, token: str) -> tuple[str, list[str]]:
    """Return the viewer's name, and the names of the viewer's clients."""
    viewer = (await portal.ask(CLIENTS, token)).json()["data"]["viewer"]
    return viewer["name"], [client["name"] for client in viewer["clients"]]


async def test_sign_in_has_every_identity_of_the_address(portal: SigningIn) -> None:
    await portal.elsewhere(MOTHER)
    token = await portal.sign_in(MOTHER)
    client, contact = await portal.identities(token)
    assert client == {
        "id": f"idn_{portal.client_id}",
        "kind": "CLIENT",
        "name": "Ana Prieto",
        "isCurrent": True,
    }
    assert (contact["kind"], contact["name"], contact["isCurrent"]) == (
        "CONTACT",
        "Gail Ahn",
        False,
    )


async def test_viewer_is_switched_and_switched_back(portal: SigningIn) -> None:
    token = await portal.sign_in(MOTHER)
    assert await names(portal, token) == ("Ana Prieto", ["Ana Prieto"])
    client, contact = await portal.identities(token)
    for _ in range(2):
        switched = await portal.switch(token, contact["id"])
        assert switched["__typename"] == "ViewerSwitched"
        assert [one["isCurrent"] for one in switched["viewer"]["identities"]] == [False, True]
        assert switched["viewer"]["kind"] == "CONTACT"
        # Also with a body that was sent before.
        assert await names(portal, token) == ("Gail Ahn", ["Ben Osei"])
        assert await names(portal, token) == ("Gail Ahn", ["Ben Osei"])
        await portal.switch(token, client["id"])
        assert await names(portal, token) == ("Ana Prieto", ["Ana Prieto"])
    assert len(await portal.all(Token)) == 1


async def test_each_request_has_one_identity(portal: SigningIn) -> None:
    """Races never mix one identity's name with another's clients."""
    token = await portal.sign_in(MOTHER)
    ids = [one["id"] for one in await portal.identities(token)]
    seen = set()

    async def seen_now() -> tuple[str, ...]:
        name, clients = await names(portal, token)
        return name, *clients

    async def look() -> None:
        for _ in range(15):
            seen.add(await seen_now())

    async def switch() -> None:
        for number in range(10):
            await portal.switch(token, ids[(number + 1) % 2])
            seen.add(await seen_now())

    await asyncio.gather(look(), look(), switch())
    assert seen <= {("Ana Prieto", "Ana Prieto"), ("Gail Ahn", "Ben Osei")}
    assert len(seen) == 2


async def test_other_people_can_not_be_switched_to(portal: SigningIn) -> None:
    id_ = await portal.elsewhere(MOTHER)
    (other,) = [one.id for one in await portal.all(Client) if one.practice_id == id_]
    token = await portal.sign_in(MOTHER)
    wrong = (
        *(f"idn_{one}" for one in (portal.other_id, other, new_id())),
        *(f"cli_{portal.client_id}", "idn_1", "", "idn_" + "9" * 5_000),
    )
    for wanted in wrong:
        refused = await portal.switch(token, wanted)
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", "id"])
    assert (await names(portal, token))[0] == "Ana Prieto"
    ben = await portal.sign_in("ben@example.com")
    (only,) = await portal.identities(ben)
    assert only["name"] == "Ben Osei"
    assert (await portal.switch(ben, f"idn_{portal.client_id}"))["__typename"] == "NotFound"


async def test_similar_mailbox_is_another_identity(portal: SigningIn) -> None:
    """A database may fold the Kelvin sign to a k; to a mail server it is another letter."""
    await portal.change(Client, portal.client_id, email="kelvin@example.com")
    await portal.change(Contact, portal.guardian_id, email="\u212aelvin@example.com")
    token = await portal.sign_in("kelvin@example.com")
    (only,) = await portal.identities(token)
    assert only["isCurrent"]
    assert (await portal.switch(token, f"idn_{portal.guardian_id}"))["code"] == "NOT_FOUND"


async def test_created_token_can_not_be_switched(portal: SigningIn) -> None:
    dashboard = await portal.token(Subject(portal.practice_id))
    for token in (await portal.token(), dashboard):
        assert await portal.identities(token) == []
        assert (await portal.switch(token, f"idn_{portal.guardian_id}"))["code"] == "NOT_FOUND"


async def test_switch_is_the_only_field_of_its_operation(portal: SigningIn) -> None:
    token = await portal.sign_in(MOTHER)
    one = f'switchViewer(input: {{id: "idn_{portal.guardian_id}"}}) {{ __typename }}'
    answer = (await portal.ask(f"mutation {{ a: {one} signOut {{ signedOut }} }}", token)).json()
    assert answer["errors"][0]["extensions"]["code"] == "NOT_ALONE"
    assert (await names(portal, token))[0] == "Ana Prieto"


async def test_sign_ins_of_an_address_are_listed_and_ended_together(portal: SigningIn) -> None:
    here, there = await portal.sign_in(MOTHER), await portal.sign_in(MOTHER)
    await portal.switch(there, f"idn_{portal.guardian_id}")
    for token in (here, there):
        listed = (await portal.ask("{ viewer { signIns { id isCurrent } } }", token)).json()
        assert len(listed["data"]["viewer"]["signIns"]) == 2
    await portal.ask(SIGN_OUT, there)
    assert not await portal.works(there)
    assert await portal.works(here)


# -- changed addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["new@example.com", None, "ana@example.com.evil.example"])
async def test_sign_in_ends_when_its_address_changes(
    portal: SigningIn, spelling: str | None
) -> None:
    token, contact = await portal.sign_in(MOTHER), await portal.sign_in(MOTHER)
    await portal.switch(contact, f"idn_{portal.guardian_id}")
    for one in (token, contact):
        assert await portal.works(one)
        assert await portal.works(one)
    await portal.change(Client, portal.client_id, email=spelling)
    # A repeated request, and a new one.
    assert not await portal.works(token)
    assert (await portal.ask("{ viewer { kind } }", token)).status_code == 401
    assert await portal.works(contact)
    assert [one["name"] for one in await portal.identities(contact)] == ["Gail Ahn"]
    assert (await portal.switch(contact, f"idn_{portal.client_id}"))["code"] == "NOT_FOUND"
    await portal.change(Contact, portal.guardian_id, email=spelling)
    assert not await portal.works(contact)


async def test_other_spelling_is_the_same_address(portal: SigningIn) -> None:
    token = await portal.sign_in(MOTHER)
    await portal.change(Client, portal.client_id, email="  ANA@EXAMPLE.COM ")
    assert await portal.works(token)


async def test_created_token_outlasts_a_changed_address(portal: SigningIn) -> None:
    token = await portal.token()
    await portal.change(Client, portal.client_id, email="new@example.com")
    assert await portal.works(token)


async def test_ended_sign_in_can_not_be_switched(portal: SigningIn) -> None:
    token = await portal.sign_in(MOTHER)
    async with portal.engine.begin() as conn:
        await conn.execute(update(Token).values(revoked_at=portal.clock()))
    answer = await portal.ask('mutation { switchViewer(input: {id: "x"}) { __typename } }', token)
    assert answer.status_code == 401
