"""`portal sessions`: lists sign-ins, and ends them together with pending links and codes."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from identity.sign_in import outbox, worker
from models import AccessEntry, Client, Contact, SignInRequest
from models.leases import Excluded
from server.cli import main as cli
from server.cli import session_admin
from server.cli.session_admin import NotMeant, SignInFilter
from server.settings import Settings
from tests.support.portal import KEY
from tests.support.sign_in import SigningIn, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    """Yield a portal with the command's clock."""
    async with new_database() as url, signing_in(url) as it:
        it.clock.time = dt.datetime.now(dt.UTC)
        yield it


def settings(portal: SigningIn) -> Settings:
    return Settings(database_url=portal.url, token_key=KEY)


async def test_commands_are_entered_in_the_audit_log(portal: SigningIn) -> None:
    await portal.sign_in()
    await listed(portal)
    assert await end(portal, client=f"cli_{portal.client_id}") == 1
    assert await end(portal, client=f"cli_{portal.client_id}") == 0
    found = sorted(await portal.all(AccessEntry), key=lambda one: str(one.id))
    assert [(one.operation, one.action) for one in found if one.kind == "OPERATOR"] == [
        ("portal sessions list", "READ"),
        ("portal sessions end", "SIGN_OUT"),
    ]
    assert {one.client_id for one in found} == {portal.client_id}


async def listed(portal: SigningIn, **which: str) -> list[str]:
    return await session_admin.list_sign_ins(settings(portal), SignInFilter(**which))


async def end(portal: SigningIn, **which: str) -> int:
    return await session_admin.end_matching(settings(portal), SignInFilter(**which))


async def test_sign_ins_are_listed_and_one_is_ended(portal: SigningIn) -> None:
    ana, ben = await portal.sign_in(), await portal.sign_in("ben@example.com")
    await portal.token()
    newest, oldest = await listed(portal)
    assert "Ben Osei <ben@example.com>, Harbor Counseling" in newest
    assert "Ana Prieto <ana@example.com>" in oldest
    assert await listed(portal, client=f"cli_{portal.client_id}") == [oldest]
    assert await portal.works(ana)
    assert await end(portal, id=oldest.split()[0]) == 1
    assert not await portal.works(ana)
    assert await portal.works(ben)
    assert await listed(portal) == [newest]
    assert await end(portal, id=oldest.split()[0]) == 0


@pytest.mark.parametrize("by", ["client", "contact", "address", "practice"])
async def test_ending_a_persons_sign_ins_ends_pending_links_and_codes(
    portal: SigningIn, by: str
) -> None:
    """Includes sign-ins that were switched to another person of the same address."""
    await portal.change(Contact, portal.guardian_id, email="ana@example.com")
    quay = await portal.elsewhere("ana@example.com")
    which = {
        "client": f"cli_{portal.client_id}",
        "contact": portal.guardian_id,
        "address": " ANA@example.com",
        "practice": f"pra_{portal.practice_id}",
    }[by]
    here, switched = await portal.sign_in(), await portal.sign_in()
    await portal.switch(switched, f"idn_{portal.guardian_id}")
    nonce = await portal.request("ana@example.com")
    links = dict(zip(await portal.secrets(), await portal.codes(), strict=True))
    ben, given_out = await portal.sign_in("ben@example.com"), await portal.token()
    other = await portal.enter(list(links)[1], nonce)
    assert other["viewer"]["name"] == "Ana P. Prieto"
    count = await end(portal, **{by: which})
    for token in (here, switched):
        assert not await portal.works(token)
    secret, code = next(iter(links.items()))
    assert (await portal.enter(secret, nonce))["__typename"] == "SignInLinkInvalid"
    assert (await portal.type_code(code, nonce))["__typename"] == "SignInCodeInvalid"
    assert await portal.works(given_out)
    assert await portal.works(ben) is (by != "practice")
    assert await portal.works(other["token"]) is (by != "address")
    assert count == {"client": 2, "contact": 2, "address": 3, "practice": 3}[by]
    assert quay
    # Everybody can sign in again.
    assert await portal.works(await portal.sign_in())


async def test_pending_mail_is_useless_after_sign_ins_were_ended(portal: SigningIn) -> None:
    """A worker has taken the request already when the operator ends the sign-ins."""
    async with portal.engine.begin():
        pass
    nonce = await portal.request("ana@example.com")
    taken = await outbox.claim_request(portal.sign_in_context, Excluded())
    if taken is None:
        pytest.skip("the application's own worker was quicker")
    await end(portal, address="ana@example.com")
    assert portal.sign_in_context.post is not None
    await worker.answer(portal.sign_in_context, portal.sign_in_context.post, taken.row)
    assert portal.mailbox.letters == []
    (request,) = await portal.all(SignInRequest)
    assert request.email is None
    assert nonce


@pytest.mark.twins(1)
async def test_sign_in_during_the_end_is_ended_or_comes_after(
    portal: SigningIn,
) -> None:
    for _ in range(5):
        link = await portal.link()
        entered, _ = await asyncio.gather(portal.enter(*link), end(portal, client=portal.client_id))
        if entered["__typename"] == "SignedIn":
            assert not await portal.works(entered["token"])
        assert await listed(portal) == []


@pytest.mark.parametrize(
    "which",
    [
        {},
        {"practice": "pra_x", "client": "cli_x"},
        {"client": "cli_x"},
        {"contact": "00000000-0000-0000-0000-000000000000"},
    ],
)
async def test_selection_of_sign_ins_is_required(portal: SigningIn, which: dict[str, str]) -> None:
    token = await portal.sign_in()
    with pytest.raises(NotMeant):
        await end(portal, **which)
    assert await portal.works(token)


async def test_sign_ins_of_a_person_without_an_address_are_ended(portal: SigningIn) -> None:
    token = await portal.sign_in()
    await portal.change(Client, portal.client_id, email=None)
    assert not await portal.works(token)
    assert await listed(portal, client=portal.client_id) == []
    async with portal.engine.connect() as conn:
        assert await conn.scalar(select(Client.email).where(Client.id == portal.client_id)) is None


def test_command_without_a_selection_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.sqlite")
    monkeypatch.setenv("TOKEN_KEY", KEY)
    result = CliRunner().invoke(cli.app, ["sessions", "end"])
    assert result.exit_code == 1
    assert "Give exactly one" in result.stderr
