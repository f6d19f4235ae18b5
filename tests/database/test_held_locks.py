"""A lock held by another program: requests that need it are refused in time, and no others wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, text

from billing.audit_log import Actor
from billing.payments import confirm, customers, force_end
from billing.payments.context import PaymentContext
from billing.payments.customers import Holder
from identity.tokens import Subject
from models import (
    AccessEntry,
    ActorKind,
    Client,
    Letterhead,
    Payment,
    PaymentState,
    Practice,
    Refund,
)
from models.database import DatabaseBusy, Waits, open_engine
from models.ids import new_id
from models.row_turns import Turns
from sandbox import intents, reversals
from tests.support import postgres
from tests.support.card_forms import PREPARE
from tests.support.leases import run_out
from tests.support.mail_server import SENDER, Mailbox, mail_server
from tests.support.patience import as_in_production
from tests.support.payments import ACCOUNT, ASKS, Paying, paying, serving, unserved
from tests.support.portal import practice
from tests.support.sign_in import LINK, PAGE, REQUEST, SIGN_IN, asked

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
OTHER_ACCOUNT = f"{ACCOUNT}_other"
# More seconds than anything takes here. A request that needed the lock would be refused before.
SOON_S = 60.0
WAITING = 25
# Payments of the held client that were refunded in the dashboard.
REFUNDED = 20
EMAIL = "cleo@example.com"


@pytest.fixture(autouse=True)
def _limits_of_production() -> Iterator[None]:
    with as_in_production():
        yield


@asynccontextmanager
async def holding(url: str, statement: Any) -> AsyncIterator[None]:
    """Hold the locks of a statement in another program's transaction."""
    async with open_engine(url) as other, other.begin() as conn:
        await conn.execute(statement)
        yield


def of_client(portal: Paying) -> Any:
    return select(Client.id).where(Client.id == portal.client_id).with_for_update()


async def neighbour(portal: Paying) -> Paying:
    """Return the same portal as a client of another practice, who owes an invoice."""
    other = copy(portal)
    other.practice_id, other.client_id = new_id(), new_id()
    await portal.insert(
        Practice,
        practice(other.practice_id) | {"stripe_account": OTHER_ACCOUNT, "portal_url": PAGE},
    )
    own = {"practice_id": other.practice_id, "created_at": portal.clock()}
    cleo = {"id": other.client_id, "name": "Cleo Vance", "email": EMAIL}
    await portal.insert(Client, own | cleo)
    letterhead_id = new_id()
    paper = {"practice_id": other.practice_id, "id": letterhead_id, "name": "Quay"}
    await portal.insert(Letterhead, paper)
    await other.invoice(7_000, other.client_id, letterhead_id=letterhead_id)
    other.bearer = await portal.token(Subject(other.practice_id, client_id=other.client_id))
    return other


def confirmed(portal: Paying, account: str) -> dict[str, Any]:
    """Return Stripe's event of the payment that the cardholder has just confirmed."""
    waiting = portal.store.all("payment_intent", account=account)
    with portal.store.transaction():
        intents.authenticate_intent(portal.store, account, waiting[-1]["id"], succeed=True)
    return portal.store.all("event", account=account)[-1] | {"account": account}


async def in_vain(portal: Paying, number: int, payment_id: str) -> list[str]:
    """Pay, add a card or cancel by turns, and return the error codes."""
    pay = "mutation ($i: PayInput!) { pay(input: $i) { __typename } }"
    cancel = "mutation ($i: CancelPaymentInput!) { cancelPayment(input: $i) { __typename } }"
    query, input = [
        (pay, portal.input(10_000, portal.card())),
        (PREPARE, {}),
        (cancel, {"paymentId": f"pmt_{payment_id}"}),
    ][number % 3]
    answer = (await portal.ask(query, portal.bearer, i=input)).json()
    return [one["extensions"]["code"] for one in answer.get("errors", [])]


async def active(portal: Paying) -> str:
    """Return the id of the client's payment under way."""
    mine = Payment.client_id == portal.client_id, Payment.state == PaymentState.REQUIRES_ACTION
    async with portal.engine.connect() as conn:
        return str(await conn.scalar(select(Payment.id).where(*mine)))


def given_back(portal: Paying) -> list[dict[str, Any]]:
    """Refund every charge in the dashboard, and return Stripe's events of that, one per payment."""
    for charge in portal.charges():
        with portal.store.transaction():
            reversals.create_refund(portal.store, ACCOUNT, {"charge": charge["id"], "amount": 100})
    told = portal.store.all("event", account=ACCOUNT)
    return [one | {"account": ACCOUNT} for one in told if one["type"] == "charge.refunded"]


