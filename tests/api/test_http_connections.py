"""Connections over real sockets: slow clients, many clients, and invalid HTTP."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from server.http import connections
from server.http.connections import ConnectionLimits
from server.http.protocol import MAX_HEAD, MAX_HEADERS
from server.http.proxies import parse_proxies
from tests.conftest import SEED
from tests.support.http_server import Client, Listening, listening, status, until

BRIEF = ConnectionLimits(head_s=0.4, body_s=0.4, send_s=0.4, keep_alive_s=1)
GET = b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
HALF_HEAD = b"POST /echo HTTP/1.1\r\nhost: a\r\nx-half:"
HALF_BODY = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf"


class Application:
    """Application that echoes bodies, or responds without reading one, without end, or
    on command.
    """

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.working = self.ended_early = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self.answer(request)
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        match request.url.path:
            case "/at-once":
                return PlainTextResponse("at once")
            case "/endless":
                return StreamingResponse(endless())
            case "/wait":
                self.working += 1
                await self.go_on.wait()
        try:
            return PlainTextResponse(await request.body())
        except ClientDisconnect:
            self.ended_early += 1
            return PlainTextResponse("gone")


async def endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b"x" * 2**16


@pytest.fixture
async def application() -> Application:
    return Application()


@pytest.fixture
async def hasty(application: Application) -> AsyncIterator[Listening]:
    async with listening(application, BRIEF) as it:
        yield it


# -- slow clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", b""),
        (b"\r\n", b"408"),
        (HALF_HEAD, b"408"),
        (HALF_BODY, b"408"),
        (GET + HALF_HEAD, b"408"),
        (GET + b"\r\n", b""),
        (GET, b""),
        (HALF_BODY.replace(b"/echo", b"/at-once"), b"at once"),
    ],
)
async def test_idle_connection_is_closed(hasty: Listening, sent: bytes, told: bytes) -> None:
    answer = await hasty.ask(sent)
    assert told in answer
    assert answer.count(b"HTTP/1.1") == sent.count(GET) + (told != b"")


async def test_header_deadline_covers_all_headers(hasty: Listening) -> None:
    client = await hasty.connect()
    dribbling = asyncio.create_task(dribble(client, HALF_HEAD + b"x" * 1_000))
    assert status(await client.rest()) == 408
    dribbling.cancel()


async def dribble(client: Client, content: bytes) -> None:
    for byte in content:
        await client.send(bytes([byte]))
        await asyncio.sleep(0.05)


async def test_application_learns_that_a_body_ended_early(
    hasty: Listening, application: Application
) -> None:
    assert status(await hasty.ask(HALF_BODY)) == 408
    assert application.ended_early == 1


async def test_response_may_take_longer_than_its_request(
    hasty: Listening, application: Application
) -> None:
    client = await hasty.connect()
    await client.send(GET.replace(b"/echo", b"/wait") + HALF_HEAD)
    await asyncio.sleep(1)
    application.go_on.set()
    assert await client.answer() == (200, b"")


async def test_client_that_reads_no_response_is_dropped(hasty: Listening) -> None:
    client = await hasty.connect()
    await client.send(GET.replace(b"/echo", b"/endless"))
    await gone(hasty, 0)


async def gone(listening: Listening, left: int) -> None:
    await until(lambda: len(listening.server.server_state.connections) <= left)


async def test_endless_body_after_its_response_is_dropped(
    application: Application,
) -> None:
    chunk = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
    async with listening(application) as it:
        client = await it.connect()
        await client.send(post(b"transfer-encoding: chunked", path=b"/at-once"))
        assert await client.answer() == (200, b"at once")
        with pytest.raises(ConnectionError):
            for _ in range(2**10):
                await client.send(chunk)


async def test_stopping_server_does_not_wait_for_half_a_request(
    application: Application,
) -> None:
    async with listening(application) as it:
        clients = [await it.connect() for _ in range(3)]
        for client, sent in zip(clients, (HALF_HEAD, HALF_BODY, GET), strict=True):
            await client.send(sent)
        assert (await clients[2].answer())[0] == 200
        await asyncio.sleep(0.1)
        it.server.should_exit = True
        # The deadlines are much longer than the test.
        answers = [await client.rest() for client in clients]
    assert [b"503" in answer for answer in answers] == [False, True, False]


# -- many clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [HALF_HEAD, HALF_BODY, b"", GET])
async def test_new_client_replaces_the_longest_waiting_one(
    application: Application, waiting: bytes
) -> None:
    async with listening(application, ConnectionLimits(connections=5)) as it:
        clients = [await it.connect() for _ in range(5)]
        for client in clients:
            await client.send(waiting)
        if waiting == GET:
            assert [(await client.answer())[0] for client in clients] == [200] * 5
        await asyncio.sleep(0.1)
        for _ in range(3):
            assert status(await it.ask(LAST)) == 200
        # Of the waiting clients, the later ones stay.
        await clients[0].rest()
        await clients[-1].send(b"x" if waiting == HALF_HEAD else b"")
        assert not clients[-1].reader.at_eof()


async def test_client_with_earlier_requests_keeps_its_place_in_a_flood(
    application: Application,
) -> None:
    async with listening(application, ConnectionLimits(connections=5)) as it:
        good = await it.connect()
        await good.send(GET)
        assert (await good.answer())[0] == 200
        flood = [await it.connect() for _ in range(30)]
        for client in flood:
            await client.send(HALF_HEAD)
        assert len(it.server.server_state.connections) <= 6
        await good.send(LAST)
        assert (await good.answer())[0] == 200


async def test_new_client_gets_503_while_all_places_are_answering(
    application: Application,
) -> None:
    async with listening(application, ConnectionLimits(connections=3)) as it:
        clients = [await it.connect() for _ in range(3)]
        for client in clients:
            await client.send(LAST.replace(b"/echo", b"/wait"))
        await until(lambda: application.working == 3)
        refused = await (await it.connect()).rest()
        assert status(refused) == 503
        assert b"retry-after: 5" in refused
        application.go_on.set()
        assert [(await client.answer())[0] for client in clients] == [200] * 3
        assert status(await it.ask(LAST)) == 200


@pytest.mark.parametrize(("proxies", "fourth"), [([], 503), (["127.0.0.1"], 200), (["*"], 200)])
async def test_connections_per_address_are_limited_except_for_proxies(
    application: Application, proxies: list[str], fourth: int
) -> None:
    limits = ConnectionLimits(per_address=3, proxies=parse_proxies(proxies))
    async with listening(application, limits) as it:
        clients = [await it.connect() for _ in range(3)]
        for client in clients:
            await client.send(GET)
            assert (await client.answer())[0] == 200
        client = await it.connect()
        if fourth == 200:
            await client.send(LAST)
        assert status(await client.rest()) == fourth
        clients[0].close()
        await gone(it, 2)
        assert status(await it.ask(LAST)) == 200


async def test_address_is_examined_once_for_all_of_its_connections(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a flood of connections this was a fifth of the work for each."""
    examined = list[str]()

    def examine(host: str) -> str:
        examined.append(host)
        return host

    monkeypatch.setattr(connections, "network", examine)
    async with listening(application, ConnectionLimits(connections=5)) as it:
        for _ in range(10):
            assert status(await it.ask(LAST)) == 200
    assert examined == ["127.0.0.1"]


