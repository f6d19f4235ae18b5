"""GraphiQL in a real browser: it runs a documented query, and stores no part of the token."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.async_api import BrowserContext

from tests.browser import browsing, pictures
from tests.browser.visiting import Visit

pytestmark = pytest.mark.browser

PIECE = 12


class Demo(Protocol):
    """The demo's server, as started by the fixture of that name."""

    url: str
    tokens: Mapping[str, str]


async def test_first_tab_gets_the_same_answer_as_plain_http(
    chrome: BrowserContext, demo: Demo
) -> None:
    watched = await browsing.open_graphiql(chrome, demo.url)
    tab, token = await first_tab(watched), demo.tokens["client"]
    assert json.loads(await watched.text("headers.json")) == {"Authorization": f"Bearer {token}"}
    assert tab["query"] in await watched.text("operation.graphql")

    await watched.page.click(".graphiql-execute-button")
    shown = await watched.answer()

    assert "errors" not in shown
    assert shown["data"] == (await ask(demo.url, token, tab))["data"]
    assert await watched.page.locator(".result-window .view-line span").count() > 1
    assert await watched.page.title() == "Client billing portal · GraphiQL"
    assert watched.origins() == {demo.url}
    assert await watched.violations() == []
    assert watched.complaints == []
    await watched.page.close()


@pytest.mark.rest
async def test_no_part_of_the_token_stays_in_the_browser(
    chromium: str, demo: Demo, tmp_path: Path
) -> None:
    token = demo.tokens["client"]
    async with browsing.browser(chromium, tmp_path) as context:
        watched = await browsing.open_graphiql(context, demo.url)
        await run_in_every_tab(watched)
        # GraphiQL stores its tabs half a second after a change.
        await watched.page.wait_for_timeout(1000)
        assert pieces_in(token, await watched.kept()) == []
        assert "data" not in await watched.kept()

        await watched.page.reload()
        await watched.page.wait_for_selector(".graphiql-query-editor .view-line span")
        assert pieces_in(token, await watched.kept()) == []
        assert json.loads(await watched.text("headers.json"))["Authorization"].endswith(token)
    assert [path for path in files(tmp_path) if pieces_in(token, path.read_bytes())] == []


async def test_stored_data_of_a_page_is_found(reader: Visit) -> None:
    watched = reader.watched
    await watched.page.goto(f"{reader.demo.url}/portal/")
    for keep in (
        "localStorage.kept = 'in localStorage'",
        "sessionStorage.kept = 'in sessionStorage'",
        "document.cookie = 'kept=in a cookie'",
        "caches.open('c').then((cache) => cache.put('/c', new Response('in a cache')))",
        """new Promise((done) => {
            const opening = indexedDB.open("d");
            opening.onupgradeneeded = () => opening.result.createObjectStore("s").put("in a db", 1);
            opening.onsuccess = () => done(opening.result.close());
        })""",
    ):
        await watched.page.evaluate(keep)
    kept = await watched.kept()
    for place in ("in localStorage", "in sessionStorage", "in a cookie", "in a cache", "in a db"):
        assert place in kept


async def test_scripts_and_styles_from_elsewhere_are_refused(reader: Visit) -> None:
    watched = reader.watched
    await watched.page.goto(f"{reader.demo.url}/graphql")
    assert await watched.violations() == []
    await watched.page.evaluate(
        """() => {
            for (const [name, content] of [["script", "window.ran = true"], ["style", "a {}"]]) {
                const element = document.createElementNS(document.body.namespaceURI, name);
                element.textContent = content;
                document.head.append(element);
            }
            const image = new Image();
            image.src = "http://localhost:9/";
            fetch("http://localhost:9/").catch(() => {});
        }"""
    )
    await watched.page.wait_for_function("window.violations.length >= 4")
    refused = {violation.split(":")[0] for violation in await watched.violations()}
    assert refused == {"script-src-elem", "style-src-elem", "img-src", "connect-src"}
    assert await watched.page.evaluate("window.ran") is None


@pytest.mark.rest
async def test_docs_completion_and_formatting_work(chrome: BrowserContext, demo: Demo) -> None:
    watched = await browsing.open_graphiql(chrome, demo.url)
    page = watched.page
    await page.click("[aria-label='Show Documentation Explorer']")
    await page.click(".graphiql-doc-explorer-type-name >> nth=0")
    assert await page.locator(".graphiql-doc-explorer-field-name").count() > 0

    await page.click(".graphiql-tab-add")
    await page.click(".graphiql-query-editor .view-lines")
    await page.keyboard.type("{ __typen")
    # Completions come from the worker, which has the schema.
    await page.wait_for_selector(".suggest-widget.visible [aria-label^='__typename']")
    await page.keyboard.press("Enter")
    await page.click("[aria-label^='Prettify query']")
    await page.wait_for_function(
        """() => __MONACO.editor.getModels()
            .find((model) => model.uri.path.endsWith("operation.graphql"))
            .getValue() === "{\\n  __typename\\n}\\n" """
    )
    assert await watched.violations() == []
    assert watched.complaints == []
    await watched.page.close()


@pytest.mark.rest
async def test_readmes_picture_can_be_taken(
    chrome: BrowserContext, demo: Demo, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PICTURES") or tmp_path / "pictures")
    path = await pictures.graphiql(chrome, demo.url, folder)
    assert path.stat().st_size > 10_000


async def first_tab(watched: browsing.Watched) -> dict[str, Any]:
    """Return the server's configuration of the first tab."""
    config = json.loads(await watched.page.locator("#config").text_content() or "{}")
    tab: dict[str, Any] = config["tabs"][0]
    return tab


async def ask(url: str, token: str, tab: Mapping[str, Any]) -> Any:
    """Send a tab's query as any client would."""
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(
            f"{url}/graphql",
            headers={"Authorization": f"Bearer {token}"},
            json={"query": tab["query"], "variables": json.loads(tab["variables"] or "{}")},
        )
    return response.json()


async def run_in_every_tab(watched: browsing.Watched) -> None:
    """Run each tab's query and one in a new tab, so that GraphiQL stores everything that it can."""
    page = watched.page
    tabs = page.locator("[id^='graphiql-session-tab-']")
    for number in range(await tabs.count()):
        await tabs.nth(number).click()
        await run(watched)
    await page.click(".graphiql-tab-add")
    await page.click(".graphiql-query-editor .view-lines")
    await page.keyboard.type("{ __typename }")
    await run(watched)


async def run(watched: browsing.Watched) -> None:
    """Run the editor's operation."""
    # GraphiQL reads the operation's name 100 ms after a change, and would send the previous one.
    await watched.page.wait_for_timeout(300)
    await watched.page.click(".graphiql-execute-button")
    await watched.answer()


def pieces_in(token: str, kept: str | bytes) -> list[str]:
    """Return the pieces of a token's secret part that occur in the stored data."""
    secret = token.removeprefix("cbp_")
    pieces = [secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)]
    assert pieces, "the token is too short to look for"
    text = kept.encode() if isinstance(kept, str) else kept
    return [piece for piece in pieces if piece.encode() in text or wide(piece) in text]


def wide(piece: str) -> bytes:
    """Return a piece in UTF-16, as browsers store some texts."""
    return piece.encode("utf-16-le")


def files(folder: Path) -> list[Path]:
    """Return all files of a browser's profile."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
