"""The portal page of `portal serve --page`, without the demo's own pages."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.visiting import ASKS, Visit, visit
from tests.support import demo_server as demonstration
from tests.support.demo_server import Demo, free_port
from tests.support.processes import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def in_sandbox(forked: demonstration.Run, own_demo: Demo) -> Iterator[str]:
    """Serve the demo's rows with payments in the sandbox, and yield the address."""
    home = own_demo.folder / ".demo"
    kept = json.loads((home / "tokens.json").read_text())
    environment = {
        # The demo's process holds the lock of its own file.
        "DATABASE_URL": f"sqlite:///{copied(home / 'portal.sqlite')}",
        "SANDBOX_FILE": str(copied(home / "sandbox.sqlite")),
        "SANDBOX": "true",
        "TOKEN_KEY": kept["token_key"],
        "FIELD_KEY": kept["field_key"],
    }
    port, printed = free_port(), own_demo.folder / "served.txt"
    address = f"http://127.0.0.1:{port}"
    command = ["serve", "--page", "--port", str(port)]
    with forked(command, own_demo.folder, printed, environment):
        wait_for(address)
        yield address


def copied(file: Path) -> Path:
    """Copy a database that a process may have open."""
    copy = file.with_name(f"served-{file.name}")
    with sqlite3.connect(file) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    return copy


@pytest.fixture
async def visitor(chrome: BrowserContext, own_demo: Demo, in_sandbox: str) -> AsyncIterator[Visit]:
    """Yield a signed-in visitor."""
    async with visit(chrome, replace(own_demo, url=in_sandbox)) as visiting:
        await visiting.page.goto(f"{in_sandbox}/portal/")
        token = own_demo.tokens["client"]
        await visiting.page.evaluate("(token) => sessionStorage.setItem('token', token)", token)
        await visiting.page.reload()
        await visiting.title("Billing & Payments")
        yield visiting


async def test_each_link_of_the_page_is_served(visitor: Visit) -> None:
    """The sandbox's own page exists in the demo alone."""
    links = await visitor.page.eval_on_selector_all("a[href]", "(all) => all.map((a) => a.href)")
    assert len(links) > 5
    statuses = {link: (await visitor.page.request.get(link)).status for link in links}
    assert {link for link, status in statuses.items() if status != 200} == set()
    remark = visitor.page.get_by_text("This is a sandbox: no money moves.")
    await expect(remark).to_contain_text("4242 4242 4242 4242")


async def test_payment_in_the_sandbox_succeeds(visitor: Visit) -> None:
    await visitor.open_payment()
    await visitor.another_card(ASKS)
    await visitor.click("Pay $525.00")
    await visitor.bank.get_by_role("button", name="Complete").click()
    await visitor.told("Paid $525.00")
