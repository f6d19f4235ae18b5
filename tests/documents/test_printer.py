"""Printing of documents: once per document, outside the event loop, and limited at once."""

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from billing.documents import printer, typesetting
from models import Invoice, Letterhead, PrintedDocument
from tests.support.document_links import BASE, get, link, made, text
from tests.support.portal import Portal, served
from tests.support.unprotected import unprotected

# The database decides which print was first.
pytestmark = pytest.mark.twins(1)
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, public_url=BASE) as it:
        yield it


# -- one print per document ------------------------------------------------------------------------


async def test_document_printed_first_is_returned_again(portal: Portal) -> None:
    id_ = await made(portal, "inv")
    first = await get(portal, (await link(portal, id_))["printUrl"])
    async with portal.engine.begin() as conn:
        await conn.execute(update(Letterhead).values(name="Another name"))
    again = await get(portal, (await link(portal, id_))["downloadUrl"])
    assert again.content == first.content
    assert "Another name" in text((await get(portal, await printed_anew(portal, id_))).content)


async def printed_anew(portal: Portal, id_: str) -> str:
    """Delete the stored print and return a new link, so that the next print shows current rows."""
    async with unprotected(portal.url, "printed_document") as conn:
        await conn.execute(delete(PrintedDocument).where(PrintedDocument.document_id == id_[4:]))
    url: str = (await link(portal, id_))["printUrl"]
    return url


async def test_invoice_voided_after_printing_is_printed_as_void(portal: Portal) -> None:
    id_ = await made(portal, "inv")
    before = await get(portal, (await link(portal, id_))["printUrl"])
    async with portal.engine.begin() as conn:
        void = {"is_void": True, "voided_on": dt.date(2026, 3, 4)}
        await conn.execute(update(Invoice).where(Invoice.id == id_[4:]).values(void))
    after = await get(portal, (await link(portal, id_))["printUrl"])
    assert "Void since" not in text(before.content)
    assert "Void since" in text(after.content)


async def test_concurrent_requests_get_the_same_print(portal: Portal) -> None:
    url = (await link(portal, await made(portal, "stm")))["printUrl"]
    answers = await asyncio.gather(*(get(portal, url) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_print_of_another_process_is_used_if_it_was_first(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await made(portal, "inv")
    loop = asyncio.get_running_loop()

    def beaten(document: Any, *given: Any) -> Any:
        asyncio.run_coroutine_threadsafe(elsewhere(document), loop).result(10)
        return typesetting.render_pdf(document, *given)

    async def elsewhere(document: Any) -> None:
        async with portal.engine.begin() as conn:
            kept = {"content": b"%PDF first", "is_archival": True, "printed_at": portal.clock()}
            row = printer.document_key(document) | {"client_id": document.client_id} | kept
            await conn.execute(insert(PrintedDocument).values(row))

    monkeypatch.setattr(printer, "render_pdf", beaten)
    response = await get(portal, (await link(portal, id_))["printUrl"])
    assert response.content == b"%PDF first"


# -- concurrency -----------------------------------------------------------------------------------


async def test_api_answers_while_documents_are_printed(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, go_on, running = await portal.token(), threading.Event(), threading.Semaphore(0)

    def slow(*given: Any) -> Any:
        running.release()
        assert go_on.wait(10)
        return typesetting.render_pdf(*given)

    monkeypatch.setattr(printer, "render_pdf", slow)
    monkeypatch.setattr(printer, "MOST", 5)
    urls = [(await link(portal, await made(portal, "inv"), token))["printUrl"] for _ in range(8)]
    printing = [asyncio.create_task(get(portal, url)) for url in urls]
    try:
        await asyncio.to_thread(running.acquire, timeout=10)
        assert (await portal.ask("{ client { name } }", token)).status_code == 200
        assert (await portal.http.get("/livez")).status_code == 200
        await asyncio.wait(printing, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    finally:
        go_on.set()
    answers = await asyncio.gather(*printing)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 3
    turned_away = next(answer for answer in answers if answer.status_code == 503)
    assert turned_away.headers["retry-after"] == "60"


async def test_internal_error_of_printing_is_only_in_the_log(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("what nobody should read")

    monkeypatch.setattr(printer, "render_pdf", broken)
    response = await get(portal, (await link(portal, await made(portal, "inv")))["printUrl"])
    assert response.status_code == 500
    assert "nobody should" not in response.text
    assert "nobody should" in caplog.text
