"""The delivery of events to receivers that fail, are slow, or are where no message may go."""

import asyncio
import datetime as dt
import os
import random
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks.webhooks import WebhookVerificationError

from billing.outbox import delivery, endpoints, sender
from billing.outbox.addresses import AddressRules, UnacceptedUrl
from models import EndpointStatus, EventEndpoint, EventKind
from tests.support.demo_server import PROJECT
from tests.support.entries import EntryDesk
from tests.support.event_receiver import OK, Received, receiving, status
from tests.support.leases import run_out
from tests.support.tls_postgres import Authority
from tests.support.webhooks import (
    FIELD_KEY,
    SEEDS,
    HookDesk,
    hook_database,
    hook_desk,
    in_first_order,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

# Seconds, far more than any delivery takes.
SOON_S = 60.0


@pytest.fixture(scope="module")
async def database(new_database: NewDatabase) -> AsyncIterator[tuple[AsyncEngine, str]]:
    async with new_database() as url, hook_database(url) as engine:
        yield engine, url


@pytest.fixture
async def hooks(database: tuple[AsyncEngine, str]) -> AsyncIterator[HookDesk]:
    async with hook_desk(*database) as made:
        yield made


async def is_done(hooks: HookDesk, endpoint: Any) -> bool:
    found, *_, last = await hooks.endpoint(endpoint.id), *await hooks.events()
    return (found.after_version, found.after_position) >= (last.version, last.position)


async def deliver_all(hooks: HookDesk, *added: Any, within: int = 1_000) -> None:
    """Give turns until the endpoints have all events."""
    worker = hooks.worker()
    for _ in range(within):
        if all([await is_done(hooks, endpoint) for endpoint in added]):
            return
        await worker.give_turns()
    raise AssertionError("not delivered")


async def enter_some(hooks: HookDesk, count: int) -> None:
    for number in range(count):
        await hooks.desk.invoice(100 + number)


# -- receivers that fail ---------------------------------------------------------------------------


@pytest.mark.twins(4)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.rest)])
async def test_each_event_arrives_in_order_at_a_receiver_that_fails_half_the_time(
    hooks: HookDesk, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(sender, "REQUEST_S", 0.1)
    monkeypatch.setattr(sender, "REST_S", 0.02)
    chance, accepted = random.Random(seed), list[str]()

    async def behave(message: Received) -> bytes | None:
        kind = chance.choice(["ok", "ok", "ok", "ok", "error", "drop", "late", "long"])
        if kind == "drop":
            return None
        if kind == "late":
            await asyncio.sleep(5)
        if kind == "error":
            return status(chance.choice([500, 503, 429, 404, 302]), "location: /elsewhere")
        accepted.append(message.id)
        # An answer whose body never ends is an answer.
        return status(200)[:-2] + b"x: y\r\n\r\n" if kind == "ok" else b"HTTP/1.1 200 OK\r\n\r\n"

    async with receiving(behave) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 12)
        await deliver_all(hooks, endpoint)
    expected = (await hooks.ids())[-12:]
    assert in_first_order(receiver.received) == expected
    assert list(dict.fromkeys(accepted)) == expected
    assert len(receiver.received) > len(expected)
    # Nothing was sent before the event before it was accepted.
    places = [expected.index(one.id) for one in receiver.received]
    assert places == sorted(places)
    for message in receiver.received:
        message.verify(hooks.secrets[endpoint.id])


@pytest.mark.twins(4)
async def test_messages_name_ids_and_versions_alone(hooks: HookDesk) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 1)
        await deliver_all(hooks, endpoint)
    (message,) = receiver.received
    (event,) = (await hooks.events())[-1:]
    practice = f"pra_{hooks.desk.practice_id}"
    data = {"practice": practice, "id": f"inv_{event.row_id}", "version": str(event.version)}
    assert message.content.keys() == {"type", "timestamp", "data"}
    assert (message.type, message.content["data"]) == ("invoice.issued", data)
    moment = dt.datetime.fromisoformat(message.content["timestamp"])
    assert abs(moment - event.occurred_at) < dt.timedelta(milliseconds=1)
    assert message.headers["content-type"] == "application/json"
    assert message.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert message.headers[":request"] == "POST /events?token=1 HTTP/1.1"


@pytest.mark.twins(4)
async def test_other_kinds_are_passed_over(hooks: HookDesk) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver, EventKind.SESSION_CREATED, EventKind.INVOICE_PAID)
        await enter_some(hooks, 3)
        await hooks.desk.session()
        await enter_some(hooks, 3)
        await deliver_all(hooks, endpoint)
    assert receiver.types == ["session.created"]


