"""Pictures of the documentation: `make pictures`."""

from pathlib import Path

import httpx
import pypdfium2  # type: ignore[import-untyped]  # It ships no types.
from playwright.async_api import BrowserContext, ViewportSize

from tests.browser.browsing import open_graphiql
from tests.browser.visiting import VISA, Visit

PHONE = ViewportSize(width=360, height=740)


async def graphiql(context: BrowserContext, url: str, folder: Path) -> Path:
    """Take the picture of the first tab's query and its result, without a token."""
    watched = await open_graphiql(context, url)
    page = watched.page
    await page.click("[data-name='variables']")
    if not await watched.text("variables.json"):
        await page.click("[aria-label='Hide editor tools']")
    await page.click(".graphiql-execute-button")
    await watched.answer()
    # The mouse would leave a tooltip in the picture, and the keyboard a caret.
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur()")
    await page.evaluate("document.fonts.ready")
    await page.wait_for_timeout(500)
    path = folder / "graphiql.png"
    await page.screenshot(path=path, animations="disabled")
    await page.close()
    return path


async def portal(visitor: Visit, folder: Path) -> list[Path]:
    """Take pictures of the portal page and the sandbox's page, with a payment in between."""
    page, taken = visitor.page, []
    usual = page.viewport_size

    async def picture(name: str, *, whole: bool = False) -> None:
        await page.evaluate("document.activeElement.blur()")
        await page.mouse.move(0, 0)
        taken.append(folder / f"{name}.png")
        await page.screenshot(path=taken[-1], full_page=whole, animations="disabled", scale="css")

    await visitor.arrive()
    await picture("portal", whole=True)
    await visitor.open_payment()
    await visitor.another_card(VISA)
    await page.get_by_label("Save Card").check()
    await picture("paying", whole=True)
    await visitor.click("Pay $525.00")
    await visitor.told("Paid $525.00")
    await page.set_viewport_size(PHONE)
    await picture("phone")
    assert usual is not None
    await page.set_viewport_size(usual)
    await page.goto(f"{visitor.demo.url}/sandbox")
    await page.wait_for_selector("#journal tbody tr")
    await picture("sandbox")
    return taken


LINK = "nodes { document { printUrl } }"
DOCUMENTS = f"""{{ client {{
    invoice: invoices(first: 1) {{ {LINK} }} statement: statements(first: 1) {{ {LINK} }}
    superbill: superbills(first: 1) {{ {LINK} }} receipt: receipts(first: 1) {{ {LINK} }}
}} }}"""


async def documents(visitor: Visit, folder: Path) -> list[Path]:
    """Take a picture of the newest document of each kind, as rendered from its PDF."""
    found, taken = (await visitor.api(DOCUMENTS))["client"], []
    async with httpx.AsyncClient(trust_env=False) as client:
        for name, connection in found.items():
            (node,) = connection["nodes"]
            pdf = (await client.get(node["document"]["printUrl"])).content
            taken.append(folder / f"{name}.png")
            pypdfium2.PdfDocument(pdf)[0].render(scale=1.5).to_pil().save(taken[-1])
    return taken
