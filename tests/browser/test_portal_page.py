"""The portal page in a real browser: the contents of each view, and their accessibility."""

import datetime as dt
import sqlite3
from contextlib import closing

import pytest
from playwright.async_api import ViewportSize, expect

from tests.browser.accessible import is_accessible
from tests.browser.visiting import Visit, minor, operation_name
from tests.support import shares
from tests.support.demo_snapshot import PORTAL

pytestmark = pytest.mark.browser

PHONE, DESK = ViewportSize(width=360, height=740), ViewportSize(width=1400, height=850)
# The sizes at which axe checks each view.
CHECKED = (PHONE, DESK)[: shares.number(2, quick=1)]


async def test_signed_in_client_sees_balance_documents_history_and_cards(reader: Visit) -> None:
    await reader.sign_in()
    assert await reader.balance() == "$525.00"
    await expect(reader.page.get_by_role("link", name="Pay Now: $525.00")).to_be_visible()
    for name, prefix in {"Invoices": "INV-", "Statements": "STM-", "Superbills": "SB-"}.items():
        rows = await reader.rows(name)
        assert len(rows) == 5
        assert all(row.startswith(prefix) for row in rows)
    history = await reader.rows("Account History")
    assert any("Psychotherapy" in row and "Unpaid" in row for row in history)
    assert any("Payment by check" in row and "Paid" in row for row in history)
    cards = await reader.rows("Payment Methods")
    assert [row.startswith("Visa ending in 4242") for row in cards] == [True, False, False]
    assert ["Default Card" in row for row in cards] == [True, False, False]
    assert ["Expired" in row for row in cards] == [False, True, False]
    # The whole page is one operation, and each operation is one statement.
    assert [operation_name(one) for one in reader.operations] == ["Viewer", "Overview"]
    await reader.is_clean()


async def test_two_bills_less_credit_add_up_to_what_pay_now_charges(reader: Visit) -> None:
    await reader.arrive()
    await reader.page.get_by_text("How it adds up").click()
    amounts = await reader.page.locator("details dd").all_inner_texts()
    *bills, credit, payable, _ = [minor(text) for text in amounts]
    assert len(bills) == 2
    assert credit == -2500
    assert sum(bills) + credit == payable == 52500
    await reader.page.goto(f"{reader.demo.url}/portal/#/pay")
    await reader.title("Pay your balance")
    assert (await reader.page.locator("form dd").all_inner_texts()) == amounts[:-1]


async def test_wrong_token_is_reported_and_not_stored(reader: Visit) -> None:
    await reader.page.goto(f"{reader.demo.url}/portal/")
    await reader.page.get_by_label("Token").fill("cbp_wrong")
    await reader.click("Sign in")
    await reader.problem("The token doesn't work")
    assert "cbp_wrong" not in await reader.watched.kept()


async def test_sign_out_removes_the_token(reader: Visit) -> None:
    await reader.sign_in()
    token = reader.demo.tokens["client"]
    assert token in await reader.watched.kept()
    await reader.click("Sign out")
    await reader.title("Sign in")
    assert token not in await reader.watched.kept()
    await reader.page.reload()
    await reader.title("Sign in")


@pytest.mark.share(3)
@pytest.mark.parametrize(
    ("section", "kind", "table", "fact"),
    [
        ("Invoices", "Invoice", "Lines", "Due now"),
        ("Statements", "Statement", "Timeline", "Ending balance"),
        ("Superbills", "Superbill", "Visits", "NPI"),
    ],
)
async def test_each_document_opens(
    reader: Visit, section: str, kind: str, table: str, fact: str
) -> None:
    await reader.arrive()
    number = (await reader.rows(section))[1].split()[0]
    await reader.page.get_by_role("link", name=number).first.click()
    await reader.title(f"{kind} {number}")
    assert await reader.section(table).locator("tbody tr").count() > 0
    await expect(reader.page.locator("dt", has_text=fact)).to_be_visible()
    await reader.click("← Billing & Payments")
    await reader.title("Billing & Payments")
    await reader.is_clean()


async def test_invisible_invoice_is_not_found(reader: Visit) -> None:
    await reader.arrive(who="sibling")
    found = await reader.api("{ client { invoices(first: 1) { nodes { id } } } }")
    (invoice,) = found["client"]["invoices"]["nodes"]
    await reader.go(f"/invoices/{invoice['id']}", "That didn't work")
    await expect(reader.page.get_by_text("There is no such invoice.")).to_be_visible()


async def test_history_shows_the_chosen_days(reader: Visit) -> None:
    await reader.arrive()
    before = await reader.rows("Account History")
    query = """query($range: DateRange) { client {
        accountHistory(dateRange: $range, first: 100) { nodes { date } totalCount } } }"""
    whole = await reader.api(query, range={})
    days = sorted({entry["date"] for entry in whole["client"]["accountHistory"]["nodes"]})
    first, last = days[-12], days[-4]
    expected = await reader.api(query, range={"gte": first, "lte": last})

    await reader.page.get_by_label("From", exact=True).fill(first)
    await reader.page.get_by_label("To", exact=True).fill(last)
    await reader.click("Show these days")
    await expect(reader.section("Account History")).to_contain_text(f"Shown: {written(first)} to")
    shown = await whole_list(reader, "Account History", "More entries")
    assert len(shown) == expected["client"]["accountHistory"]["totalCount"]
    assert written(first) in shown[-1]
    assert written(last) in shown[0]

    await reader.click("Last 30 days")
    await expect(reader.section("Account History")).to_contain_text("Shown: the last 30 days")
    assert await reader.rows("Account History") == before


