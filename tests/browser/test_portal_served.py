"""The portal page of `portal serve --page`, without the demo's own pages."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.visiting import ASKS, Visit, visit
from tests.support import demo_server as demonstration
from tests.support.demo_server import Demo, free_port
from tests.support.demo_snapshot import PORTAL, SANDBOX, Snapshot
from tests.support.processes import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.rest]


@pytest.fixture
def in_sandbox(
    forked: demonstration.Run, demo: Demo, snapshot: Snapshot, tmp_path: Path
) -> Iterator[Demo]:
    """Serve the demo's rows with payments in the sandbox."""
    snapshot.copy_to(tmp_path)
    home = tmp_path / ".demo"
    kept = json.loads((home / "tokens.json").read_text())
    environment = {
        "DATABASE_URL": f"sqlite:///{home / PORTAL}",
        "SANDBOX_FILE": str(home / SANDBOX),
        "SANDBOX": "true",
        "TOKEN_KEY": kept["token_key"],
        "FIELD_KEY": kept["field_key"],
    }
    port, printed = free_port(), tmp_path / "served.txt"
    address = f"http://127.0.0.1:{port}"
    with forked(["serve", "--page", "--port", str(port)], tmp_path, printed, environment):
        wait_for(address)
        yield replace(demo, url=address)


@pytest.fixture
async def visitor(chrome: BrowserContext, in_sandbox: Demo) -> AsyncIterator[Visit]:
    async with visit(chrome, in_sandbox) as visiting:
        yield visiting


async def test_each_link_of_the_page_is_served(visitor: Visit) -> None:
    """The sandbox's own page exists in the demo alone."""
    await visitor.arrive()
    links = await visitor.page.eval_on_selector_all("a[href]", "(all) => all.map((a) => a.href)")
    assert len(links) > 5
    statuses = {link: (await visitor.page.request.get(link)).status for link in links}
    assert {link for link, status in statuses.items() if status != 200} == set()
    remark = visitor.page.get_by_text("This is a sandbox: no money moves.")
    await expect(remark).to_contain_text("4242 4242 4242 4242")


async def test_payment_in_the_sandbox_succeeds(visitor: Visit) -> None:
    await visitor.begin_payment(ASKS)
    await visitor.click("Pay $525.00")
    await visitor.bank.get_by_role("button", name="Complete").click()
    await visitor.told("Paid $525.00")
