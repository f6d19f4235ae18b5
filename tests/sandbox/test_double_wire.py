"""The connection to the double: dropped connections, late and repeated calls, lost events."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from billing.stripe import Unknown
from billing.stripe.objects import IntentStatus
from models.ids import new_id
from sandbox import deliveries
from sandbox.deliveries import WebhookTarget
from sandbox.faults import Dropped, Fault
from sandbox.store import Store
from tests.support.payments import ACCOUNT
from tests.support.processes import double as process
from tests.support.stripe_double import HEADERS, USD, Double

DAY_S = 24 * 60 * 60


# -- connections -----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
async def test_connection_drops_before_or_after_the_work(double: Double, after: bool) -> None:
    double.api.faults.append(Fault("payment_intents$", drop=True, after=after))
    with pytest.raises(Dropped):
        await double.keyed("k", "payment_intents", **USD)
    assert len(double.store.all("payment_intent")) == after
    assert (await double.keyed("k", "payment_intents", **USD))[0] == 200
    assert len(double.store.all("payment_intent")) == 1
    double.hold()


@pytest.mark.parametrize("after", [False, True])
async def test_dropped_connection_leaves_the_outcome_unknown(double: Double, after: bool) -> None:
    """The gateway has to read the intent to learn whether the money moved."""
    gateway = double.gateway()
    intent = await double.intent()
    double.api.faults.append(Fault("confirm$", drop=True, after=after))
    with pytest.raises(Unknown):
        await gateway.confirm(new_id(), ACCOUNT, intent, token=double.token())
    found = await gateway.intent(ACCOUNT, intent)
    assert found.status is (
        IntentStatus.SUCCEEDED if after else IntentStatus.REQUIRES_PAYMENT_METHOD
    )
    await gateway.close()


async def test_call_may_arrive_twice(double: Double) -> None:
    double.api.faults.append(Fault("payment_intents$", twice=True))
    await double.intent()
    assert len(double.store.all("payment_intent")) == 2
    double.api.faults.append(Fault("payment_intents$", twice=True))
    await double.keyed("k", "payment_intents", **USD)
    assert len(double.store.all("payment_intent")) == 3


async def test_late_response_has_the_older_state(double: Double) -> None:
    """The response was right when the call was handled."""
    intent = await double.intent()
    path = f"payment_intents/{intent}"
    double.api.faults.append(Fault(f"GET {path}", after=True, delay_s=0.1))
    late = asyncio.create_task(double.ask("GET", path))
    await asyncio.sleep(0.02)
    await double.ask("POST", f"{path}/cancel")
    assert (await late)[1]["status"] == "requires_payment_method"
    assert (await double.ask("GET", path))[1]["status"] == "canceled"


@pytest.fixture
async def other_process(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    with process(tmp_path) as address:
        async with httpx.AsyncClient(base_url=address, headers=HEADERS) as http:
            yield http


async def test_socket_is_closed_before_or_after_the_work(
    other_process: httpx.AsyncClient,
) -> None:
    for after in (False, True):
        faults = {"faults": [{"matches": "customers$", "drop": True, "after": after}]}
        await other_process.post("/controls/faults", json=faults)
        with pytest.raises(httpx.TransportError):
            await other_process.post("/v1/customers")
        state = (await other_process.get("/controls/state")).json()
        assert len(state["customer"]) == after
    assert (await other_process.post("/v1/customers")).status_code == 200


async def test_clock_of_a_process_can_be_moved(other_process: httpx.AsyncClient) -> None:
    await other_process.post("/controls/clock", json={"later_s": 90 * DAY_S})
    made = (await other_process.post("/v1/customers")).json()
    assert made["created"] > time.time() + 89 * DAY_S


# -- lost events -----------------------------------------------------------------------------------


async def delivered(store: Store, times: int = 3) -> list[str]:
    """Deliver the planned events this many times, and return the ids in the order of sending."""
    found: list[str] = []

    async def take(request: httpx.Request) -> httpx.Response:
        found.append(request.content.decode().partition('"id": "')[2].partition('"')[0])
        return httpx.Response(200)

    webhook = WebhookTarget("http://portal/webhook", "whsec_x")
    async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
        for _ in range(times):
            for event, body, tries in deliveries.due_events(store):
                await deliveries.deliver_event(store, webhook, client, event, body, tries)
    return found


async def test_events_are_lost_doubled_and_shuffled(double: Double) -> None:
    for _ in range(60):
        double.store.tell(ACCOUNT, "x.y", {"id": "x", "object": "x"})
    ids = [event["id"] for event in double.store.all("event")]
    double.act("set", name=deliveries.EVENTS, value={"lost": 0.3, "twice": 0.3, "shuffled": True})
    found = await delivered(double.store, times=6)
    lost = set(ids) - set(found)
    assert 5 <= len(lost) <= 35
    assert 5 <= len(found) - len(set(found)) <= 35
    assert list(dict.fromkeys(found)) != [id_ for id_ in ids if id_ in found]
    # Lost events can still be listed.
    assert set(double.store.waiting()) == lost


async def test_events_are_withheld_by_type(double: Double) -> None:
    await double.paid()
    double.act("withhold", types="charge.%")
    kept = {event["id"]: event["type"] for event in double.store.all("event")}
    found = {kept[id_] for id_ in await delivered(double.store)}
    assert found == {"payment_intent.created", "payment_intent.succeeded"}
    assert time.time() < deliveries.NEVER
