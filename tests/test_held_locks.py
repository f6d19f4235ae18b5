"""A lock that somebody holds: whoever needs it is told so in time, and nobody else waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from identity.tokens import Subject
from models import AccessEntry, Client, Letterhead, Payment, PaymentState, Practice
from models.connections import DatabaseBusy, Waits, opened
from models.ids import new_id
from sandbox import intents
from tests import postgres
from tests.leases import run_out
from tests.paying import ACCOUNT, ASKS, Paying, paying
from tests.portal import practice

OTHER_ACCOUNT = f"{ACCOUNT}_other"
# Far more than these take, and less than a held lock would make of them.
SOON_S = 10.0
WAITING = 25
REQUEST = 'mutation { requestSignInLink(input: {email: "cleo@example.com"}) { __typename } }'


@asynccontextmanager
async def holding(url: str, statement: Any) -> AsyncIterator[None]:
    """A transaction of another program, which does not go on."""
    async with opened(url) as other, other.begin() as conn:
        await conn.execute(statement)
        yield


def of_client(portal: Paying) -> Any:
    return select(Client.id).where(Client.id == portal.client_id).with_for_update()


async def neighbour(portal: Paying) -> Paying:
    """The same portal, as a client of another practice sees it, who owes something."""
    other = copy(portal)
    other.practice_id, other.client_id = new_id(), new_id()
    await portal.insert(Practice, practice(other.practice_id) | {"stripe_account": OTHER_ACCOUNT})
    own = {"practice_id": other.practice_id, "created_at": portal.clock()}
    cleo = {"id": other.client_id, "name": "Cleo Vance", "email": "cleo@example.com"}
    await portal.insert(Client, own | cleo)
    letterhead_id = new_id()
    paper = {"practice_id": other.practice_id, "id": letterhead_id, "name": "Quay"}
    await portal.insert(Letterhead, paper)
    await other.invoice(7_000, other.client_id, letterhead_id=letterhead_id)
    other.bearer = await portal.token(Subject(other.practice_id, client_id=other.client_id))
    return other


def confirmed(portal: Paying, account: str) -> dict[str, Any]:
    """What Stripe tells of the payment that the cardholder has just confirmed."""
    waiting = portal.store.all("payment_intent", account=account)
    with portal.store.transaction():
        intents.authenticate(portal.store, account, waiting[-1]["id"], succeed=True)
    return portal.store.all("event", account=account)[-1] | {"account": account}


async def pays_in_vain(portal: Paying) -> list[str]:
    """The codes of what comes of it."""
    input = portal.input(10_000, portal.card())
    query = "mutation ($i: PayInput!) { pay(input: $i) { __typename } }"
    answer = (await portal.ask(query, portal.bearer, i=input)).json()
    return [one["extensions"]["code"] for one in answer.get("errors", [])]


async def until(portal: Paying, state: PaymentState) -> None:
    """Wait until the practice's payments are in this state."""
    mine = select(Payment.state).where(Payment.practice_id == portal.practice_id)
    for _ in range(int(SOON_S / 0.05)):
        async with portal.engine.connect() as conn:
            states = set(await conn.scalars(mine))
        if states == {state}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(states)


async def test_a_held_client_holds_nobody_else(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, paying(url) as portal:
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card(ASKS))
        other = await neighbour(portal)
        told = confirmed(portal, ACCOUNT)
        async with holding(url, of_client(portal)):
            # Many more than there are connections, and an event of the same client.
            waiting = [asyncio.create_task(pays_in_vain(portal)) for _ in range(WAITING)]
            assert (await portal.webhook(told)).status_code == 200
            await asyncio.sleep(0.2)
            async with asyncio.timeout(SOON_S):
                assert "errors" not in (await portal.ask(REQUEST)).json()
                asks = await other.pay(7_000, other.card(ASKS))
                assert asks["__typename"] == "PayRequiresAction"
                done = confirmed(portal, OTHER_ACCOUNT)
                assert (await portal.webhook(done)).status_code == 200
            assert not any(task.done() for task in waiting)
            await until(other, PaymentState.SUCCEEDED)
            assert [await task for task in waiting] == [["UNAVAILABLE"]] * WAITING
            (payment,) = [
                one for one in await portal.all(Payment) if one.client_id == portal.client_id
            ]
            assert payment.state is PaymentState.REQUIRES_ACTION
        # Once the lock is gone, the client's own event is followed.
        await run_out(portal.engine)
        await portal.hears(told)
        await until(portal, PaymentState.SUCCEEDED)
        assert await portal.ledger_of_payments() == 17_000


