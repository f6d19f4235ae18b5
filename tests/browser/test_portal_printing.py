"""Documents from the portal page in a real browser: opened, printed and saved, of each kind."""

import asyncio
import io
import os
from pathlib import Path

import pytest
from playwright.async_api import Frame, Page, Request, Route, expect
from pypdf import PdfReader

from tests.browser import pictures
from tests.browser.accessible import is_accessible
from tests.browser.visiting import PATIENCE_MS, Visit

pytestmark = pytest.mark.browser

# The section with each kind of document, and the beginning of the document's address.
KINDS = {
    "Invoice": ("Invoices", "/invoices/inv_"),
    "Statement": ("Statements", "/statements/stm_"),
    "Superbill": ("Superbills", "/superbills/sbl_"),
    "Receipt": ("Account History", "/receipts/rct_"),
}


async def opened(reader: Visit, kind: str) -> str:
    """Open the first document of a kind, and return its number."""
    section, address = KINDS[kind]
    await reader.arrive()
    link = reader.section(section).locator(f"a[href*='#{address}']").first
    number = (await link.inner_text()).removeprefix("receipt ")
    await link.click()
    await reader.title(f"{kind} {number}")
    return number


def text(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


@pytest.mark.share(2)
@pytest.mark.parametrize("kind", KINDS)
async def test_document_is_printed_in_a_tab_of_its_own_and_saved_under_its_name(
    reader: Visit, kind: str
) -> None:
    number = await opened(reader, kind)
    await is_printed(reader, f"{kind} {number}")
    await is_saved(reader, f"{kind} {number}")
    await reader.title(f"{kind} {number}")
    await reader.is_clean()


async def is_printed(reader: Visit, name: str) -> None:
    async with reader.page.context.expect_page() as opening:
        await reader.page.get_by_role("link", name="Print", exact=True).click()
    tab = await opening.value
    await tab.wait_for_load_state()
    assert "/print?viewer=" in tab.url
    assert await tab.evaluate("document.contentType") == "application/pdf"
    await shown(tab)
    # The tab has no reference to the page that opened it.
    assert await tab.evaluate("[window.opener, document.referrer]") == [None, ""]
    response = await tab.context.request.get(tab.url)
    assert name in text(await response.body())
    assert response.headers["content-disposition"].startswith("inline;")
    await tab.close()


async def shown(tab: Page) -> None:
    """Wait until chromium's PDF viewer is in the tab."""

    def is_viewer(frame: Frame) -> bool:
        return frame.url.startswith("chrome-extension:")

    if not any(map(is_viewer, tab.frames)):
        await tab.wait_for_event("framenavigated", is_viewer, timeout=PATIENCE_MS)


async def is_saved(reader: Visit, name: str) -> None:
    async with reader.page.expect_download() as saving:
        await reader.page.get_by_role("link", name="Download").click()
    download = await saving.value
    assert download.suggested_filename == f"{name}.pdf"
    saved = await asyncio.to_thread(Path(await download.path()).read_bytes)
    assert name in text(saved)


async def test_record_is_saved_as_a_zip_file(reader: Visit) -> None:
    await reader.arrive()
    requests: list[Request] = []

    async def answer(route: Route, request: Request) -> None:
        """Answer in place of the server, which would print all documents first."""
        requests.append(request)
        await route.fulfill(body=b"PK", content_type="application/zip")

    await reader.page.route("**/record/cli_*.zip", answer)
    async with reader.page.expect_download() as saving:
        await reader.page.get_by_role("button", name="Download my record").click()
    download = await saving.value
    assert download.suggested_filename == "record.zip"
    assert await asyncio.to_thread(Path(await download.path()).read_bytes) == b"PK"
    (sent,) = requests
    assert sent.headers["authorization"].startswith("Bearer cbp_")
    said = reader.page.get_by_role("status").first
    await expect(said).to_contain_text("Your record is downloaded")
    await reader.page.unroute("**/record/cli_*.zip")
    refusal = {"errors": [{"message": "one at a time", "extensions": {"code": "RATE_LIMITED"}}]}
    await reader.page.route(
        "**/record/cli_*.zip", lambda route: route.fulfill(json=refusal, status=429)
    )
    await reader.page.get_by_role("button", name="Download my record").click()
    await expect(said).to_contain_text("one at a time")
    await is_accessible(reader.page)


async def test_old_page_requests_new_links(reader: Visit) -> None:
    await reader.page.clock.install()
    number = await opened(reader, "Invoice")
    link = reader.page.get_by_role("link", name="Download")
    assert reader.sent("Document") == []
    await reader.page.clock.fast_forward("09:00")
    async with reader.page.expect_download() as saving:
        await link.click()
    assert (await saving.value).suggested_filename == f"Invoice {number}.pdf"
    assert len(reader.sent("Document")) == 1


async def test_receipt_shows_its_method_and_invoices(reader: Visit) -> None:
    await opened(reader, "Receipt")
    await expect(reader.page.locator("dt", has_text="Method")).to_be_visible()
    assert (await reader.rows("Paid with it"))[0].startswith("INV-")
    await is_accessible(reader.page)
    await reader.is_clean()


@pytest.mark.rest
async def test_readmes_pictures_of_documents_can_be_taken(reader: Visit, tmp_path: Path) -> None:
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    taken = await pictures.documents(reader, folder)
    assert [path.stem for path in taken] == ["invoice", "statement", "superbill", "receipt"]
    assert all(path.stat().st_size > 10_000 for path in taken)