async def signs_in(portal: Paying, mailbox: Mailbox) -> str:
    """Request a link as the other practice's client, and use the one that is mailed."""
    nonce = (await asked(portal.http, REQUEST, email=EMAIL))["data"]["requestSignInLink"]["nonce"]
    while not mailbox.letters:  # noqa: ASYNC110 (there is no event)
        await asyncio.sleep(0.02)
    (secret,) = LINK.findall(mailbox.text())
    entered = (await asked(portal.http, SIGN_IN, secret=secret, nonce=nonce))["data"]["signIn"]
    assert entered["__typename"] == "SignedIn", entered
    return str(entered["token"])


async def until(portal: Paying, state: PaymentState) -> None:
    """Wait until the practice's payments are in this state."""
    statement = select(Payment.state).where(Payment.practice_id == portal.practice_id)
    for _ in range(int(SOON_S / 0.05)):
        async with portal.engine.connect() as conn:
            states = set(await conn.scalars(statement))
        if states == {state}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(states)


@pytest.mark.rest
@pytest.mark.parametrize(
    "from_the_start",
    [
        pytest.param(False, id="served"),
        pytest.param(True, id="before the server", marks=pytest.mark.rest),
    ],
)
async def test_held_client_delays_no_other_client(
    postgres_url: str, *, from_the_start: bool
) -> None:
    async with (
        postgres.database(postgres_url) as url,
        unserved(url) as portal,
        AsyncExitStack() as held,
    ):
        with mail_server() as mailbox:
            post = {"smtp_url": mailbox.url, "mail_from": SENDER}
            async with serving(portal, **post):
                told = await owing(portal)
                other = await neighbour(portal)
                if not from_the_start:
                    await held.enter_async_context(holding(url, of_client(portal)))
                    await others_go_on(portal, other, told, mailbox)
            if from_the_start:
                await held.enter_async_context(holding(url, of_client(portal)))
                async with serving(portal, **post):
                    other.http = portal.http
                    await others_go_on(portal, other, told, mailbox)
        # Once the lock is released, the client's own events are processed.
        await held.aclose()
        async with serving(portal):
            await run_out(portal.engine)
            await portal.hears(*told)
        assert await active(portal) == "None"
        assert await portal.ledger_of_payments() == 17_000 + REFUNDED * 1_000
        assert {one.amount_minor for one in await portal.all(Refund)} == {100}
        assert await portal.count(Refund) == REFUNDED


async def owing(portal: Paying) -> list[dict[str, Any]]:
    """Let the client pay many invoices and begin one more payment; return the
    undelivered events.
    """
    for _ in range(REFUNDED):
        await portal.invoice(1_000)
        paid = await portal.pay(1_000, portal.card())
        assert paid["__typename"] == "PaySucceeded"
    told = given_back(portal)
    assert len(told) == REFUNDED
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(ASKS))
    return [*told, confirmed(portal, ACCOUNT)]


async def others_go_on(
    portal: Paying, other: Paying, told: list[dict[str, Any]], mailbox: Mailbox
) -> None:
    """Let the other practice's client sign in and pay, while all requests for the held
    client wait.
    """
    # Many more requests than connections, and more events than are processed at once.
    mine = await active(portal)
    waiting = [asyncio.create_task(in_vain(portal, number, mine)) for number in range(WAITING)]
    for event in told:
        assert (await portal.webhook(event)).status_code == 200
    await asyncio.sleep(0.2)
    async with asyncio.timeout(SOON_S):
        other.bearer = await signs_in(other, mailbox)
        asks = await other.pay(7_000, other.card(ASKS))
        assert asks["__typename"] == "PayRequiresAction"
        done = confirmed(portal, OTHER_ACCOUNT)
        assert (await portal.webhook(done)).status_code == 200
        await until(other, PaymentState.SUCCEEDED)
        payment = asks["payment"]["id"]
        assert (await other.refresh(payment))["__typename"] == "PaySucceeded"
    assert [await task for task in waiting] == [["UNAVAILABLE"]] * WAITING
    assert await portal.count(Refund) == 0
    assert await active(portal) != "None"