# -- invalid HTTP ----------------------------------------------------------------------------------


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/echo") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"host: a", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


OFFER = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ")
WEBSOCKET = (b"connection: upgrade", b"upgrade: websocket")
CHUNKED = b"5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        (post(*OFFER, b"content-length: 11", body=b"hello there"), b"hello there"),
        (post(*OFFER, b"transfer-encoding: chunked", body=CHUNKED), b"hello there"),
        (post(*OFFER, b"content-length: 0"), b""),
        (GET.replace(b"host: a", b"host: a\r\n" + b"\r\n".join(OFFER)), b""),
        (post(*WEBSOCKET, b"content-length: 1", body=b"a"), b"a"),
    ],
)  # fmt: skip
async def test_upgrade_offer_is_ignored_and_the_body_is_kept(
    application: Application, asked: bytes, echoed: bytes, step: int
) -> None:
    """The connection is kept too: the same request is sent twice, then one without an offer."""
    async with listening(application) as it:
        client = await it.connect()
        content = asked * 2 + LAST
        for start in range(0, len(content), step):
            await client.send(content[start : start + step])
        assert [await client.answer() for _ in range(3)] == [(200, echoed)] * 2 + [(200, b"")]
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (post(b"x: " + b"a" * MAX_HEAD), 431),
        (post(*[b"x: y"] * (MAX_HEADERS + 1)), 431),
        (GET[:-2] + b"x: " + b"a" * MAX_HEAD * 2, 431),
        (b"GET /" + b"a" * MAX_HEAD * 2, 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * MAX_HEAD, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /?\xc3\xa4 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (post(b"content-length: 3", b"content-length: 4"), 400),
        (post(b"content-length: 3", b"transfer-encoding: chunked"), 400),
        (post(b"content-length: -1"), 400),
        (post(b"transfer-encoding: chunked", body=b"zz\r\n"), 400),
        (post(b"x : y"), 400),
        (post(b"x: a\x00b"), 400),
    ],
)
async def test_invalid_http_is_refused(application: Application, sent: bytes, told: int) -> None:
    async with listening(application) as it:
        assert status(await it.ask(sent)) == told
        assert status(await it.ask(LAST)) == 200


async def test_random_bytes_never_cause_a_server_error(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests with bytes changed, left out, doubled or cut off."""
    chance, began = (
        random.Random(SEED),
        [
            post(*OFFER, b"content-length: 11", body=b"hello there"),
            post(b"transfer-encoding: chunked", b"expect: 100-continue", body=CHUNKED),
            GET * 2,
            b"GET http://a/echo?x=%ff%zz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nhost: [::1]\r\n\r\n",
        ],
    )
    async with listening(application, BRIEF) as it:
        sent = [garbled(chance, chance.choice(began)) for _ in range(200)]
        answers = [
            await asyncio.gather(*map(it.ask, sent[i : i + 100])) for i in range(0, 200, 100)
        ]
        assert status(await it.ask(LAST)) == 200
    statuses = {status(answer) for some in answers for answer in some if answer}
    assert statuses <= {100, 200, 400, 408, 431}
    assert statuses >= {200, 400, 408}
    assert "Traceback" not in caplog.text


def garbled(chance: random.Random, request: bytes) -> bytes:
    content = bytearray(request)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                content[place] = chance.randrange(256)
            case 1:
                del content[place]
            case 2:
                content[place:place] = content[place : place + 9]
            case 3:
                del content[place + 1 :]
    return bytes(content)


@pytest.mark.parametrize("public_url", ["http://127.0.0.1", "https://api.example.com"])
async def test_every_response_has_nosniff_and_hsts_only_over_tls(
    application: Application, public_url: str
) -> None:
    sent = [LAST, b"nonsense\r\n\r\n", HALF_HEAD, post(*[b"x: y"] * (MAX_HEADERS + 1))]
    async with listening(application, BRIEF, public_url) as it:
        for content in sent:
            answer = await it.ask(content)
            assert b"x-content-type-options: nosniff" in answer.lower()
            asks = b"strict-transport-security: max-age=" in answer.lower()
            assert asks is public_url.startswith("https")
