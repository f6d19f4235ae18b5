"""The sandbox's page in a real browser: effects of its buttons on the portal page."""

import asyncio
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, expect

from sandbox.cards import CARDS
from tests.browser.accessible import is_accessible
from tests.browser.visiting import ASKS, DECLINED, Visit
from tests.support.demo_server import Demo

pytestmark = pytest.mark.browser


async def sandbox(payer: Visit) -> None:
    await payer.page.goto(f"{payer.demo.url}/sandbox")
    await payer.title("Sandbox")
    await expect(payer.section("payments").locator("tbody tr").first).to_be_visible()


async def paid(payer: Visit) -> Locator:
    """Pay the balance, and return the payment's row at the sandbox."""
    await payer.begin_payment()
    await payer.click("Pay $525.00")
    await payer.told("Paid $525.00")
    await sandbox(payer)
    return payer.section("payments").locator("tbody tr", has_text="52500 usd").first


TRIES, TRIES_EVERY_S = 400, 0.05
STANDING = "{ client { balance { amount { amount } } canPay { isAllowed } } }"


async def becomes(payer: Visit, balance: str, *, pay: bool) -> None:
    """Wait for a webhook to change the balance, and expect it on the portal page. `pay`: whether
    Pay Now is there.
    """
    amount = {"amount": {"amount": balance.removeprefix("$")}}
    wanted = {"client": {"balance": amount, "canPay": {"isAllowed": pay}}}
    for _ in range(TRIES):
        if (standing := await payer.api(STANDING)) == wanted:
            break
        await asyncio.sleep(TRIES_EVERY_S)
    assert standing == wanted
    await payer.go("/", "Billing & Payments")
    assert await payer.balance() == balance
    await expect(payer.page.get_by_role("link", name="Pay Now")).to_have_count(int(pay))


async def test_declined_payment_can_not_be_refunded(payer: Visit) -> None:
    await payer.begin_payment(DECLINED)
    await payer.click("Pay $525.00")
    await payer.problem("The bank declined the card")
    await sandbox(payer)
    rows = payer.section("payments").locator("tbody tr", has_text="52500 usd")
    declined = rows.filter(has_text="requires_payment_method").or_(rows.filter(has_text="canceled"))
    await expect(declined).to_have_count(1)
    await expect(declined.get_by_role("button")).to_have_count(0)


async def test_page_shows_the_cards_calls_and_events(payer: Visit) -> None:
    await paid(payer)
    cards = await payer.section("cards").locator("tbody tr").all_inner_texts()
    assert len(cards) == len(CARDS)
    assert any("4000 0000 0000 9995" in card and "insufficient funds" in card for card in cards)
    sent = await payer.section("journal").locator("tbody tr").all_inner_texts()
    assert any("POST payment_intents/" in call and "/confirm" in call for call in sent)
    events = await payer.section("events").locator("tbody tr").all_inner_texts()
    assert any("payment_intent.succeeded" in event for event in events)
    await is_accessible(payer.page)
    await payer.is_clean()


@pytest.mark.rest
async def test_payment_is_refunded_in_part_in_full_and_unsuccessfully(payer: Visit) -> None:
    payment = await paid(payer)
    await payment.get_by_role("button", name="Refund half").click()
    await payer.told("Done: Refund half")
    await becomes(payer, "$262.50", pay=True)
    await sandbox(payer)
    await payment.get_by_role("button", name="Refund: pi_").click()
    await payer.told("Done: Refund")
    await becomes(payer, "$525.00", pay=True)
    await sandbox(payer)
    await payment.get_by_role("button", name="Fail the refund").first.click()
    await payer.told("Done: Fail the refund")
    await becomes(payer, "$262.50", pay=True)


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("wins", "balance"), [("Practice wins", "$0.00"), ("Cardholder wins", "$525.00")]
)
async def test_dispute_is_opened_and_closed(payer: Visit, wins: str, balance: str) -> None:
    payment = await paid(payer)
    await payment.get_by_role("button", name="Dispute").click()
    await payer.told("Done: Dispute")
    await becomes(payer, "$525.00", pay=False)
    assert any("Disputed" in row for row in await payer.rows("Invoices"))
    await sandbox(payer)
    await payment.get_by_role("button", name=wins).click()
    await payer.told(f"Done: {wins}")
    await becomes(payer, balance, pay=wins == "Cardholder wins")


async def test_3d_secure_is_approved_from_the_sandbox(payer: Visit) -> None:
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await expect(payer.bank).to_be_visible()
    await sandbox(payer)
    await payer.click("Approve 3-D Secure")
    await payer.told("Done: Approve 3-D Secure")
    await becomes(payer, "$0.00", pay=False)


async def test_repeated_events_change_nothing(payer: Visit) -> None:
    await paid(payer)
    before = await everything(payer)
    buttons = payer.section("events").get_by_role("button", name="Send again")
    for number in range(await buttons.count()):
        await buttons.nth(number).click()
        await payer.told("Done: Send again")
    for _ in range(TRIES):
        if all(event["tries"] is None for event in (await payer.stripe())["events"]):
            break
        await asyncio.sleep(TRIES_EVERY_S)
    assert await everything(payer) == before
    assert await payer.charges() == [52500]


async def everything(payer: Visit) -> Any:
    return await payer.api(
        """{ client { balance { amount { amount } } receipts { totalCount }
             accountHistory(first: 100) { nodes { id status amount { amount } } } } }"""
    )


@pytest.mark.parametrize("action", ["authenticate", "refund", "dispute", "close", "fail", "again"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b'{"id": "pi_none"}', b"[" * 10_000])
def test_invalid_action_is_refused_with_a_message(demo: Demo, action: str, body: bytes) -> None:
    response = httpx.post(f"{demo.url}/sandbox/actions/{action}", content=body, trust_env=False)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
