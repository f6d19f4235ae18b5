"""Payments at the portal page in a real browser, and the resulting charges in the sandbox."""

import json
import os
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from server.cli.credit_admin import give
from server.settings import Settings
from tests.browser import pictures
from tests.browser.accessible import is_accessible
from tests.browser.visiting import ASKS, DECLINED, MASTERCARD, VISA, Visit, minor, operation_name
from tests.support.portal import KEY

pytestmark = pytest.mark.browser

PAID = "Paid $525.00. Receipt RCP-"


async def is_paid(payer: Visit, *amounts: int) -> None:
    """Assert that page and history show the payment, and that only these amounts were charged."""
    await payer.told(PAID)
    await payer.title("Billing & Payments")
    assert await payer.balance() == "$0.00"
    first = (await payer.rows("Account History"))[:2]
    assert any("Payment" in row and "Paid" in row and "$525.00" in row for row in first), first
    assert await payer.charges() == [*amounts]
    await payer.is_clean()


async def test_balance_is_paid_by_a_new_card_that_is_saved(payer: Visit) -> None:
    await payer.sign_in()
    await payer.open_payment()
    await payer.another_card("4000 0566 5566 5556")
    await payer.page.get_by_label("Save Card").check()
    await payer.page.get_by_label("Make default").check()
    await payer.click("Pay $525.00")
    await is_paid(payer, 52500)
    cards = await payer.rows("Payment Methods")
    assert cards[0].startswith("Visa ending in 5556")
    assert ["Default Card" in card for card in cards] == [True, False, False, False]
    history = await payer.rows("Account History")
    assert not any("Unpaid" in row or "Partially paid" in row for row in history)


@pytest.mark.rest
async def test_card_that_is_not_saved_is_not_on_file(payer: Visit) -> None:
    await payer.begin_payment("4000 0566 5566 5556")
    await payer.click("Pay $525.00")
    await is_paid(payer, 52500)
    assert len(await payer.rows("Payment Methods")) == 3


async def test_one_invoice_is_paid_by_a_card_on_file(payer: Visit) -> None:
    await payer.arrive()
    number = (await payer.rows("Invoices"))[0].split()[0]
    await payer.page.get_by_role("link", name=number).first.click()
    await payer.title(f"Invoice {number}")
    pay = payer.page.get_by_role("link", name="Pay Now")
    amount = (await pay.inner_text()).removeprefix("Pay Now: ")
    await pay.click()
    await payer.title(f"Pay invoice {number}")
    names = await payer.page.locator("form dt").all_inner_texts()
    due, charged = await payer.page.locator("form dd").all_inner_texts()
    assert names == [f"Invoice {number}", "Due now, less unused credit"]
    assert (minor(due) - minor(charged), charged) == (2_500, amount)
    await payer.page.get_by_label("Mastercard ending in 4444").check()
    await payer.click(f"Pay {amount}")
    await payer.told(f"Paid {amount}")
    (invoice,) = [row for row in await payer.rows("Invoices") if row.startswith(number)]
    assert "Paid" in invoice
    of_it = [row for row in await payer.rows("Account History") if number in row]
    assert of_it
    assert all("Paid" in row for row in of_it)
    assert await payer.charges() == [round(float(amount.strip("$")) * 100)]


async def test_incomplete_and_declined_cards_are_reported_and_another_pays(payer: Visit) -> None:
    await payer.begin_payment("4242")
    await payer.click("Pay $525.00")
    await payer.problem("Your card number is incomplete.")
    assert payer.sent("Pay") == []
    await payer.fill(DECLINED)
    await payer.click("Pay $525.00")
    await payer.problem("The bank declined the card")
    await payer.fill(VISA)
    await payer.click("Pay $525.00")
    await is_paid(payer, 52500)
    history = await payer.rows("Account History")
    assert sum("Failed" in row for row in history) == 2
    first, second = (sent["input"]["idempotencyKey"] for sent in payer.sent("Pay"))
    assert first != second


async def test_approved_3d_secure_pays(payer: Visit) -> None:
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await payer.bank.get_by_role("button", name="Complete").click()
    await is_paid(payer, 52500)


async def test_failed_3d_secure_charges_nothing(payer: Visit) -> None:
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await payer.bank.get_by_role("button", name="Fail").click()
    await payer.problem("The bank could not confirm that it is you.")
    assert await payer.charges() == []


