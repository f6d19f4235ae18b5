"""GET /export/….csv: lists of a practice as files, by the queries that a dashboard would ask.

A file is streamed page by page, each of them one statement. What the token may not read has no
column: without `phi:read` there are no names. A file that could not be finished ends without its
last chunk, so that a client tells it from a whole one.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from graph import execution
from graph.execution import Reading
from models import Scope
from models.database import RateLimited
from resolvers.planner.reference import Answer
from resolvers.viewer import Viewer
from server.disconnects import cancelled_on_disconnect
from server.export_tables import TABLES, BadParameter, Part, Table
from server.graphql import HEADERS, Endpoint, TurnedAway, answered, unauthenticated

# What a spreadsheet would take for a formula, unless it is a number.
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


class Exports:
    """Answers for each table, as the endpoint would answer its queries."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def addresses(self) -> Iterator[Route]:
        for name, table in TABLES.items():
            yield Route(f"/export/{name}.csv", self.answering(table))

    def answering(self, table: Table) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await answered(request, partial(self.file, table))

        return answer

    async def file(self, table: Table, request: Request) -> Response:
        """The answer, once its first page is there: what is refused is refused before."""
        try:
            variables = table.variables(request.query_params.multi_items())
        except BadParameter as error:
            raise TurnedAway(400, "BAD_USER_INPUT", str(error)) from None
        viewer = await self.known(request)
        columns = table.columns(reads_health=Scope.PHI_READ in viewer.scopes)
        query = table.query(columns)
        reading = partial(cancelled_on_disconnect, request.receive)
        page = table.page(await self.data(request, query, variables, viewer, reading))

        async def chunks(page: Part) -> AsyncIterator[str]:
            yield written([[column.heading for column in columns]])
            yield written([column.of(node) for column in columns] for node in page.nodes)
            while page.after is not None:
                more = {**variables, "after": page.after}
                page = table.page(await self.later(request, query, more))
                yield written([column.of(node) for column in columns] for node in page.nodes)

        disposition = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
        return StreamingResponse(
            chunks(page),
            media_type="text/csv; charset=utf-8; header=present",
            headers=HEADERS | disposition,
        )

    async def known(self, request: Request) -> Viewer:
        viewer = await self.endpoint.viewer(request, self.endpoint.now())
        if viewer is None:
            raise unauthenticated("a token is needed: Authorization: Bearer cbp_…")
        return viewer

    async def later(self, request: Request, query: str, variables: Mapping[str, Any]) -> Any:
        """Return what the API answers, as soon as the token's budget allows it."""
        while True:
            try:
                return await self.data(request, query, variables, await self.known(request))
            except RateLimited as limited:
                await asyncio.sleep(limited.retry_after_s)

    async def data(
        self,
        request: Request,
        query: str,
        variables: Mapping[str, Any],
        viewer: Viewer,
        reading: Reading = nullcontext,
    ) -> Any:
        """What the API answers, as any program gets it."""
        asked = execution.Request(query, None, variables, reading=reading)
        endpoint = self.endpoint
        who = viewer, endpoint.now(), endpoint.address(request)
        answer: Answer = await endpoint.graph.answer(asked, *who)
        found = orjson.loads(answer.body)
        if errors := found.get("errors"):
            raise TurnedAway(400, errors[0]["extensions"]["code"], errors[0]["message"])
        return found["data"]


def written(rows: Iterable[Iterable[str]]) -> str:
    """Lines of RFC 4180."""
    out = io.StringIO()
    csv.writer(out).writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: str) -> str:
    """A text that begins as a formula does is kept from being one."""
    if FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
