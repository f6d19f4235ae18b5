"""Codes of sign-in mails: valid only in the requesting page, and protected against guessing."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from identity.sign_in import codes
from models import Client, Token
from tests.support.sign_in import SIGN_OUT, WITH_CODE, SigningIn, signing_in, statements

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)
UNKNOWN = "nobody@example.com"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


async def mailed(portal: SigningIn, email: str = "ana@example.com") -> tuple[str, str]:
    """Request a mail; return its code, and the nonce of the requesting page."""
    nonce = await portal.request(email)
    (code,) = await portal.codes()
    return code, nonce


def wrong(code: str) -> str:
    return f"{(int(code.replace(' ', '')) + 1) % 1_000_000:06}"


async def test_code_signs_in_its_address(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    entered = await portal.type_code(code, nonce)
    assert (entered["__typename"], entered["viewer"]["name"]) == ("SignedIn", "Ana Prieto")
    assert await portal.works(entered["token"])


@pytest.mark.parametrize("spelling", ["{}{}", "{} {}", " {}-{} "])
async def test_blanks_in_a_code_are_ignored(portal: SigningIn, spelling: str) -> None:
    code, nonce = await mailed(portal)
    typed = spelling.format(*code.split())
    assert (await portal.type_code(typed, nonce))["__typename"] == "SignedIn"


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "1" * 10_000])
async def test_malformed_code_does_not_count_as_a_try(portal: SigningIn, typed: str) -> None:
    code, nonce = await mailed(portal)
    for _ in range(6):
        refused = await portal.type_code(typed, nonce)
        assert (refused["__typename"], refused["path"]) == ("InvalidInput", ["input", "code"])
    assert (await portal.type_code(code, nonce))["__typename"] == "SignedIn"


async def test_code_works_once_and_its_result_is_repeated_for_a_minute(
    portal: SigningIn,
) -> None:
    code, nonce = await mailed(portal)
    first = await portal.type_code(code, nonce)
    portal.clock.time += 59 * SECOND
    assert await portal.type_code(code, nonce) == first
    portal.clock.time += SECOND
    again = await portal.type_code(code, nonce)
    assert (again["__typename"], again["code"]) == ("SignInCodeInvalid", "SIGN_IN_CODE_INVALID")
    assert len(await portal.all(Token)) == 1


async def test_link_and_code_are_one_sign_in(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    (secret,) = await portal.secrets()
    entered = await portal.enter(secret, nonce)
    assert (await portal.type_code(code, nonce))["token"] == entered["token"]
    await portal.ask(SIGN_OUT, entered["token"])
    assert (await portal.type_code(code, nonce))["__typename"] == "SignInCodeInvalid"


@pytest.mark.twins(1)
async def test_concurrent_uses_of_a_code_are_one_sign_in(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    outcomes = await asyncio.gather(*(portal.type_code(code, nonce) for _ in range(5)))
    assert len({outcome["token"] for outcome in outcomes}) == 1
    assert len(await portal.all(Token)) == 1


async def test_code_expires_after_half_an_hour(portal: SigningIn) -> None:
    late, timely = await mailed(portal, "ben@example.com"), await mailed(portal)
    portal.clock.time += 30 * MINUTE - SECOND
    assert (await portal.type_code(*timely))["__typename"] == "SignedIn"
    portal.clock.time += SECOND
    assert (await portal.type_code(*late))["__typename"] == "SignInCodeInvalid"


async def test_code_of_a_changed_address_does_not_sign_in(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    await portal.change(Client, portal.client_id, email="new@example.com")
    assert (await portal.type_code(code, nonce))["__typename"] == "SignInCodeInvalid"


async def test_each_practice_has_a_code_of_its_own(portal: SigningIn) -> None:
    await portal.elsewhere("ana@example.com", "https://quay.example/#")
    nonce = await portal.request("ana@example.com")
    first, second = await portal.codes()
    names = [(await portal.type_code(code, nonce))["viewer"]["name"] for code in (first, second)]
    assert names == ["Ana Prieto", "Ana P. Prieto"]


# -- guessing --------------------------------------------------------------------------------------


async def test_request_allows_five_tries(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    for left in (4, 3, 2, 1, 0):
        refused = await portal.type_code(wrong(code), nonce)
        assert (refused["__typename"], refused["triesLeft"]) == ("SignInCodeInvalid", left)
    assert (await portal.type_code(code, nonce))["triesLeft"] == 0
    # Another mail's code works, and so does the link of the same mail.
    assert (await portal.type_code(*await mailed(portal)))["__typename"] == "SignedIn"
    code, nonce = await mailed(portal)
    for _ in range(5):
        await portal.type_code(wrong(code), nonce)
    (secret,) = await portal.secrets()
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"


@pytest.mark.twins(1)
async def test_concurrent_tries_are_limited_too(portal: SigningIn) -> None:
    code, nonce = await mailed(portal)
    outcomes = await asyncio.gather(*(portal.type_code(wrong(code), nonce) for _ in range(12)))
    assert sorted(one["triesLeft"] for one in outcomes) == [0] * 8 + [1, 2, 3, 4]


async def test_ten_wrong_codes_block_codes_of_an_address(
    portal: SigningIn, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker may request many mails from many addresses. The links in them keep working."""
    for number in range(2):
        async with portal.network(f"198.51.100.{number}") as stranger:
            nonce = await portal.request("ana@example.com", stranger)
            (code,) = await portal.codes()
            for _ in range(5):
                guessed = await portal.type_code(wrong(code), nonce, stranger)
                assert guessed["__typename"] == "SignInCodeInvalid"
    assert caplog.text.count("too many wrong codes for the address") == 1
    own, (code,) = await portal.request("ana@example.com"), await portal.codes()
    refused = await portal.type_code(code, own)
    assert (refused["__typename"], refused["code"]) == ("TooManyAttempts", "TOO_MANY_ATTEMPTS")
    assert refused["retryAt"] == "2026-03-16T12:00:00Z"
    assert "The link in the mail works" in refused["message"]
    # Codes of another address work.
    assert (await portal.type_code(*await mailed(portal, "ben@example.com")))["token"]
    await portal.mails()
    nonce = await portal.request("ana@example.com")
    (secret,) = await portal.secrets()
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"
    portal.clock.time += 24 * 60 * MINUTE
    assert (await portal.type_code(*await mailed(portal)))["__typename"] == "SignedIn"


