"""A chromium that reaches one server only, and a record of its page's requests and errors."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Page, async_playwright

FLAGS = [
    "--no-sandbox",  # Chromium's own sandbox refuses to run as root, which CI is.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Chromium would otherwise look for updates, the time and field trials.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=NetworkTimeServiceQuerying,OptimizationHints",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.effectiveDirective}: ${event.blockedURI}`));
"""

# Collects everything that a page can store in a browser, as one text.
KEPT = """async () => {
    const kept = [{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state];
    for (const { name } of await indexedDB.databases()) {
        const database = await answer(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
            const rows = database.transaction(store).objectStore(store);
            kept.push(name, store, await answer(rows.getAllKeys()), await answer(rows.getAll()));
        }
        database.close();
    }
    for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) {
            kept.push(request.url, await (await cache.match(request)).text());
        }
    }
    return JSON.stringify(kept);

    function answer(request) {
        return new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
        });
    }
}"""


@dataclass
class Watched:
    """A page with its requests and its complaints."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def heard(self, kind: str, text: str) -> None:
        """Record warnings and errors of the console."""
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def origins(self) -> set[str]:
        """Return the origins of all requests. A data: address has no origin."""
        urls = [urlsplit(url) for url in self.requests]
        return {f"{url.scheme}://{url.netloc}" for url in urls if url.scheme != "data"}

    async def violations(self) -> list[str]:
        """Return the violations of the page's content security policy since it was loaded."""
        found: list[str] = await self.page.evaluate("window.violations")
        return found

    async def kept(self) -> str:
        """Return everything that the page stored in its browser: storages, databases, caches,
        cookies.
        """
        inside: str = await self.page.evaluate(KEPT)
        cookies = await self.page.context.cookies()
        return json.dumps([inside, [dict(cookie) for cookie in cookies], self.page.url])

    async def text(self, editor: str) -> str:
        """Return the whole text of an editor, named by its file; the page itself holds visible
        lines only.
        """
        value: str = await self.page.evaluate(
            """(name) => __MONACO.editor.getModels()
                .find((model) => model.uri.path.endsWith(name)).getValue()""",
            editor,
        )
        return value

    async def answer(self) -> Any:
        """Wait for JSON in the result pane, and return it."""
        await self.page.wait_for_function(
            """() => { try {
                return "data" in JSON.parse(__MONACO.editor.getModels()
                    .find((model) => model.uri.path.endsWith("response.json")).getValue());
            } catch { return false; } }"""
        )
        return json.loads(await self.text("response.json"))


@asynccontextmanager
async def browser(chromium: str, profile: Path, *, scale: int = 1) -> AsyncIterator[BrowserContext]:
    """Run chromium with a profile in a folder. `scale`: the pixels of the screen per CSS pixel."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            args=FLAGS,
            viewport={"width": 1400, "height": 850},
            device_scale_factor=scale,
            color_scheme="light",
        )
        try:
            yield context
        finally:
            await context.close()


async def clear(page: Page, url: str) -> None:
    """Remove all that pages of a server stored in the browser."""
    session = await page.context.new_cdp_session(page)
    await session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
    await session.detach()


async def watch(context: BrowserContext) -> Watched:
    """Open an empty page, and record its requests and complaints."""
    page = await context.new_page()
    watched = Watched(page)
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("crash", lambda _: watched.complaints.append("the page crashed"))
    page.on("console", lambda message: watched.heard(message.type, message.text))
    await page.add_init_script(WATCH)
    return watched


async def open_graphiql(context: BrowserContext, url: str) -> Watched:
    """Open GraphiQL, and wait for its editors and the schema."""
    watched = await watch(context)
    await clear(watched.page, url)
    async with watched.page.expect_response(lambda response: response.request.method == "POST"):
        await watched.page.goto(f"{url}/graphql")
    await watched.page.wait_for_selector(".graphiql-query-editor .view-line span")
    await watched.page.wait_for_selector("[aria-label^='Re-fetch GraphQL schema']:enabled")
    return watched
