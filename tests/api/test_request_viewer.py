"""Each request is answered for the viewer that its token has now, whatever was known before."""

import asyncio
import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update

from execution import executor
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Contact, ContactRight, Relation, Scope, Token
from models.database.read_pools import Lanes
from models.ids import new_id
from models.measures import CACHE_LOOKUPS
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "query Name { client { name } }"
NAMES = "query Names { viewer { clients { name } } }"
ANA, EMAIL = "Ana Prieto", "ana@example.com"
SIGN_OUT = "mutation { signOut { __typename } }"
# A request of each kind: planned, refused in each step, answered without a statement or by several.
REQUESTS = {
    "planned": NAME,
    "unparsable": "{ client {",
    "invalid": "{ client { nothing } }",
    "too large": "{ client { invoices(first: 100000) { nodes { id } } } }",
    "by the reference executor": '{ client { invoices(after: "bad") { nodes { id } } } }',
    "introspecting": "{ __schema { queryType { name } } }",
    "without rows": "{ __typename }",
    "change": SIGN_OUT,
}
BEFORE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        yield it


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the calls that run planned reads."""
    calls: list[str] = []

    def watch(name: str) -> None:
        run = getattr(Lanes, name)

        def watched(self: Lanes, *given: Any) -> Any:
            calls.append(name)
            return run(self, *given)

        monkeypatch.setattr(Lanes, name, watched)

    for name in ("row", "value", "row_and_value"):
        watch(name)
    return calls


def with_new_body(query: str) -> dict[str, Any]:
    return {"query": query, "variables": {"number": next(NUMBERS)}}


def new_text() -> str:
    return f"query Name{next(NUMBERS)} {{ client {{ name }} }}"


async def ask(portal: Portal, token: str, body: Any) -> httpx.Response:
    return await portal.http.post(
        "/graphql", json=body, headers={"authorization": f"Bearer {token}"}
    )


async def known(portal: Portal, *requests: str, **given: Any) -> str:
    """Return a token that has sent these requests already."""
    token = await portal.token(**given)
    for query in requests or ("{ __typename }",):
        assert (await ask(portal, token, {"query": query})).status_code == 200
    return token


async def change(portal: Portal, statement: Any) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(statement)


def code(response: httpx.Response) -> str:
    found: str = response.json()["errors"][0]["extensions"]["code"]
    return found


# -- one statement ---------------------------------------------------------------------------------


async def test_known_token_is_looked_up_by_the_statement_that_answers(
    portal: Portal, statements: list[str]
) -> None:
    """A kept answer takes the look-up alone."""
    token = await known(portal, NAME)
    for body, expected in (
        ({"query": NAME}, ["row"]),
        (with_new_body(NAME), ["row"]),
        ({"query": new_text()}, ["row_and_value"]),
    ):
        statements.clear()
        response = await ask(portal, token, body)
        assert response.json() == {"data": {"client": {"name": ANA}}}
        assert statements == expected


async def test_unknown_token_is_looked_up_first(portal: Portal, statements: list[str]) -> None:
    token = await portal.token()
    await ask(portal, token, {"query": new_text()})
    assert statements == ["row", "row_and_value"]


# -- rights that have changed ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", REQUESTS)
async def test_revoked_token_gets_401_for_every_kind_of_request(portal: Portal, kind: str) -> None:
    token = await known(portal)
    await change(portal, update(Token).values(revoked_at=portal.clock()))
    for _ in range(2):
        response = await ask(portal, token, {"query": REQUESTS[kind]})
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("is_new", [False, True])
async def test_scopes_of_now_decide(portal: Portal, is_new: bool) -> None:
    """A request is refused once its scope is withdrawn, and answered once it is granted."""
    token = await known(portal, NAME)
    for scopes, expected in (
        ([Scope.BILLING_READ], "SCOPE_REQUIRED"),
        (sorted(PERSONAL_SCOPES), None),
        ([Scope.BILLING_READ], "SCOPE_REQUIRED"),
    ):
        await change(portal, update(Token).values(scopes=scopes))
        response = await ask(portal, token, with_new_body(NAME) if is_new else {"query": NAME})
        answered = response.json()
        assert (code(response) if "errors" in answered else None) == expected
        assert ("data" in answered) == (expected is None)


async def test_stale_rights_are_not_recorded_as_refused(
    portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal for the last known viewer, who has the scope by now, is no event."""
    token = await known(portal, scopes=frozenset({Scope.BILLING_READ}))
    await change(portal, update(Token).values(scopes=sorted(PERSONAL_SCOPES)))
    with caplog.at_level("INFO", "portal.security"):
        assert (await ask(portal, token, {"query": NAME})).status_code == 200
    assert "SCOPE" not in caplog.text.upper()


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"scopes": sorted(PERSONAL_SCOPES)}, 1), ({"revoked_at": BEFORE}, 0)],
)
async def test_change_is_made_once_and_for_the_viewer_of_now(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], expected: int
) -> None:
    made: list[str] = []
    run = executor.run_mutations

    async def watched(calls: Any, context: Any) -> Any:
        made.extend(call.response_key for call in calls)
        return await run(calls, context)

    monkeypatch.setattr(executor, "run_mutations", watched)
    token = await known(portal, scopes=frozenset({Scope.BILLING_READ}))
    await change(portal, update(Token).values(values))
    await ask(portal, token, {"query": SIGN_OUT})
    assert len(made) == expected


