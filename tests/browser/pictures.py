"""The README's pictures: `PICTURES=docs/pictures python -m pytest -k picture`."""

from pathlib import Path

from playwright.async_api import BrowserContext

from tests.browser.browsing import open_graphiql


async def graphiql(context: BrowserContext, url: str, folder: Path) -> Path:
    """Take the picture of the first tab's query and its answer, with no token in it."""
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
    return path
