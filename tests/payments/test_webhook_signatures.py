"""Signature header of webhooks: exactly one timestamp, near now, and a signature by a
known secret.
"""

import datetime as dt
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.stripe import Stripe, webhook_signatures
from billing.stripe.objects import NotAnEvent
from models import StripeEvent
from sandbox.deliveries import signature
from server.sandbox import SECRET
from tests.support.payments import Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NOW = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
NOW_S = int(NOW.timestamp())
OTHER = "whsec_ofanotherendpoint"
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "payment_intent.succeeded",
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}
BODY = json.dumps(EVENT)
OFFS = (-86_400, -301, -300, -1, 0, 1, 300, 301, 86_400)


def signed(at: int, secret: str = SECRET, body: str = BODY) -> str:
    """Return the signature alone."""
    return signature(secret, body, at).partition("v1=")[2]


TIMES = [f"t={NOW_S + off}" for off in OFFS]
SIGNATURES = [f"v1={signed(NOW_S + off)}" for off in OFFS]
OTHERS = [
    f"v1={signed(NOW_S, 'whsec_stranger')}",
    f"v1={signed(NOW_S, body=BODY + ' ')}",
    f"v0={signed(NOW_S)}",
    f"v2={signed(NOW_S)}",
]
BROKEN = [
    "",
    " ",
    "t",
    "t=",
    "=1",
    "v1=",
    "v1=\u00e9",
    "t=x",
    f" t={NOW_S}",
    f"T={NOW_S}",
    "t=\u0661",
    "t=1 ",
]
PARTS = st.one_of(*map(st.sampled_from, (TIMES, SIGNATURES, OTHERS, BROKEN)))


def is_good(parts: Sequence[str]) -> bool:
    """Return whether a header of these parts is valid, decided without parsing text."""
    times = [part for part in parts if part in TIMES]
    if len(times) != 1 or any(part in BROKEN for part in parts):
        return False
    off = OFFS[TIMES.index(times[0])]
    return abs(off) <= 300 and f"v1={signed(NOW_S + off)}" in parts


def is_taken(header: str, *, secrets: Sequence[str] = (SECRET,)) -> bool:
    try:
        return webhook_signatures.event(BODY.encode(), header, secrets, NOW).id == "evt_1"
    except NotAnEvent:
        return False


@given(st.lists(PARTS, max_size=6))
@settings(max_examples=1_000, deadline=None)
def test_header_is_accepted_only_with_one_timestamp_and_its_signature(parts: list[str]) -> None:
    assert is_taken(",".join(parts)) is is_good(parts), parts


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_text_is_not_accepted(text: str) -> None:
    assert not is_taken(text)


@given(st.permutations([TIMES[0], SIGNATURES[0], TIMES[4], f"v1={'0' * 64}"]))
def test_old_event_with_a_second_timestamp_is_refused(parts: list[str]) -> None:
    assert not is_taken(",".join(parts))


def test_each_of_several_secrets_is_accepted_and_no_other() -> None:
    both = (SECRET, OTHER)
    assert is_taken(f"t={NOW_S},v1={signed(NOW_S)}", secrets=both)
    assert is_taken(f"t={NOW_S},v1={signed(NOW_S, OTHER)}", secrets=both)
    assert not is_taken(f"t={NOW_S},v1={signed(NOW_S, 'whsec_third')}", secrets=both)
    assert not is_taken(f"t={NOW_S},v1={signed(NOW_S, '')}", secrets=())


# -- over HTTP -------------------------------------------------------------------------------------


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


async def sent(portal: Paying, *headers: str) -> Any:
    given = [(b"Stripe-Signature", header.encode("latin-1")) for header in headers]
    return await portal.http.post("/stripe/webhook", content=BODY, headers=given)


REFUSED = {
    "no header": ([], "no Stripe-Signature header"),
    "two times": (["t={old},v1={of_old},t={now}"], "exactly one time"),
    "two headers": (["t={old},v1={of_old}", "t={now}"], "exactly one time"),
    "no time": (["v1={of_now}"], "exactly one time"),
    "no signature": (["t={now},v0={of_now}"], "no v1 signature"),
    "a part without a value": (["t={now},v1={of_now},v1"], "not name=value"),
    "a signature that is no ASCII": (["t={now},v1=\u00e9"], "not name=value"),
    "another's signature": (["t={now},v1={of_old}"], "none of this endpoint's secrets"),
    "too old": (["t={old},v1={of_old}"], "more than 300 seconds"),
}


@pytest.mark.parametrize(("headers", "reason"), REFUSED.values(), ids=REFUSED)
async def test_refusal_is_returned_and_logged_with_its_reason(
    portal: Paying, caplog: pytest.LogCaptureFixture, headers: list[str], reason: str
) -> None:
    now = int(portal.clock().timestamp())
    old = now - 301
    times = {"now": now, "old": old, "of_now": signed(now), "of_old": signed(old)}
    with caplog.at_level(logging.WARNING, "portal.payments"):
        answer = await sent(portal, *(header.format(**times) for header in headers))
    assert answer.status_code == 400
    assert reason in answer.text
    (line,) = [one.getMessage() for one in caplog.records if one.name == "portal.payments"]
    assert reason in line
    assert "evt_1" not in line
    assert await portal.all(StripeEvent) == []


async def test_signed_body_that_is_no_event_is_refused_with_its_reason(portal: Paying) -> None:
    now, body = int(portal.clock().timestamp()), "[1]"
    headers = {"Stripe-Signature": signature(SECRET, body, now)}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert answer.status_code == 400
    assert "the body is not an event" in answer.text


ODD = {
    "no object": '{"id": "evt_1", "type": "x", "data": {"object": null}}',
    "no id": '{"id": "e", "type": "x", "data": {"object": {"object": "customer"}}}',
    "an id that is none": '{"id": null, "type": "x", "data": {"object": {}}}',
    "no account's id": '{"id": "e", "account": {"a": 1}, "type": "x", "data": {"object": {}}}',
    "half a character": '{"id": "evt_\\ud800", "type": "x", "data": {"object": {}}}',
    "a character zero": '{"id": "evt_\\u0000", "type": "x", "data": {"object": {}}}',
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
async def test_signed_malformed_events_are_refused(portal: Paying, body: str) -> None:
    now = int(portal.clock().timestamp())
    headers = {"Stripe-Signature": signature(SECRET, body, now)}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert (answer.status_code, await portal.all(StripeEvent)) == (400, [])


async def test_object_id_with_nul_is_ignored(portal: Paying) -> None:
    body = '{"id": "evt_1", "type": "x", "data": {"object": {"payment_intent": "pi_\\u0000"}}}'
    headers = {"Stripe-Signature": signature(SECRET, body, int(portal.clock().timestamp()))}
    answer = await portal.http.post("/stripe/webhook", content=body, headers=headers)
    assert answer.status_code == 200
    assert [event.object_id for event in await portal.all(StripeEvent)] == [None]


async def test_unreadable_listed_event_does_not_hide_others() -> None:
    listed = [EVENT | {"id": "evt_2", "data": {"object": None}}, EVENT]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"object": "list", "data": listed, "has_more": False})

    stripe = Stripe("sk_test_1", base="http://stripe", transport=httpx.MockTransport(answer))
    assert [event.id for event in await stripe.events("acct_test", NOW)] == ["evt_1"]
    await stripe.close()
