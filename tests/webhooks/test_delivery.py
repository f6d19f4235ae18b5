"""The delivery of events to receivers that fail or are slow, and the secrets that sign them."""

import asyncio
import datetime as dt
import random
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import WebhookVerificationError

from billing.outbox import delivery, endpoints, sender
from models import EndpointStatus, EventEndpoint, EventKind
from tests.support.entries import EntryDesk
from tests.support.event_receiver import OK, Received, receiving, status
from tests.support.webhooks import SEEDS, HookDesk, in_first_order
from tests.webhooks.delivering import accepting, deliver_all, enter_some

# Seconds, far more than any delivery takes.
SOON_S = 60.0


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
