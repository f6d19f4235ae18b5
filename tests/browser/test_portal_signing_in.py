"""Sign-in by mail at the portal page, from the request to the end in a real browser."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.accessible import is_accessible
from tests.browser.visiting import PATIENCE_MS, Visit, visit

pytestmark = pytest.mark.browser

REQUEST = "mutation($input: RequestSignInLinkInput!) { requestSignInLink(input: $input) { nonce } }"
EMAIL, UNKNOWN = "renee.oharalindqvist@example.com", "nobody@example.com"


async def ask_for_mail(visitor: Visit, email: str = EMAIL) -> None:
    await visitor.page.goto(f"{visitor.demo.url}/portal/")
    await visitor.title("Sign in")
    await visitor.page.get_by_label("E-mail address").fill(email)
    await visitor.click("Send me a mail")
    await visitor.title("Look into your mail")


@asynccontextmanager
async def the_mail(visitor: Visit) -> AsyncIterator[Page]:
    """Open the demo's mail in a tab, by the page's link."""
    async with visitor.page.context.expect_page() as opened:
        await visitor.click("The demo's mail")
    mail = await opened.value
    mail.set_default_timeout(PATIENCE_MS)
    yield mail
    await mail.close()


async def link_of(mail: Page) -> str:
    """Return the address of the newest mail's link."""
    link = mail.locator("article a").first
    await expect(link).to_be_visible()
    return str(await link.get_attribute("href"))


async def test_link_of_the_mail_signs_in_until_signed_out(payer: Visit) -> None:
    await ask_for_mail(payer)
    await is_accessible(payer.page)
    async with the_mail(payer) as mail:
        link = await link_of(mail)
        await expect(mail.get_by_role("heading", level=2)).to_have_text(
            "Sign in to Harbor Lane Therapy"
        )
        await is_accessible(mail)
        assert link.startswith(f"{payer.demo.url}/portal/#/sign-in/")
        # A mail program opens the link in a tab of its own.
        await mail.goto(link)
        await expect(mail.get_by_role("heading", level=1)).to_have_text("Billing & Payments")
        await expect(mail.locator(".figure")).to_have_text("$525.00")
        secret = link.rpartition("/")[2]
        assert secret not in mail.url
        assert secret not in await mail.evaluate("JSON.stringify([localStorage, sessionStorage])")
        await mail.reload()
        await expect(mail.locator(".figure")).to_have_text("$525.00")
        token = await mail.evaluate("sessionStorage.getItem('token')")
        assert await status(payer, token) == 200
        await mail.get_by_role("button", name="Sign out").click()
        await expect(mail.get_by_role("heading", level=1)).to_have_text("Sign in")
        await expect(mail.locator("#notice")).to_have_text("You are signed out.")
    assert await status(payer, token) == 401
    await payer.is_clean()


