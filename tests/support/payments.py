"""A portal whose practice takes cards, with a double of Stripe in the same process."""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import func, select, update

from billing.payments import webhook_inbox
from billing.payments.context import PaymentContext
from billing.stripe import Stripe
from execution.read_audit import ReadAuditLog
from models import (
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Practice,
    Row,
    StripeEvent,
)
from models.database import open_engine
from models.ids import new_id
from sandbox.api import Api
from sandbox.app import app as double
from sandbox.deliveries import signature
from sandbox.pages import token as new_token
from sandbox.store import PAGE, Store
from server.app import app
from server.sandbox import SECRET
from server.settings import Settings
from tests.sandbox.specification import held
from tests.support import stripe_allowlist
from tests.support.empty_databases import prepare
from tests.support.portal import KEY, Portal, rows_in_order

ACCOUNT = "acct_test"
GOOD, DECLINED, ASKS = "4242424242424242", "4000000000000002", "4000002500003155"

OUTCOME = """
fragment outcome on PayResult {
  __typename
  ... on PaymentOutcome { payment { id status amount { minorUnits } card { brand last4 }
    failure { reason message } receipt { number amount { minorUnits } }
    allocations { invoice { id } amount { minorUnits } } } }
  ... on PaySucceeded { client { balance { amount { minorUnits } } } }
  ... on PayRequiresAction { clientSecret }
  ... on PayProcessing { retryAfterSeconds }
  ... on CardDeclined { reason isRetryable }
  ... on AmountChanged { expected { minorUnits } payable { minorUnits } }
  ... on AmountTooSmall { minimum { minorUnits } }
  ... on AmountTooLarge { maximum { minorUnits } }
  ... on PaymentInProgress { payment { id } }
  ... on TooManyAttempts { retryAt }
  ... on UserError { code message path }
}
"""
PAY = "mutation Pay($input: PayInput!) { pay(input: $input) { ...outcome } }" + OUTCOME
REFRESH = (
    "mutation Refresh($id: ID!) { refreshPayment(input: {paymentId: $id}) { ...outcome } }"
    + OUTCOME
)
CANCEL = (
    "mutation Cancel($id: ID!) { cancelPayment(input: {paymentId: $id}) { ...outcome } }" + OUTCOME
)


