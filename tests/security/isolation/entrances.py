"""The households' people, signed in by e-mail with a link per practice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from identity.token_keys import hashed
from identity.tokens import PERSONAL_SCOPES
from models import Claim, Client, Contact, Payment, PaymentState, Practice, Token, ViewerKind
from models.database import open_engine
from tests.security.isolation.households import (
    CLIENTS,
    RIGHTS,
    STALE_SORTS,
    Bearer,
    Households,
    founded,
)
from tests.security.isolation.matrix import Matrix, over
from tests.security.isolation.rows import Rows
from tests.support.card_forms import PREPARE
from tests.support.mail_server import mail_server
from tests.support.portal import KEY
from tests.support.sign_in import PAGE, REVOKE, SIGN_OUT, SigningIn, serving

PEOPLE = (*CLIENTS, *RIGHTS)
# A contact who is also a client, with the same address.
SHARED = {"guardian of one": "Ben Prieto"}
# The order in which a mail lists the practices.
PRACTICES = ("EUR", "USD", "twin")
# Payments under way that are in another state.
STANDINGS = {"Ben Prieto": PaymentState.CANCELED, "Cleo Prieto": PaymentState.CREATED}


@dataclass
class Inside:
    """A server, and all signed-in viewers.

    `setups` maps a SetupIntent's id to its practice, its client, and the contact who opened it.
    """

    matrix: Matrix
    portal: SigningIn
    rows: Rows
    setups: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)

    @property
    def households(self) -> Households:
        return self.matrix.households

    def header(self, bearer: Bearer) -> str:
        return f"Bearer {bearer.secret}"

    async def ask(self, query: str, header: str | None, **variables: Any) -> httpx.Response:
        headers = {"Authorization": header} if header is not None else {}
        body = {"query": query, "variables": variables}
        return await self.portal.http.post("/graphql", json=body, headers=headers)


@asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[Inside]:
    """Fill the empty database of this URL, and sign everybody in."""
    async with over(url, addressed()) as matrix, open_engine(url) as writing:
        portal = SigningIn(url, writing)
        with mail_server() as portal.mailbox:
            async with serving(portal, smtp_url=portal.mailbox.url):
                inside = Inside(matrix, portal, Rows(portal.engine))
                await enter_all(inside)
                await inside.rows.remember()
                yield inside


def addressed() -> Households:
    """Return households in which each person has an address, the same in each practice.

    Only programs have other tokens.
    """
    households = founded()
    for rows in households.rows.values():
        rows[Practice][0]["portal_url"] = PAGE
        for sort, row in zip(PEOPLE, [*rows[Client], *rows[Contact]], strict=True):
            row["email"] = address(sort)
        for sort, state in STANDINGS.items():
            client_id = rows[Client][CLIENTS.index(sort)]["id"]
            for payment in rows[Payment]:
                if payment["client_id"] == client_id and payment["state"] == "PROCESSING":
                    payment["state"] = state
            if state is PaymentState.CANCELED:
                rows[Claim] = [one for one in rows[Claim] if one["client_id"] != client_id]
    programs = [one for one in households.bearers if one.is_program]
    households.bearers = programs
    return households


def address(sort: str) -> str:
    return f"{SHARED.get(sort, sort).replace(' ', '.')}@example.com"


async def enter_all(inside: Inside) -> None:
    """Sign each person in to each practice; some of them also with sign-ins that have ended."""
    for sort in PEOPLE:
        for bearer in await enter(inside, sort):
            inside.households.bearers.append(bearer)
            await begin_cards(inside, bearer)
    for sort in filter(PEOPLE.__contains__, STALE_SORTS):
        here = {one.practice: one for one in inside.households.of(sort)}
        for bearer in await enter(inside, sort):
            answer = await inside.ask(SIGN_OUT, inside.header(bearer))
            assert answer.json()["data"]["signOut"]["signedOut"]
            inside.households.bearers.append(replace(bearer, state="signed out"))
        for bearer in await enter(inside, sort):
            token = inside.header(here[bearer.practice])
            answer = await inside.ask(REVOKE, token, id=f"sgn_{bearer.token_id}")
            assert answer.json()["data"]["revokeSignIn"]["__typename"] == "SignInRevoked"
            inside.households.bearers.append(replace(bearer, state="revoked"))


async def enter(inside: Inside, sort: str) -> list[Bearer]:
    """Sign in with each link of one mail.

    A sign-in begins as the client of an address, and is switched to the sort's person.
    """
    nonce = await inside.portal.request(address(sort))
    secrets = await inside.portal.secrets()
    entered = [await inside.portal.enter(secret, nonce) for secret in secrets]
    if sort in SHARED:
        for one, practice in zip(entered, PRACTICES, strict=True):
            await switch(inside, one["token"], inside.households.rows[practice], sort)
    tokens = {row.hash: row for row in await inside.portal.all(Token)}
    pairs = zip(PRACTICES, entered, strict=True)
    return [
        bearer_of(inside, sort, name, one["token"], tokens[hashed(one["token"], KEY)])
        for name, one in pairs
    ]


async def switch(inside: Inside, token: str, rows: Any, sort: str) -> None:
    person = [*rows[Client], *rows[Contact]][PEOPLE.index(sort)]
    switched = await inside.portal.switch(token, f"idn_{person['id']}")
    assert switched["__typename"] == "ViewerSwitched"


def bearer_of(inside: Inside, sort: str, practice: str, secret: str, token: Any) -> Bearer:
    """Return the viewer of a token: the practice's person with that address."""
    rows = inside.households.rows[practice]
    is_client = sort in CLIENTS
    person = [*rows[Client], *rows[Contact]][PEOPLE.index(sort)]
    kind = ViewerKind.CLIENT if is_client else ViewerKind.CONTACT
    whose = (token.practice_id, token.kind, token.client_id, token.contact_id)
    subjects = (person["id"], None) if is_client else (None, person["id"])
    assert whose == (person["practice_id"], kind, *subjects)
    assert token.is_sign_in
    assert set(token.scopes) == set(PERSONAL_SCOPES)
    of = (sort, practice, token.practice_id, kind, person["id"], PERSONAL_SCOPES, token.id)
    return Bearer(*of, secret=secret)


async def begin_cards(inside: Inside, bearer: Bearer) -> None:
    """Prepare a card form for each client that a person may pay for, and record its SetupIntent."""
    eyes = inside.matrix.eyes(bearer)
    contact_id = bearer.subject_id if bearer.kind is ViewerKind.CONTACT else None
    for client in eyes.seen["Client"]:
        if eyes.pays(client["id"]):
            of = {"clientId": f"cli_{client['id']}"}
            answer = await inside.ask(PREPARE, inside.header(bearer), i=of)
            setup_id = answer.json()["data"]["prepareCard"]["setupIntentId"]
            inside.setups[setup_id] = bearer.practice, client["id"], contact_id
