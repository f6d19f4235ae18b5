"""The press: it prints outside the event loop, a few documents at a time.

The bytes that are first given out are stored, and given out again later. So a client, an insurer
and an archive hold the same file, even if fonts, templates or the practice's address change.
"""

import asyncio
import datetime as dt
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.documents.facts import Document, read_document
from billing.documents.typesetting import Printed, render_pdf
from billing.encryption import FieldKeys
from billing.ledger.erased_values import CLIENT_NAME
from billing.ledger.hash_chain import append
from billing.ledger.locks import lock_client
from models import Client, DocumentKind, PrintedDocument
from models.database import within_practice

AT_ONCE = 2
# The number of documents that may wait for their turn: some seconds of work.
MOST = 100
# The priority of printing threads, as for `nice`.
NICENESS = 10


class Busy(Exception):
    """Too many documents wait to be printed."""


class Printer:
    """A printer for the documents of one database. `now` is the clock, in UTC.

    Typst releases Python's global lock, so threads are sufficient.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        now: Callable[[], dt.datetime],
        fonts: Sequence[str] = (),
        keys: FieldKeys | None = None,
    ) -> None:
        self.engine, self.now, self.fonts, self.keys = engine, now, fonts, keys or FieldKeys()
        self.threads = ThreadPoolExecutor(AT_ONCE, "press", initializer=step_back)
        self.places = asyncio.Semaphore(AT_ONCE)
        self.waiting = 0

    async def print(
        self, kind: DocumentKind, practice_id: str, id_: str
    ) -> tuple[Document, Printed] | None:
        """Return the document and its bytes: the stored ones, or new ones that are stored now.

        Return None if there is no such document. Raise Busy if too many wait already.
        """
        if self.waiting >= MOST:
            raise Busy
        self.waiting += 1
        try:
            async with self.places:
                with within_practice(practice_id):
                    return await self.print_new(kind, practice_id, id_)
        finally:
            self.waiting -= 1

    async def print_new(
        self, kind: DocumentKind, practice_id: str, id_: str
    ) -> tuple[Document, Printed] | None:
        async with self.engine.connect() as conn:
            document = await read_document(conn, kind, practice_id, id_, self.keys)
            if document is None:
                return None
            if kept := await stored_copy(conn, document):
                return document, kept
        return document, await self.print_facts(document)

    async def print_facts(self, document: Document) -> Printed:
        """Return the bytes of a document that was read: new ones that are stored now, or those that
        another process has stored meanwhile.
        """
        loop = asyncio.get_running_loop()
        new = await loop.run_in_executor(self.threads, render_pdf, document, self.fonts)
        async with self.engine.begin() as conn:
            return await self.store(conn, document, new)

    async def store(self, conn: AsyncConnection, document: Document, new: Printed) -> Printed:
        """Store a document's bytes, and return them, or those that another process stored first.

        A document that was read before its client was erased is not stored.
        """
        await lock_client(conn, document.practice_id, document.client_id)
        if kept := await stored_copy(conn, document):
            return kept
        if await is_erased_since(conn, document):
            return new
        now = self.now()
        row = document_key(document) | {"client_id": document.client_id, "printed_at": now}
        await append(conn, [(PrintedDocument, row | vars(new))], now)
        return new

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)


async def stored_copy(conn: AsyncConnection, document: Document) -> Printed | None:
    """Return the stored bytes, if the document was given out before."""
    columns = PrintedDocument.content, PrintedDocument.is_archival
    kept = (await conn.execute(select(*columns).filter_by(**document_key(document)))).first()
    return Printed(*kept) if kept else None


async def is_erased_since(conn: AsyncConnection, document: Document) -> bool:
    """Return whether the document's client was erased after the document was read."""
    mine = Client.practice_id == document.practice_id, Client.id == document.client_id
    erased_at = await conn.scalar(select(Client.erased_at).where(*mine))
    return erased_at is not None and document.facts["to"]["name"] != CLIENT_NAME


def document_key(document: Document) -> dict[str, Any]:
    """Return the primary key of a document's stored bytes."""
    return {
        "practice_id": document.practice_id,
        "kind": document.kind,
        "document_id": document.id,
        "is_void": document.is_void,
    }


def step_back() -> None:
    """Give this thread, and threads that typst starts from it, the lowest priority.

    Only on Linux the priority is set for a thread; elsewhere it would change the whole process.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