async def test_reads_of_others_are_recorded_beside_a_held_client(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, paying(url) as portal:
        other = await neighbour(portal)

        async def recorded() -> set[str]:
            return {entry.client_id for entry in await portal.all(AccessEntry)}

        async with holding(url, of_client(portal)):
            for one in (portal, other):
                await portal.ask("{ client { name } }", one.bearer)
            with suppress(DatabaseBusy):
                await portal.record.flush()
            assert await recorded() == {other.client_id}
        await portal.record.flush()
        assert await recorded() == {other.client_id, portal.client_id}


async def test_a_held_file_is_told_in_time_and_nothing_is_lost(tmp_path: Path) -> None:
    """On SQLite all who write wait for one another: here there is one lock, the file's."""
    url = f"sqlite:///{tmp_path / 'portal.sqlite'}"
    async with paying(url) as portal:
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card(ASKS))
        told = confirmed(portal, ACCOUNT)
        async with opened(url) as holder, holder.begin():
            async with asyncio.timeout(SOON_S + 20):
                tried = await asyncio.gather(*(pays_in_vain(portal) for _ in range(3)))
                answer = await portal.webhook(told)
            assert tried == [["UNAVAILABLE"]] * 3
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
        await portal.hears(told)
        await until(portal, PaymentState.SUCCEEDED)


# -- what the database is told ---------------------------------------------------------------------


async def test_transactions_are_bounded_and_read_what_is_committed(postgres_url: str) -> None:
    waits = Waits(lock_s=2, statement_s=7, idle_s=11)
    async with postgres.database(postgres_url) as url:
        await postgres.execute(
            url,
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
            " default_transaction_isolation = serializable', current_database()); END $$",
        )
        async with opened(url, waits) as serving, serving.begin() as conn:

            async def shown(name: str) -> str:
                return str(await conn.scalar(text(f"SHOW {name}")))

            assert await shown("lock_timeout") == "2s"
            assert await shown("statement_timeout") == "7s"
            assert await shown("idle_in_transaction_session_timeout") == "11s"
            assert await shown("transaction_isolation") == "read committed"
        async with opened(url) as patient, patient.begin() as conn:
            assert await conn.scalar(text("SHOW statement_timeout")) == "0"
            assert await conn.scalar(text("SHOW transaction_isolation")) == "read committed"


SHORT = Waits(lock_s=0.2, statement_s=0.2, idle_s=0.2, connections=1)


async def test_a_lock_a_connection_and_a_statement_are_given_up(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, opened(url, SHORT) as engine:
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


async def test_who_stops_amid_a_transaction_lets_go_of_its_rows(postgres_url: str) -> None:
    async with postgres.database(postgres_url) as url, opened(url, SHORT) as stopped:
        await postgres.execute(url, "CREATE TABLE note (words text); INSERT INTO note VALUES ('a')")
        locking = text("SELECT words FROM note FOR UPDATE")
        conn = await stopped.connect()
        await conn.execute(locking)
        # Nothing more is done with it; the lock is had as soon as PostgreSQL has ended it.
        patient = Waits(lock_s=10, statement_s=0, idle_s=0)
        async with opened(url, patient) as other, other.begin() as waiting:
            assert (await waiting.execute(locking)).scalar_one() == "a"
        await conn.invalidate()
        await conn.close()