@pytest.mark.twins(4)
async def test_endpoint_that_is_gone_gets_nothing_more(hooks: HookDesk) -> None:
    async def gone(_: Received) -> bytes:
        return status(410)

    async with receiving(gone) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 2)
        assert await hooks.worker().give_turns() == 1
        assert await hooks.worker().give_turns() == 0
    found = await hooks.endpoint(endpoint.id)
    assert (found.status, found.last_error) == (EndpointStatus.GONE, "status 410")
    assert len(receiver.received) == 1


@pytest.mark.twins(4)
async def test_endpoint_is_paused_after_three_days_and_goes_on_where_it_stopped(
    hooks: HookDesk, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Received) -> bytes:
        return status(500)

    async with receiving(fail) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 2)
        for hours, state in ((0, "ACTIVE"), (71, "ACTIVE"), (2, "PAUSED")):
            hooks.later += dt.timedelta(hours=hours)
            await hooks.worker().give_turns()
            assert (await hooks.endpoint(endpoint.id)).status == state
        assert "alert: webhook endpoint" in caplog.text
        assert await hooks.worker().give_turns() == 0
        receiver.behaviour, receiver.received = accepting, []
        async with hooks.desk.engine.begin() as conn:
            await endpoints.resume_endpoint(conn, endpoint)
        await deliver_all(hooks, endpoint)
    assert in_first_order(receiver.received) == (await hooks.ids())[-2:]


async def accepting(_: Received) -> bytes:
    return OK


@pytest.mark.twins(4)
async def test_pauses_grow_until_an_hour_and_differ(hooks: HookDesk) -> None:
    worker = hooks.worker()
    pauses = [worker.pause(failures).total_seconds() for failures in range(1, 2_000)]
    for number, pause in enumerate(pauses):
        expected = min(5.0 * 2.0 ** min(number, 40), 3_600.0)
        assert 0.75 * expected <= pause <= 1.25 * expected
    assert len({round(pause) for pause in pauses[50:]}) > 100


# The text of Retry-After, and the least and the most seconds that the endpoint is left alone for.
IN_TEN_MINUTES = "Mon, 30 Mar 2026 12:10:00 GMT"
RETRY_AFTER = {
    "600": (600, 600),
    IN_TEN_MINUTES: (600, 600),
    "1": (3, 7),
    "999999": (3_600, 3_600),
    "9" * 6_000: (3, 7),
    "Sun, 29 Mar 2026 12:00:00 GMT": (3, 7),
    "Fri, 31 Dec 9999 23:59:59 -2359": (3_600, 3_600),
    "Thu, 99 Foo 2026 12:00:00 GMT": (3, 7),
    "-60": (3, 7),
    "\xb2": (3, 7),
    "soon": (3, 7),
    "": (3, 7),
}


@pytest.mark.twins(4)
async def test_pause_that_a_receiver_asks_for_is_kept_up_to_an_hour(hooks: HookDesk) -> None:
    texts = iter(RETRY_AFTER)

    async def refuse(_: Received) -> bytes:
        return status(429, f"retry-after: {next(texts)}")

    async with receiving(refuse) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 1)
        at = dt.datetime(2026, 3, 30, 12, tzinfo=dt.UTC)
        worker = replace(hooks.worker(), now=lambda: at)
        for text, (least, most) in RETRY_AFTER.items():
            async with hooks.desk.engine.begin() as conn:
                await conn.execute(update(EventEndpoint).values(endpoints.NO_FAILURES))
            await worker.give_turns()
            found = await hooks.endpoint(endpoint.id)
            assert found.last_error == "status 429"
            assert least <= (found.attempt_at - at).total_seconds() <= most, text


