"""What comes with a new card: the cardholder's name and postal code, unless none are known."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing.payments.status import Wallet
from billing.postal_codes import has_postal_codes
from models import PaymentMethod
from tests.support.payments import Paying, paying
from tests.support.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
WALLETS = "{ practice { onlinePayments { wallets { applePay googlePay link } } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def pay_with(portal: Paying, **card: Any) -> dict[str, Any]:
    await portal.invoice(5_000)
    return await portal.pay(5_000, portal.card(**card))


# -- postal codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("country", ["AE", "HK"])
async def test_card_of_a_country_without_postal_codes_pays_and_is_saved(
    portal: Paying, country: str
) -> None:
    paid = await pay_with(portal, zip=None, country=country, saveCard=True)
    assert paid["__typename"] == "PaySucceeded"
    (card,) = await portal.all(PaymentMethod)
    assert card.billing_zip is None


@pytest.mark.parametrize("country", [None, "US", "GB", "XX"])
async def test_card_of_any_other_country_needs_a_postal_code(
    portal: Paying, country: str | None
) -> None:
    refused = await pay_with(portal, zip=None, country=country)
    assert refused["__typename"] == "InvalidInput"
    assert "postal code" in refused["message"]
    assert portal.charges() == []


async def test_name_is_needed_everywhere(portal: Paying) -> None:
    refused = await pay_with(portal, name=None, zip=None, country="AE")
    assert refused["__typename"] == "InvalidInput"


def test_countries_are_those_of_published_addresses() -> None:
    assert not any(map(has_postal_codes, ("AE", "AO", "HK", "QA", "UG", "ZW")))
    assert all(map(has_postal_codes, ("US", "CA", "GB", "DE", "IE", "JP", "IN", "BR")))


# -- wallets ---------------------------------------------------------------------------------------


async def test_wallets_card_pays_without_the_pages_own_fields(portal: Paying) -> None:
    paid = await pay_with(portal, name=None, zip=None, wallet="apple_pay")
    assert paid["__typename"] == "PaySucceeded"


@pytest.mark.parametrize("chosen", [[], [Wallet.APPLE_PAY, Wallet.LINK], [*Wallet]])
async def test_wallets_are_those_of_the_settings(
    new_database: NewDatabase, chosen: list[Wallet]
) -> None:
    async with new_database() as url, served(url, wallets=chosen) as portal:
        answer = (await portal.ask(WALLETS, await portal.token())).json()
    assert answer["data"]["practice"]["onlinePayments"]["wallets"] == {
        "applePay": Wallet.APPLE_PAY in chosen,
        "googlePay": Wallet.GOOGLE_PAY in chosen,
        "link": Wallet.LINK in chosen,
    }