class Paying(Portal):
    """A portal in which tests create invoices, and pay them as a page would."""

    store: Store
    api: Api
    # The contexts of the test itself, of requests and of background work.
    payment_context: PaymentContext
    served_context: PaymentContext
    background_context: PaymentContext
    reads: Any
    read_audit: ReadAuditLog
    bearer: str = ""

    # -- invoices ----------------------------------------------------------------------------------

    async def invoice(
        self,
        amount: int,
        client_id: str | None = None,
        *,
        served_on: dt.date | None = None,
        **facts: Any,
    ) -> str:
        """Insert a shared invoice of one line, and return its id."""
        id_, client_id = new_id(), client_id or self.client_id
        own = {"practice_id": self.practice_id}
        serial = 1 + await self.count(Invoice)
        day = self.clock().date()
        letterhead = await self.letterhead()
        await self.insert(
            Invoice,
            own
            | {
                "id": id_,
                "client_id": client_id,
                "letterhead_id": letterhead,
                "client_name": "Ana Prieto",
                "number": f"INV-2026-{serial:04}",
                "serial": serial,
                "issued_on": day,
                "total_minor": amount,
                "is_void": False,
                "shared_at": self.clock(),
            }
            | facts,
        )
        await self.insert(
            InvoiceLine,
            own
            | {
                "invoice_id": id_,
                "position": 1,
                "description": "Session",
                "quantity_hundredths": 100,
                "unit_price_minor": amount,
                "amount_minor": amount,
                "is_void": False,
            },
        )
        of = {"invoice_id": id_, "reference": "line 1", "date": served_on or day}
        await self.enter(EntryKind.CHARGE, amount, client_id, **of)
        return id_

    async def letterhead(self) -> str:
        async with self.engine.connect() as conn:
            condition = Letterhead.practice_id == self.practice_id
            found: str | None = await conn.scalar(select(Letterhead.id).where(condition))
        if found is None:
            found = new_id()
            await self.insert(
                Letterhead, {"practice_id": self.practice_id, "id": found, "name": "Harbor"}
            )
        return found

    async def credit(self, amount: int, client_id: str | None = None) -> None:
        reference = f"credit {new_id()}"
        await self.enter(
            EntryKind.CREDIT, -amount, client_id or self.client_id, reference=reference
        )

    async def enter(self, kind: EntryKind, amount: int, client_id: str, **facts: Any) -> None:
        entry = {
            "practice_id": self.practice_id,
            "id": new_id(),
            "client_id": client_id,
            "date": self.clock().date(),
            "posted_on": self.clock().date(),
            "kind": kind,
            "description": kind.value.title(),
            "amount_minor": amount,
            "created_at": self.clock(),
        }
        await self.insert(LedgerEntry, entry | facts)

    # -- paying ------------------------------------------------------------------------------------

    def card(self, number: str = GOOD, **facts: Any) -> dict[str, Any]:
        """Return a payment source: a new card's confirmation token, as Stripe's form makes it."""
        given: dict[str, Any] = {"expMonth": 12, "expYear": 2031, "name": "Ana Prieto"}
        given |= {"zip": "04101", "country": None, "wallet": None}
        asked = {key: facts.pop(key, value) for key, value in given.items()}
        with self.store.transaction():
            token = new_token(self.store, PAGE, {"number": number, **asked})
        return {"newCard": {"confirmationToken": token, **facts}}

    def input(self, amount: int, source: dict[str, Any], **more: Any) -> dict[str, Any]:
        money = {"amount": f"{amount / 100:.2f}", "currency": "USD"}
        key = {"idempotencyKey": f"key-{uuid.uuid4()}"}
        return key | {"expectedAmount": money, "source": source} | more

    async def pay(self, amount: int, source: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.sent(self.input(amount, source, **more))

    async def sent(self, input: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        return await self.came_to("pay", PAY, token, input=input)

    async def refresh(self, id_: str, token: str | None = None) -> dict[str, Any]:
        return await self.came_to("refreshPayment", REFRESH, token, id=id_)

    async def cancel(self, id_: str, token: str | None = None) -> dict[str, Any]:
        return await self.came_to("cancelPayment", CANCEL, token, id=id_)

    async def came_to(
        self, field: str, query: str, token: str | None = None, **variables: Any
    ) -> dict[str, Any]:
        answer = (await self.ask(query, token or self.bearer, **variables)).json()
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"][field]
        return found

    # -- results -----------------------------------------------------------------------------------

    async def count(self, row: type[Row]) -> int:
        async with self.engine.connect() as conn:
            return int((await conn.execute(select(func.count()).select_from(row))).scalar_one())

    async def all(self, row: type[Row]) -> list[Any]:
        return await rows_in_order(self.engine, row)

    def charges(self) -> list[dict[str, Any]]:
        """Return the charges that moved money, without those that the bank declined."""
        return [one for one in self.store.all("charge") if one["status"] == "succeeded"]

    async def ledger_of_payments(self) -> int:
        async with self.engine.connect() as conn:
            paid = select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0)).where(
                LedgerEntry.kind == EntryKind.PAYMENT
            )
            return -int((await conn.execute(paid)).scalar_one())

    async def webhook(self, event: dict[str, Any], **headers: str) -> httpx.Response:
        """Send an event to the webhook, signed now."""
        body = json.dumps(event)
        signed = signature(SECRET, body, int(self.clock().timestamp()))
        given = {"Stripe-Signature": signed} | headers
        return await self.http.post("/stripe/webhook", content=body, headers=given)

    async def hears_all(self) -> None:
        """Send all of Stripe's events, and process them."""
        await self.hears(*self.store.all("event"))

    async def hears(self, *events: dict[str, Any]) -> None:
        for event in events:
            assert (await self.webhook(event)).status_code == 200
        while any(event.handled_at is None for event in await self.all(StripeEvent)):
            # The application's own worker processes them too.
            await webhook_inbox.handle_waiting(self.payment_context)
            await asyncio.sleep(0.005)


@asynccontextmanager
async def paying(url: str, **more: Any) -> AsyncIterator[Paying]:
    """Yield a portal over an empty database, whose practice takes cards. `more` are settings."""
    async with unserved(url) as portal, serving(portal, **more):
        yield portal


@asynccontextmanager
async def unserved(url: str) -> AsyncIterator[Paying]:
    """Yield a portal's rows and the double's store, without a server."""
    await prepare(url)
    async with open_engine(url) as writing:
        portal = Paying(url, writing)
        await portal.fill()
        async with writing.begin() as conn:
            await conn.execute(update(Practice).values(stripe_account=ACCOUNT))
        portal.store = Store(":memory:", lambda: portal.clock().timestamp())
        with closing(portal.store):
            yield portal
            sent, told = portal.store.journal(), portal.store.all("event")
            stripe_allowlist.hold(sent)
            held.hold(sent, told)


@asynccontextmanager
async def serving(portal: Paying, **more: Any) -> AsyncIterator[None]:
    """Run a server over the portal's rows, connected to the double. `more` are settings."""
    portal.api = Api(portal.store)
    stripe = Stripe(
        "sk_test_double",
        base="http://stripe",
        transport=httpx.ASGITransport(double(portal.store, portal.api)),
        webhook_secrets=[SECRET],
    )
    # The double stands for Stripe itself here, so the practice has an account of Stripe's.
    settings = Settings(
        database_url=portal.url,
        token_key=KEY,
        stripe_api_key=SecretStr("sk_test_double"),
        stripe_publishable_key="pk_test_double",
        stripe_webhook_secret=[SecretStr(SECRET)],
        **more,
    )
    application = app(settings, now=portal.clock, stripe=stripe)
    state = application.state
    portal.served_context, portal.background_context = (
        state.payment_context,
        state.background_context,
    )
    portal.reads, portal.read_audit = state.reads, state.read_audit
    portal.bearer = portal.bearer or await portal.token()
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        open_engine(portal.url, settings.waits) as engine,
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://portal") as portal.http,
    ):
        portal.payment_context = replace(portal.served_context, engine=engine)
        yield