@pytest.mark.twins(4)
async def test_slow_receiver_holds_no_other_practice(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow endpoint answers only after the other practice has all of its events."""
    others_done, count = asyncio.Event(), 8

    async def wait(_: Received) -> bytes:
        await others_done.wait()
        return OK

    async def accept_some(_: Received) -> bytes:
        # Several turns, since one is over after each event.
        if len(quick.received) == count:
            others_done.set()
        return OK

    monkeypatch.setattr(sender, "REQUEST_S", SOON_S)
    monkeypatch.setattr(delivery, "TURN_S", -1.0)
    other = HookDesk(await EntryDesk(hooks.desk.engine, seed=next(SEEDS)).open())
    async with receiving(wait) as slow, receiving(accept_some) as quick:
        held = [await hooks.add(slow) for _ in range(delivery.OF_PRACTICE + 1)]
        free = await other.add(quick)
        await enter_some(hooks, 1)
        await enter_some(other, count)
        async with asyncio.timeout(SOON_S):
            assert await hooks.worker().give_turns() >= count + delivery.OF_PRACTICE
        await deliver_all(other, free)
        await deliver_all(hooks, *held)
    assert in_first_order(quick.received) == (await other.ids())[-count:]


# -- workers that are killed, and several of them --------------------------------------------------


@asynccontextmanager
async def working(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = sys.executable, "-m", "tests.support.event_worker", url, FIELD_KEY
    process = await asyncio.create_subprocess_exec(
        *command, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.twins(4)
async def test_event_is_sent_again_when_the_worker_is_killed_before_it_is_marked(
    hooks: HookDesk,
) -> None:
    killed = asyncio.Event()

    async def kill(message: Received) -> bytes | None:
        os.kill(process.pid, signal.SIGKILL)
        killed.set()
        return None

    async with receiving(kill) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 3)
        async with working(hooks.url) as process, asyncio.timeout(SOON_S):
            await killed.wait()
            await process.wait()
        expected = (await hooks.ids())[-3:]
        assert [one.id for one in receiver.received] == expected[:1]
        receiver.behaviour = accepting
        # The dead worker's lease is kept until its end.
        assert await hooks.worker().give_turns() == 0
        await run_out(hooks.desk.engine)
        await deliver_all(hooks, endpoint)
    assert [one.id for one in receiver.received] == [expected[0], *expected]


@pytest.mark.rest
@pytest.mark.twins(1)
async def test_two_processes_deliver_each_event_once(hooks: HookDesk) -> None:
    complete, count = asyncio.Event(), 30

    async def accept_all(_: Received) -> bytes:
        if len(receiver.received) == count + 1:
            complete.set()
        return OK

    async with receiving(accept_all) as receiver:
        await hooks.add(receiver)
        async with working(hooks.url), working(hooks.url), asyncio.timeout(SOON_S):
            await enter_some(hooks, count + 1)
            await complete.wait()
    # The last event may not be marked when the processes are ended; all others are.
    assert [one.id for one in receiver.received] == (await hooks.ids())[-count - 1 :]


@pytest.mark.twins(1)
async def test_worker_without_its_lease_sends_nothing_more(hooks: HookDesk) -> None:
    async def take_away(_: Received) -> bytes:
        receiver.behaviour = accepting
        await run_out(hooks.desk.engine)
        return OK

    async with receiving(take_away) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 3)
        await deliver_all(hooks, endpoint)
    first, *others = (await hooks.ids())[-3:]
    assert [one.id for one in receiver.received] == [first, first, *others]


@pytest.mark.twins(1)
async def test_replay_sends_events_again_in_their_order(hooks: HookDesk) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 4)
        await deliver_all(hooks, endpoint)
        since = (await hooks.events())[-3].version
        async with hooks.desk.engine.begin() as conn:
            await endpoints.replay_events(conn, endpoint, since)
        await deliver_all(hooks, endpoint)
    ids = await hooks.ids()
    assert [one.id for one in receiver.received] == [*ids[-4:], *ids[-2:]]
    assert len({one.body for one in receiver.received}) == 4


# -- secrets ---------------------------------------------------------------------------------------


@pytest.mark.twins(4)
async def test_former_secret_signs_too_for_a_day(hooks: HookDesk) -> None:
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver)
        former = hooks.secrets[endpoint.id]
        async with hooks.desk.engine.begin() as conn:
            secret = await endpoints.rotate_secret(
                conn, endpoints_keys(hooks), endpoint, hooks.now()
            )
        await enter_some(hooks, 1)
        await deliver_all(hooks, endpoint)
        (both,) = receiver.received
        both.verify(secret)
        both.verify(former)
        hooks.later = dt.timedelta(days=1, minutes=1)
        await enter_some(hooks, 1)
        await deliver_all(hooks, endpoint)
    later = receiver.received[-1].headers["webhook-signature"]
    assert (len(both.headers["webhook-signature"].split()), len(later.split())) == (2, 1)
    altered = Received(both.headers, both.body.replace(b"inv_", b"inv-"))
    with pytest.raises(WebhookVerificationError):
        altered.verify(secret)


def endpoints_keys(hooks: HookDesk) -> Any:
    return hooks.worker().keys


# -- addresses -------------------------------------------------------------------------------------

PUBLIC = AddressRules()


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com", "https://", "https:///x", "example.com", ""),
        *("https://user@example.com/", "https://u:p@example.com/", "https://example.com/#x"),
        *("https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest/"),
        *("https://192.168.1.1/", "https://172.16.0.1/", "https://0.0.0.0/", "https://224.0.0.1/"),
        *("https://[::1]/", "https://[fe80::1]/", "https://[fd00:ec2::254]/", "https://[::]/"),
        *("https://[::ffff:127.0.0.1]/", "https://[64:ff9b::10.0.0.1]/", "https://100.64.0.1/"),
        *("https://[2002:7f00:1::]/", "https://exa mple.com/", f"https://example.com/{'x' * 2000}"),
    ],
)
def test_url_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(UnacceptedUrl):
        PUBLIC.parse(url)


@pytest.mark.parametrize(
    "url", ["https://example.com/a?b=c", "https://8.8.8.8:8443/", "https://exämple.com"]
)
def test_public_url_is_accepted(url: str) -> None:
    assert PUBLIC.parse(url).scheme == "https"


@pytest.mark.twins(4)
async def test_name_with_a_private_address_gets_no_connection(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = "127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:10.0.0.8", "fe80::1%lo"
    asked = name(monkeypatch, *private)
    hooks.rules = AddressRules(allows_http=True)
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver, url=f"http://hooks.example.com:{receiver.port}/")
        await enter_some(hooks, 1)
        for failures in range(1, len(private) + 1):
            await hooks.worker().give_turns()
            found = await hooks.endpoint(endpoint.id)
            assert (found.failures, found.last_error) == (failures, "its address is not public")
            hooks.later += dt.timedelta(hours=1)
    assert (len(asked), receiver.connections) == (len(private), 0)


@pytest.mark.twins(4)
async def test_connection_is_made_to_the_address_that_was_checked(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to another address the second time is resolved once."""
    asked = name(monkeypatch, "127.0.0.1", "127.0.0.2")
    async with receiving() as receiver:
        url = f"http://hooks.example.com:{receiver.port}/events"
        endpoint = await hooks.add(receiver, url=url)
        await enter_some(hooks, 3)
        await deliver_all(hooks, endpoint)
    assert asked == ["hooks.example.com"]
    assert len(receiver.received) == 3
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.twins(4)
async def test_certificate_has_to_be_that_of_the_name_in_the_url(
    hooks: HookDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the connection is made to an address."""
    authority, trusted = Authority("Portal"), tmp_path / "ca.crt"
    authority.write(trusted)
    context = ssl.create_default_context(cafile=trusted)
    monkeypatch.setattr(sender, "tls_context", lambda: context)
    name(monkeypatch, "127.0.0.1")
    for host, failure in (("hooks.example.com", None), ("other.example.com", "no connection")):
        files = tmp_path / f"{host}.crt", tmp_path / f"{host}.key"
        authority.issue(host, *files)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*files)
        async with receiving(tls=server) as receiver:
            url = f"https://hooks.example.com:{receiver.port}/events"
            endpoint = await hooks.add(receiver, url=url)
            await enter_some(hooks, 1)
            await hooks.worker().give_turns()
        assert (await hooks.endpoint(endpoint.id)).last_error == failure
        assert len(receiver.received) == (failure is None)
        async with hooks.desk.engine.begin() as conn:
            await endpoints.remove_endpoint(conn, endpoint)


def name(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Make names resolve to these addresses in turn; return the names that were looked up."""
    asked = list[str]()
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *given: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return real(host, port, *given, **named)
        address = addresses[min(len(asked), len(addresses) - 1)]
        asked.append(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.twins(4)
async def test_redirect_is_not_followed(hooks: HookDesk) -> None:
    async with receiving() as elsewhere:

        async def redirect(_: Received) -> bytes:
            return status(307, f"location: {elsewhere.url}")

        async with receiving(redirect) as receiver:
            endpoint = await hooks.add(receiver)
            await enter_some(hooks, 1)
            await hooks.worker().give_turns()
    assert (await hooks.endpoint(endpoint.id)).last_error == "status 307"
    assert (len(receiver.received), elsewhere.connections) == (1, 0)


@pytest.mark.twins(4)
async def test_answer_that_is_not_one_is_a_failure(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "REQUEST_S", 0.2)
    answers = (
        b"\x00\xff" * 50,
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    )

    async def garble(_: Received) -> bytes:
        return answers[len(receiver.received) - 1]

    async with receiving(garble) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 1)
        for failures in range(1, len(answers) + 1):
            await hooks.worker().give_turns()
            found = await hooks.endpoint(endpoint.id)
            assert (found.failures, len(receiver.received)) == (failures, failures), found
            hooks.later += dt.timedelta(hours=1)
