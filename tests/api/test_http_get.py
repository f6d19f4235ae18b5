"""Queries by GET, compressed answers, and the cost of a request in its answer."""

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from identity.tokens import new_secret
from models import Client, Token
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ORIGIN = "https://portal.example"
NAME = "query Name($with: Boolean = true) { client { name @include(if: $with) } }"
NAMED = "Ana Prieto"
ANSWER = {"data": {"client": {"name": NAMED}}}
SIGN_OUT = "mutation Out { signOut { __typename } }"
LONG = "{ client { " + " ".join(f"a{number}: name" for number in range(100)) + " } }"


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, allowed_origins=[ORIGIN]) as it:
        yield it


async def get(
    portal: Portal, token: str | None, headers: Any = None, **given: str
) -> httpx.Response:
    authorization = {"authorization": f"Bearer {token}"} if token else {}
    return await portal.http.get(
        "/graphql", params=given, headers={**authorization, **(headers or {})}
    )


def code(response: httpx.Response) -> str:
    found: str = response.json()["errors"][0]["extensions"]["code"]
    return found


async def post(portal: Portal, token: str, body: Any, **headers: str) -> httpx.Response:
    return await portal.http.post(
        "/graphql", json=body, headers={"authorization": f"Bearer {token}", **headers}
    )


# -- GET -------------------------------------------------------------------------------------------


async def test_query_by_get_is_answered_as_by_post(portal: Portal) -> None:
    token = await portal.token()
    posted = await post(portal, token, {"query": NAME, "variables": {"with": True}})
    for _ in range(3):
        response = await get(portal, token, query=NAME, variables='{"with":true}', operationName="")
        assert (response.status_code, response.json()) == (200, ANSWER)
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["vary"] == posted.headers["vary"]
        assert response.headers["content-type"] == posted.headers["content-type"]


async def test_operation_name_selects(portal: Portal) -> None:
    both = NAME + " query Kind { viewer { kind } }"
    response = await get(portal, await portal.token(), query=both, operationName="Kind")
    assert response.json() == {"data": {"viewer": {"kind": "CLIENT"}}}


@pytest.mark.parametrize("is_known", [False, True])
async def test_mutation_by_get_changes_nothing(portal: Portal, is_known: bool) -> None:
    """Not even if the document is known, or names a query too."""
    token, document = await portal.token(), f"{NAME} {SIGN_OUT}"
    if is_known:
        assert (await get(portal, token, query=document, operationName="Name")).json() == ANSWER
        other = await portal.token()
        await post(portal, other, {"query": document, "operationName": "Out"})
    for _ in range(2):
        response = await get(portal, token, query=document, operationName="Out")
        assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "POST"
    assert (await get(portal, token, query=NAME)).json() == ANSWER


async def test_anonymous_mutation_by_get_is_refused(portal: Portal) -> None:
    mutation = 'mutation { requestSignInLink(input: {email: "a@example.com"}) { __typename } }'
    response = await get(portal, None, query=mutation)
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")


async def test_token_decides_before_the_method(portal: Portal) -> None:
    response = await get(portal, new_secret(), query=SIGN_OUT)
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
    assert (await get(portal, None, query=NAME)).status_code == 401
    token = await portal.token()
    assert (await get(portal, token, query=NAME)).json() == ANSWER
    async with portal.engine.begin() as conn:
        await conn.execute(update(Token).values(revoked_at=portal.clock()))
    for query in (SIGN_OUT, NAME):
        assert (await get(portal, token, query=query)).status_code == 401
    assert (await get(portal, None, query="{ __typename }")).json() == {
        "data": {"__typename": "Query"}
    }


@pytest.mark.parametrize(
    "url",
    [
        "/graphql",
        "/graphql?query",
        "/graphql?variables={}",
        "/graphql?query={__typename}&variables=[]",
        "/graphql?query={__typename}&variables={",
        "/graphql?query={__typename}&variables=1",
        "/graphql?query={__typename}&query={__typename}",
        "/graphql?query={__typename}&extensions={",
        "/graphql?query=%ff",
        "/graphql?variables=" + "[" * 20_000,
    ],
)
async def test_malformed_query_string_is_refused(portal: Portal, url: str) -> None:
    headers = {"accept": "application/graphql-response+json"}
    response = await portal.http.get(url, headers=headers)
    assert (response.status_code, code(response)) in (
        (400, "BAD_REQUEST"),
        (400, "GRAPHQL_PARSE_FAILED"),
    )


async def test_other_websites_may_read_queries_but_not_the_page(portal: Portal) -> None:
    token, from_website = await portal.token(), {"origin": ORIGIN}
    allowed = "access-control-allow-origin"
    assert (await get(portal, token, from_website, query=NAME)).headers[allowed] == ORIGIN
    elsewhere = {"origin": "https://elsewhere.example"}
    assert allowed not in (await get(portal, token, elsewhere, query=NAME)).headers
    for given in ({}, {"query": NAME}):
        page = await get(portal, token, {**from_website, "accept": "text/html"}, **given)
        assert page.headers["content-type"].startswith("text/html")
        assert allowed not in page.headers


# -- unchanged answers -----------------------------------------------------------------------------


async def test_answer_that_the_sender_has_is_not_sent_again(portal: Portal) -> None:
    token = await portal.token()
    first = await get(portal, token, query=NAME)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    packed = await get(portal, token, {"accept-encoding": "gzip"}, query=LONG)
    known = {"if-none-match": f'"other", {packed.headers["etag"]}'}
    for query, headers in ((NAME, {"if-none-match": tag}), (LONG, known)):
        response = await get(portal, token, headers, query=query)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["vary"] == first.headers["vary"]
        assert "content-type" not in response.headers
    for headers in ({"if-none-match": '"other"'}, {"if-none-match": packed.headers["etag"]}):
        response = await get(portal, token, headers, query=NAME)
        assert (response.status_code, response.json()) == (200, ANSWER)