async def status(payer: Visit, token: str) -> int:
    """Return the response's status to a query with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"query": "{ viewer { name } }"}
        return (
            await client.post(f"{payer.demo.url}/graphql", json=body, headers=headers)
        ).status_code


@pytest.mark.rest
async def test_link_in_another_browser_says_where_to_open_it(payer: Visit) -> None:
    await ask_for_mail(payer)
    async with the_mail(payer) as mail:
        link = await link_of(mail)
        nonces = await payer.page.evaluate("localStorage.getItem('sign-in-nonces')")
        # Another browser has no nonces.
        await payer.page.evaluate("localStorage.clear()")
        await mail.goto(link)
        problem = mail.locator(".error:visible")
        await expect(problem).to_contain_text("Open it in the browser that you asked from")
        # The link still works in the first browser.
        await payer.page.evaluate("(kept) => localStorage.setItem('sign-in-nonces', kept)", nonces)
        await mail.goto("about:blank")
        await mail.goto(link)
        await expect(mail.locator(".figure")).to_have_text("$525.00")


async def test_code_of_the_mail_signs_in_the_requesting_page(payer: Visit) -> None:
    await ask_for_mail(payer)
    async with the_mail(payer) as mail:
        text = await mail.locator("article pre").first.inner_text()
    await payer.page.get_by_label("Code").fill("000 000")
    await payer.click("Sign in with the code")
    await payer.problem("This code doesn't sign you in")
    (code,) = re.findall(r"type this code .*: (\d{3} \d{3})", text)
    await payer.page.get_by_label("Code").fill(code)
    await payer.click("Sign in with the code")
    await payer.title("Billing & Payments")
    await expect(payer.page.locator(".figure")).to_have_text("$525.00")
    await payer.is_clean()


@pytest.mark.rest
async def test_client_who_is_a_guardian_switches_between_both(payer: Visit) -> None:
    with closing(sqlite3.connect(payer.demo.folder / ".demo" / "portal.sqlite")) as file:
        # The guardian of two clients of the same practice.
        file.execute(
            "UPDATE contact SET email = ?"
            " WHERE id = (SELECT contact_id FROM token WHERE name = 'demo guardian')",
            (EMAIL,),
        )
        file.commit()
    await ask_for_mail(payer)
    async with the_mail(payer) as mail:
        link = await link_of(mail)
    await payer.page.goto(link)
    await payer.title("Billing & Payments")
    await expect(payer.page.locator(".figure")).to_have_text("$525.00")
    people = payer.page.get_by_label("Signed in as")
    (client, guardian) = await people.locator("option").all_inner_texts()
    assert guardian.endswith(", for others")
    await people.select_option(guardian)
    await expect(payer.page.get_by_label("Billing of").locator("option")).to_have_count(2)
    await is_accessible(payer.page)
    await people.select_option(client)
    await expect(payer.page.get_by_label("Billing of")).to_have_count(0)
    await expect(payer.page.locator(".figure")).to_have_text("$525.00")
    await payer.is_clean()


@pytest.mark.rest
async def test_page_says_if_no_other_mail_was_sent(payer: Visit) -> None:
    for _ in range(4):
        await payer.api(REQUEST, input={"email": UNKNOWN})
    unknown = await asked_for_one_too_many(payer, UNKNOWN)
    for _ in range(4):
        await ask_for_mail(payer)
    assert await asked_for_one_too_many(payer, EMAIL) == unknown
    assert "No other mail was sent" in unknown
    async with the_mail(payer) as mail:
        await mail.goto(await link_of(mail))
        await expect(mail.locator(".figure")).to_have_text("$525.00")


async def asked_for_one_too_many(payer: Visit, email: str) -> str:
    """Ask for a mail, and return the page's text without the address and the time."""
    await ask_for_mail(payer, email)
    text = await payer.page.locator("main").inner_text()
    await is_accessible(payer.page)
    return re.sub(r"\d+:\d+", "", text.replace(email, ""))


@pytest.mark.rest
async def test_link_works_once_and_an_unknown_address_reads_the_same(payer: Visit) -> None:
    await ask_for_mail(payer, UNKNOWN)
    unknown = await payer.page.locator("main").inner_text()
    await ask_for_mail(payer)
    known = await payer.page.locator("main").inner_text()
    assert known.splitlines()[0] == unknown.splitlines()[0]
    assert (
        known.replace(EMAIL, "").split("until")[0]
        == (unknown.replace(UNKNOWN, "").split("until")[0])
    )
    async with the_mail(payer) as mail:
        link = await link_of(mail)
        assert await mail.locator("article").count() == 1
        await mail.goto(link)
        await expect(mail.locator(".figure")).to_be_visible()
        await mail.get_by_role("button", name="Sign out").click()
        await expect(mail.get_by_role("heading", level=1)).to_have_text("Sign in")
        await mail.goto("about:blank")
        await mail.goto(link)
        await expect(mail.locator(".error:visible")).to_contain_text("a link works once")


@pytest.mark.rest
async def test_other_sign_ins_are_listed_and_ended(chrome: BrowserContext, payer: Visit) -> None:
    async with visit(chrome, payer.demo) as second:
        for mails, visitor in enumerate((payer, second), 1):
            await ask_for_mail(visitor)
            async with the_mail(visitor) as mail:
                await expect(mail.locator("article")).to_have_count(mails)
                link = await link_of(mail)
            await visitor.page.goto(link)
            await visitor.title("Billing & Payments")
        await second.click("Sign-ins")
        await second.title("Where you are signed in")
        await is_accessible(second.page)
        await expect(second.page.locator(".rows > li")).to_have_count(2)
        await second.click("Sign it out")
        await second.told("It is signed out.")
        await expect(second.page.locator(".rows > li")).to_have_count(1)
        await second.is_clean()
    await payer.go("/sign-ins", "Sign in")
    await payer.problem("You are signed in no more")
    assert all("401" in complaint for complaint in payer.watched.complaints)
