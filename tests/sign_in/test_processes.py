"""Sign-ins over several server processes: each process knows the others' changes."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from models import Client, Contact, SignInRequest, Token
from models.database import engine
from tests.support import postgres
from tests.support.demo_server import Run
from tests.support.empty_databases import prepare
from tests.support.mail_server import SENDER, Mailbox, mail_server
from tests.support.processes import double, portals
from tests.support.sign_in import (
    CODE,
    LINK,
    NAME,
    REVOKE,
    SIGN_INS,
    SIGN_OUT,
    SWITCH,
    SigningIn,
    until,
)

pytestmark = [pytest.mark.server, pytest.mark.rest]

PROCESSES, TRIES = 2, 16
Serve = Callable[..., AbstractAsyncContextManager[list[httpx.AsyncClient]]]


@pytest.fixture
async def portal(postgres_url: str) -> AsyncIterator[SigningIn]:
    """Yield a practice's rows, with the processes' clock."""
    async with postgres.database(postgres_url) as url:
        await prepare(url)
        writing = engine(url)
        made = SigningIn(url, writing)
        made.clock.time = dt.datetime.now(dt.UTC)
        await made.fill()
        with mail_server() as made.mailbox:
            yield made
        await writing.dispose()


@pytest.fixture(scope="module")
def serve(forked: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Return a function that runs server processes, and yields a client for each."""
    with double(tmp_path_factory.mktemp("stripe")) as stripe:

        @asynccontextmanager
        async def browsers(
            portal: SigningIn, folder: Path, count: int, **more: str
        ) -> AsyncIterator[list[httpx.AsyncClient]]:
            with portals(forked, portal.url, stripe, folder, count, **more) as addresses:
                async with AsyncExitStack() as stack:
                    clients = [httpx.AsyncClient(base_url=one, timeout=60) for one in addresses]
                    yield [await stack.enter_async_context(client) for client in clients]

        yield browsers


def by_mail(mailbox: Mailbox) -> dict[str, str]:
    return {"SMTP_URL": mailbox.url, "MAIL_FROM": SENDER}


def said(folder: Path) -> str:
    """Return the logs of the processes."""
    return " ".join(path.read_text() for path in folder.glob("portal-*.txt"))


async def link(portal: SigningIn, browser: httpx.AsyncClient) -> tuple[str, str]:
    """Return a link's secret, and the nonce of the browser that requested it."""
    before = len(portal.mailbox.letters)
    nonce = await portal.request("ana@example.com", browser)
    await until(lambda: len(portal.mailbox.letters) > before)
    (secret,) = LINK.findall(portal.mailbox.text())
    return secret, nonce


async def ask(browser: httpx.AsyncClient, query: str, token: str, **variables: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"query": query, "variables": variables}
    return await browser.post("/graphql", json=body, headers=headers)


async def test_link_used_at_two_processes_is_one_sign_in(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    async with serve(portal, tmp_path, PROCESSES, **by_mail(portal.mailbox)) as both:
        secret, nonce = await link(portal, both[0])
        came_to = await asyncio.gather(
            *(portal.enter(secret, nonce, both[n % PROCESSES]) for n in range(TRIES))
        )
    assert len({one["token"] for one in came_to}) == 1
    assert len(await portal.all(Token)) == 1


async def test_codes_tried_at_two_processes_are_counted_together(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    async with serve(portal, tmp_path, PROCESSES, **by_mail(portal.mailbox)) as both:
        _, nonce = await link(portal, both[0])
        right = "".join(CODE.findall(portal.mailbox.text())[0].split())
        wrong = [f"{(int(right) + 1 + number) % 1_000_000:06}" for number in range(TRIES)]
        outcomes = await asyncio.gather(
            *(portal.type_code(code, nonce, both[n % PROCESSES]) for n, code in enumerate(wrong))
        )
    assert sorted(one["triesLeft"] for one in outcomes) == [0] * (TRIES - 4) + [1, 2, 3, 4]


async def test_requests_at_two_processes_share_the_limit_of_mails(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    async with serve(portal, tmp_path, PROCESSES, **by_mail(portal.mailbox)) as both:
        await asyncio.gather(
            *(portal.request("ana@example.com", both[n % PROCESSES]) for n in range(TRIES))
        )
        await until(lambda: len(portal.mailbox.letters) == 4)
        rows = await portal.all(SignInRequest)
        assert sum(row.done_at == row.created_at for row in rows) == TRIES - 4


async def test_switch_and_changed_address_are_known_to_the_other_process(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    await portal.change(Contact, portal.guardian_id, email="ana@example.com")
    async with serve(portal, tmp_path, PROCESSES, **by_mail(portal.mailbox)) as (
        here,
        there,
    ):
        token = (await portal.enter(*await link(portal, here), here))["token"]
        for id_, name in ((portal.guardian_id, "Gail Ahn"), (portal.client_id, "Ana Prieto")) * 3:
            switched = await ask(here, SWITCH, token, id=f"idn_{id_}")
            assert switched.json()["data"]["switchViewer"]["__typename"] == "ViewerSwitched"
            # Twice, so that the second request is a repeated one.
            for browser in (there, here, there):
                answer = (await ask(browser, NAME, token)).json()
                assert answer["data"]["viewer"]["name"] == name
        await portal.change(Client, portal.client_id, email="new@example.com")
        for browser in (there, here):
            assert (await ask(browser, NAME, token)).status_code == 401


async def test_ended_sign_in_is_refused_by_the_other_process(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    async with serve(portal, tmp_path, PROCESSES, **by_mail(portal.mailbox)) as (
        here,
        there,
    ):
        first, second = [
            (await portal.enter(*await link(portal, browser), browser))["token"]
            for browser in (here, there)
        ]
        for token in (first, second):
            for browser in (here, there):
                assert (await ask(browser, NAME, token)).status_code == 200
        listed = (await ask(there, SIGN_INS, first)).json()["data"]["viewer"]["signIns"]
        (other,) = [one["id"] for one in listed if not one["isCurrent"]]
        ended = (await ask(here, REVOKE, first, id=other)).json()["data"]["revokeSignIn"]
        assert ended["__typename"] == "SignInRevoked"
        assert (await ask(there, NAME, second)).status_code == 401
        await ask(there, SIGN_OUT, first)
        assert (await ask(here, NAME, first)).status_code == 401
    logged = said(tmp_path)
    assert "method=POST route=graphql" in logged
    for hidden in (first, second, "ana@", *LINK.findall(portal.mailbox.text(0))):
        assert hidden not in logged


async def test_process_sends_the_mails_of_an_earlier_one(
    serve: Serve, portal: SigningIn, tmp_path: Path
) -> None:
    async with serve(portal, tmp_path, 1) as (first,):
        nonce = await portal.request("ana@example.com", first)
    assert "No SMTP_URL is set" in said(tmp_path)
    assert portal.mailbox.letters == []
    async with serve(portal, tmp_path, 1, **by_mail(portal.mailbox)) as (second,):
        await until(lambda: len(portal.mailbox.letters) == 1)
        (secret,) = LINK.findall(portal.mailbox.text())
        assert (await portal.enter(secret, nonce, second))["__typename"] == "SignedIn"
    assert len(portal.mailbox.letters) == 1
