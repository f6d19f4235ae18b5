"""The addresses /livez and /readyz: the process is alive, and its database answers."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from models.database import Connector

# The time for the database to answer, in addition to its other work.
READY_WITHIN_S = 2.0
NO_STORE = {"Cache-Control": "no-store"}


def addresses(connector: Connector) -> Iterator[Route]:
    """Yield the routes for a supervisor and a load balancer."""

    async def live(_: Request) -> Response:
        """Answer without the database: a process must not be restarted because of the database."""
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def ready(_: Request) -> Response:
        """Answer whether the database responds, on a separate connection."""
        if await connector.answers(READY_WITHIN_S):
            return PlainTextResponse("ok\n", headers=NO_STORE)
        return PlainTextResponse("the database does not answer\n", 503, headers=NO_STORE)

    yield Route("/livez", live)
    yield Route("/readyz", ready)
