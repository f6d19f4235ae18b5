"""The address /record/cli_….zip: a client's record for the client, or for a contact who sees it.

The lists are those of the API, page by page, and the documents those that the viewer may open. So
permissions, budgets and the audit log are the API's. A token has one record at a time. A file that
could not be finished ends without its last chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from billing.client_records.zip_stream import ZipStream
from billing.documents.printer import Busy
from identity.viewer import Viewer
from models import DocumentKind
from models.database import RateLimited
from server.http.client_record_lists import CLIENT_QUERY, LISTS, RecordList
from server.http.documents import Documents
from server.http.errors import HEADERS, HTTPError, answer_or_error
from server.http.export_tables import ListPage
from server.http.exports import Exports

READ_ME = """Your record of {practice}.

documents/        Your invoices, statements, superbills and receipts.
*.csv             Your invoices, payments and account history. Open them in a spreadsheet.
record.json       All that the portal shows you, for programs.
schema.graphql    The description of the fields in record.json.

The files contain health information. Keep them where only you can read them.
"""
# The seconds to wait while a token has a record already, and while documents wait to be printed.
BUSY_S, PRINTING_S = "30", 1.0


@dataclass(frozen=True)
class WantedRecord:
    """The record of a client for a viewer, and the request for it."""

    request: Request
    viewer: Viewer
    client: str


class ClientRecords:
    """The handler of the address. `contract` is the schema, which describes the fields."""

    def __init__(self, exports: Exports, documents: Documents, contract: Callable[[], str]) -> None:
        self.exports, self.documents, self.contract = exports, documents, contract
        # The records that are being made, by their tokens: each is in here as long as it exists.
        self.running: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def address(self) -> Route:
        return Route("/record/{client}.zip", self.answer)

    async def answer(self, request: Request) -> Response:
        return await answer_or_error(request, partial(self.file, request.path_params["client"]))

    async def file(self, client: str, request: Request) -> Response:
        """Return the response once the client is read, so that errors come before the file."""
        viewer = await self.exports.required_viewer(request)
        found = None
        if not viewer.kind.is_program:
            data = await self.exports.data(request, CLIENT_QUERY, {"client": client}, viewer)
            found = data["client"]
        if found is None:
            raise HTTPError(404, "NOT_FOUND", "there is no such record")
        if viewer.token_id in self.running:
            message = "a record is being made for this token already"
            raise HTTPError(429, "RATE_LIMITED", message, {"Retry-After": BUSY_S})
        chunks = self.chunks(WantedRecord(request, viewer, client), found)
        self.running[viewer.token_id] = chunks
        named = {"Content-Disposition": 'attachment; filename="record.zip"'}
        return StreamingResponse(chunks, media_type="application/zip", headers=HEADERS | named)

    async def chunks(self, wanted: WantedRecord, client: Any) -> AsyncIterator[bytes]:
        """Yield the bytes of the ZIP file. A page of a list or a document is in memory at a time.

        The pages of a list that has columns are read once for each of its two files.
        """
        archive = ZipStream()
        archive.add("README.txt", READ_ME.format(practice=client["practice"]["name"]).encode())
        archive.add("schema.graphql", self.contract().encode())
        with archive.entry("record.json") as entry:
            entry.write(b'{"client":' + orjson.dumps(client))
            for one in LISTS:
                entry.write(b',\n"' + one.name.encode() + b'":[')
                separator = b""
                async for page in self.pages(wanted, one):
                    if page.nodes:
                        entry.write(separator + orjson.dumps(page.nodes)[1:-1])
                        separator = b",\n"
                    yield archive.take()
                entry.write(b"]")
            entry.write(b"}\n")
        for one in LISTS:
            if one.columns:
                async for chunk in self.sheet(archive, wanted, one):
                    yield chunk
            if one.kind is not None:
                async for chunk in self.papers(archive, wanted, one, one.kind):
                    yield chunk
        archive.close()
        yield archive.take()

    async def pages(self, wanted: WantedRecord, one: RecordList) -> AsyncIterator[ListPage]:
        variables: dict[str, Any] = {"client": wanted.client}
        while True:
            page = one.page(await self.exports.later(wanted.request, one.query, variables))
            yield page
            if page.after is None:
                return
            variables["after"] = page.after

    async def sheet(
        self, archive: ZipStream, wanted: WantedRecord, one: RecordList
    ) -> AsyncIterator[bytes]:
        with archive.entry(f"{one.name}.csv") as entry:
            entry.write(one.heading().encode())
            async for page in self.pages(wanted, one):
                entry.write(one.lines(page.nodes).encode())
                yield archive.take()

    async def papers(
        self, archive: ZipStream, wanted: WantedRecord, one: RecordList, kind: DocumentKind
    ) -> AsyncIterator[bytes]:
        async for page in self.pages(wanted, one):
            for node in page.nodes:
                found = await self.document(wanted, kind, node["id"])
                if found is not None:
                    name, content = found
                    archive.add(f"documents/{name}", content, is_compressed=True)
                    yield archive.take()

    async def document(
        self, wanted: WantedRecord, kind: DocumentKind, id_: str
    ) -> tuple[str, bytes] | None:
        """Return a document's file name and bytes, as soon as the budget allows to read it."""
        address = self.exports.endpoint.address(wanted.request)
        while True:
            try:
                return await self.documents.file(wanted.viewer, kind, id_, "Record", address)
            except RateLimited as limited:
                await asyncio.sleep(limited.retry_after_s)
            except Busy:
                await asyncio.sleep(PRINTING_S)
