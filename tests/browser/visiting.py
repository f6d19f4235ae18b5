"""A visitor of the portal page, with elements found by their visible words."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from playwright.async_api import BrowserContext, Locator, Page, expect

from server.document_manifest import PAGE_MANIFEST, read_manifest
from tests.browser.browsing import Watched, watch
from tests.support.demo_server import Demo

CARD = {"Cardholder's name": "Renée Lindqvist", "Billing zip": "04101"}
FORM = {"Expiration (MM/YY)": "12/31", "Security code": "123"}
VISA, MASTERCARD, DECLINED = "4242 4242 4242 4242", "5555 5555 5555 4444", "4000 0000 0000 0002"
ASKS = "4000 0025 0000 3155"
# Stores a token as the page does after a sign-in, in the tab of its first load and the later ones.
STORED = """if (location.origin === %(origin)s && !sessionStorage.getItem("token"))
    sessionStorage.setItem("token", %(token)s);"""
# Enough for a machine under load.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


NAMES = {entry.id: entry.name for entry in read_manifest(PAGE_MANIFEST)}


def operation_name(body: Mapping[str, Any]) -> str | None:
    """Return the name of the operation that the page asks for by its id."""
    return NAMES[body["documentId"]] if "documentId" in body else None


class Visit:
    """A tab of the portal page, and its demo."""

    def __init__(self, demo: Demo, watched: Watched) -> None:
        self.demo, self.watched = demo, watched
        self.page: Page = watched.page
        self.operations: list[dict[str, Any]] = []
        self.page.on("request", lambda request: self.asked(request.url, request.post_data))

    def asked(self, url: str, body: str | None) -> None:
        if url.endswith("/graphql") and body:
            self.operations.append(json.loads(body))

    def sent(self, name: str) -> list[dict[str, Any]]:
        """Return the variables of each operation of this name that the page has sent."""
        return [one["variables"] for one in self.operations if operation_name(one) == name]

    # -- actions -----------------------------------------------------------------------------------

    async def sign_in(self, who: str = "client") -> None:
        await self.page.goto(f"{self.demo.url}/portal/")
        await self.page.get_by_label("Token").fill(self.demo.tokens[who])
        await self.click("Sign in")
        await self.title("Billing & Payments")

    async def arrive(
        self, address: str = "/", title: str = "Billing & Payments", *, who: str = "client"
    ) -> None:
        """Open a view in a tab that is signed in already."""
        known = {"origin": json.dumps(self.demo.url), "token": json.dumps(self.demo.tokens[who])}
        await self.page.add_init_script(STORED % known)
        await self.go(address, title)

    async def begin_payment(self, card: str | None = None) -> None:
        """Open the form that pays the balance, and fill in a card other than the default."""
        await self.arrive("/pay", "Pay your balance")
        if card is not None:
            await self.another_card(card)

    async def begin_card(self, number: str) -> None:
        """Send the form for a new card."""
        await self.arrive("/new-card", "New card")
        await self.fill(number)
        await self.click("Save Card")

    async def go(self, address: str, title: str) -> None:
        await self.page.goto(f"{self.demo.url}/portal/#{address}")
        await self.title(title)

    async def click(self, name: str, *, nth: int = 0) -> None:
        """Click a button or a link, found by the beginning of its name."""
        for role in ("button", "link"):
            found = self.page.get_by_role(role, name=name)
            if await found.count() > nth:
                return await found.nth(nth).click()
        raise AssertionError(f"there is no {name} to click")

    async def fill(self, number: str) -> None:
        """Fill in the card form."""
        for label, value in {**CARD, "Card number": number, **FORM}.items():
            await self.page.get_by_label(label).fill(value)

    async def open_payment(self) -> None:
        await self.click("Pay Now")
        await self.title("Pay your balance")

    async def another_card(self, number: str) -> None:
        await self.page.get_by_label("Another card").check()
        await self.fill(number)

    # -- visible texts -----------------------------------------------------------------------------

    async def title(self, text: str) -> None:
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    async def told(self, text: str) -> None:
        """Expect the page's notice about a completed action."""
        await expect(self.page.locator("#notice")).to_contain_text(text)

    async def problem(self, text: str) -> None:
        """Expect the page's error message."""
        await expect(self.page.locator(".error:visible")).to_contain_text(text)

    def section(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name)

    async def rows(self, section: str) -> list[str]:
        """Return a section's rows, each in one line."""
        found = await self.section(section).locator(".rows > li").all_inner_texts()
        return [" ".join(text.split()) for text in found]

    async def balance(self) -> str:
        return await self.page.locator(".figure").inner_text()

    @property
    def bank(self) -> Locator:
        """Return the bank's dialog for 3-D Secure."""
        return self.page.get_by_role("dialog", name="3-D Secure")

    # -- server and sandbox ------------------------------------------------------------------------

    async def api(self, query: str, who: str = "client", **variables: Any) -> Any:
        """Send a query to the API as any program would, and return the data."""
        headers = {"Authorization": f"Bearer {self.demo.tokens[who]}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(
                f"{self.demo.url}/graphql",
                json={"query": query, "variables": variables},
                headers=headers,
            )
        answer = response.json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def stripe(self) -> Any:
        """Return the sandbox's objects and calls."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{self.demo.url}/sandbox/state")).json()

    async def charges(self) -> list[int]:
        """Return the amounts charged in this visit, the oldest first."""
        found = (await self.stripe())["payments"]
        return [
            one["amount"] for one in reversed(found) if is_new(one) and one["status"] == "succeeded"
        ]

    async def is_clean(self) -> None:
        """Assert that the page caused no violation, no complaint, and no request to
        another origin.
        """
        assert await self.watched.violations() == []
        assert self.watched.complaints == []
        assert self.watched.origins() == {self.demo.url}


def is_new(payment: Mapping[str, Any]) -> bool:
    """Return whether the payment was made by the page, and not by the demo's data."""
    return not payment["id"].startswith("pi_sandbox")


@asynccontextmanager
async def visit(context: BrowserContext, demo: Demo) -> AsyncIterator[Visit]:
    watched = await watch(context)
    watched.page.set_default_timeout(PATIENCE_MS)
    yield Visit(demo, watched)
    await watched.page.close()


def minor(text: str) -> int:
    """Return an amount on the page in cents."""
    sign = -1 if text.endswith("CR") else 1
    return sign * int("".join(filter(str.isdigit, text)))
