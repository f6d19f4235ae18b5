"""The limit of sign-in mails per address."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from identity.sign_in import worker
from tests.support.sign_in import (
    SigningIn,
    signing_in,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


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


@pytest.mark.twins(1)
async def test_concurrent_requests_do_not_exceed_the_limit(portal: SigningIn) -> None:
    await asyncio.gather(*(portal.request("ana@example.com") for _ in range(12)))
    await asyncio.gather(*(worker.answer_waiting(portal.sign_in_context) for _ in range(6)))
    assert len(await portal.mails()) == 4


async def test_invalid_links_do_not_block_a_valid_one(portal: SigningIn) -> None:
    secret, nonce = await portal.link()
    for _ in range(30):
        assert (await portal.enter("x" * 43, nonce))["__typename"] == "SignInLinkInvalid"
    assert (await portal.enter(secret, nonce))["__typename"] == "SignedIn"
