"""Accessibility of a page, as far as axe can check it."""

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page

# The rules of WCAG 2.2 on levels A and AA.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


async def is_accessible(page: Page) -> None:
    found = await Axe().run(page, options=RULES)
    wrong = [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html']})"
        for one in found.response["violations"]
    ]
    if wrong:
        raise AssertionError("\n".join(wrong))
