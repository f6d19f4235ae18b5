"""Sign-in mails: the same response for every address, a limit per address, and no lost mail."""

import asyncio
import datetime as dt
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from identity.sign_in import email_message, outbox, people, worker
from identity.sign_in.links import Letter, Link, letter
from identity.sign_in.networks import network
from identity.sign_in.smtp import is_sender
from models import Client, Contact, Practice, SignInLimit, SignInLink, SignInRequest, Token
from models.ids import new_id
from server.app import address_hash
from tests.support.leases import run_out
from tests.support.mail_server import SENDER
from tests.support.portal import KEY
from tests.support.sign_in import (
    LINK,
    REQUEST,
    SigningIn,
    asked,
    serving,
    signing_in,
    statements,
    until,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
UNKNOWN = "nobody@example.com"
HALF_AN_HOUR = 30 * MINUTE
LINKED = Link("Harbor", "https://harbor.example/#/sign-in/x", "123456")


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


# -- the same response for every address -----------------------------------------------------------


async def test_unknown_address_gets_the_same_response(portal: SigningIn) -> None:
    body = {"query": REQUEST, "variables": {}}
    answers, headers = set(), []
    for email in ("ana@example.com", UNKNOWN, "", "x" * 10_000, "Ana <ana@example.com>"):
        sent = body | {"variables": {"email": email}}
        response = await portal.http.post("/graphql", json=sent)
        text, nonces = re.subn(r'"nonce":"\w{43}"', '"nonce":""', response.text)
        assert nonces == 1
        answers.add(text)
        headers.append(sorted(response.headers.items()))
    payload = '{"nonce":"","expiresAt":"2026-03-15T12:30:00Z","nextMailAt":null}'
    assert answers == {f'{{"data":{{"requestSignInLink":{payload}}}}}'}
    assert headers.count(headers[0]) == len(headers)


async def test_limit_of_mails_is_reported_alike_for_unknown_addresses(portal: SigningIn) -> None:
    """Requests are counted alike, whether or not mails were sent."""
    answers = set()
    for email in ("ana@example.com", UNKNOWN):
        for _ in range(4):
            await portal.request(email)
        body = {"query": REQUEST, "variables": {"email": email}}
        text = (await portal.http.post("/graphql", json=body)).text
        answers.add(re.sub(r'"nonce":"\w{43}"', "", text))
    (answer,) = answers
    assert '"nextMailAt":"2026-03-15T12:30:00Z"' in answer


async def test_unknown_address_causes_the_same_statements(portal: SigningIn) -> None:
    """Nothing is looked up before the response: one row is inserted, and two counters
    are updated.
    """
    done = []
    for email in ("ana@example.com", UNKNOWN):
        for _ in range(5):
            with statements(portal) as written:
                await portal.request(email)
            done.append([one.partition(" (")[0] for one in written])
            await portal.mails()
    assert done[:5] == done[5:]
    counted = ["INSERT INTO sign_in_limit"] * 2
    assert done[0] == [*counted, "INSERT INTO sign_in_request"]


async def test_unknown_address_gets_no_mail(portal: SigningIn) -> None:
    for email in (UNKNOWN, "", "x" * 300, "@", "ana@example.com.evil.example"):
        await portal.request(email)
    assert await portal.mails() == []
    assert {row.done_at is not None for row in await portal.all(SignInRequest)} == {True}


@pytest.mark.parametrize(
    "email",
    [
        "ana@example.com\r\nBcc: evil@example.com",
        "ana@example.com, evil@example.com",
        "evil@example.com\nana@example.com",
        "<ana@example.com>",
        "ana@example.com\u0085",
        "ana@example.c\u043em",
    ],
)
async def test_similar_addresses_reach_only_the_stored_one(portal: SigningIn, email: str) -> None:
    await portal.request(email)
    assert all(mail["To"] == "Ana@Example.com" for mail in await portal.mails())
    assert all("evil" not in mail.as_string() for mail in portal.mailbox.letters)


@pytest.mark.parametrize("email", ["ana\0@example.com", "ana@example.com\ud800"])
async def test_surrogates_and_nul_are_refused(portal: SigningIn, email: str) -> None:
    written = email.encode("utf-8", "surrogatepass")
    if b"\0" in written:
        answer = await asked(portal.http, REQUEST, email=email)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    else:
        content = b'{"query": "{a}", "variables": {"email": "\\ud800"}}'
        headers = {"Content-Type": "application/json"}
        response = await portal.http.post("/graphql", content=content, headers=headers)
        assert response.status_code == 400
    assert await portal.all(SignInRequest) == []


async def test_line_breaks_in_stored_values_add_no_header(portal: SigningIn) -> None:
    """A name with a newline adds no header, and a stored address cannot contain one."""
    await portal.change(Practice, portal.practice_id, name="Harbor\r\nBcc: evil@example.com\r\n")
    await portal.request("ana@example.com")
    (mail,) = await portal.mails()
    assert mail["Subject"] == "Sign in to Harbor Bcc: evil@example.com"
    assert mail["Bcc"] is None
    odd = "ben@example.com\r\nBcc: evil@example.com"
    with pytest.raises(IntegrityError):
        await portal.change(Client, portal.other_id, email=odd)
    await portal.request(odd)
    assert len(await portal.mails()) == 1


async def test_address_is_found_by_its_index(portal: SigningIn) -> None:
    """The search covers all practices, since the request names none."""
    on_sqlite = portal.url.startswith("sqlite")
    for table in (Client, Contact):
        asked = people.with_address(table, "ana@example.com").compile(
            portal.engine.sync_engine, compile_kwargs={"literal_binds": True}
        )
        async with portal.engine.begin() as conn:
            if not on_sqlite:
                await conn.execute(text("SET LOCAL enable_seqscan = off"))
            explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
            plan = (await conn.execute(text(f"{explain} {asked}"))).all()
        assert f"ix_{table.__tablename__}_mailbox" in str(plan)


async def test_similar_letter_is_another_mailbox(portal: SigningIn) -> None:
    """A database may fold the Kelvin sign to a k; to a mail server it is another letter."""
    await portal.change(Client, portal.client_id, email="KELVIN@example.com")
    await portal.change(Client, portal.other_id, email="\u212aelvin@example.com")
    await portal.request("kelvin@example.com")
    assert [mail["To"] for mail in await portal.mails()] == ["KELVIN@example.com"]


ODD = [
    "ana@example.com, evil@example.com",
    "ana@example.com,evil@example.com",
    "ana@example.com; evil@example.com",
    "ana@example.com evil@example.com",
    "Ana <ana@example.com>",
    "ana@example.com\r\nBcc: evil@example.com",
]


@pytest.mark.parametrize("odd", ODD)
async def test_text_that_is_not_one_address_is_neither_stored_nor_mailed(
    portal: SigningIn, odd: str
) -> None:
    with pytest.raises(IntegrityError):
        await portal.change(Client, portal.client_id, email=odd)
    await portal.request(odd)
    assert await portal.mails() == []
    with pytest.raises(ValueError, match=r"addr|CR"):
        email_message.mail(SENDER, Letter(odd, [LINKED]), NOON, HALF_AN_HOUR)


@pytest.mark.parametrize("odd", ODD)
async def test_text_that_is_not_one_address_is_not_looked_up(odd: str) -> None:
    """Nothing of the context is used, so nobody can be found by such a text."""
    nothing: Any = None
    request: Any = SimpleNamespace(email=odd)
    assert await letter(nothing, request) is None


# -- contents --------------------------------------------------------------------------------------


async def test_mail_is_plain_text_without_health_information(portal: SigningIn) -> None:
    await portal.request("ana@example.com")
    (mail,) = await portal.mails()
    assert mail["Subject"] == "Sign in to Harbor Counseling"
    assert (mail["From"], mail["To"]) == (SENDER, "Ana@Example.com")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail["Message-ID"].endswith("@harbor.example>")
    words = mail.as_string()
    for told in ("Ana Prieto", "Prieto", "therap", "session", "invoice", "client"):
        assert told not in words.replace("Ana@Example.com", "").lower()
    assert len(portal.mailbox.text()) < 600
    assert "once, for 30 minutes" in portal.mailbox.text()


def test_names_in_any_script_are_encoded() -> None:
    link = Link("Büro 木曽, Praxis", "https://a.example/#/sign-in/x", "123456")
    mail = email_message.mail(SENDER, Letter("ana@example.com", [link]), NOON, HALF_AN_HOUR)
    assert mail["Subject"] == "Sign in to Büro 木曽, Praxis"
    assert mail.as_bytes().isascii()
    assert "Büro 木曽" in mail.get_content()


async def test_a_mail_works_for_as_long_as_the_setting_says(new_database: NewDatabase) -> None:
    async with new_database() as url, signing_in(url, sign_in_minutes=60) as portal:
        secret, nonce = await portal.link()
        assert "once, for 60 minutes" in portal.mailbox.text()
        portal.clock.time += 60 * MINUTE - SECOND
        assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"
        secret, nonce = await portal.link()
        portal.clock.time += 60 * MINUTE
        assert (await portal.enter(secret, nonce))["__typename"] == "SignInLinkInvalid"


@pytest.mark.parametrize("text", ["no-reply@harbor.example", SENDER, "Büro <a@b.example>"])
def test_valid_senders(text: str) -> None:
    assert is_sender(text)


@pytest.mark.parametrize("text", ["", "Harbor", "a@b, c@d", "a@b\r\nBcc: c@d", "<>", "Harbor <a>"])
def test_invalid_senders(text: str) -> None:
    assert not is_sender(text)


# -- limit per address -----------------------------------------------------------------------------


async def test_address_gets_four_mails_and_then_one_each_half_hour(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    spellings = "ana@example.com", "ANA@example.com", " ana@example.com", "ana@EXAMPLE.com"
    for spelling in spellings:
        await portal.request(spelling)
        assert (await portal.mails())[-1]["To"] == "Ana@Example.com"
    for _ in range(20):
        await portal.request("ana@example.com")
    # The operator is told once, however many were asked for.
    assert caplog.text.count("too many mails to the address") == 1
    portal.clock.time += 29 * MINUTE
    await portal.request("ana@example.com")
    assert len(await portal.mails()) == 4
    portal.clock.time += MINUTE
    for _ in range(3):
        await portal.request("ana@example.com")
    assert len(await portal.mails()) == 5


async def test_sign_in_resets_the_limit(portal: SigningIn) -> None:
    for _ in range(3):
        await portal.request("ana@example.com")
    assert (await portal.enter(*await portal.link()))["__typename"] == "SignedIn"
    for _ in range(5):
        await portal.request("ana@example.com")
    assert len(await portal.mails()) == 8


async def test_requests_by_strangers_do_not_block_the_owner(portal: SigningIn) -> None:
    """They use up all mails of an address, from many networks.

    The newest mail signs its owner in.
    """
    for number in range(30):
        async with portal.network(f"198.51.100.{number}") as stranger:
            await portal.request("ana@example.com", stranger)
    await portal.mails()
    for _ in range(3):
        portal.clock.time += 29 * MINUTE
        # Just before the next mail could be sent.
        async with portal.network("198.51.100.1") as stranger:
            await portal.request("ana@example.com", stranger)
        nonce = await portal.request("ana@example.com")
        secrets = await portal.secrets()
        portal.clock.time += 29 * MINUTE
        assert (await portal.enter(secrets[0], nonce))["__typename"] == "SignedIn"
        # The next time, a mail comes at once.
        before = len(portal.mailbox.letters)
        assert (await portal.enter(*await portal.link()))["__typename"] == "SignedIn"
        assert len(portal.mailbox.letters) == before + 1
        for _ in range(10):
            await portal.request("ana@example.com")


async def test_code_of_a_strangers_mail_works_only_in_the_strangers_page(portal: SigningIn) -> None:
    """Nor does a link sign in a page that requested a mail to another address."""
    stranger = await portal.request("ana@example.com")
    (secret,), (code,) = await portal.secrets(), await portal.codes()
    nonce = await portal.request("ben@example.com")
    assert (await portal.enter(secret, nonce))["__typename"] == "SignInLinkInvalid"
    assert (await portal.type_code(code, nonce))["__typename"] == "SignInCodeInvalid"
    own = await portal.request("ana@example.com")
    assert (await portal.enter(secret, own))["__typename"] == "SignInLinkInvalid"
    assert (await portal.type_code(code, own))["__typename"] == "SignInCodeInvalid"
    assert (await portal.type_code(code, stranger))["__typename"] == "SignedIn"


async def test_concurrent_requests_do_not_exceed_the_limit(portal: SigningIn) -> None:
    await asyncio.gather(*(portal.request("ana@example.com") for _ in range(12)))
    await asyncio.gather(*(worker.answer_waiting(portal.sign_in_context) for _ in range(6)))
    assert len(await portal.mails()) == 4


async def test_invalid_links_do_not_block_a_valid_one(portal: SigningIn) -> None:
    secret, nonce = await portal.link()
    for _ in range(30):
        assert (await portal.enter("x" * 43, nonce))["__typename"] == "SignInLinkInvalid"
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


# -- fair order ------------------------------------------------------------------------------------


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