async def abandoned(payer: Visit) -> None:
    """Begin a payment with 3-D Secure, and reload the page."""
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await expect(payer.bank).to_be_visible()
    await payer.page.goto(f"{payer.demo.url}/portal/")
    await payer.title("Billing & Payments")
    waiting = payer.page.get_by_role("region", name="A payment of $525.00 is under way")
    await expect(waiting).to_be_visible()
    await expect(payer.page.get_by_role("link", name="Pay Now")).to_have_count(0)
    await expect(payer.page.get_by_text("A payment is under way.")).to_be_visible()


@pytest.mark.rest
async def test_abandoned_payment_can_be_continued(payer: Visit) -> None:
    await abandoned(payer)
    await payer.click("Confirm it")
    await payer.bank.get_by_role("button", name="Complete").click()
    await is_paid(payer, 52500)


@pytest.mark.rest
async def test_abandoned_payment_can_be_canceled(payer: Visit) -> None:
    await abandoned(payer)
    await payer.click("Cancel this payment")
    await payer.told("The payment was cancelled. Nothing was charged.")
    await payer.open_payment()
    await payer.click("Pay $525.00")
    await is_paid(payer, 52500)


async def test_closed_dialog_leaves_the_payment_waiting(payer: Visit) -> None:
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await expect(payer.bank).to_be_visible()
    await is_accessible(payer.page)
    await payer.page.keyboard.press("Escape")
    await payer.told("Your bank still waits for you to confirm the payment.")
    await expect(payer.page.get_by_role("button", name="Confirm it")).to_be_visible()
    assert await payer.charges() == []


async def test_double_click_is_one_charge(payer: Visit) -> None:
    await payer.begin_payment()
    await payer.page.get_by_role("button", name="Pay $525.00").dblclick()
    await is_paid(payer, 52500)
    assert len(payer.sent("Pay")) == 1


@pytest.mark.rest
async def test_lost_response_is_requested_again_with_the_same_key(payer: Visit) -> None:
    lost: list[str] = []

    async def lose(route: Route) -> None:
        """Forward the first payment to the server, and drop the response."""
        body = json.loads(route.request.post_data or "{}")
        if operation_name(body) == "Pay" and not lost:
            answer = await route.fetch()
            lost.append(await answer.text())
            await route.abort()
        else:
            await route.continue_()

    await payer.begin_payment()
    await payer.page.route("**/graphql", lose)
    await payer.click("Pay $525.00")
    await payer.told(PAID)
    assert "PaySucceeded" in lost[0]
    first, second = payer.sent("Pay")
    assert first == second
    assert await payer.charges() == [52500]


async def test_changed_balance_is_shown_and_not_charged(payer: Visit) -> None:
    await payer.begin_payment()
    found = await payer.api(
        """{ client { invoices(first: 1) { nodes { id payable { amount currency } } }
             paymentMethods { id } } }"""
    )
    (invoice,), card = found["client"]["invoices"]["nodes"], found["client"]["paymentMethods"][0]
    await payer.api(
        "mutation($input: PayInput!) { pay(input: $input) { __typename } }",
        input={
            "invoiceId": invoice["id"],
            "expectedAmount": invoice["payable"],
            "source": {"paymentMethodId": card["id"]},
            "idempotencyKey": "another-tab-pays-first",
        },
    )
    paid = round(float(invoice["payable"]["amount"]) * 100)
    await payer.click("Pay $525.00")
    rest = f"${(52500 - paid) / 100:.2f}"
    await payer.problem(f"It is {rest} now. Nothing was charged.")
    assert await payer.charges() == [paid]
    await payer.click(f"Pay {rest}")
    await payer.told(f"Paid {rest}")
    assert await payer.charges() == [paid, 52500 - paid]


@pytest.mark.rest
async def test_readmes_pictures_of_the_portal_can_be_taken(payer: Visit, tmp_path: Path) -> None:
    folder = Path(os.environ.get("PICTURES") or tmp_path / "pictures")
    taken = await pictures.portal(payer, folder)
    assert all(path.stat().st_size > 10_000 for path in taken)


# -- cards -----------------------------------------------------------------------------------------


