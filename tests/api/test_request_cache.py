"""Repeated requests are not prepared again: their responses and checks are those of new ones."""

import datetime as dt
import gc
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, update

from execution.preparation import Preparation
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Contact, ContactRight, Practice, Relation, Scope, Token
from models.database import StatementTimeout, StatementTooDeep
from models.ids import new_id
from tests.support.headers import compared_headers
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "{ client { name } }"
BALANCE = "{ client { balance { amount { amount currency } } } }"
ORIGIN = "https://portal.example"
JSON = "application/json"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with (
        new_database() as url,
        served(url, allowed_origins=[ORIGIN], allowed_hosts=["portal"]) as it,
    ):
        yield it


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the queries of requests that were prepared."""
    queries: list[str] = []
    prepare = Preparation.prepare

    async def watched(self: Preparation, query: str, *given: Any) -> Any:
        queries.append(query)
        return await prepare(self, query, *given)

    monkeypatch.setattr(Preparation, "prepare", watched)
    return queries


async def sent(portal: Portal, token: str, query: str = NAME, **headers: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"} | headers
    return await portal.http.post("/graphql", content=json.dumps({"query": query}), headers=headers)


async def asked_before(portal: Portal, token: str, query: str = NAME) -> None:
    """Send a request as often as it takes to be cached."""
    for _ in range(2):
        assert (await sent(portal, token, query)).status_code == 200


def told(response: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return response.status_code, sorted(compared_headers(response).items()), response.content


async def test_request_is_not_prepared_for_the_third_time(
    portal: Portal, prepared: list[str]
) -> None:
    token = await portal.token()
    first, second, third = [await sent(portal, token) for _ in range(3)]
    assert prepared == [NAME, NAME]
    assert told(first) == told(second) == told(third)


async def test_viewers_of_equal_rights_share_a_request_and_get_their_own_rows(
    portal: Portal, prepared: list[str]
) -> None:
    both = [portal.client_id, portal.other_id]
    tokens = [await portal.token(Subject(portal.practice_id, client_id=id_)) for id_ in both]
    names = ["Ana Prieto", "Ben Osei"]
    for _ in range(2):
        answers = [(await sent(portal, token)).json() for token in tokens]
        assert answers == [{"data": {"client": {"name": name}}} for name in names]
    assert prepared == [NAME, NAME]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": ORIGIN},
        {"origin": "https://elsewhere.example"},
        {"accept": "application/graphql-response+json"},
        {"accept": "application/graphql-response+json", "origin": ORIGIN},
        {"content-type": "application/json; charset=utf-8"},
        {"host": "portal:8000"},
    ],
)
async def test_known_and_new_requests_get_the_same_headers(
    portal: Portal, prepared: list[str], headers: Mapping[str, str]
) -> None:
    token = await portal.token()
    first, _, third = [await sent(portal, token, **headers) for _ in range(3)]
    assert told(first) == told(third)
    assert len(prepared) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "elsewhere.example"},
        {"host": "portal:abc"},
        {"host": "portal:elsewhere.example:1"},
        {"content-type": "text/plain"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer cbp_"},
    ],
)
async def test_repeated_request_with_invalid_headers_is_refused(
    portal: Portal, headers: Mapping[str, str]
) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    response = await sent(portal, token, **headers)
    assert response.status_code in (400, 401, 415)


async def test_every_origin_is_allowed_if_set(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url, allowed_origins=["*"]) as portal:
        token = await portal.token()
        first, second = [await sent(portal, token, origin=ORIGIN) for _ in range(2)]
    assert told(first) == told(second)
    assert second.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("headers", [{"host": "elsewhere"}, {"content-type": "text/plain"}])
async def test_invalid_headers_are_refused_without_waiting_for_the_body(
    portal: Portal, headers: Mapping[str, str]
) -> None:
    """The body never arrives."""

    async def never() -> Any:
        raise AssertionError("the body was awaited")

    token = await portal.token()
    plain = {"host": "portal", "content-type": JSON, "authorization": f"Bearer {token}"}
    status, _ = await asked_directly(portal, {**plain, **headers}, never)
    assert status == (400 if "host" in headers else 415)


async def test_body_that_ends_early_is_refused(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    body = json.dumps({"query": NAME}).encode()
    messages = iter(
        [
            {"type": "http.request", "body": body, "more_body": True},
            {"type": "http.disconnect"},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(messages)

    given = {"host": "portal", "content-type": JSON, "authorization": f"Bearer {token}"}
    status, answer = await asked_directly(portal, given, receive)
    assert status == 400
    assert b"ended early" in answer


async def asked_directly(
    portal: Portal, headers: Mapping[str, str], receive: Callable[[], Any]
) -> tuple[int, bytes]:
    """Return the status and the body that the application sends for these messages."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b""}
    scope |= {
        "headers": raw,
        "client": ("127.0.0.1", 1),
        "server": ("portal", 80),
        "scheme": "http",
    }
    await portal.http._transport.app(scope, receive, send)  # type: ignore[attr-defined]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body