async def test_tag_of_an_answer_is_of_the_answer_and_its_sender(portal: Portal) -> None:
    token, other = await portal.token(), await portal.token()
    tags = [(await get(portal, one, query=NAME)).headers["etag"] for one in (token, token, other)]
    assert tags[0] == tags[1] != tags[2]
    async with portal.engine.begin() as conn:
        await conn.execute(update(Client).where(Client.name == NAMED).values(name="Ana Ortiz"))
    try:
        changed = await get(portal, token, {"if-none-match": tags[0]}, query=NAME)
        assert changed.json()["data"] == {"client": {"name": "Ana Ortiz"}}
    finally:
        async with portal.engine.begin() as conn:
            await conn.execute(update(Client).where(Client.name == "Ana Ortiz").values(name=NAMED))


async def test_known_answer_is_refused_without_a_valid_token(portal: Portal) -> None:
    token = await portal.token()
    tag = (await get(portal, token, query=NAME)).headers["etag"]
    async with portal.engine.begin() as conn:
        await conn.execute(update(Token).values(revoked_at=portal.clock()))
    response = await get(portal, token, {"if-none-match": tag}, query=NAME)
    assert response.status_code == 401


async def test_refusals_and_answers_by_post_have_no_tag(portal: Portal) -> None:
    token = await portal.token()
    answers = [
        await post(portal, token, {"query": NAME}, **{"if-none-match": "*"}),
        await get(portal, token, {"if-none-match": "*"}, query="{ nothing }"),
        await get(portal, None, {"if-none-match": "*"}, query="{ __typename }"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any("etag" in answer.headers for answer in answers)


# -- compression -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("br", False),
        ("*;q=0", False),
        ("gzip;q=0, *;q=1", False),
        ("", False),
        ("," * 20_000, False),
    ],
)
async def test_long_answer_is_compressed_if_accepted(
    portal: Portal, accepted: str, is_packed: bool
) -> None:
    token, body = await portal.token(), {"query": LONG}
    plain = await post(portal, token, body, **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    headers = {"authorization": f"Bearer {token}", "accept-encoding": accepted}
    request = portal.http.build_request("POST", "/graphql", json=body, headers=headers)
    response = await portal.http.send(request, stream=True)
    raw = b"".join([piece async for piece in response.aiter_raw()])
    assert (response.headers.get("content-encoding") == "gzip") is is_packed
    assert (gzip.decompress(raw) if is_packed else raw) == plain.content
    assert int(response.headers["content-length"]) == len(raw)
    assert response.headers["vary"] == "Accept, Accept-Encoding, Origin"
    assert plain.headers["vary"] == response.headers["vary"]


@pytest.mark.parametrize("size", [10, 2_000])
async def test_answer_of_any_length_is_compressed_whole(portal: Portal, size: int) -> None:
    token = await portal.token()
    query = "{ client { " + " ".join(f"{'a' * size}{n}: name" for n in range(40)) + " } }"
    response = await post(portal, token, {"query": query})
    assert response.headers["content-encoding"] == "gzip"
    assert set(response.json()["data"]["client"].values()) == {"Ana Prieto"}


async def test_short_answers_refusals_and_changes_are_not_compressed(portal: Portal) -> None:
    """A refusal repeats text of the request, and a change may return a secret."""
    token = await portal.token()
    long_name = "a" * 390
    refused = f"{{ {' '.join(f'{long_name}{number}' for number in range(4))} }}"
    out = " ".join(f"{'a' * 60}{number}: __typename" for number in range(50))
    for query in (NAME, refused, f"mutation {{ signOut {{ {out} }} }}"):
        response = await post(portal, token, {"query": query})
        assert "content-encoding" not in response.headers
        assert query == NAME or len(response.content) > 1_024


# -- cost ------------------------------------------------------------------------------------------


async def test_cost_is_told_if_asked_for(portal: Portal) -> None:
    token = await portal.token()
    asked = {"query": "{ client { invoices(first: 7) { nodes { id } } } }"}
    plain = (await post(portal, token, asked)).json()
    assert "extensions" not in plain
    for _ in range(3):
        with_cost = {**asked, "extensions": {"cost": True}}
        answer = (await post(portal, token, with_cost)).json()
        assert answer["data"] == plain["data"]
        cost = answer["extensions"]["cost"]
        # The client, the connection and its seven invoices.
        assert cost["requested"] == 9
        assert 0 < cost["secondsLeft"] <= cost["secondsPerMinute"] == 600
        assert cost["most"] > 0
        assert cost["statementsAtOnce"] > 0
    by_get = await get(portal, token, query=asked["query"], extensions='{"cost":true}')
    assert by_get.json()["extensions"]["cost"]["requested"] == 9


async def test_cost_of_a_change_is_told_after_it(portal: Portal) -> None:
    token = await portal.token()
    response = await post(portal, token, {"query": SIGN_OUT, "extensions": {"cost": True}})
    assert response.json()["data"]["signOut"]
    assert response.json()["extensions"]["cost"]["requested"] >= 1
    async with portal.engine.connect() as conn:
        assert (await conn.execute(select(Token.revoked_at))).all()


@pytest.mark.parametrize("extensions", [{}, None, {"cost": False}, {"cost": 1}, ["cost"], "cost"])
async def test_other_extensions_are_ignored(portal: Portal, extensions: Any) -> None:
    token = await portal.token()
    response = await post(portal, token, {"query": NAME, "extensions": extensions})
    assert response.json() == ANSWER
