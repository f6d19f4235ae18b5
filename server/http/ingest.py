"""POST /ingest: records of a practice as NDJSON, entered in one transaction or not at all.

The work of one body takes seconds of CPU. So it is done in a thread with an event loop and a
database connection of its own, for one body at a time in each process.
"""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing.entry.errors import EntryError
from billing.entry.external_ids import ExternalId
from billing.imports.faults import Faults
from billing.imports.importing import (
    ImportDisturbed,
    ImportReport,
    ImportRequest,
    import_records,
)
from billing.imports.ndjson_records import NdjsonBody
from billing.imports.report_json import as_json
from billing.imports.values import Formats
from billing.money import currency_digits
from billing.time_zones import zone
from execution.read_audit import actor
from execution.refusal_events import emit_scope_refused
from identity.viewer import Viewer
from models import Scope, Token, database
from models.database import within_practice
from server.http import media_types
from server.http.bodies import LargeBodies
from server.http.errors import (
    HEADERS,
    RETRY_AFTER_S,
    HTTPError,
    answer_or_error,
    bad,
    unauthenticated_error,
    unsupported,
)
from server.http.graphql import Endpoint

T = TypeVar("T")
PATH = "/ingest"
NDJSON = "application/x-ndjson"
LARGEST = 10 * 2**20
PARAMETERS = ("source", "dryRun")
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class IngestParameters:
    """The name of the other system, and whether everything is to be rolled back."""

    source: str
    is_trial: bool

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "IngestParameters":
        unknown = [name for name in given if name not in PARAMETERS]
        source, trial = given.get("source", "import"), given.get("dryRun", "false")
        if unknown or trial not in FLAGS:
            raise bad("the parameters are source, and dryRun as true or false")
        try:
            ExternalId(source, "any")
        except EntryError as error:
            raise bad(str(error)) from None
        return cls(source, FLAGS[trial])


class Ingest:
    """The handler of /ingest, for the tokens that the endpoint accepts."""

    def __init__(
        self, endpoint: Endpoint, database_url: str, now: Callable[[], dt.datetime]
    ) -> None:
        self.endpoint, self.database_url, self.now = endpoint, database_url, now
        self.large_bodies = LargeBodies(2 * LARGEST, LARGEST)
        self.is_busy = False

    def address(self) -> Route:
        return Route(PATH, self.answer, methods=["POST"])

    async def answer(self, request: Request) -> Response:
        return await answer_or_error(request, self.report)

    async def report(self, request: Request) -> Response:
        type_, parameters = media_types.parse_media_type(request.headers.get("content-type", ""))
        if type_ != NDJSON or not media_types.is_utf_8(parameters):
            raise unsupported(f"send Content-Type: {NDJSON}")
        wanted = IngestParameters.of(request.query_params)
        content, sender = await self.endpoint.receive_body(request, LARGEST, self.large_bodies)
        viewer = await self.endpoint.verified(request, sender)
        if viewer is None:
            raise unauthenticated_error("a token is needed: Authorization: Bearer cbp_…")
        if Scope.BILLING_WRITE not in viewer.scopes:
            address = self.endpoint.address(request)
            emit_scope_refused({Scope.BILLING_WRITE: [PATH]}, viewer, address)
            raise HTTPError(403, "SCOPE_REQUIRED", "needs the scope billing:write")
        try:
            report = await self.entered(content, viewer, wanted, self.endpoint.address(request))
        except ImportDisturbed as error:
            raise busy(str(error)) from None
        status = 422 if report.fault_count else 200
        return Response(as_json(report), status, HEADERS, media_type="application/json")

    async def entered(
        self, content: bytes, viewer: Viewer, wanted: IngestParameters, address_hash: str | None
    ) -> ImportReport:
        """Enter a body in a thread. A request that ends before the thread leaves it at work."""
        if self.is_busy:
            raise busy("other records are being entered: send the same again in a moment")
        self.is_busy = True
        work = IngestWork(self.database_url, content, viewer, wanted, address_hash, self.now())
        result = in_own_thread(work.run)
        result.add_done_callback(self.ended)
        return await asyncio.shield(result)

    def ended(self, result: "asyncio.Future[ImportReport]") -> None:
        self.is_busy = False
        # An exception that no request may be left to answer with.
        result.exception()


def in_own_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Run work in a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            tell = partial(result.set_result, work())
        except Exception as error:
            tell = partial(result.set_exception, error)
        with suppress(RuntimeError):  # The process ends, and its event loop is closed.
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name="ingest", daemon=True).start()
    return result


def busy(message: str) -> HTTPError:
    return HTTPError(503, "UNAVAILABLE", message, {"Retry-After": RETRY_AFTER_S})


@dataclass(frozen=True)
class IngestWork:
    """The records of one body, with the facts that are needed to enter them."""

    database_url: str
    content: bytes
    viewer: Viewer
    wanted: IngestParameters
    address_hash: str | None
    now: dt.datetime

    def run(self) -> ImportReport:
        """Enter the records, in an event loop of this thread."""
        return asyncio.run(self.enter())

    async def enter(self) -> ImportReport:
        engine = database.engine(self.database_url, confined=True)
        try:
            with within_practice(self.viewer.practice_id):
                request, faults = await self.request(engine), Faults()
                body = NdjsonBody(self.content, request.formats, faults)
                report = await import_records(engine, request, body.sources(), faults, self.now)
                return replace(report, faults=body.located(report.faults))
        finally:
            await engine.dispose()

    async def request(self, engine: AsyncEngine) -> ImportRequest:
        viewer = self.viewer
        time_zone = zone(viewer.time_zone)
        assert time_zone is not None  # no viewer is found in a practice without one
        named = select(Token.name).where(
            Token.practice_id == viewer.practice_id, Token.id == viewer.token_id
        )
        async with engine.connect() as conn:
            name = await conn.scalar(named)
        return ImportRequest(
            viewer.practice_id,
            self.wanted.source,
            Formats(currency_digits(viewer.currency), time_zone),
            self.wanted.is_trial,
            actor=replace(actor(viewer, PATH, (), self.address_hash), name=name),
        )
