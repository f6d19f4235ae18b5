"""Where there is no key of Stripe's: its double, inside this process. Never beside a live key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from billing.gateway import Stripe
from identity.post import Post
from sandbox import mail, pages, panel
from sandbox.app import app
from sandbox.deliveries import Webhook as Destination
from sandbox.deliveries import deliver
from sandbox.store import Store

# The double takes any test key, and signs with this.
KEY, SECRET = "sk_test_sandbox", "whsec_sandbox"
WARNING = "No STRIPE_API_KEY is set: payments go to the sandbox, and no money moves."


class Sandbox:
    """The double, reached without a socket in both directions."""

    def __init__(self, file: str) -> None:
        self.store = Store(file)

    def stripe(self) -> Stripe:
        transport = httpx.ASGITransport(app(self.store))
        return Stripe(KEY, base="http://sandbox", transport=transport, webhook_secrets=[SECRET])

    def post(self) -> Post:
        """Mail that goes nowhere: the sandbox's page shows it."""

        async def send(message: EmailMessage) -> None:
            with self.store.transaction():
                mail.keep(self.store, message["To"], message["Subject"], message.get_content())

        return Post("Portal <portal@example.com>", send)

    def addresses(self, *, local: bool) -> Mount:
        """What a page does with Stripe's own form in real life; to `local` users, its own page."""
        own = [*panel.routes(self.store), *mail.routes(self.store)] if local else []
        return Mount("/sandbox", routes=[*pages.routes(self.store), *own])

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
                self.store.close()
