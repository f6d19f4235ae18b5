"""The sandbox: the double of Stripe inside this process. It is never used with a live key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router

from billing.payments.status import OWN, PaymentsMode, is_reached
from billing.stripe import Stripe
from identity.sign_in.smtp import Post
from sandbox import mail, pages, panel
from sandbox.app import app
from sandbox.deliveries import WebhookTarget as Destination
from sandbox.deliveries import deliver
from sandbox.own_pages import OwnPages
from sandbox.store import Store
from server.private_files import make_private

# The double accepts any test key, and signs events with this secret.
KEY, SECRET = "sk_test_sandbox", "whsec_sandbox"
# SQLite's name for a database without a file.
MEMORY = ":memory:"
WARNING = "SANDBOX is true: payments go to the sandbox, and no money moves."


class OwnAccounts(httpx.ASGITransport):
    """The transport to the double. It accepts only the sandbox's accounts, and otherwise answers as
    Stripe does for an account without access.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        account = request.headers.get("stripe-account", OWN)
        if is_reached(account, PaymentsMode.SANDBOX):
            return await super().handle_async_request(request)
        message = f"The sandbox has no access to account '{account}'."
        error = {"type": "invalid_request_error", "code": "account_invalid", "message": message}
        return httpx.Response(403, json={"error": error}, request=request)


class Sandbox:
    """The double, connected without a socket in both directions."""

    def __init__(self, file: str) -> None:
        if file != MEMORY:
            make_private(Path(file))
        self.store = Store(file)

    def stripe(self) -> Stripe:
        transport = OwnAccounts(app(self.store))
        return Stripe(KEY, base="http://sandbox", transport=transport, webhook_secrets=[SECRET])

    def post(self) -> Post:
        """Return a mail service that delivers nothing: the sandbox's page shows the mail."""

        async def send(message: EmailMessage) -> None:
            with self.store.transaction():
                mail.keep_mail(self.store, message["To"], message["Subject"], message.get_content())

        return Post("Portal <portal@example.com>", send)

    def addresses(self, *, pays: bool, local: bool) -> Mount:
        """Return the sandbox's routes. With `pays` they include the addresses that Stripe's form
        uses in production; for `local` users also the sandbox's own page, and the mail.
        """
        forms = pages.routes(self.store) if pays else []
        own = panel.routes(self.store) if pays and local else []
        letters = mail.routes(self.store) if local else []
        pages_alone = OwnPages(Router([*own, *letters], redirect_slashes=False))
        routes = [*forms, Mount("", pages_alone)]
        return Mount("/sandbox", Router(routes, redirect_slashes=False))

    @asynccontextmanager
    async def delivering(self, webhook: Route) -> AsyncIterator[None]:
        transport = httpx.ASGITransport(Starlette(routes=[webhook]), raise_app_exceptions=False)
        to = Destination(f"http://portal{webhook.path}", SECRET)
        async with httpx.AsyncClient(transport=transport) as client:
            sending = asyncio.create_task(deliver(self.store, to, client))
            try:
                yield
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
