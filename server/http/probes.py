"""The addresses /livez and /readyz: the process is alive, and its database answers."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from models import migrations
from models.database import Connector, TransientError

# The time for the database to answer, in addition to its other work.
READY_WITHIN_S = 2.0
NO_STORE = {"Cache-Control": "no-store"}


# For how long a look at the database's revision counts, and the time for a look.
REVISION_EVERY_S, LOOK_S = 5.0, 1.0


class RevisionWatch:
    """The fault of the database's revision, which a migration may change under a running process.

    A later revision keeps what this release needs (docs/upgrades.md), so it may be served.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.fault: str | None = None
        self.may_serve = True
        self.looked_at = -REVISION_EVERY_S

    async def look(self) -> None:
        """Look at the revision, unless that was done just now or the database gives no answer."""
        now = time.monotonic()
        if now < self.looked_at + REVISION_EVERY_S:
            return
        self.looked_at = now
        with suppress(TimeoutError, TransientError):
            async with asyncio.timeout(LOOK_S):
                found = await migrations.current_revision(self.engine)
            self.fault = migrations.revision_fault(found)
            self.may_serve = not self.fault or not migrations.is_known(found)


def addresses(connector: Connector, engine: AsyncEngine) -> Iterator[Route]:
    """Yield the routes for a supervisor and a load balancer."""
    watch = RevisionWatch(engine)

    async def live(_: Request) -> Response:
        """Answer without the database: a process must not be restarted because of the database."""
        return PlainTextResponse("ok\n", headers=NO_STORE)

    async def ready(_: Request) -> Response:
        """Answer whether the database responds, on a separate connection, with tables that this
        release can serve.
        """
        if not await connector.answers(READY_WITHIN_S):
            return PlainTextResponse("the database does not answer\n", 503, headers=NO_STORE)
        await watch.look()
        words = ["ok"] if watch.may_serve else []
        words += [watch.fault] if watch.fault else []
        status = 200 if watch.may_serve else 503
        return PlainTextResponse("\n".join([*words, ""]), status, headers=NO_STORE)

    yield Route("/livez", live)
    yield Route("/readyz", ready)
