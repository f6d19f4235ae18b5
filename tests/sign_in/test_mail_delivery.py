"""The delivery of sign-in mails: fair order between networks, and no lost mail."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from identity.sign_in import outbox, worker
from identity.sign_in.networks import network
from models import Client, SignInLimit, SignInLink, SignInRequest, Token
from models.ids import new_id
from server.app import address_hash
from tests.support.leases import run_out
from tests.support.portal import KEY
from tests.support.sign_in import (
    LINK,
    SigningIn,
    serving,
    signing_in,
    until,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
UNKNOWN = "nobody@example.com"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


# -- fair order ------------------------------------------------------------------------------------


@pytest.mark.rest
async def test_flood_of_requests_does_not_delay_another_networks_mail(portal: SigningIn) -> None:
    """From a few networks: to unknown addresses, to many people, and more than the limit."""
    emails = [f"c{n}@example.com" for n in range(40)]
    own = {"practice_id": portal.practice_id, "created_at": portal.clock(), "name": "Cleo Vance"}
    await portal.insert(Client, *({**own, "id": new_id(), "email": email} for email in emails))
    flood = [*emails, *(f"x{n}@example.com" for n in range(40)), *["ben@example.com"] * 50]
    async with serving(portal, smtp_url=None):
        for number, email in enumerate(flood):
            async with portal.network(f"198.51.100.{number % 6}") as stranger:
                await portal.request(email, stranger)
        async with portal.network("203.0.113.7") as elsewhere:
            await portal.request("ana@example.com", elsewhere)
    async with serving(portal, smtp_url=portal.mailbox.url):
        await portal.mails()
    to = [mail["To"] for mail in portal.mailbox.letters]
    # Each network's first request comes before the others' second.
    assert "Ana@Example.com" in to[: 6 + outbox.QUEUE.at_once]
    assert len(to) == len(emails) + 4 + 1


async def test_hanging_mails_of_one_network_leave_room_for_others(portal: SigningIn) -> None:
    emails = [f"c{n}@example.com" for n in range(outbox.QUEUE.at_once + 2)]
    own = {"practice_id": portal.practice_id, "created_at": portal.clock(), "name": "Cleo Vance"}
    await portal.insert(Client, *({**own, "id": new_id(), "email": email} for email in emails))
    portal.mailbox.held.update(emails)
    for email in emails:
        await portal.request(email)
    await until(lambda: portal.mailbox.holding >= outbox.QUEUE.of_group)
    # No more requests of one network are taken, however long it takes.
    await asyncio.sleep(1)
    assert portal.mailbox.holding == outbox.QUEUE.of_group
    async with portal.network("203.0.113.7") as elsewhere:
        await portal.request("ana@example.com", elsewhere)
    await until(lambda: len(portal.mailbox.letters) > 0)
    assert portal.mailbox.letters[0]["To"] == "Ana@Example.com"
    portal.mailbox.held.clear()


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::/64"),
        ("2001:DB8::9", "2001:db8::/64"),
        ("[2001:db8::9]", "2001:db8::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_networks_are_counted_in_one_spelling(host: str, counted_as: str) -> None:
    assert network(host) == counted_as
    assert address_hash(KEY)(host) == address_hash(KEY)(counted_as)


# -- no mail is lost -------------------------------------------------------------------------------


async def test_refused_mail_is_sent_again_with_another_secret(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    portal.mailbox.refusals = 2
    nonce = await portal.request("ana@example.com")
    assert await portal.mails() == []
    (first,) = await portal.all(SignInLink)
    for wait_s in (5, 10):
        portal.clock.time += wait_s * SECOND
        await portal.mails()
    assert len(portal.mailbox.letters) == 1
    (second,) = await portal.all(SignInLink)
    assert first.secret_hash != second.secret_hash
    (secret,) = LINK.findall(portal.mailbox.text())
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"
    assert caplog.text.count("it is tried again") == 2


@pytest.mark.rest
async def test_unreachable_mail_server_is_tried_until_the_link_would_expire(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(portal, smtp_url="smtp://127.0.0.1:1"):
        await portal.request("ana@example.com")
        tried = 0
        while (await portal.all(SignInRequest))[0].done_at is None:
            tried += await worker.answer_waiting(portal.sign_in_context)
            portal.clock.time += 5 * SECOND
    assert 5 < tried < 25
    assert "no mail could be sent in time" in caplog.text
    assert portal.clock.time - NOON < 31 * MINUTE


@pytest.mark.twins(1)
async def test_mail_of_a_killed_process_is_sent_by_another(portal: SigningIn) -> None:
    """The process is killed after it took the request, during its dialogue with a mail server."""
    holding = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        holding.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, serving(portal, smtp_url=f"smtp://127.0.0.1:{port}"):
        nonce = await portal.request("ana@example.com")
        await asyncio.wait_for(holding.wait(), 10)
    async with serving(portal, smtp_url=portal.mailbox.url):
        assert await worker.answer_waiting(portal.sign_in_context) == 0
        await run_out(portal.engine)
        assert await worker.answer_waiting(portal.sign_in_context) == 1
        (secret,) = LINK.findall(portal.mailbox.text())
        assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


async def test_without_a_mail_server_requests_wait(portal: SigningIn) -> None:
    async with serving(portal, smtp_url=None):
        await portal.request("ana@example.com")
        assert await worker.answer_waiting(portal.sign_in_context) == 0
    async with serving(portal, smtp_url=portal.mailbox.url):
        assert len(await portal.mails()) == 1


async def test_failing_mail_does_not_delay_others(portal: SigningIn) -> None:
    refused = portal.mailbox.refuse_to("gail@example.com")
    for email in ("ana@example.com, evil@example.com", "gail@example.com", "ben@example.com"):
        await portal.request(email)
    await portal.mails()
    assert [mail["To"] for mail in portal.mailbox.letters] == ["ben@example.com"]
    assert refused
    await worker.answer_waiting(portal.sign_in_context)
    assert len(portal.mailbox.letters) == 1


async def test_requests_older_than_a_day_are_deleted(portal: SigningIn) -> None:
    link = await portal.link()
    token = (await portal.enter(*link))["token"]
    await portal.request(UNKNOWN)
    await portal.mails()
    portal.clock.time += dt.timedelta(hours=24)
    await outbox.delete_old(portal.sign_in_context)
    assert len(await portal.all(SignInRequest)) == 2
    assert len(await portal.all(SignInLink)) == 1
    # Counters at zero are deleted at once.
    assert await portal.all(SignInLimit) == []
    portal.clock.time += dt.timedelta(hours=13)
    await outbox.delete_old(portal.sign_in_context)
    assert await portal.all(SignInRequest) == []
    assert await portal.all(SignInLink) == []
    (row,) = await portal.all(Token)
    assert row.email is None
    assert not await portal.works(token)


async def test_application_sends_mails_in_the_background(portal: SigningIn) -> None:
    await portal.request("ana@example.com")
    await until(lambda: len(portal.mailbox.letters) == 1)


async def test_log_contains_neither_address_nor_secret(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    portal.mailbox.refusals = 1
    nonce = await portal.request("ana@example.com")
    await portal.mails()
    portal.clock.time += 5 * SECOND
    (secret,) = await portal.secrets()
    await portal.enter(secret, "wrong")
    token = (await portal.enter(secret, nonce))["token"]
    await portal.works(token)
    # The test's mail server has a log of its own.
    ours = [record for record in caplog.records if not record.name.startswith("mail")]
    logged = " ".join(record.getMessage() + str(record.exc_text or "") for record in ours)
    assert "tried again" in logged
    for hidden in ("ana@", "Ana@", "example.com", secret, nonce, token, "127.0.0.1:"):
        assert hidden not in logged
