"""Requests as clients, proxies and browsers send them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from models import Token
from server.http.bodies import LARGE_BODIES, MAX_BODY, STRANGERS_BODY
from server.http.media_types import GRAPHQL_JSON, JSON, asks_for_html, response_type
from server.http.proxies import parse_proxies
from tests.support.http_server import Client, Listening, listening
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "{ client { name } }"
ANA = {"data": {"client": {"name": "Ana Prieto"}}}
ORIGIN = "https://portal.example"
LOCAL = "http://localhost:3000"


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, allowed_origins=[ORIGIN]) as it:
        yield it


async def post(
    portal: Portal, content: Any, token: str | None = None, **headers: str
) -> httpx.Response:
    known = {"authorization": f"Bearer {token}"} if token else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-type": "application/json"} | known | named
    return await portal.http.post("/graphql", content=content, headers=given)


def query(text: str = NAME, padding: int = 0) -> bytes:
    return json.dumps({"query": text, "extensions": "x" * padding}).encode()


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["extensions"]["code"]


# -- media types -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, GRAPHQL_JSON),
        ("", GRAPHQL_JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.9", JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.4", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, {JSON}", JSON),
        (f"{GRAPHQL_JSON} ; Q=0.000, */*;q=0.1", JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        ("Application/GraphQL-Response+JSON", GRAPHQL_JSON),
        ("APPLICATION/JSON", JSON),
        (f'text/html;x="a,{GRAPHQL_JSON}", {JSON}', JSON),
        (f'text/html;x="a;q=0", {GRAPHQL_JSON}', GRAPHQL_JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/html", None),
        (f"{JSON};q=0", None),
        (f"{GRAPHQL_JSON}x", None),
        (";;;,,,=", None),
        ('"' * 1_999, None),
    ],
)
def test_response_has_the_clients_preferred_media_type(
    accept: str | None, chosen: str | None
) -> None:
    assert response_type(accept) == chosen


@pytest.mark.parametrize(
    ("accept", "is_browser"),
    [(None, False), ("*/*", False), ("text/html", True), ("Text/HTML;q=0.9, */*", True),
     ("text/html;q=0", False), ("text/htmlx", False)],
)  # fmt: skip
def test_browser_is_recognised_by_its_accept_header(accept: str | None, is_browser: bool) -> None:
    assert asks_for_html(accept) is is_browser


async def test_cached_and_new_requests_get_the_preferred_media_type(portal: Portal) -> None:
    token = await portal.token()
    for accept, type_ in (
        ("Application/GraphQL-Response+JSON", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, {JSON}", JSON),
    ):
        for _ in range(2):
            response = await post(portal, query(), token, accept=accept)
            assert response.json() == ANA
            assert response.headers["content-type"] == f"{type_}; charset=utf-8"
    response = await post(portal, query(), token, accept="text/html")
    assert code(response) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        ("application/json;charset=utf8", 200),
        ("application/json; charset=UTF-8", 200),
        ('Application/JSON; charset="utf-8"', 200),
        ("application/json; profile=x; Charset=Utf-8", 200),
        ("application/json ;", 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=latin1", 415),
        ('application/json; charset="utf-8, latin1"', 415),
        ("application/jsonx", 415),
        ("text/plain; x=application/json", 415),
        ("", 415),
    ],
)
async def test_body_has_to_be_json_in_utf_8(portal: Portal, type_: str, status: int) -> None:
    response = await post(portal, query(), await portal.token(), content_type=type_)
    assert response.status_code == status


# -- bodies ----------------------------------------------------------------------------------------


async def test_body_may_be_gzipped(portal: Portal) -> None:
    token = await portal.token()
    for coding in ("gzip", "GZip", "x-gzip"):
        packed = gzip.compress(query(padding=2 * STRANGERS_BODY))
        assert (await post(portal, packed, token, content_encoding=coding)).json() == ANA
    assert (await post(portal, query(), token, content_encoding="identity")).json() == ANA


async def test_decompressed_body_has_the_same_limit(portal: Portal) -> None:
    token = await portal.token()
    bomb = gzip.compress(bytes(50 * MAX_BODY))
    assert len(bomb) < MAX_BODY
    response = await post(portal, bomb, token, content_encoding="gzip")
    assert code(response) == (413, "TOO_LARGE")
    small_bomb = gzip.compress(bytes(2 * STRANGERS_BODY))
    response = await post(portal, small_bomb, content_encoding="gzip")
    assert code(response) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    ("content", "coding", "refusal"),
    [
        (query(), "gzip", (400, "BAD_REQUEST")),
        (gzip.compress(query())[:-3], "gzip", (400, "BAD_REQUEST")),
        (gzip.compress(query()) * 2, "gzip", (400, "BAD_REQUEST")),
        (b"", "gzip", (400, "BAD_REQUEST")),
        (query(), "br", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (query(), "gzip, gzip", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (query(), "deflate", (415, "UNSUPPORTED_MEDIA_TYPE")),
    ],
    ids=["plain", "cut off", "two members", "empty", "br", "packed twice", "deflate"],
)
async def test_invalid_content_encoding_is_refused_with_the_supported_one(
    portal: Portal, content: bytes, coding: str, refusal: tuple[int, str]
) -> None:
    response = await post(portal, content, await portal.token(), content_encoding=coding)
    assert code(response) == refusal
    assert "gzip" in response.json()["errors"][0]["message"]
    assert (response.headers.get("accept-encoding") == "gzip") is (refusal[0] == 415)


async def test_body_without_a_token_has_a_small_limit(portal: Portal) -> None:
    """With a declared length, and without one."""

    async def pieces() -> AsyncIterator[bytes]:
        yield query("{ __typename }", STRANGERS_BODY)

    assert (await post(portal, query("{ __typename }"))).status_code == 200
    for content in (query("{ __typename }", STRANGERS_BODY), pieces()):
        assert code(await post(portal, content)) == (413, "TOO_LARGE")
    assert (await post(portal, query(padding=STRANGERS_BODY), await portal.token())).json() == ANA


@asynccontextmanager
async def over_a_socket(portal: Portal) -> AsyncIterator[Listening]:
    async with listening(portal.http._transport.app) as it:  # type: ignore[attr-defined]
        yield it


async def begin(it: Listening, length: int | None, token: str | None) -> Client:
    """Send a request's head, and the first byte of its body."""
    client = await it.connect()
    lines = ["POST /graphql HTTP/1.1", "Host: portal", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Content-Length: {length}"] if length else ["Transfer-Encoding: chunked"]
    await client.send("\r\n".join([*lines, "", ""]).encode() + (b"{" if length else b"1\r\n{\r\n"))
    return client


@pytest.mark.parametrize(
    ("token", "refused"), [(None, 413), ("cbp_" + "a" * 49, 401), ("revoked", 401)]
)
async def test_token_is_checked_before_a_large_body_is_read(
    portal: Portal, token: str | None, refused: int
) -> None:
    if token == "revoked":
        token = await portal.token()
        async with portal.engine.begin() as conn:
            await conn.execute(update(Token).values(revoked_at=portal.clock()))
    async with over_a_socket(portal) as it:
        # The rest of the body is not sent.
        client = await begin(it, MAX_BODY, token)
        status, _ = await client.answer()
    assert status == refused


async def test_token_revoked_while_the_body_arrives_is_refused(portal: Portal) -> None:
    token, content = await portal.token(), query(padding=2 * STRANGERS_BODY)
    for half in (len(content) // 2, len(content) - 1):
        async with over_a_socket(portal) as it:
            client = await begin(it, len(content), token)
            await client.send(content[1:half])
            async with portal.engine.begin() as conn:
                await conn.execute(update(Token).values(revoked_at=portal.clock()))
            await client.send(content[half:])
            assert (await client.answer())[0] == 401


async def test_large_bodies_of_one_sender_have_limited_memory(portal: Portal) -> None:
    token, content = await portal.token(), query(padding=MAX_BODY // 2)
    most = LARGE_BODIES // len(content)
    async with over_a_socket(portal) as it:
        clients = [await begin(it, len(content), token) for _ in range(most + 1)]
        # Each has a place but one, which is refused before its body has arrived.
        waiting = {answering(client) for client in clients}
        done = await first(waiting)
        status, body = done.result()
        assert (status, json.loads(body)["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
        other = await begin(it, len(content), await portal.token())
        for client in [*clients, other]:
            await client.send(content[1:])
        assert await other.answer() == (200, json.dumps(ANA, separators=(",", ":")).encode())
        assert [(await task)[0] for task in waiting - {done}] == [200] * most
    endpoint = portal.http._transport.app.state.endpoint  # type: ignore[attr-defined]
    assert endpoint.large_bodies.reserved == {}


def answering(client: Client) -> asyncio.Task[tuple[int, bytes]]:
    return asyncio.create_task(client.answer())


async def first(
    waiting: set[asyncio.Task[tuple[int, bytes]]],
) -> asyncio.Task[tuple[int, bytes]]:
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (only,) = done
    return only


# -- websites --------------------------------------------------------------------------------------


def preflight(method: str, *headers: str, origin: str = ORIGIN) -> dict[str, str]:
    names = {"Access-Control-Request-Headers": ",".join(headers)} if headers else {}
    return {"Origin": origin, "Access-Control-Request-Method": method, **names}


@pytest.mark.parametrize(
    "headers",
    [
        ["authorization", "content-type"],
        ["baggage", "sentry-trace", "traceparent", "tracestate"],
        ["apollographql-client-name", "apollographql-client-version", "apollo-require-preflight"],
        ["x-apollo-operation-name", "x-apollo-operation-id", "x-datadog-trace-id"],
    ],
)
async def test_allowed_origin_may_send_any_header(portal: Portal, headers: list[str]) -> None:
    response = await portal.http.options("/graphql", headers=preflight("POST", *headers))
    assert response.status_code == 200
    allowed = response.headers["access-control-allow-headers"].replace(" ", "").split(",")
    assert set(headers) <= set(allowed)
    other = preflight("POST", *headers, origin="https://other.example")
    response = await portal.http.options("/graphql", headers=other)
    assert "access-control-allow-origin" not in response.headers


async def test_allowed_origin_fetches_exports(portal: Portal) -> None:
    asked = preflight("GET", "authorization")
    response = await portal.http.options("/export/invoices.csv", headers=asked)
    assert response.status_code == 200
    assert "GET" in response.headers["access-control-allow-methods"]
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {await portal.token()}"}
    response = await portal.http.get("/export/invoices.csv", headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "Content-Disposition" in response.headers["access-control-expose-headers"]


async def test_other_origins_can_not_read_the_pages_of_a_local_server(
    new_database: NewDatabase,
) -> None:
    """They can use the API, and the double of Stripe."""
    async with new_database() as url, served(url, local=True) as portal:
        html = {"Origin": LOCAL, "Accept": "text/html"}
        for path in ("/graphql", "/portal/", "/sandbox/mail", "/sandbox/mails", "/sandbox/state"):
            response = await portal.http.get(path, headers=html)
            assert response.status_code in (200, 403), path
            assert "access-control-allow-origin" not in response.headers, path
        for path in ("/graphql", "/sandbox/confirmation_tokens"):
            response = await portal.http.post(path, content=b"{}", headers={"Origin": LOCAL})
            assert response.headers["access-control-allow-origin"] == LOCAL, path


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": LOCAL},
     {"Origin": "null"}],
)  # fmt: skip
async def test_sandbox_page_and_mail_refuse_requests_of_other_pages(
    new_database: NewDatabase, headers: dict[str, str]
) -> None:
    async with new_database() as url, served(url, local=True) as portal:
        for path in ("/sandbox/mails", "/sandbox/state"):
            assert (await portal.http.get(path, headers=headers)).status_code == 403
        sent = await portal.http.post("/sandbox/actions/refund", json={"id": "x"}, headers=headers)
        assert sent.status_code == 403
        opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://portal"}, {}, opened):
            assert (await portal.http.get("/sandbox/mails", headers=own)).status_code == 200


# -- proxies and hosts -----------------------------------------------------------------------------


async def test_path_with_a_trailing_slash_is_not_redirected(portal: Portal) -> None:
    token = await portal.token()
    headers = {"authorization": f"Bearer {token}", "host": "evil.example"}
    response = await portal.http.post("/graphql/", json={"query": NAME}, headers=headers)
    assert response.json() == ANA
    for path in ("/livez/", "/export/invoices.csv/", "/stripe/webhook/", "/nothing/"):
        response = await portal.http.get(path, headers=headers)
        assert (response.status_code, response.headers.get("location")) == (404, None), path


async def test_folder_redirects_to_its_page_on_the_same_host(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url, portal_page=True) as portal:
        response = await portal.http.get("/portal", headers={"host": "evil.example"})
        assert (response.status_code, response.headers["location"]) == (307, "/portal/")
    hosts = ["www.portal.example"]
    async with new_database() as url, served(url, allowed_hosts=hosts) as portal:
        response = await portal.http.get("/livez", headers={"host": "portal.example"})
        assert (response.status_code, response.headers.get("location")) == (400, None)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        (["10.0.0.0/8"], "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 198.51.100.1, 10.2.3.4", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "[2001:DB8::0:1]:4711", "2001:db8::1"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "unknown", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, unknown, 10.2.3.4", "10.2.3.4"),
        (["10.0.0.0/8"], "10.0.0.1", "10.9.9.9", "10.9.9.9"),
        (["*"], "203.0.113.9", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (["*"], "203.0.113.9", "", "203.0.113.9"),
    ],
)
def test_only_a_trusted_proxy_sets_the_clients_address(
    trusted: list[str], peer: str, forwarded: str, client: str
) -> None:
    proxies = parse_proxies(trusted)
    assert (proxies.client(peer, forwarded) if peer in proxies else peer) == client


@pytest.mark.parametrize("trusted", [["127.0.0.1"], ["*"]])
async def test_client_can_not_choose_its_own_address(
    new_database: NewDatabase, trusted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For cached and new requests, with an address ahead of the one that the proxy appends."""
    seen: list[str] = []
    async with new_database() as url, served(url, forwarded_allow_ips=trusted) as portal:
        endpoint = portal.http._transport.app.state.endpoint  # type: ignore[attr-defined]

        def hashed(host: str) -> str:
            seen.append(host)
            return host

        monkeypatch.setattr(endpoint, "address_hash", hashed)
        token = await portal.token()
        for number in range(2):
            forwarded = f"6.6.6.{number}, 198.51.100.1"
            response = await post(portal, query(), token, x_forwarded_for=forwarded)
            assert response.json() == ANA
    assert set(seen) == {"198.51.100.1"}
    assert len(seen) == 2
