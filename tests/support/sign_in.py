"""A portal with a mail server, and the steps of a person who signs in."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import httpx
from sqlalchemy import event, update
from starlette.applications import Starlette

from identity.sign_in import worker
from identity.sign_in.context import SignInContext
from models import Client, Contact, Practice, Row, SignInRequest
from models.database import open_engine
from models.ids import new_id
from server.app import app
from server.settings import Settings
from tests.support.empty_databases import prepare
from tests.support.mail_server import SENDER, Mailbox, mail_server
from tests.support.portal import KEY, Portal, practice, rows_in_order

PAGE = "https://harbor.example/portal/"
LINK = re.compile(r"\S+#/sign-in/(\w+)")
CODE = re.compile(r"type this code .*: (\d{3} \d{3})")
REQUEST = """mutation Request($email: String!) {
  requestSignInLink(input: {email: $email}) { nonce expiresAt nextMailAt } }"""
ENTERED = """__typename
    ... on SignedIn { token expiresAt viewer { kind name email expiresAt clients { name }
      signIns { id isCurrent } } }
    ... on UserError { code message path }"""
SIGN_IN = f"""mutation SignIn($secret: String!, $nonce: String!) {{
  signIn(input: {{secret: $secret, nonce: $nonce}}) {{ {ENTERED} }} }}"""
WITH_CODE = f"""mutation WithCode($code: String!, $nonce: String!) {{
  signInWithCode(input: {{code: $code, nonce: $nonce}}) {{
    {ENTERED} ... on SignInCodeInvalid {{ triesLeft }} ... on TooManyAttempts {{ retryAt }} }} }}"""
IDENTITIES = "{ viewer { identities { id kind name isCurrent } } }"
SWITCH = """mutation Switch($id: ID!) { switchViewer(input: {id: $id}) { __typename
  ... on ViewerSwitched { viewer { kind name clients { name } identities { id isCurrent } } }
  ... on UserError { code message path } } }"""
SIGN_OUT = "mutation { signOut { signedOut } }"
REVOKE = """mutation Revoke($id: ID!) { revokeSignIn(input: {id: $id}) { __typename
  ... on SignInRevoked { viewer { signIns { id } } } ... on UserError { code message path } } }"""
SIGN_INS = "{ viewer { signIns { id startedAt lastUsedAt isCurrent } } }"
NAME = "{ viewer { name } }"


class SigningIn(Portal):
    """A portal whose clients Ana and Ben and guardian Gail have an address each."""

    mailbox: Mailbox
    sign_in_context: SignInContext
    application: Starlette

    async def fill(self) -> None:
        await super().fill()
        await self.change(Practice, self.practice_id, portal_url=PAGE)
        await self.change(Client, self.client_id, email="Ana@Example.com")
        await self.change(Client, self.other_id, email="ben@example.com")
        await self.change(Contact, self.guardian_id, email="gail@example.com")

    async def change(self, row: Any, id_: str, **values: Any) -> None:
        async with self.engine.begin() as conn:
            await conn.execute(update(row).where(row.id == id_).values(values))

    async def all(self, row: type[Row]) -> Sequence[Any]:
        return await rows_in_order(self.engine, row)

    async def elsewhere(self, email: str, page: str | None = PAGE) -> str:
        """Insert a client of another practice with this address, and return the practice's id."""
        id_ = new_id()
        own = {"name": "Quay Therapy", "portal_url": page}
        await self.insert(Practice, practice(id_) | own)
        row = {"practice_id": id_, "id": new_id(), "created_at": self.clock()}
        await self.insert(Client, row | {"name": "Ana P. Prieto", "email": email})
        return id_

    # -- a page's requests -------------------------------------------------------------------------

    @asynccontextmanager
    async def network(self, address: str) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client at another network address."""
        transport = httpx.ASGITransport(self.application, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://portal") as http:
            yield http

    async def request(self, email: str, http: httpx.AsyncClient | None = None) -> str:
        """Request a link, and return the nonce."""
        answer = await asked(http or self.http, REQUEST, email=email)
        return str(answer["data"]["requestSignInLink"]["nonce"])

    async def enter(
        self, secret: str, nonce: str, http: httpx.AsyncClient | None = None
    ) -> dict[str, Any]:
        """Return the outcome of signing in with a link."""
        answer = await asked(http or self.http, SIGN_IN, secret=secret, nonce=nonce)
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]["signIn"]
        return found

    async def type_code(
        self, code: str, nonce: str, http: httpx.AsyncClient | None = None
    ) -> dict[str, Any]:
        """Return the outcome of signing in with a code."""
        answer = await asked(http or self.http, WITH_CODE, code=code, nonce=nonce)
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]["signInWithCode"]
        return found

    async def identities(self, token: str) -> list[dict[str, Any]]:
        answer = (await self.ask(IDENTITIES, token)).json()
        found: list[dict[str, Any]] = answer["data"]["viewer"]["identities"]
        return found

    async def switch(self, token: str, id_: str) -> dict[str, Any]:
        """Return the outcome of switching a sign-in to one of its identities."""
        answer = (await self.ask(SWITCH, token, id=id_)).json()
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]["switchViewer"]
        return found

    # -- contents of mails -------------------------------------------------------------------------

    async def mails(self) -> list[EmailMessage]:
        """Return all mails, after sending those that are due."""
        while any(is_due(row, self.clock()) for row in await self.all(SignInRequest)):
            # The application's own worker sends mails too.
            await worker.answer_waiting(self.sign_in_context)
            await asyncio.sleep(0.005)
        return self.mailbox.letters

    async def link(self, email: str = "ana@example.com") -> tuple[str, str]:
        """Request a link; return its secret, and the nonce of the requesting page."""
        nonce = await self.request(email)
        return (await self.secrets())[0], nonce

    async def secrets(self) -> list[str]:
        """Return the secrets of the last mail's links."""
        await self.mails()
        return LINK.findall(self.mailbox.text())

    async def codes(self) -> list[str]:
        """Return the codes of the last mail."""
        await self.mails()
        return CODE.findall(self.mailbox.text())

    async def sign_in(self, email: str = "ana@example.com") -> str:
        """Sign in with an address, and return the token."""
        return str((await self.enter(*await self.link(email)))["token"])

    async def works(self, token: str) -> bool:
        return (await self.ask(NAME, token)).status_code == 200


