"""The portal page's calls of Stripe.js.

The sandbox's stand-in refuses calls that Stripe's types do not allow. The page has the content
security policy for payments at Stripe itself.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Route, expect
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.stripe.release import STRIPE_JS
from models import CardSetup, Practice, database
from tests.browser.visiting import ASKS, DECLINED, VISA, Visit, minor, operation_name, visit
from tests.support import demo_server as demonstration
from tests.support.demo_server import PROJECT, Demo
from tests.support.processes import double

pytestmark = pytest.mark.browser

DISCOVER = "6011 1111 1111 1117"
# Counts the Stripe objects that the page makes.
COUNTED = """
window.made = [];
let real;
Object.defineProperty(window, "Stripe", {
    get: () => real,
    set: (stripe) => {
        real = (...given) => { window.made.push(given); return stripe(...given); };
    },
});
"""
OPTIONS = {"mode": "payment", "amount": 100, "currency": "usd", "paymentMethodTypes": ["card"]}
# Calls of the stand-in that Stripe's types or Stripe itself would refuse.
MISTAKES = {
    "an option that is none": OPTIONS | {"paymentMethods": ["card"]},
    "no mode": {"currency": "usd", "paymentMethodTypes": ["card"]},
    "a mode that is none": OPTIONS | {"mode": "pay"},
    "an amount as text": OPTIONS | {"amount": "100"},
    "an amount that is not whole": OPTIONS | {"amount": 1.5},
    "a currency in capitals": OPTIONS | {"currency": "USD"},
    "a usage that is none": OPTIONS | {"setupFutureUsage": "always"},
    "no types": {"mode": "payment", "amount": 100, "currency": "usd"},
}
REFUSED = """async (options) => {
    try { Stripe("pk_test_1").elements(options); } catch (error) { return error.name; }
}"""


def heard(payer: Visit, address: str) -> list[dict[str, Any]]:
    """Return a list that collects the bodies sent to an address of the sandbox from now on."""
    bodies: list[dict[str, Any]] = []
    payer.page.on(
        "request",
        lambda request: (
            bodies.append(json.loads(request.post_data or "{}"))
            if request.url.endswith(address)
            else None
        ),
    )
    return bodies


async def setups(payer: Visit) -> list[str]:
    """Return the states of the forms, according to the server."""
    engine = demo_rows(payer.demo)
    try:
        async with engine.connect() as conn:
            found = await conn.scalars(select(CardSetup.state).order_by(CardSetup.created_at))
            return [str(state) for state in found]
    finally:
        await engine.dispose()


def demo_rows(demo: Demo) -> AsyncEngine:
    return database.engine(f"sqlite:///{demo.folder / '.demo' / 'portal.sqlite'}")


@pytest.mark.share(2)
@pytest.mark.parametrize("number", [ASKS, DECLINED])
async def test_refusal_by_the_bank_is_reported_to_the_server(payer: Visit, number: str) -> None:
    """A failed 3-D Secure and a decline both count as attempts, and end the form."""
    await payer.begin_card(number)
    if number == ASKS:
        await payer.bank.get_by_role("button", name="Fail").click()
        await payer.problem("The bank could not confirm that it is you.")
    else:
        await payer.problem("The bank declined the card")
    assert len(payer.sent("AddCard")) == 1
    assert await setups(payer) == ["REFUSED"]
    await payer.fill(DISCOVER)
    await payer.click("Save Card")
    await payer.told("Discover ending in 1117 is on file.")
    assert await setups(payer) == ["REFUSED", "KEPT"]


async def test_refusal_before_the_bank_is_not_reported(payer: Visit) -> None:
    await payer.begin_card("4111 1111 1111 1111")
    await payer.problem("only Stripe's published test numbers are taken")
    assert payer.sent("AddCard") == []
    assert await setups(payer) == ["PREPARED"]


@pytest.mark.rest
async def test_closed_bank_dialog_leaves_the_card_waiting(payer: Visit) -> None:
    await payer.begin_card(ASKS)
    await expect(payer.bank).to_be_visible()
    await payer.page.keyboard.press("Escape")
    await payer.problem("The bank's page was closed.")
    assert payer.sent("AddCard") == []


async def test_lost_response_of_stripe_is_requested(payer: Visit) -> None:
    """Stripe confirmed the form, but the browser got no response."""

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await payer.page.route("**/sandbox/setup_intents/confirm", lose)
    await payer.begin_card(DISCOVER)
    await payer.told("Discover ending in 1117 is on file.")


@pytest.mark.rest
async def test_form_has_the_cards_future_usage(payer: Visit) -> None:
    """Stripe refuses a form that disagrees with its intent, so the page waits for updates."""
    tokens, confirmed = heard(payer, "/confirmation_tokens"), heard(payer, "/setup_intents/confirm")
    await payer.begin_payment(DECLINED)
    save = payer.page.get_by_label("Save Card")
    for ticked in (True, False, True):
        await payer.fill(DECLINED)
        # As fast as a program clicks, before the update has ended.
        await payer.page.evaluate(
            "() => { document.querySelector('[name=save]').click();"
            " document.querySelector('form button.primary').click(); }"
        )
        await expect(save).to_be_checked(checked=ticked)
        await payer.problem("The bank declined the card")
        await expect(payer.page.get_by_role("button", name="Pay $525.00")).to_be_enabled()
    assert [token["setupFutureUsage"] for token in tokens] == ["on_session", None, "on_session"]
    await payer.begin_card(DISCOVER)
    await payer.told("Discover ending in 1117 is on file.")
    assert [one["setupFutureUsage"] for one in confirmed] == ["on_session"]


@pytest.mark.rest
async def test_page_makes_one_stripe_object(payer: Visit) -> None:
    await payer.page.add_init_script(COUNTED)
    await payer.arrive()
    for _ in range(2):
        await payer.go("/pay", "Pay your balance")
        await payer.another_card(VISA)
        await payer.go("/new-card", "New card")
        await payer.fill(VISA)
    await payer.go("/pay", "Pay your balance")
    await payer.another_card(ASKS)
    await payer.click("Pay $525.00")
    await payer.bank.get_by_role("button", name="Complete").click()
    await payer.told("Paid $525.00")
    (given,) = await payer.page.evaluate("window.made")
    assert given[0] == "pk_test_sandbox"


async def test_changed_amount_updates_the_form(payer: Visit) -> None:
    """Stripe refuses a token of a form for another amount."""
    await payer.begin_payment(VISA)

    changed: list[bool] = []

    async def less(route: Route) -> None:
        """Send a smaller amount with the first click, like a page that was left open."""
        body = json.loads(route.request.post_data or "{}")
        if operation_name(body) == "Pay" and not changed:
            changed.append(True)
            body["variables"]["input"]["expectedAmount"]["amount"] = "500.00"
            await route.continue_(post_data=json.dumps(body))
        else:
            await route.continue_()

    await payer.page.route("**/graphql", less)
    await payer.click("Pay $525.00")
    await payer.problem("It is $525.00 now. Nothing was charged.")
    await payer.click("Pay $525.00")
    await payer.told("Paid $525.00")
    assert await payer.charges() == [52500]


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("currency", "units"), [("ISK", 5_250_000), ("UGX", 5_250_000), ("MGA", 525), ("KWD", 52_500)]
)
async def test_form_has_the_amount_in_stripes_units(
    payer: Visit, currency: str, units: int
) -> None:
    """Stripe's decimals of some currencies differ from ISO 4217."""
    await priced_in(payer.demo, currency)
    tokens = heard(payer, "/confirmation_tokens")
    await payer.begin_payment(VISA)
    await payer.click("Pay ")
    await payer.told("Paid ")
    assert [(one["amount"], one["currency"]) for one in tokens] == [(units, currency.lower())]
    assert await payer.charges() == [units]


