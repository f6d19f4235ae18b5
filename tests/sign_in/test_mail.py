"""Sign-in mails: the same response for every address, and the contents of a mail."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from identity.sign_in import email_message, people
from identity.sign_in.links import Letter, Link, letter
from identity.sign_in.smtp import is_sender
from models import Client, Contact, Practice, SignInRequest
from tests.support.headers import compared_headers
from tests.support.mail_server import SENDER
from tests.support.sign_in import (
    REQUEST,
    SigningIn,
    asked,
    signing_in,
    statements,
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
        headers.append(sorted(compared_headers(response).items()))
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


@pytest.mark.twins(1)
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
