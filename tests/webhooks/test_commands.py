"""The commands `portal webhooks`, the check of endpoints, and the documented receiver."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from billing.encryption import FieldKeys
from billing.outbox.delivery import EventDelivery
from billing.outbox.messages import KINDS_BY_TYPE
from models import AccessEntry, EndpointStatus, EventEndpoint
from server.clock import utc_now
from tests.support.checks import results
from tests.support.command_desk import FIELD_KEY, OPERATOR, CommandDesk, command_desk
from tests.support.demo_server import PROJECT
from tests.support.event_receiver import Received, receiving, status
from tests.support.webhooks import ANYWHERE

pytestmark = pytest.mark.twins(4)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
PAGE = (PROJECT / "docs" / "webhooks.md").read_text()


@pytest.fixture(scope="module")
async def database(new_database: NewDatabase) -> AsyncIterator[CommandDesk]:
    async with new_database() as url, command_desk(url) as made:
        yield made


@pytest.fixture
def desk(database: CommandDesk, monkeypatch: pytest.MonkeyPatch) -> CommandDesk:
    monkeypatch.setenv("WEBHOOK_PRIVATE_ADDRESSES", "true")
    return database


async def added(desk: CommandDesk, practice: str, url: str, *more: str) -> tuple[str, str]:
    """Add an endpoint, and return its id and its secret."""
    output = await desk.done("webhooks", "endpoint", "add", "--practice", practice, url, *more)
    endpoint, secret = output.splitlines()
    return endpoint, secret


async def deliver(desk: CommandDesk) -> None:
    keys = FieldKeys([FIELD_KEY])
    await EventDelivery(desk.engine, utc_now, keys, ANYWHERE).deliver_waiting()


async def add_client(desk: CommandDesk, practice: str) -> str:
    return await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")


async def facts(desk: CommandDesk, practice: str) -> dict[str, Any]:
    (found,) = await desk.listed("webhooks", "endpoint", "list", "--practice", practice)
    return found


async def test_endpoint_from_the_first_event_to_the_last(desk: CommandDesk) -> None:
    practice = await desk.practice()
    async with receiving() as receiver:
        endpoint, secret = await added(desk, practice, receiver.url)
        first = await add_client(desk, practice)
        assert (await facts(desk, practice))["waiting"] == 1
        await deliver(desk)
        assert (await facts(desk, practice))["waiting"] == 0
        (message,) = receiver.received
        message.verify(secret)
        assert (message.type, message.content["data"]["id"]) == ("client.created", first)
        await desk.done("webhooks", "endpoint", "pause", endpoint)
        await add_client(desk, practice)
        await deliver(desk)
        found = await facts(desk, practice)
        assert (found["status"], found["waiting"], len(receiver.received)) == ("paused", 1, 1)
        await desk.done("webhooks", "endpoint", "resume", endpoint)
        newer = await desk.done("webhooks", "endpoint", "rotate", endpoint)
        await deliver(desk)
        receiver.received[1].verify(secret)
        receiver.received[1].verify(newer)
        since = message.content["data"]["version"]
        again = await desk.done("webhooks", "replay", "--practice", practice, "--since", since)
        assert again == "Events to send again: 1, to endpoints: 1."
        await deliver(desk)
        assert [one.id for one in receiver.received[1:]] == [receiver.received[1].id] * 2
        await desk.done("webhooks", "endpoint", "remove", endpoint)
        assert await desk.listed("webhooks", "endpoint", "list", "--practice", practice) == []
    operations = [one.operation for one in await desk.rows(AccessEntry, practice)]
    commands = "endpoint add", "endpoint pause", "endpoint resume", "endpoint rotate", "replay"
    wanted = {f"portal webhooks {one}" for one in (*commands, "endpoint remove", "endpoint list")}
    assert wanted <= set(operations)
    assert {one.name for one in await desk.rows(AccessEntry, practice)} == {OPERATOR}


async def test_test_message_is_signed_and_its_answer_is_printed(desk: CommandDesk) -> None:
    practice = await desk.practice()
    async with receiving() as receiver:
        endpoint, secret = await added(desk, practice, receiver.url, "--event", "invoice.paid")
        told = await desk.done("webhooks", "test", endpoint)
        assert told == "The endpoint accepted the message: status 200."
        (message,) = receiver.received
        message.verify(secret)
        assert (message.type, message.content["data"]) == ("webhook.test", {"practice": practice})

        async def refuse(_: Received) -> bytes:
            return status(503)

        receiver.behaviour = refuse
        result = await desk.run("webhooks", "test", endpoint)
        assert (result.exit_code, result.stdout) == (
            1,
            "The endpoint did not accept the message: status 503.\n",
        )
        assert (await facts(desk, practice))["events"] == ["invoice.paid"]
    await desk.done("webhooks", "endpoint", "remove", endpoint)


async def test_wrong_endpoint_is_refused(
    desk: CommandDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await desk.practice()
    add = "webhooks", "endpoint", "add", "--practice", practice
    assert await desk.refused(*add, "ftp://x.example/") == (
        "The address does not begin with https://."
    )
    told = await desk.refused(*add, "https://x.example/", "--event", "invoice.lost")
    assert told.startswith("There is no event invoice.lost. There are: client.created, ")
    assert "There is no event_endpoint" in await desk.refused("webhooks", "test", "whe_1")
    nowhere = "webhooks", "replay", "--practice", practice, "--since", "0"
    assert await desk.refused(*nowhere) == f"The practice {practice} has no such endpoint."
    monkeypatch.setenv("WEBHOOK_PRIVATE_ADDRESSES", "false")
    assert await desk.refused(*add, "https://10.0.0.1/") == (
        "The address has an address that is not public."
    )
    monkeypatch.delenv("FIELD_KEY")
    assert (await desk.refused(*add, "https://x.example/")).startswith("FIELD_KEY is not set.")


async def test_check_names_an_endpoint_that_gets_nothing(
    desk: CommandDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await desk.practice()
    endpoint, _ = await added(desk, practice, "https://x.example/")
    assert (await results()).outcome("endpoints") == "ok"
    for values, outcome, words in (
        ({"failures": 3, "last_error": "status 500"}, "warning", "has failed 3 times (status 500)"),
        ({"status": EndpointStatus.PAUSED}, "failed", "is paused (status 500)"),
        (
            {"status": EndpointStatus.ACTIVE, "secret_encrypted": b"x"},
            "failed",
            "no key of FIELD",
        ),
    ):
        async with desk.engine.begin() as conn:
            await conn.execute(update(EventEndpoint).values(values))
        made = await results()
        assert made.outcome("endpoints") == outcome
        assert endpoint in made.sentence("endpoints")
        assert words in made.sentence("endpoints")
    await desk.done("webhooks", "endpoint", "remove", endpoint)


# -- the documented receiver -----------------------------------------------------------------------


async def test_documented_receiver_verifies_and_takes_each_message_once(
    desk: CommandDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - the documented example
    receive, seen, statuses = names["receive"], set[str](), list[int]()
    practice = await desk.practice()

    async def behave(message: Received) -> bytes:
        wrong = receive(dict(message.headers), message.body + b" ", keeping["secret"], seen)
        assert wrong == 401
        statuses.append(receive(dict(message.headers), message.body, keeping["secret"], seen))
        return status(statuses[-1])

    keeping: dict[str, str] = {}
    async with receiving(behave) as receiver:
        endpoint, keeping["secret"] = await added(desk, practice, receiver.url)
        client = await add_client(desk, practice)
        capsys.readouterr()
        await deliver(desk)
        await desk.done("webhooks", "replay", "--practice", practice, "--since", "0")
        await deliver(desk)
        await desk.done("webhooks", "endpoint", "remove", endpoint)
    assert statuses == [204, 204]
    version = receiver.received[0].content["data"]["version"]
    assert f"client.created {client} {version}\n" in capsys.readouterr().out


def test_page_lists_every_type() -> None:
    table = PAGE.partition("| type | change |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+\.[a-z]+)`", table)) == set(KINDS_BY_TYPE)


def test_example_message_is_of_the_form_that_is_sent() -> None:
    (shown,) = re.findall(r'(\{"type".*?\}\})', PAGE, re.DOTALL)
    message = json.loads(shown)
    assert message.keys() == {"type", "timestamp", "data"}
    assert message["data"].keys() == {"practice", "id", "version"}
