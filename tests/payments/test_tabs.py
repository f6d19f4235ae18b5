"""Fifty tabs pay at once, over several processes: one charge, and credit is spent once."""

import asyncio
import datetime as dt
import random
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from models import Allocation, Claim, LedgerEntry, Payment, PaymentState, Practice
from models.database import engine
from tests.conftest import SEED
from tests.sandbox.specification import held
from tests.support import postgres, shares, stripe_allowlist
from tests.support.demo_server import Run
from tests.support.empty_databases import prepare
from tests.support.payments import ACCOUNT, PAY, Paying
from tests.support.processes import double, portals

pytestmark = [pytest.mark.server, pytest.mark.campaign]

PROCESSES, ROUNDS, TABS = 3, shares.number(20, quick=1), 50
# The number of times that a tab sends a request that was not begun: a slow machine may refuse many.
TRIES = 30
LOSERS = {"PaymentInProgress", "AmountChanged", "NothingToPay", "PayProcessing"}


@pytest.mark.rest
async def test_fifty_tabs_are_one_charge(forked: Run, postgres_url: str, tmp_path: Path) -> None:
    async with postgres.database(postgres_url) as url:
        practice = await opened(url)
        with (
            double(tmp_path) as stripe,
            portals(forked, url, stripe, tmp_path, PROCESSES) as addresses,
        ):
            # A server may close an idle connection while a request is on its way, so none is
            # reused.
            limits = httpx.Limits(max_connections=TABS, max_keepalive_connections=0)
            async with httpx.AsyncClient(timeout=60, limits=limits) as http:
                chance = random.Random(SEED)
                for round_ in range(ROUNDS):
                    await play(practice, http, stripe, addresses, chance, round_)
                state = (await http.get(f"{stripe}/controls/state")).json()
                stripe_allowlist.hold(state["journal"])
                held.hold(state["journal"], state["event"])
        await practice.engine.dispose()


async def opened(url: str) -> Paying:
    """Return the rows of a practice that takes cards, with the processes' clock."""
    await prepare(url)
    writing = engine(url)
    practice = Paying(url, writing)
    practice.clock.time = dt.datetime.now(dt.UTC)
    await practice.fill()
    async with writing.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=ACCOUNT))
    practice.bearer = await practice.token()
    return practice


async def play(
    practice: Paying,
    http: httpx.AsyncClient,
    stripe: str,
    addresses: list[str],
    chance: random.Random,
    round_: int,
) -> None:
    """Make two invoices and a credit, and let every tab pay the balance or one invoice at once."""
    first, second = await practice.invoice(10_000), await practice.invoice(5_000)
    await practice.credit(2_000)
    wishes = [(13_000, None), (8_000, first), (3_000, second)]
    before = await charges(http, stripe)
    tokens = [await token(http, stripe) for _ in range(TABS)]
    answers = await asyncio.gather(
        *(
            send(practice, http, chance.choice(addresses), new, *chance.choice(wishes))
            for new in tokens
        )
    )
    names = Counter(answer["__typename"] for answer in answers)
    assert names["PaySucceeded"] == 1, (round_, names)
    assert set(names) <= {"PaySucceeded", *LOSERS}, (round_, names)
    assert len(await charges(http, stripe)) == before_and_one(before)
    await judge(practice, await charges(http, stripe))
    await settle(practice, http, stripe, addresses[0])


def before_and_one(before: list[Any]) -> int:
    return len(before) + 1


async def charges(http: httpx.AsyncClient, stripe: str) -> list[Any]:
    found = (await http.get(f"{stripe}/controls/state?only=charge")).json()["charge"]
    return [one for one in found if one["status"] == "succeeded"]


async def token(http: httpx.AsyncClient, stripe: str) -> str:
    card = {"number": "4242424242424242", "expMonth": 12, "expYear": 2031, "cvc": "123"}
    asked = card | {"name": "Ana Prieto", "zip": "04101"}
    made = await http.post(f"{stripe}/sandbox/confirmation_tokens", json=asked)
    return str(made.json()["id"])


async def send(
    practice: Paying,
    http: httpx.AsyncClient,
    address: str,
    new: str,
    amount: int,
    invoice: str | None,
) -> dict[str, Any]:
    input = practice.input(amount, {"newCard": {"confirmationToken": new}})
    input["idempotencyKey"] = str(uuid.uuid4())
    if invoice is not None:
        input["invoiceId"] = f"inv_{invoice}"
    body = {"query": PAY, "variables": {"input": input}}
    found: dict[str, Any] = (await data(practice, http, address, body))["pay"]
    return found


async def data(
    practice: Paying, http: httpx.AsyncClient, address: str, body: dict[str, Any]
) -> dict[str, Any]:
    """Return the response's data; send the request again as long as nothing began."""
    headers = {"Authorization": f"Bearer {practice.bearer}"}
    for _ in range(TRIES):
        response = await http.post(f"{address}/graphql", json=body, headers=headers)
        answer = response.json()
        if "errors" not in answer:
            break
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE", answer
        await asyncio.sleep(float(response.headers.get("Retry-After", 0)))
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]
    return found


async def judge(practice: Paying, charged: list[Any]) -> None:
    """Compare the double's state with plain sums over the rows."""
    async with practice.engine.connect() as conn:

        async def total(of: Any, *where: Any) -> int:
            return int(await conn.scalar(select(func.coalesce(func.sum(of), 0)).where(*where)) or 0)

        paid = await total(LedgerEntry.amount_minor, LedgerEntry.kind == "PAYMENT")
        put = await total(Allocation.amount_minor, Allocation.is_credit)
        given = await total(LedgerEntry.amount_minor, LedgerEntry.kind == "CREDIT")
        claims = await conn.scalar(select(func.count()).select_from(Claim))
        states = set(await conn.scalars(select(Payment.state)))
    assert -paid == sum(charge["amount"] for charge in charged)
    assert put <= -given
    assert claims == 0
    assert states <= {PaymentState.SUCCEEDED, PaymentState.FAILED, PaymentState.CANCELED}


async def settle(practice: Paying, http: httpx.AsyncClient, stripe: str, address: str) -> None:
    """Pay the rest, so that the next round begins with nothing due."""
    balance = "{ client { balance { payable { minorUnits } } } }"
    headers = {"Authorization": f"Bearer {practice.bearer}"}
    answer = await http.post(f"{address}/graphql", json={"query": balance}, headers=headers)
    payable = answer.json()["data"]["client"]["balance"]["payable"]["minorUnits"]
    if payable:
        new = await token(http, stripe)
        done = await send(practice, http, address, new, payable, None)
        assert done["__typename"] == "PaySucceeded"