async def test_reversed_range_is_reported(reader: Visit) -> None:
    await reader.arrive()
    await reader.page.get_by_label("From", exact=True).fill("2026-03-02")
    await reader.page.get_by_label("To", exact=True).fill("2026-03-01")
    await reader.click("Show these days")
    await expect(reader.section("Account History").get_by_role("alert")).not_to_be_empty()


async def test_list_continues_to_its_end(reader: Visit) -> None:
    await reader.arrive()
    counted = await reader.api("{ client { invoices { totalCount } } }")
    rows = await whole_list(reader, "Invoices", "More invoices")
    assert len(set(rows)) == len(rows) == counted["client"]["invoices"]["totalCount"]


async def whole_list(reader: Visit, section: str, more: str) -> list[str]:
    button = reader.page.get_by_role("button", name=more)
    while await button.count():
        before = len(await reader.rows(section))
        await button.click()
        rows = reader.section(section).locator(".rows > li")
        await expect(rows.nth(before)).to_be_visible()
        await expect(reader.page.locator(f"button:disabled:has-text('{more}')")).to_have_count(0)
    return await reader.rows(section)


def written(day: str) -> str:
    """Return a day as the page writes it."""
    date = dt.date.fromisoformat(day)
    return f"{date:%b} {date.day}, {date.year}"


async def test_page_offers_no_payments_while_they_are_off(reader: Visit) -> None:
    await reader.arrive(who="stranger")
    assert (await reader.balance()).startswith("¥")
    await expect(reader.page.get_by_text("Pay Now")).to_have_count(0)
    await expect(reader.page.get_by_text("+ New Card")).to_have_count(0)
    await reader.go("/pay", "Pay your balance")
    await expect(reader.page.get_by_text("takes no payments online")).to_be_visible()
    await reader.go("/new-card", "New card")
    await expect(reader.page.get_by_text("No card can be added here.")).to_be_visible()


async def test_guardian_chooses_the_client(reader: Visit) -> None:
    await reader.arrive(who="guardian")
    choice = reader.page.get_by_label("Billing of")
    names = await choice.locator("option").all_inner_texts()
    assert len(names) == 2
    first = await reader.rows("Invoices")
    await choice.select_option(names[1])
    await expect(reader.section("Invoices")).not_to_contain_text(first[0].split()[0])
    await reader.page.reload()
    await reader.title("Billing & Payments")
    assert await choice.locator("option:checked").inner_text() == names[1]


async def test_each_view_is_accessible_and_fits_a_phone(reader: Visit) -> None:
    await reader.page.goto(f"{reader.demo.url}/portal/")
    await reader.title("Sign in")
    await is_accessible(reader.page)
    await reader.sign_in()
    await reader.page.get_by_text("How it adds up").click()
    views = {"/": "Billing & Payments", "/pay": "Pay your balance", "/new-card": "New card"}
    for kind in ("Invoice", "Statement", "Superbill"):
        address = f"/{kind.lower()}s/"
        found = await reader.page.locator(f"a[href*='#{address}']").first.get_attribute("href")
        views[str(found).removeprefix("#")] = kind
    for address, title in views.items():
        await reader.page.goto(f"{reader.demo.url}/portal/#{address}")
        await expect(reader.page.get_by_role("heading", level=1)).to_contain_text(title)
        if address == "/pay":
            await reader.page.get_by_label("Another card").check()
            await reader.page.get_by_label("Save Card").check()
        for size in (DESK, PHONE):
            await reader.page.set_viewport_size(size)
            if size in CHECKED:
                await is_accessible(reader.page)
            width = await reader.page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{title} is {width} wide"


async def test_inaccessible_field_is_found(reader: Visit) -> None:
    await reader.page.goto(f"{reader.demo.url}/portal/")
    await reader.title("Sign in")
    await reader.page.evaluate(
        """() => { const input = document.createElement("input");
            document.querySelector("form").append(input); }"""
    )
    with pytest.raises(AssertionError, match="label"):
        await is_accessible(reader.page)


async def test_guardian_shares_a_card_and_pays_with_it_for_both_children(payer: Visit) -> None:
    await payer.arrive(who="guardian")
    choice = payer.page.get_by_label("Billing of")
    names = await choice.locator("option").all_inner_texts()
    (card,) = await payer.rows("Payment Methods")
    assert card.startswith("Discover ending in 1117 Lucía Castañeda Ruiz")
    await payer.click("Share: Discover")
    await payer.told("Others who pay for this client can pay with Discover ending in 1117 now.")
    assert ["Shared" in row for row in await payer.rows("Payment Methods")] == [True]
    await is_accessible(payer.page)
    await payer.click("Stop sharing: Discover")
    await payer.told("Others can't pay with Discover ending in 1117 any more.")
    # The pay form offers the cards that were saved for both.
    await choice.select_option(names[0])
    await payer.open_payment()
    assert await payer.page.get_by_label("Discover ending in 1117").count() == 2


async def test_who_may_only_pay_is_shown_what_was_paid(payer: Visit) -> None:
    with closing(sqlite3.connect(payer.demo.folder / ".demo" / PORTAL)) as database, database:
        database.execute("UPDATE contact_right SET sees_documents = 0 WHERE can_pay")
    await payer.arrive(who="guardian")
    assert await payer.section("Your Payments").count() == 1
    await payer.open_payment()
    await payer.page.locator("button.primary").click()
    await payer.told("Receipt RCP-")
    (first, *_) = await payer.rows("Your Payments")
    assert first.startswith("Discover ending in 1117")
    assert "receipt RCP-" in first
    await is_accessible(payer.page)
    await payer.section("Your Payments").get_by_role("link", name="receipt").first.click()
    await expect(payer.page.get_by_role("heading", level=1)).to_contain_text("Receipt RCP-")
    await payer.is_clean()