# How each transaction begins.
BEGINNINGS = ("BEGIN", "SELECT set_config(")


@contextmanager
def statements(portal: SigningIn) -> Iterator[list[str]]:
    """Collect the server's write statements while the context lasts, including background writes.

    Statements of the worker that polls for requests are left out.
    """
    state = portal.application.state
    contexts = (state.payment_context, state.background_context)
    engines, found = [each.engine.sync_engine for each in contexts], list[str]()

    def heard(*given: Any) -> None:
        if not given[2].startswith(BEGINNINGS) and "leased_until" not in given[2]:
            found.append(given[2])

    for engine in engines:
        event.listen(engine, "before_cursor_execute", heard)
    try:
        yield found
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", heard)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a background effect of the server."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.02)


async def asked(http: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    body = {"query": query, "variables": variables}
    answer: dict[str, Any] = (await http.post("/graphql", json=body)).json()
    return answer


def is_due(request: Any, now: Any) -> bool:
    """Return whether a request waits for a worker, or is being processed."""
    return request.done_at is None and (request.due_at <= now or request.tries == 0)


@asynccontextmanager
async def signing_in(url: str, **settings: Any) -> AsyncIterator[SigningIn]:
    """Yield a portal over an empty database, with a mail server."""
    await prepare(url)
    async with open_engine(url) as writing:
        portal = SigningIn(url, writing)
        await portal.fill()
        with mail_server() as portal.mailbox:
            async with serving(portal, smtp_url=portal.mailbox.url, **settings):
                yield portal


@asynccontextmanager
async def serving(portal: SigningIn, **settings: Any) -> AsyncIterator[Starlette]:
    """Run a server over the portal's rows, and use it for the portal's requests."""
    given: dict[str, Any] = {"mail_from": SENDER, "sandbox_file": ":memory:"} | settings
    given = {"token_key": KEY} | given
    application = app(Settings(database_url=portal.url, **given), now=portal.clock)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://portal") as portal.http,
    ):
        portal.application = application
        # As background work has it.
        portal.sign_in_context = replace(
            application.state.sign_in_context, engine=application.state.background_context.engine
        )
        yield application
