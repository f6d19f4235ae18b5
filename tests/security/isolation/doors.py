"""Probes over HTTP, with valid, ended and unknown tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from identity.tokens import new_secret
from server.app import app
from server.settings import Settings
from tests.security.isolation.households import Bearer
from tests.security.isolation.ids import NOWHERE, TAKERS, Asked, Taker, some
from tests.security.isolation.matrix import Matrix
from tests.security.isolation.sight import Eyes
from tests.support.headers import compared_headers
from tests.support.portal import KEY
from tests.support.practices.random_values import NOW
from tests.support.twice import Twice


@asynccontextmanager
async def server(matrix: Matrix) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server over the matrix's rows, on the day of the matrix."""
    # Each token sends more than its budget for a minute admits.
    settings = Settings(
        database_url=matrix.url, token_key=KEY, database_connections=2, token_seconds=6000
    )
    application = app(settings, now=lambda: NOW)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=Twice(application), base_url="http://portal") as client,
    ):
        yield client


async def asked(
    client: httpx.AsyncClient, query: str, id_: str, header: str | None
) -> tuple[int, str, dict[str, str]]:
    """Return the whole response, since even its length may disclose something."""
    headers = {"Authorization": header} if header is not None else {}
    body = {"query": query, "variables": {"id": id_}}
    response = await client.post("/graphql", json=body, headers=headers)
    return response.status_code, response.text, compared_headers(response)


def wrong_headers(stale: list[Bearer]) -> dict[str, str | None]:
    """Return authorization headers that authenticate nobody."""
    live = next(one.secret for one in stale if one.state == "live")
    found: dict[str, str | None] = {
        f"{one.state} token": f"Bearer {one.secret}" for one in stale if one.state != "live"
    }
    return found | {
        "no token": None,
        "unknown token": f"Bearer {new_secret()}",
        "token misspelt": f"Bearer {live[:-1]}{'0' if live[-1] != '0' else '1'}",
        "token in another scheme": f"Basic {live}",
        "two tokens": f"Bearer {live} {live}",
        "token without a scheme": live,
    }


async def shut_doors(matrix: Matrix, client: httpx.AsyncClient, bearer: Bearer) -> None:
    """Check that without a valid token all ids get the same 401."""
    eyes = matrix.eyes(bearer)
    same = [
        one
        for one in matrix.households.bearers
        if (one.sort, one.practice) == (bearer.sort, bearer.practice)
    ]
    for why, header in wrong_headers(same).items():
        for what, taker in TAKERS.items():
            expected = await asked(client, taker.query, f"{taker.kind}_{NOWHERE}", header)
            refused = (expected[0], '"code":"UNAUTHENTICATED"' in expected[1])
            matrix.report.check(eyes, what, why, refused, (401, True))
            for id_, whose in fitting(matrix, eyes, taker):
                found = await asked(client, taker.query, id_, header)
                matrix.report.check(eyes, what, f"{whose}, {why}", found, expected)


async def open_doors(matrix: Matrix, client: httpx.AsyncClient, bearer: Bearer) -> None:
    """Check that with a valid token the server answers as the graph does."""
    eyes = matrix.eyes(bearer)
    header = f"Bearer {bearer.secret}"
    for what, taker in TAKERS.items():
        nowhere = await asked(client, taker.query, f"{taker.kind}_{NOWHERE}", header)
        for id_, whose in fitting(matrix, eyes, taker):
            found = await asked(client, taker.query, id_, header)
            expected = (await matrix.body(bearer, taker.query, {"id": id_})).decode()
            matrix.report.check(eyes, what, f"{whose}, by HTTP", found[1], expected)
            if expected == nowhere[1]:
                matrix.report.check(eyes, what, f"{whose}, by HTTP", found, nowhere)


def fitting(matrix: Matrix, eyes: Eyes, taker: Taker) -> list[Asked]:
    return [one for one in some(matrix, eyes) if one[0][:3] == taker.kind]
