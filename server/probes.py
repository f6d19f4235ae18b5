"""GET /livez and /readyz: whether the process lives, and whether its database answers."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from models.database import Connector

# How long the database may take to answer, whatever else it does.
READY_WITHIN_S = 2.0
NO_STORE = {"Cache-Control": "no-store"}


def addresses(connector: Connector) -> Iterator[Route]:
    """Return the addresses that a supervisor and a load balancer ask."""

    async def live(_: Request) -> Response:
        """Answer without the database: a process is not restarted for the database's sake."""
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def ready(_: Request) -> Response:
        """Tell whether the database answers, on a connection of its own."""
        if await connector.answers(READY_WITHIN_S):
            return PlainTextResponse("ok\n", headers=NO_STORE)
        return PlainTextResponse("the database does not answer\n", 503, headers=NO_STORE)

    yield Route("/livez", live)
    yield Route("/readyz", ready)