async def test_cache_of_bodies_is_limited_by_their_size_in_memory(portal: Portal) -> None:
    """Parsed variables take many times the memory of their text."""
    token = await portal.token()
    junk = ",".join(["{}"] * 9_000)
    for number in range(55):
        body = f'{{"query": "{NAME}", "variables": {{"n": {number}, "junk": [{junk}]}}}}'
        headers = {"authorization": f"Bearer {token}", "content-type": JSON, "host": "portal"}
        for _ in range(2):
            response = await portal.http.post("/graphql", content=body, headers=headers)
            assert response.status_code == 200
    assert 0 < len(portal.application.state.service.requests.items.items) < 50


async def test_body_in_pieces_is_answered(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token)

    async def pieces() -> AsyncIterator[bytes]:
        for letter in json.dumps({"query": NAME}):
            yield letter.encode()

    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    response = await portal.http.post("/graphql", content=pieces(), headers=headers)
    assert response.json() == {"data": {"client": {"name": "Ana Prieto"}}}


# -- the token is checked on each request ----------------------------------------------------------


async def change(portal: Portal, statement: Any) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(statement)


async def test_revoked_token_is_refused_on_its_next_request(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    await change(portal, update(Token).values(revoked_at=portal.clock()))
    assert (await sent(portal, token)).status_code == 401


async def test_expired_token_is_refused_on_its_next_request(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    portal.clock.time += dt.timedelta(hours=1)
    assert (await sent(portal, token)).status_code == 401


async def test_idle_sign_in_is_refused(portal: Portal) -> None:
    token = await sign_in(portal)
    await asked_before(portal, token)
    portal.clock.time += dt.timedelta(minutes=15)
    assert (await sent(portal, token)).status_code == 401


async def test_sign_in_of_a_changed_address_is_refused(portal: Portal) -> None:
    token = await sign_in(portal)
    await asked_before(portal, token)
    await change(portal, update(Client).values(email="new@example.com"))
    assert (await sent(portal, token)).status_code == 401


async def sign_in(portal: Portal) -> str:
    """Return a token of the client's that belongs to a sign-in."""
    token, email = await portal.token(), "ana@example.com"
    used = {"is_sign_in": True, "last_used_at": portal.clock(), "email": email}
    await change(portal, update(Token).values(used))
    await change(portal, update(Client).values(email=email))
    return token


async def test_removed_scope_is_missed_on_the_next_request(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    await change(portal, update(Token).values(scopes=[Scope.BILLING_READ]))
    (error,) = (await sent(portal, token)).json()["errors"]
    assert error["extensions"]["code"] == "SCOPE_REQUIRED"


async def test_viewer_with_fewer_scopes_is_not_served_from_the_cache_of_more(
    portal: Portal,
) -> None:
    await asked_before(portal, await portal.token())
    poorer = await portal.token(scopes=frozenset({Scope.BILLING_READ}))
    for _ in range(2):
        (error,) = (await sent(portal, poorer)).json()["errors"]
        assert error["extensions"]["code"] == "SCOPE_REQUIRED"


@pytest.mark.parametrize("who", ["a dashboard", "a guardian of two"])
async def test_viewer_with_other_rights_is_not_served_from_the_cache(
    portal: Portal, who: str
) -> None:
    scopes = frozenset(PERSONAL_SCOPES)
    await asked_before(portal, await portal.token(scopes=scopes))
    await asked_before(portal, await aunt(portal))
    subjects = {
        "a dashboard": Subject(portal.practice_id),
        "a guardian of two": Subject(portal.practice_id, contact_id=portal.guardian_id),
    }
    token = await portal.token(subjects[who], scopes=scopes)
    await asked_before(portal, token, "{ practice { name } }")
    (error,) = (await sent(portal, token)).json()["errors"]
    assert error["extensions"]["code"] == "CLIENT_REQUIRED"


async def aunt(portal: Portal) -> str:
    """Return the token of a contact of one client."""
    own = {"practice_id": portal.practice_id}
    await portal.insert(Contact, {**own, "id": (id_ := new_id()), "name": "Ada Ahn"})
    right = {"contact_id": id_, "client_id": portal.client_id, "relation": Relation.PARTNER}
    await portal.insert(ContactRight, {**own, **right, "sees_documents": True, "can_pay": False})
    return await portal.token(Subject(portal.practice_id, contact_id=id_))


async def test_guardian_with_a_new_second_client_has_to_name_one(portal: Portal) -> None:
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    other = ContactRight.client_id == portal.other_id
    async with portal.engine.begin() as conn:
        right = dict(
            (await conn.execute(ContactRight.__table__.select().where(other))).one()._mapping
        )
    await change(portal, delete(ContactRight).where(other))
    await asked_before(portal, guardian)
    await change(portal, insert(ContactRight).values(right))
    (error,) = (await sent(portal, guardian)).json()["errors"]
    assert error["extensions"]["code"] == "CLIENT_REQUIRED"


async def test_right_ends_with_its_last_day_of_the_practice_for_known_requests(
    portal: Portal, prepared: list[str]
) -> None:
    midnight = dt.datetime(2026, 3, 16, 4, tzinfo=dt.UTC)
    day = dt.date(2026, 3, 15)
    await change(portal, until(day, portal.other_id))
    portal.clock.time = midnight - dt.timedelta(seconds=1)
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    query = "{ viewer { clients { name canPay { reason } } } }"

    async def names() -> list[str]:
        answer = (await sent(portal, guardian, query)).json()
        return [one["name"] for one in answer["data"]["viewer"]["clients"]]

    assert [await names() for _ in range(2)] == [["Ana Prieto", "Ben Osei"]] * 2
    portal.clock.time = midnight
    assert [await names() for _ in range(2)] == [["Ana Prieto"]] * 2
    assert prepared == [query, query]


async def test_only_client_is_gone_with_the_right_for_known_requests(
    portal: Portal, prepared: list[str]
) -> None:
    await change(portal, delete(ContactRight).where(ContactRight.client_id == portal.client_id))
    await change(portal, until(dt.date(2026, 3, 15), portal.other_id))
    portal.clock.time = dt.datetime(2026, 3, 16, 3, 59, 59, tzinfo=dt.UTC)
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    answers = [(await sent(portal, guardian)).json() for _ in range(2)]
    assert answers == [{"data": {"client": {"name": "Ben Osei"}}}] * 2
    portal.clock.time += dt.timedelta(seconds=1)
    assert (await sent(portal, guardian)).json() == {"data": {"client": None}}
    assert prepared == [NAME, NAME]


async def test_right_that_has_ended_everywhere_does_not_count_for_the_only_client(
    portal: Portal,
) -> None:
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    codes = []
    for day in (None, dt.date(2026, 3, 15), dt.date(2026, 3, 14)):
        await change(portal, until(day, portal.other_id))
        answer = (await sent(portal, guardian)).json()
        codes.append([one["extensions"]["code"] for one in answer.get("errors", [])])
    assert codes == [["CLIENT_REQUIRED"], ["CLIENT_REQUIRED"], []]


def until(day: dt.date | None, client_id: str) -> Any:
    """Return the statement that gives a right to a client its last day."""
    return update(ContactRight).where(ContactRight.client_id == client_id).values(until=day)


async def test_changed_currency_is_used_on_the_next_request(portal: Portal) -> None:
    token = await portal.token()
    await asked_before(portal, token, BALANCE)
    await change(portal, update(Practice).values(currency="JPY"))
    amount = (await sent(portal, token, BALANCE)).json()["data"]["client"]["balance"]["amount"]
    assert amount == {"amount": "0", "currency": "JPY"}


async def test_statement_timeout_of_a_known_request_gets_503(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await portal.token()
    await asked_before(portal, token)

    async def late(*_: Any) -> None:
        raise StatementTimeout

    monkeypatch.setattr("execution.authentication.Authenticator.versions", late)
    response = await sent(portal, token, origin=ORIGIN)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_statement_too_deep_is_refused_after_the_token_is_looked_up(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await portal.token()
    await asked_before(portal, token)

    async def too_deep(*_: Any) -> None:
        raise StatementTooDeep

    monkeypatch.setattr("execution.authentication.Authenticator.versions", too_deep)
    (error,) = (await sent(portal, token)).json()["errors"]
    assert error["extensions"]["code"] == "TOO_DEEP"
    await change(portal, update(Token).values(revoked_at=portal.clock()))
    assert (await sent(portal, token)).status_code == 401


async def test_mutation_is_prepared_each_time(portal: Portal, prepared: list[str]) -> None:
    token = await portal.token()
    make_default = 'mutation { makeDefault(input: {paymentMethodId: "x"}) { __typename } }'
    for _ in range(3):
        await sent(portal, token, make_default)
    assert prepared == [make_default] * 3


async def test_request_of_an_evicted_operation_is_prepared_again(
    portal: Portal, prepared: list[str]
) -> None:
    token = await portal.token()
    await asked_before(portal, token)
    portal.application.state.service.preparation.operations.clear()
    gc.collect()
    for _ in range(3):
        assert (await sent(portal, token)).json() == {"data": {"client": {"name": "Ana Prieto"}}}
    assert prepared == [NAME] * 3


async def test_contact_and_client_do_not_share_cached_answers(portal: Portal) -> None:
    """A contact of one client and the client send the same request."""
    await asked_before(portal, await portal.token())
    contact = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    await change(portal, delete(ContactRight).where(ContactRight.client_id == portal.other_id))
    await asked_before(portal, contact, "{ practice { name } }")
    assert (await sent(portal, contact)).json() == {"data": {"client": {"name": "Ana Prieto"}}}