async def test_viewer_who_changes_each_time_is_asked_to_send_the_same_again(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await known(portal, NAME)
    changes = itertools.cycle([[Scope.BILLING_READ, Scope.PHI_READ], sorted(PERSONAL_SCOPES)])
    run = Lanes.row_and_value

    async def changed(self: Lanes, *given: Any) -> Any:
        await change(portal, update(Token).values(scopes=next(changes)))
        return await run(self, *given)

    monkeypatch.setattr(Lanes, "row_and_value", changed)
    response = await ask(portal, token, {"query": new_text()})
    assert (response.status_code, code(response)) == (503, "UNAVAILABLE")


# -- races -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Race:
    """A change of rights while requests run, and the answer to each that begins after it.

    `shown` are the names of clients, or None for 401 or an error.
    """

    change: Callable[[Portal, str], Any]
    shown: list[str] | None


async def aunt(portal: Portal) -> tuple[str, str]:
    """Return the id and the token of a contact of both clients."""
    own, id_ = {"practice_id": portal.practice_id}, new_id()
    await portal.insert(Contact, {**own, "id": id_, "name": "Ada Ahn"})
    right = {**own, "contact_id": id_, "relation": Relation.PARTNER}
    rights = {**right, "sees_documents": True, "can_pay": False}
    clients = (portal.client_id, portal.other_id)
    await portal.insert(ContactRight, *({**rights, "client_id": one} for one in clients))
    token = await portal.token(Subject(portal.practice_id, contact_id=id_))
    return id_, token


def of_token(**values: Any) -> Callable[[Portal, str], Any]:
    return lambda portal, contact_id: (
        update(Token).where(Token.contact_id == contact_id).values(values)
    )


def of_second_right(portal: Portal, contact_id: str) -> Any:
    return (ContactRight.contact_id == contact_id) & (ContactRight.client_id == portal.other_id)


RACES = {
    "revoked": Race(of_token(revoked_at=BEFORE), None),
    "expired": Race(of_token(expires_at=BEFORE), None),
    "idle": Race(of_token(is_sign_in=True, last_used_at=BEFORE), None),
    "scope withdrawn": Race(of_token(scopes=[Scope.BILLING_READ]), None),
    "right withdrawn": Race(
        lambda portal, id_: delete(ContactRight).where(of_second_right(portal, id_)), [ANA]
    ),
    "right ended": Race(
        lambda portal, id_: (
            update(ContactRight).where(of_second_right(portal, id_)).values(until=BEFORE.date())
        ),
        [ANA],
    ),
}


@pytest.fixture(scope="module", params=[0, 16], ids=["none kept", "answers kept"])
async def racing(
    new_database: NewDatabase, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Portal, bool]]:
    """Yield a portal, and whether it keeps answers."""
    async with new_database() as url, served(url, answer_cache_mb=request.param) as it:
        yield it, request.param > 0


@pytest.mark.parametrize("name", RACES)
async def test_no_request_after_a_change_is_answered_by_the_old_rights(
    racing: tuple[Portal, bool], name: str
) -> None:
    (portal, keeps), race = racing, RACES[name]
    contact_id, token = await aunt(portal)
    both = [ANA, "Ben Osei"]
    is_changed = False
    late = 0
    before = CACHE_LOOKUPS.values["answers", "hit"]
    for _ in range(3):
        await ask(portal, token, {"query": NAMES})

    async def sender(number: int) -> None:
        nonlocal late
        while late < 60:
            began_late = is_changed
            body = {"query": NAMES} if number % 2 else with_new_body(NAMES)
            answered = (await ask(portal, token, body)).json()
            rows = (answered.get("data") or {"viewer": {"clients": []}})["viewer"]["clients"]
            shown = None if "errors" in answered else [row["name"] for row in rows]
            if began_late:
                late += 1
                assert shown == race.shown
            else:
                assert shown in (both, race.shown)

    async def changer() -> None:
        nonlocal is_changed
        await asyncio.sleep(0.02)
        await change(portal, race.change(portal, contact_id))
        is_changed = True

    await asyncio.gather(changer(), *(sender(number) for number in range(8)))
    # Among them the last of the three requests before the race.
    assert (CACHE_LOOKUPS.values["answers", "hit"] > before) is keeps


# -- large bodies ----------------------------------------------------------------------------------


async def test_large_body_is_answered_for_the_viewer_after_it(portal: Portal) -> None:
    """The token is withdrawn while its sender still sends."""
    token = await known(portal, NAME)
    content = json.dumps({"query": NAME, "variables": {"padding": "x" * 2**15}}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield content[: 2**14 + 1]
        await asyncio.sleep(0)
        await change(portal, update(Token).values(revoked_at=portal.clock()))
        yield content[2**14 + 1 :]

    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    response = await portal.http.post("/graphql", content=pieces(), headers=headers)
    assert response.status_code == 401


async def test_changed_address_ends_a_sign_in(portal: Portal) -> None:
    token = await known(portal)
    signed_in = {"is_sign_in": True, "last_used_at": portal.clock(), "email": EMAIL}
    await change(portal, update(Client).where(Client.id == portal.client_id).values(email=EMAIL))
    await change(portal, update(Token).values(signed_in))
    assert (await ask(portal, token, with_new_body(NAME))).status_code == 200
    await change(portal, update(Client).values(email="new@example.com"))
    assert (await ask(portal, token, with_new_body(NAME))).status_code == 401
