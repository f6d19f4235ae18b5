"""The addresses /export/….csv: lists of a practice as files, from a dashboard's queries.

A file is streamed page by page, and each page is one statement. Fields that the token may not read
have no column: without `phi:read` there are no names. A file that could not be finished ends
without its last chunk, so that a client can recognise it as incomplete.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from billing.csv_text import csv_lines
from execution import pipeline
from execution.pipeline import Reading
from identity.viewer import Viewer
from models import Scope
from models.database import RateLimited
from planner.fallback_executor import Answer
from server.http.disconnects import CancelledOnDisconnect
from server.http.errors import HEADERS, HTTPError, answer_or_error, unauthenticated_error
from server.http.export_tables import TABLES, BadParameter, ListPage, Table
from server.http.graphql import Endpoint


class Exports:
    """The handlers of the tables, which run their queries through the endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def addresses(self) -> Iterator[Route]:
        for name, table in TABLES.items():
            yield Route(f"/export/{name}.csv", self.answering(table))

    def answering(self, table: Table) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await answer_or_error(request, partial(self.file, table))

        return answer

    async def file(self, table: Table, request: Request) -> Response:
        """Return the response once its first page is read, so that errors come before the file
        starts.
        """
        try:
            variables = table.variables(request.query_params.multi_items())
        except BadParameter as error:
            raise HTTPError(400, "BAD_USER_INPUT", str(error)) from None
        viewer = await self.required_viewer(request)
        columns = table.columns(reads_health=Scope.PHI_READ in viewer.scopes)
        query = table.query(columns)
        reading = partial(CancelledOnDisconnect, request.receive)
        page = table.page(await self.data(request, query, variables, viewer, reading))

        async def chunks(page: ListPage) -> AsyncIterator[str]:
            yield csv_lines([[column.heading for column in columns]])
            yield csv_lines([column.of(node) for column in columns] for node in page.nodes)
            while page.after is not None:
                more = {**variables, "after": page.after}
                page = table.page(await self.later(request, query, more))
                yield csv_lines([column.of(node) for column in columns] for node in page.nodes)

        disposition = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
        return StreamingResponse(
            chunks(page),
            media_type="text/csv; charset=utf-8; header=present",
            headers=HEADERS | disposition,
        )

    async def required_viewer(self, request: Request) -> Viewer:
        viewer = await self.endpoint.viewer(request, self.endpoint.now())
        if viewer is None:
            raise unauthenticated_error("a token is needed: Authorization: Bearer cbp_…")
        return viewer

    async def later(self, request: Request, query: str, variables: Mapping[str, Any]) -> Any:
        """Return the API's data, as soon as the token's budget allows the query."""
        while True:
            try:
                return await self.data(
                    request, query, variables, await self.required_viewer(request)
                )
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
        """Return the API's data, as any client gets it."""
        graphql_request = pipeline.Request(query, None, variables, reading=reading)
        endpoint = self.endpoint
        answer: Answer = await endpoint.service.answer(
            graphql_request, viewer, endpoint.now(), endpoint.address(request)
        )
        found = orjson.loads(answer.body)
        if errors := found.get("errors"):
            raise HTTPError(400, errors[0]["extensions"]["code"], errors[0]["message"])
        return found["data"]