async def priced_in(demo: Demo, currency: str) -> None:
    """Change the demo's currency, and keep the amounts' minor units."""
    engine = demo_rows(demo)
    async with engine.begin() as conn:
        await conn.execute(update(Practice).values(currency=currency))
    await engine.dispose()


@pytest.mark.rest
async def test_error_of_the_bank_dialog_is_shown(payer: Visit) -> None:
    await payer.begin_payment(ASKS)
    await payer.click("Pay $525.00")
    await expect(payer.bank).to_be_visible()
    await payer.page.keyboard.press("Escape")
    await payer.told("The bank's page was closed. Your bank still waits for you to confirm")


async def test_stand_in_refuses_calls_that_stripe_refuses(reader: Visit) -> None:
    await reader.begin_payment(VISA)
    assert await reader.page.evaluate(REFUSED, OPTIONS) is None
    found = {what: await reader.page.evaluate(REFUSED, given) for what, given in MISTAKES.items()}
    assert found == dict.fromkeys(MISTAKES, "IntegrationError")


# -- payments at Stripe ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the double in a process: Stripe's API, and the requests of Stripe.js."""
    with double(tmp_path_factory.mktemp("stripe")) as address:
        yield address


@pytest.fixture(scope="module")
def at_stripe(
    forked: demonstration.Run, stripe: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    """Run a demo with payments at Stripe, for all its visitors."""
    keys = {
        "STRIPE_API_KEY": "sk_test_double",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_double",
        "STRIPE_API_BASE": stripe,
    }
    run = partial(forked, environment=keys)
    folder = tmp_path_factory.mktemp("at-stripe")
    with demonstration.served(folder, "--stripe", run=run) as started:
        yield started


@pytest.fixture
async def visitor(chrome: BrowserContext, at_stripe: Demo, stripe: str) -> AsyncIterator[Visit]:
    """Yield a visitor whose browser reaches the stand-in at js.stripe.com, and the double at
    api.stripe.com.
    """
    text = (PROJECT / "sandbox" / "web" / "stripe.js").read_text()
    own = 'new URL("./", script.src)'
    assert own in text
    script = text.replace(own, 'new URL("https://api.stripe.com/sandbox/")')

    async def answer(route: Route) -> None:
        url = httpx.URL(route.request.url)
        open_to_all = {"Access-Control-Allow-Origin": "*"}
        if str(url) == STRIPE_JS:
            await route.fulfill(body=script, content_type="text/javascript")
        elif url.host == "api.stripe.com":
            body = route.request.post_data
            async with httpx.AsyncClient(base_url=stripe, trust_env=False) as client:
                told = await client.post(url.path, content=body)
            await route.fulfill(status=told.status_code, body=told.text, headers=open_to_all)
        else:
            await route.fulfill(body="<p>a frame of Stripe's</p>", content_type="text/html")

    async with visit(chrome, at_stripe) as visiting:
        await visiting.page.route("https://**/*", answer)
        yield visiting


async def charged(stripe: str) -> Counter[int]:
    async with httpx.AsyncClient(trust_env=False) as client:
        state = (await client.get(f"{stripe}/controls/state")).json()
    intents = state["payment_intent"]
    return Counter(one["amount"] for one in intents if one["status"] == "succeeded")


@pytest.mark.share(2)
@pytest.mark.parametrize(("number", "who"), [(VISA, "sibling"), (ASKS, "client")])
async def test_payment_at_stripe_succeeds_under_its_policy(
    visitor: Visit, stripe: str, number: str, who: str
) -> None:
    """Each card pays the balance of another client of the same demo."""
    before = await charged(stripe)
    await visitor.arrive(who=who)
    assert await visitor.rows("Payment Methods") == []
    balance = await visitor.balance()
    await visitor.open_payment()
    await visitor.another_card(number)
    await visitor.click(f"Pay {balance}")
    if number == ASKS:
        await visitor.bank.get_by_role("button", name="Complete").click()
    await visitor.told(f"Paid {balance}")
    assert await charged(stripe) - before == {minor(balance): 1}
    assert STRIPE_JS in visitor.watched.requests
    assert await visitor.watched.violations() == []
    assert visitor.watched.complaints == []
    hosts = {"https://js.stripe.com", "https://api.stripe.com", visitor.demo.url}
    assert visitor.watched.origins() == hosts


async def test_only_stripes_frames_are_allowed(visitor: Visit) -> None:
    await visitor.arrive()
    show = """(address) => new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.addEventListener("load", resolve);
        frame.src = address;
        document.body.append(frame);
    })"""
    for host in ("js.stripe.com", "b.js.stripe.com", "hooks.stripe.com"):
        await visitor.page.evaluate(show, f"https://{host}/frame")
    assert await visitor.watched.violations() == []
    for host in ("checkout.example", "stripe.com"):
        await visitor.page.evaluate(show, f"https://{host}/frame")
    refused = await visitor.watched.violations()
    assert [one.split(":")[0] for one in refused] == ["frame-src", "frame-src"]