async def test_reads_of_others_are_entered_while_a_client_is_held(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, paying(url) as portal:
        other = await neighbour(portal)

        async def recorded() -> set[str]:
            return {entry.client_id for entry in await portal.all(AccessEntry)}

        async with holding(url, of_client(portal)):
            for one in (portal, other):
                await portal.ask("{ client { name } }", one.bearer)
            # The held client's own entry does not wait for the client's row either.
            await portal.read_audit.flush()
            assert await recorded() == {other.client_id, portal.client_id}


@pytest.mark.rest
async def test_locked_sqlite_file_gives_503_in_time_and_loses_nothing(tmp_path: Path) -> None:
    """SQLite has one lock, the file's, so all writers wait for one another."""
    url = f"sqlite:///{tmp_path / 'portal.sqlite'}"
    async with paying(url) as portal:
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card(ASKS))
        told = confirmed(portal, ACCOUNT)
        mine = await active(portal)
        async with open_engine(url) as holder, holder.begin():
            async with asyncio.timeout(SOON_S):
                each = (in_vain(portal, number, mine) for number in range(3))
                tried = await asyncio.gather(*each)
                answer = await portal.webhook(told)
            assert tried == [["UNAVAILABLE"]] * 3
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
        await portal.hears(told)
        await until(portal, PaymentState.SUCCEEDED)


# -- waiting for a client without a connection -----------------------------------------------------


async def give_up(context: PaymentContext, paying: Row[Any]) -> object:
    actor = Actor(paying.practice_id, ActorKind.CLIENT, new_id())
    return await confirm.cancel_or_settle(
        replace(context, actor=actor), paying.practice_id, paying.id
    )


async def end(context: PaymentContext, paying: Row[Any]) -> object:
    return await force_end.cancel_unanswered(context, paying, "The account is closed.")


async def make_customer(context: PaymentContext, paying: Row[Any]) -> object:
    holder = Holder(paying.practice_id, paying.client_id, None, ACCOUNT)
    return await customers.create_and_record(context, holder)


@pytest.mark.parametrize("change", [give_up, end, make_customer])
async def test_changes_of_a_client_take_turns(
    new_database: NewDatabase, change: Callable[[PaymentContext, Row[Any]], Awaitable[object]]
) -> None:
    async with new_database() as url, paying(url) as portal:
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card(ASKS))
        (payment,) = await portal.all(Payment)
        context = replace(portal.payment_context, turns=Turns(0.2))
        async with context.turns.of(portal.practice_id, portal.client_id):
            with pytest.raises(DatabaseBusy, match="others wait"):
                await change(context, payment)


# -- session settings ------------------------------------------------------------------------------


async def test_transactions_are_bounded_and_read_committed(postgres_url: str) -> None:
    waits = Waits(lock_s=2, statement_s=7, idle_s=11)
    async with postgres.database(postgres_url) as url:
        await postgres.execute(
            url,
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
            " default_transaction_isolation = serializable', current_database()); END $$",
        )
        async with open_engine(url, waits) as serving, serving.begin() as conn:

            async def shown(name: str) -> str:
                return str(await conn.scalar(text(f"SHOW {name}")))

            assert await shown("lock_timeout") == "2s"
            assert await shown("statement_timeout") == "7s"
            assert await shown("idle_in_transaction_session_timeout") == "11s"
            assert await shown("transaction_isolation") == "read committed"
        async with open_engine(url) as patient, patient.begin() as conn:
            assert await conn.scalar(text("SHOW statement_timeout")) == "0"
            assert await conn.scalar(text("SHOW transaction_isolation")) == "read committed"


SHORT = Waits(lock_s=0.2, statement_s=0.2, idle_s=0.2, connections=1)


async def test_waits_for_a_lock_a_connection_and_a_statement_are_bounded(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, open_engine(url, SHORT) as engine:
        await postgres.execute(url, "CREATE TABLE note (words text); INSERT INTO note VALUES ('a')")
        locking = text("SELECT words FROM note FOR UPDATE")
        async with holding(url, locking):
            with pytest.raises(DatabaseBusy):
                async with engine.begin() as conn:
                    await conn.execute(locking)
        with pytest.raises(DatabaseBusy):
            async with engine.begin() as conn:
                await conn.execute(text("SELECT pg_sleep(5)"))
        async with engine.connect():
            with pytest.raises(DatabaseBusy):
                await engine.connect().start()


async def test_stopped_transaction_releases_its_rows(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, open_engine(url, SHORT) as stopped:
        await postgres.execute(url, "CREATE TABLE note (words text); INSERT INTO note VALUES ('a')")
        locking = text("SELECT words FROM note FOR UPDATE")
        conn = await stopped.connect()
        await conn.execute(locking)
        # The connection is left alone; PostgreSQL ends it and releases the lock.
        patient = Waits(lock_s=10, statement_s=0, idle_s=0)
        async with open_engine(url, patient) as other, other.begin() as waiting:
            assert (await waiting.execute(locking)).scalar_one() == "a"
        await conn.invalidate()
        await conn.close()
