"""Card numbers get in nowhere, and what only looks like one is let through."""

import logging
import random
import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import inspect, text

from graph.card_numbers import is_card_number
from models.ids import new_id
from tests.conftest import SEED
from tests.paying import Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NUMBER = "4242424242424242"
WRITTEN = [NUMBER, "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005",
           f"my card is {NUMBER}, thanks",
           f"01935e42-1234-7123-8123-123456789012 {NUMBER}",
           "6200000000000005", "30569309025904"]  # fmt: skip


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


@pytest.mark.parametrize("written", WRITTEN)
def test_a_card_number_is_known(written: str) -> None:
    assert is_card_number(written)


@pytest.mark.parametrize("written", ["4242424242424243", "424242424242", "42424242424242424242",
                                     "a4242424242424242", "4242424242424242z",
                                     "4242  4242 4242 4242"])  # fmt: skip
def test_what_is_none_is_not_taken_for_one(written: str) -> None:
    assert not is_card_number(written)


def test_ids_keys_and_zips_are_not_refused() -> None:
    chance, letters = random.Random(SEED), "0123456789abcdefghijklmnopqrstuvwxyz"
    makers: list[Callable[[], str]] = [
        lambda: f"inv_{new_id()}",
        lambda: str(uuid.uuid4()),
        lambda: f"pay-{uuid.uuid4()}",
        lambda: secrets.token_hex(16),
        lambda: secrets.token_urlsafe(24),
        lambda: f"ctoken_{''.join(chance.choices(letters, k=24))}",
        lambda: f"{chance.randrange(100_000):05}-{chance.randrange(10_000):04}",
        lambda: f"{chance.randrange(10**9) / 100:.2f}",
    ]
    refused = [made for _ in range(100_000) if is_card_number(made := chance.choice(makers)())]
    assert refused == []


def places(written: str) -> list[dict[str, Any]]:
    """Inputs of `pay`, each with the number in another of its strings."""
    money = {"amount": "100.00", "currency": "USD"}
    whole: dict[str, Any] = {
        "expectedAmount": money,
        "source": {"newCard": {"confirmationToken": "ctoken_abcdefgh12345678"}},
        "idempotencyKey": "a-key-of-a-page-0001",
    }
    return [
        whole | {"clientId": written},
        whole | {"invoiceId": written},
        whole | {"idempotencyKey": written},
        whole | {"expectedAmount": money | {"amount": written}},
        whole | {"expectedAmount": money | {"currency": written}},
        whole | {"source": {"paymentMethodId": written}},
        whole | {"source": {"newCard": {"confirmationToken": written}}},
        whole | {written: "x"},
    ]


async def test_a_card_number_in_any_input_is_refused_and_kept_nowhere(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await portal.invoice(10_000)
    query = "mutation P($i: PayInput!) { pay(input: $i) { __typename } }"
    requests = [(query, {"i": place}) for place in places(NUMBER)]
    for field in ("refreshPayment", "cancelPayment"):
        literal = f'mutation {{ {field}(input: {{paymentId: "{NUMBER}"}}) {{ __typename }} }}'
        requests.append((literal, {}))
    for asked, variables in requests:
        answer = await portal.ask(asked, portal.bearer, **variables)
        assert answer.json()["errors"][0]["extensions"]["code"] == "CARD_NUMBER", variables
        assert NUMBER not in answer.text
    assert NUMBER not in caplog.text
    assert portal.store.journal() == []
    assert NUMBER not in await everything(portal)


async def everything(portal: Paying) -> str:
    """All values of all tables."""
    async with portal.engine.connect() as rows:
        tables = await rows.run_sync(lambda sync: inspect(sync).get_table_names())
        found = [(await rows.execute(text(f'SELECT * FROM "{name}"'))).all() for name in tables]  # noqa: S608 (names of our own)
    return repr(found)
