"""The mail with the links: one answer for everybody, so many an hour, and none that is lost."""

import asyncio
import datetime as dt
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from identity import answering, linking, outbox
from identity.letters import is_sender, letter
from identity.linking import Link
from models import Client, Contact, Practice, SignInFailure, SignInLink, SignInRequest
from models.ids import new_id
from tests.leases import run_out
from tests.mailbox import SENDER
from tests.signing_in import (
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


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


# -- the same for everybody ------------------------------------------------------------------------


async def test_an_unknown_address_is_answered_with_the_same_bytes(portal: SigningIn) -> None:
    body = {"query": REQUEST, "variables": {}}
    answers, headers = set(), []
    for email in ("ana@example.com", UNKNOWN, "", "x" * 10_000, "Ana <ana@example.com>"):
        sent = body | {"variables": {"email": email}}
        response = await portal.http.post("/graphql", json=sent)
        text, nonces = re.subn(r'"nonce":"\w{43}"', '"nonce":""', response.text)
        assert nonces == 1
        answers.add(text)
        headers.append(sorted(response.headers.items()))
    payload = '{"nonce":"","expiresAt":"2026-03-15T12:10:00Z"}'
    assert answers == {f'{{"data":{{"requestSignInLink":{payload}}}}}'}
    assert headers.count(headers[0]) == len(headers)


async def test_and_with_the_same_work(portal: SigningIn) -> None:
    """Before the answer nothing is looked up: one row is written, whoever's the address is."""
    done = []
    for email in ("ana@example.com", UNKNOWN):
        with statements(portal) as written:
            await portal.request(email)
        done.append(written)
        await portal.mails()
    assert done[0] == done[1]
    assert [one.partition(" (")[0] for one in done[0]] == ["INSERT INTO sign_in_request"]


async def test_an_unknown_address_gets_no_mail(portal: SigningIn) -> None:
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
async def test_what_is_no_address_of_anybody_reaches_nobody(portal: SigningIn, email: str) -> None:
    await portal.request(email)
    assert all(mail["To"] == "Ana@Example.com" for mail in await portal.mails())
    assert all("evil" not in mail.as_string() for mail in portal.mailbox.letters)


@pytest.mark.parametrize("email", ["ana\0@example.com", "ana@example.com\ud800"])
async def test_half_characters_and_nul_are_refused(portal: SigningIn, email: str) -> None:
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


async def test_a_practices_odd_rows_send_no_odd_mail(portal: SigningIn) -> None:
    """A name with a newline in it adds no header, and there is no such address."""
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


async def test_an_address_is_found_by_its_index(portal: SigningIn) -> None:
    """In all practices: whoever asks says no practice."""
    on_sqlite = portal.url.startswith("sqlite")
    for table in (Client, Contact):
        asked = linking.known(table, "ana@example.com").compile(
            portal.engine.sync_engine, compile_kwargs={"literal_binds": True}
        )
        async with portal.engine.begin() as rows:
            if not on_sqlite:
                await rows.execute(text("SET LOCAL enable_seqscan = off"))
            explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
            plan = (await rows.execute(text(f"{explain} {asked}"))).all()
        assert f"ix_{table.__tablename__}_folded_email" in str(plan)


def test_each_mailbox_gets_its_own_links_alone() -> None:
    """A database may take the Kelvin sign for a k: to a mail server it is another letter."""
    kelvin, other, same = (
        Link(email, "Harbor", "Kelvin", f"https://harbor.example/#/sign-in/{n}")
        for n, email in enumerate(("kelvin@a.example", "\u212aelvin@a.example", "KELVIN@A.example"))
    )
    assert answering.mailboxes([kelvin, other, same]) == [[kelvin, same], [other]]


# -- what is in it ---------------------------------------------------------------------------------


async def test_the_mail_is_plain_and_says_no_more_than_it_has_to(portal: SigningIn) -> None:
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


def test_names_in_any_script_are_written() -> None:
    links = [Link("ana@example.com", "Büro 木曽, Praxis", "Ana", "https://a.example/#/sign-in/x")]
    mail = letter(SENDER, links, NOON)
    assert mail["Subject"] == "Sign in to Büro 木曽, Praxis"
    assert mail.as_bytes().isascii()
    assert "Büro 木曽" in mail.get_content()


@pytest.mark.parametrize("text", ["no-reply@harbor.example", SENDER, "Büro <a@b.example>"])
def test_who_mail_can_be_from(text: str) -> None:
    assert is_sender(text)


@pytest.mark.parametrize("text", ["", "Harbor", "a@b, c@d", "a@b\r\nBcc: c@d", "<>", "Harbor <a>"])
def test_who_it_can_not_be_from(text: str) -> None:
    assert not is_sender(text)


# -- so many an hour -------------------------------------------------------------------------------


async def test_an_address_gets_three_mails_an_hour(portal: SigningIn) -> None:
    for spelling in ("ana@example.com", "ANA@example.com", " ana@example.com", "ana@EXAMPLE.com"):
        await portal.request(spelling)
        assert (await portal.mails())[-1]["To"] == "Ana@Example.com"
    assert len(portal.mailbox.letters) == 3
    portal.clock.time += 59 * MINUTE
    await portal.request("ana@example.com")
    assert len(await portal.mails()) == 3
    portal.clock.time += MINUTE + SECOND
    await portal.request("ana@example.com")
    assert len(await portal.mails()) == 4


async def test_the_last_link_works_though_more_were_asked_for(portal: SigningIn) -> None:
    links = [await portal.link() for _ in range(4)]
    assert links[2][0] == links[3][0]
    assert (await portal.enter(*links[3]))["__typename"] == "SignInLinkInvalid"
    assert (await portal.enter(*links[2]))["__typename"] == "SignedIn"


async def test_requests_at_once_find_no_more_room_than_there_is(portal: SigningIn) -> None:
    await asyncio.gather(*(portal.request("ana@example.com") for _ in range(12)))
    await asyncio.gather(*(answering.work(portal.door) for _ in range(6)))
    assert len(await portal.mails()) == 3


async def test_a_network_address_is_answered_by_twenty_mails_an_hour(portal: SigningIn) -> None:
    emails = [f"c{n}@example.com" for n in range(21)]
    own = {"practice_id": portal.practice_id, "created_at": portal.clock(), "name": "Cleo Vance"}
    await portal.insert(Client, *({**own, "id": new_id(), "email": email} for email in emails))
    for email in emails:
        await portal.request(email)
        portal.clock.time += SECOND
    assert sorted(mail["To"] for mail in await portal.mails()) == sorted(emails[:20])
    # From elsewhere it is asked for as before.
    async with portal.network("203.0.113.7") as elsewhere:
        await portal.request(emails[20], elsewhere)
    assert (await portal.mails())[-1]["To"] == emails[20]
    portal.clock.time += 61 * MINUTE
    await portal.request("ben@example.com")
    assert (await portal.mails())[-1]["To"] == "ben@example.com"


async def test_twenty_failed_tries_from_a_network_address_are_enough(portal: SigningIn) -> None:
    secret, nonce = await portal.link()
    for _ in range(20):
        assert (await portal.enter("x" * 43, nonce))["__typename"] == "SignInLinkInvalid"
        portal.clock.time += SECOND
    refused = await portal.enter(secret, nonce)
    assert (refused["__typename"], refused["code"]) == ("TooManyAttempts", "TOO_MANY_ATTEMPTS")
    assert refused["retryAt"] == "2026-03-15T13:00:00Z"
    assert "card" not in refused["message"]
    # Somebody else isn't kept out, and the link was not used up.
    async with portal.network("203.0.113.7") as elsewhere:
        assert (await portal.enter(secret, nonce, elsewhere))["__typename"] == "SignedIn"
    portal.clock.time = NOON + 60 * MINUTE
    assert (await portal.enter(*await portal.link()))["__typename"] == "SignedIn"


# -- none is lost ----------------------------------------------------------------------------------


async def test_a_mail_that_is_refused_is_sent_later_with_another_secret(
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


async def test_a_server_out_of_reach_is_tried_until_the_link_would_have_expired(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(portal, smtp_url="smtp://127.0.0.1:1"):
        await portal.request("ana@example.com")
        tried = 0
        while (await portal.all(SignInRequest))[0].done_at is None:
            tried += await answering.work(portal.door)
            portal.clock.time += 5 * SECOND
    assert 5 < tried < 15
    assert "no mail could be sent in time" in caplog.text
    assert portal.clock.time - NOON < 11 * MINUTE


async def test_the_mail_of_a_process_that_ended_another_sends(portal: SigningIn) -> None:
    """It is killed after it took the request, while it speaks with a mail server."""
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
        assert await answering.work(portal.door) == 0
        await run_out(portal.engine)
        assert await answering.work(portal.door) == 1
        (secret,) = LINK.findall(portal.mailbox.text())
        assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


async def test_without_a_mail_server_requests_are_answered_and_wait(portal: SigningIn) -> None:
    async with serving(portal, smtp_url=None):
        await portal.request("ana@example.com")
        assert await answering.work(portal.door) == 0
    async with serving(portal, smtp_url=portal.mailbox.url):
        assert len(await portal.mails()) == 1


async def test_an_older_request_that_is_answered_later_takes_no_place(portal: SigningIn) -> None:
    portal.mailbox.refusals = 1
    older = await portal.request("ana@example.com")
    await portal.mails()
    portal.clock.time += SECOND
    newer = await portal.link()
    portal.clock.time += 5 * SECOND
    await portal.mails()
    assert len(portal.mailbox.letters) == 1
    assert (await portal.enter(newer[0], older))["__typename"] == "SignInLinkInvalid"
    assert (await portal.enter(*newer))["__typename"] == "SignedIn"


async def test_what_is_older_than_a_day_is_removed(portal: SigningIn) -> None:
    link = await portal.link()
    await portal.enter("x" * 43, link[1])
    portal.clock.time += dt.timedelta(hours=23)
    await portal.request(UNKNOWN)
    await portal.mails()
    await outbox.sweep(portal.door)
    assert len(await portal.all(SignInRequest)) == 2
    portal.clock.time += dt.timedelta(hours=2)
    await outbox.sweep(portal.door)
    assert len(await portal.all(SignInRequest)) == 1
    assert await portal.all(SignInLink) == []
    assert await portal.all(SignInFailure) == []


async def test_the_application_sends_by_itself(portal: SigningIn) -> None:
    await portal.request("ana@example.com")
    await until(lambda: len(portal.mailbox.letters) == 1)


async def test_neither_address_nor_secret_is_in_the_log(
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
    # The mail server's own log is not ours.
    ours = [record for record in caplog.records if not record.name.startswith("mail")]
    logged = " ".join(record.getMessage() + str(record.exc_text or "") for record in ours)
    assert "tried again" in logged
    for hidden in ("ana@", "Ana@", "example.com", secret, nonce, token, "127.0.0.1:"):
        assert hidden not in logged
