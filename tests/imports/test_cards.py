"""Imported cards: read from Stripe before the import's transaction, and put on file at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.stripe import Stripe
from models import CardBrand, PaymentMethod, Practice, StripeCustomer
from sandbox import customers, methods
from sandbox.app import app
from sandbox.faults import Fault
from tests.support.books import findings
from tests.support.entries import PRACTICE
from tests.support.import_folders import Folder, ImportDesk, import_database, small_folder
from tests.support.payments import ACCOUNT
from tests.support.stripe_double import Double

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
VISA, MASTERCARD = "4242424242424242", "5555555555554444"


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    """Return a practice with an account at Stripe, in the module's database."""
    account = f"{ACCOUNT}_{tmp_path.name}".replace("-", "_")[:60]
    desk = ImportDesk(engine, tmp_path / "export")
    return await desk.open(replace(PRACTICE, stripe_account=account))


@pytest.fixture
def double() -> Double:
    return Double()


class StripeOf:
    """Stripe's double, with cards in a practice's account."""

    def __init__(self, double: Double, account: str) -> None:
        self.double, self.account = double, account

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stripe]:
        transport = httpx.ASGITransport(app(self.double.store, self.double.api))
        stripe = Stripe("sk_test_double", base="http://stripe", transport=transport)
        try:
            yield stripe
        finally:
            await stripe.close()

    def customer_with(self, *numbers: str) -> list[str]:
        """Return a new customer, and cards that are attached to it."""
        store, found = self.double.store, list[str]()
        with store.transaction():
            customer = str(customers.create_customer(store, self.account, {})["id"])
            for number in numbers:
                card = methods.create_card(
                    store, self.account, number, 12, 2031, "Ana Prieto", "04101"
                )
                methods.attach(store, self.account, card, customer)
                found.append(str(card["id"]))
        return [customer, *found]


@pytest.fixture
async def stripe(desk: ImportDesk, double: Double) -> StripeOf:
    (practice,) = await desk.rows(Practice)
    return StripeOf(double, practice["stripe_account"])


def with_cards(*cards: tuple[str, str, str]) -> Folder:
    """Return the small folder with cards: of a client, a customer, and the card's id."""
    columns = "client_id", "stripe_customer", "stripe_payment_method"
    rows = [dict(zip(columns, card, strict=True)) for card in cards]
    return small_folder() | {"cards": [row | {"consented_on": "2025-06-01"} for row in rows]}


async def test_cards_are_put_on_file_as_stripe_has_them(desk: ImportDesk, stripe: StripeOf) -> None:
    customer, visa, mastercard = stripe.customer_with(VISA, MASTERCARD)
    folder = with_cards(("c1", customer, visa), ("c1", customer, mastercard))
    report = await desk.load(folder, open_stripe=stripe.open)
    assert [str(one) for one in report.faults] == []
    client = await desk.row_of("client", "c1")
    cards = await desk.rows(PaymentMethod, client_id=client)
    found = {
        (one["stripe_id"], one["brand"], one["last4"], one["exp_year"], one["is_default"])
        for one in cards
    }
    assert found == {
        (visa, CardBrand.VISA, "4242", 2031, True),
        (mastercard, CardBrand.MASTERCARD, "4444", 2031, False),
    }
    assert all(one["fingerprint"] for one in cards)
    assert {one["consented_at"].date().isoformat() for one in cards} == {"2025-06-01"}
    (recorded,) = await desk.rows(StripeCustomer)
    assert (recorded["client_id"], recorded["stripe_id"]) == (client, customer)
    assert await findings(desk.engine, desk.practice_id) == []
    # A card that was entered is not read from Stripe again.
    stripe.double.api.faults.append(Fault("GET payment_methods/", status=500, times=99))
    again = await desk.load(folder, open_stripe=stripe.open)
    assert again.counts["cards"] == {"new": 0, "changed": 0, "same": 2}
    assert len(await desk.rows(PaymentMethod)) == 2


async def test_stripe_that_does_not_answer_leaves_nothing(
    desk: ImportDesk, stripe: StripeOf
) -> None:
    customer, visa = stripe.customer_with(VISA)
    stripe.double.api.faults.append(Fault("GET payment_methods/", status=503, times=99))
    before = await desk.counts()
    report = await desk.load(with_cards(("c1", customer, visa)), open_stripe=stripe.open)
    assert [(str(one), one.code) for one in report.faults] == [
        ("cards.csv:2:stripe_payment_method: can't be read: Stripe doesn't answer at the moment:"
         " run the import again later", "STRIPE_UNAVAILABLE")
    ]  # fmt: skip
    assert await desk.counts() == before


@pytest.mark.twins(1)
async def test_stripe_is_read_outside_of_the_transaction(
    desk: ImportDesk, stripe: StripeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The practice's data is changed while a card is read. On SQLite it would wait for a lock."""
    customer, visa = stripe.customer_with(VISA)
    read = Stripe.method

    async def change_and_read(gateway: Stripe, *given: str) -> object:
        async with asyncio.timeout(30), desk.engine.begin() as conn:
            await conn.execute(update(Practice).values(phone="1"))
        return await read(gateway, *given)

    monkeypatch.setattr(Stripe, "method", change_and_read)
    report = await desk.load(with_cards(("c1", customer, visa)), open_stripe=stripe.open)
    assert report.is_imported
    assert len(await desk.rows(PaymentMethod)) == 1


async def test_wrong_cards_are_refused(desk: ImportDesk, stripe: StripeOf) -> None:
    customer, visa = stripe.customer_with(VISA)
    other, mastercard = stripe.customer_with(MASTERCARD)
    folder = with_cards(
        ("c1", customer, "pm_unknown"),
        ("c2", other, visa),
        ("c1", other, mastercard),
        ("c3", "4242 4242", "pm_1"),
    )
    before = await desk.counts()
    report = await desk.load(folder, open_stripe=stripe.open)
    assert [str(one) for one in report.faults] == [
        "cards.csv:2:stripe_payment_method: is no card in the practice's account at Stripe: correct"
        " the id",
        "cards.csv:3:stripe_customer: is the card of another customer at Stripe: correct one of the"
        " two ids",
        "cards.csv:4:stripe_customer: is the customer of another client: correct the id",
        "cards.csv:4:stripe_customer: is another customer than the client has at Stripe: move the"
        " cards to one customer at Stripe",
        "cards.csv:5:stripe_customer: is no id of Stripe: write the id that Stripe shows, as cus_…"
        " or pm_…",
    ]
    assert await desk.counts() == before


async def test_card_of_a_client_with_another_customer(desk: ImportDesk, stripe: StripeOf) -> None:
    customer, visa = stripe.customer_with(VISA)
    await desk.load(with_cards(("c1", customer, visa)), open_stripe=stripe.open)
    other, mastercard = stripe.customer_with(MASTERCARD)
    report = await desk.load(with_cards(("c1", other, mastercard)), open_stripe=stripe.open)
    assert [one.code for one in report.faults] == ["CUSTOMER_DIFFERS"]
    report = await desk.load(with_cards(("c2", customer, visa)), open_stripe=stripe.open)
    assert [one.code for one in report.faults] == ["CHANGED_AFTER_ENTRY"]
    assert len(await desk.rows(PaymentMethod)) == 1


async def test_practice_without_an_account_has_no_cards(desk: ImportDesk) -> None:
    report = await desk.load(with_cards(("c1", "cus_1", "pm_1")))
    assert [one.code for one in report.faults] == ["NO_STRIPE_ACCOUNT"]
