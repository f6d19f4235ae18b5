"""Time of `pay` while pages are read, with a slow Stripe.

Twenty payments and fifty billing pages a second, over PostgreSQL. Each of Stripe's responses takes
300 ms, so that a payment by a new card takes at least 900 ms. `python -m bench.paying`.
"""

import asyncio
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from sqlalchemy import update

from identity.tokens import Subject
from models import Client, Practice
from models.database import engine
from models.ids import new_id
from models.migrations import upgrade
from tests.support import postgres
from tests.support.demo_server import started
from tests.support.payments import ACCOUNT, PAY, Paying
from tests.support.processes import double, portals

PAYMENTS_A_SECOND, PAGES_A_SECOND, LATENCY_S = 20, 50, 0.3
PAGE = (Path(__file__).parent.parent / "web" / "queries" / "billing-page.graphql").read_text()
CARD = {"number": "4242424242424242", "expMonth": 12, "expYear": 2031, "cvc": "123"}


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of the measurement.")] = 20,
) -> None:
    """Measure payments beside pages."""
    with postgres.server() as url, tempfile.TemporaryDirectory() as folder:
        if url is None:
            typer.echo(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.", err=True)
            raise typer.Exit(2)
        asyncio.run(measure(url, Path(folder), seconds))


async def measure(server_url: str, folder: Path, seconds: float) -> None:
    count = int(seconds * PAYMENTS_A_SECOND)
    async with postgres.database(server_url) as url:
        practice, bearers = await made(url, count)
        with double(folder) as stripe, portals(started, url, stripe, folder, 1) as (address,):
            limits = httpx.Limits(max_connections=200)
            async with httpx.AsyncClient(timeout=60, limits=limits) as http:
                asked = [await input_of(practice, http, stripe) for _ in bearers]
                slow = {"latency_s": LATENCY_S}
                await http.post(f"{stripe}/controls/faults", json=slow)

                async def pay(n: int) -> None:
                    answer = await ask(http, address, bearers[n], PAY, {"input": asked[n]})
                    assert answer["pay"]["__typename"] == "PaySucceeded", answer

                async def read(n: int) -> None:
                    await ask(http, address, bearers[n % count], PAGE, {})

                await asyncio.gather(pay(0), read(0))
                paid, pages = await asyncio.gather(
                    paced(pay, range(1, count), PAYMENTS_A_SECOND),
                    paced(read, range(int(seconds * PAGES_A_SECOND)), PAGES_A_SECOND),
                )
        await practice.engine.dispose()
    for name, took in (("pay", paid), ("billing page", pages)):
        p99 = statistics.quantiles(took, n=100)[98]
        typer.echo(
            f"{name:13} {len(took):5} requests   p50 {statistics.median(took) * 1000:7.1f} ms"
            f"   p99 {p99 * 1000:7.1f} ms"
        )
    typer.echo(f"Stripe: three calls a payment, {LATENCY_S * 1000:.0f} ms each.")


async def made(url: str, count: int) -> tuple[Paying, list[str]]:
    """Make a practice of this many clients with an invoice each, and return their tokens."""
    writing = engine(url)
    await upgrade(writing)
    practice = Paying(url, writing)
    practice.clock.time = dt.datetime.now(dt.UTC)
    await practice.fill()
    async with writing.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=ACCOUNT))
    bearers = []
    for _ in range(count):
        client_id = new_id()
        own = {"practice_id": practice.practice_id, "id": client_id, "name": "Cleo Vance"}
        await practice.insert(Client, own | {"created_at": practice.clock()})
        await practice.invoice(10_000, client_id)
        subject = Subject(practice.practice_id, client_id=client_id)
        bearers.append(await practice.token(subject))
    return practice, bearers


async def input_of(practice: Paying, http: httpx.AsyncClient, stripe: str) -> dict[str, Any]:
    card = CARD | {"name": "Cleo Vance", "zip": "04101"}
    token = (await http.post(f"{stripe}/sandbox/confirmation_tokens", json=card)).json()["id"]
    return practice.input(10_000, {"newCard": {"confirmationToken": token}})


async def ask(
    http: httpx.AsyncClient, address: str, bearer: str, query: str, variables: dict[str, Any]
) -> Any:
    body = {"query": query, "variables": variables}
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = (await http.post(f"{address}/graphql", json=body, headers=headers)).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def paced(do: Callable[[int], Awaitable[None]], which: range, a_second: float) -> list[float]:
    """Begin this many a second, ended or not; return the seconds that each took."""

    async def timed(n: int) -> float:
        began = time.perf_counter()
        await do(n)
        return time.perf_counter() - began

    running = []
    for n in which:
        running.append(asyncio.create_task(timed(n)))
        await asyncio.sleep(1 / a_second)
    return list(await asyncio.gather(*running))


if __name__ == "__main__":
    typer.run(main)