async def test_right_codes_do_not_count_as_tries(portal: SigningIn) -> None:
    for _ in range(12):
        assert (await portal.type_code(*await mailed(portal)))["__typename"] == "SignedIn"


async def test_unknown_address_gets_the_same_answers_and_statements(portal: SigningIn) -> None:
    told = []
    for email in ("ana@example.com", UNKNOWN):
        done = []
        for _ in range(3):
            nonce = await portal.request(email)
            await portal.mails()
            for _ in range(6):
                with statements(portal) as written:
                    body = {"query": WITH_CODE, "variables": {"code": "000000", "nonce": nonce}}
                    answer = await portal.http.post("/graphql", json=body)
                done.append((answer.text, tuple(written)))
        told.append(done)
    assert told[0] == told[1]
    assert ["TooManyAttempts" in text for text, _ in told[0]].count(True) == 5


async def test_unknown_nonce_has_no_tries(portal: SigningIn) -> None:
    code, _ = await mailed(portal)
    refused = await portal.type_code(code, "x" * 43)
    assert (refused["__typename"], refused["triesLeft"]) == ("SignInCodeInvalid", 0)


async def test_codes_differ_by_request_and_practice(portal: SigningIn) -> None:
    context, found = portal.sign_in_context, set()
    for request in range(100):
        for practice in range(10):
            found.add(codes.mail_code(context, f"{request}", f"{practice}"))
    # Among a million codes, few of a thousand draws are equal.
    assert len(found) > 990
    assert all(len(code) == codes.LENGTH and code.isdigit() for code in found)