async def test_cards_are_saved_and_the_default_is_chosen(payer: Visit) -> None:
    await payer.arrive()
    for number in ("4000 0566 5566 5556", "6011 1111 1111 1117"):
        await payer.click("+ New Card")
        await payer.title("New card")
        await payer.fill(number)
        await payer.click("Save Card")
        await payer.told(f"ending in {number[-4:]} is on file.")
    assert await default(payer) == "Visa ending in 4242"
    await payer.click("Make default: Discover ending in 1117")
    await payer.told("Discover ending in 1117 is the Default Card now.")
    assert await default(payer) == "Discover ending in 1117"

    await payer.click("+ New Card")
    await payer.title("New card")
    await payer.fill("4000 0566 5566 5556")
    await payer.page.get_by_label("Make default").check()
    await payer.click("Save Card")
    await payer.told("Visa ending in 5556 was on file before, and is up to date now.")
    assert await default(payer) == "Visa ending in 5556"
    assert len(await payer.rows("Payment Methods")) == 5

    # A card of the demo's data is recognised as the same card, too.
    await payer.click("+ New Card")
    await payer.title("New card")
    await payer.fill(MASTERCARD)
    await payer.click("Save Card")
    await payer.told("Mastercard ending in 4444 was on file before, and is up to date now.")
    assert len(await payer.rows("Payment Methods")) == 5

    await payer.click("Remove: Visa ending in 5556")
    await payer.told("Visa ending in 5556 is on file no more.")
    assert len(await payer.rows("Payment Methods")) == 4
    await default(payer)
    await payer.is_clean()


async def default(payer: Visit) -> str:
    """Return the default card, which has to be exactly one."""
    (row,) = [row for row in await payer.rows("Payment Methods") if "Default Card" in row]
    return " ".join(row.split()[:4])


@pytest.mark.share(2)
@pytest.mark.parametrize("bank", ["Complete", "Fail"])
async def test_card_is_saved_if_the_bank_approves(payer: Visit, bank: str) -> None:
    await payer.begin_card(ASKS)
    await payer.bank.get_by_role("button", name=bank).click()
    if bank == "Complete":
        await payer.told("Visa ending in 3155 is on file.")
    else:
        await payer.problem("The bank could not confirm that it is you.")


@pytest.mark.rest
async def test_declined_card_is_not_saved(payer: Visit) -> None:
    await payer.begin_card(DECLINED)
    await payer.problem("The bank declined the card")
    await payer.fill("6011 1111 1111 1117")
    await payer.click("Save Card")
    await payer.told("Discover ending in 1117 is on file.")


@pytest.mark.rest
async def test_balance_is_paid_by_keyboard_alone(payer: Visit) -> None:
    keyboard = payer.page.keyboard
    await payer.page.goto(f"{payer.demo.url}/portal/")
    await payer.title("Sign in")
    await tab_to(payer, "input[name=token]")
    await keyboard.type(payer.demo.tokens["client"])
    await keyboard.press("Enter")
    await payer.title("Billing & Payments")
    await tab_to(payer, "a[href='#/pay']")
    await keyboard.press("Enter")
    await payer.title("Pay your balance")
    await tab_to(payer, "form button.primary")
    await keyboard.press("Enter")
    await payer.told("Paid $525.00")


async def tab_to(payer: Visit, selector: str) -> None:
    for _ in range(30):
        await payer.page.keyboard.press("Tab")
        script = "(selector) => document.activeElement.matches(selector)"
        if await payer.page.evaluate(script, selector):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard")


@pytest.mark.rest
async def test_balance_is_paid_from_a_country_without_postal_codes(payer: Visit) -> None:
    await payer.begin_payment(VISA)
    await payer.page.get_by_label("My country has no postal codes").check()
    await expect(payer.page.get_by_label("Billing zip")).to_be_disabled()
    # The country that the form chooses first has postal codes.
    await payer.click("Pay $525.00")
    await payer.problem("billing postal code are required")
    await payer.page.get_by_label("Country", exact=True).select_option("AE")
    await payer.click("Pay $525.00")
    await is_paid(payer, 52500)


@pytest.mark.rest
async def test_balance_too_small_for_a_card_is_carried_to_the_next_bill(payer: Visit) -> None:
    client = (await payer.api("{ client { id } }"))["client"]["id"]
    file = payer.demo.folder / ".demo" / "portal.sqlite"
    settings = Settings(database_url=f"sqlite:///{file}", token_key=KEY)
    await give(settings, client, "524.70", "Courtesy", ("desk", None))
    await payer.arrive()
    balance = payer.section("Current balance")
    await expect(balance).to_contain_text("$0.30")
    await expect(balance).to_contain_text("It is carried to your next bill.")
    await expect(balance.get_by_role("link", name="Pay Now")).to_have_count(0)
