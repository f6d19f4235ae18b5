"""Timing of sign-in requests for known and unknown addresses: `python -m bench.signing_in`.

Both kinds are sent by turns, to a server with PostgreSQL and a mail server. The figure is a ratio,
so that the machine's speed does not matter. It does not decide the exit code.
"""

import asyncio
import datetime as dt
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import httpx
import typer

from models import Client
from models.database import engine
from models.ids import new_id
from models.migrations import upgrade
from tests.support import postgres
from tests.support.demo_server import started
from tests.support.mail_server import SENDER, mail_server
from tests.support.processes import double, portals
from tests.support.sign_in import REQUEST, SigningIn

WARM_UP = 20
PERCENT = 100


def main(
    pairs: Annotated[int, typer.Option(min=20, help="Requests of each kind.")] = 400,
) -> None:
    """Measure requests for a link."""
    with postgres.server() as url, tempfile.TemporaryDirectory() as folder:
        if url is None:
            typer.echo(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.", err=True)
            raise typer.Exit(2)
        asyncio.run(measure(url, Path(folder), pairs))


async def measure(server_url: str, folder: Path, pairs: int) -> None:
    count = pairs + WARM_UP
    async with postgres.database(server_url) as url:
        with mail_server() as mailbox, double(folder) as stripe:
            await made(url, count)
            post = {"SMTP_URL": mailbox.url, "MAIL_FROM": SENDER}
            with portals(started, url, stripe, folder, 1, **post) as (address,):
                async with httpx.AsyncClient(timeout=60, base_url=address) as http:
                    took = await by_turns(http, count)
    typer.echo(f"{len(mailbox.letters)} mails were sent in that time.")
    ours, strange = (times[WARM_UP:] for times in took)
    typer.echo(f"known    {described(ours)}")
    typer.echo(f"unknown  {described(strange)}")
    typer.echo(f"known / unknown: {median(ours) / median(strange):.3f} of the medians")


async def made(url: str, count: int) -> None:
    """Make a practice of this many clients, each with an address."""
    writing = engine(url)
    await upgrade(writing)
    practice = SigningIn(url, writing)
    practice.clock.time = dt.datetime.now(dt.UTC)
    await practice.fill()
    own = {"practice_id": practice.practice_id, "created_at": practice.clock()}
    rows = ({"id": new_id(), "name": "Cleo Vance", "email": known(n)} for n in range(count))
    await practice.insert(Client, *(own | row for row in rows))
    await writing.dispose()


def known(number: int) -> str:
    return f"known{number:05}@example.com"


async def by_turns(http: httpx.AsyncClient, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each request, for known addresses and for unknown ones."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(count):
        pair = [(took[0], known(number)), (took[1], f"strange{number:03}@example.com")]
        # The second request of a pair may coincide with the worker's processing of the first.
        for times, email in pair if number % 2 else reversed(pair):
            began = time.perf_counter()
            body = {"query": REQUEST, "variables": {"email": email}}
            # Each has another network address, since requests are limited per address.
            headers = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
            response = await http.post("/graphql", json=body, headers=headers)
            times.append(time.perf_counter() - began)
            assert response.json()["data"]["requestSignInLink"]["nonce"]
    return took


def described(took: list[float]) -> str:
    milliseconds = [1000 * one for one in took]
    p95 = quantiles(milliseconds, n=PERCENT)[94]
    return f"{len(took)} requests   p50 {median(milliseconds):6.2f} ms   p95 {p95:6.2f} ms"


if __name__ == "__main__":
    typer.run(main)
