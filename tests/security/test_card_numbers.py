"""Card numbers are refused in every input, and similar digits are accepted."""

import logging
import random
import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from graphql import parse
from sqlalchemy import inspect, text

from execution.card_number_filter import (
    card_number_in_literals,
    card_number_in_variables,
    is_card_number,
)
from models.ids import new_id
from tests.conftest import SEED
from tests.support.payments import Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NUMBER, OTHER_NUMBER = "4242424242424242", "5555555555554444"
WRITTEN = [NUMBER, "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005",
           f"my card is {NUMBER}, thanks",
           f"01935e42-1234-7123-8123-123456789012 {NUMBER}",
           "6200000000000005", "30569309025904"]  # fmt: skip


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        yield portal


@pytest.mark.parametrize("written", WRITTEN)
def test_card_number_is_recognised(written: str) -> None:
    assert is_card_number(written)


@pytest.mark.parametrize("written", ["4242424242424243", "424242424242", "42424242424242424242",
                                     "a4242424242424242", "4242424242424242z",
                                     "4242  4242 4242 4242"])  # fmt: skip
def test_other_digits_are_not_taken_for_a_card_number(written: str) -> None:
    assert not is_card_number(written)


PHONE = "8613800138002"


def is_refused(query: str, variables: dict[str, Any]) -> bool:
    document = parse(query)
    in_variables = card_number_in_variables(variables, document)
    return bool(card_number_in_literals(document) or in_variables)


def test_idempotency_keys_and_email_addresses_of_digits_are_accepted() -> None:
    """As literals, as variables, and as parts of a variable."""
    chance = random.Random(SEED)
    for _ in range(1_000):
        key = "".join(chance.choices("0123456789", k=chance.randrange(13, 20)))
        email = f"{key}@139.com"
        for name, value in (("idempotencyKey", key), ("email", email), ("email", f" {email} ")):
            value = value.strip()
            literal = f'mutation {{ a(input: {{{name}: "{value}"}}) {{ b }} }}'
            assert not is_refused(literal, {})
            within = f"mutation M($v: String!) {{ a(input: {{{name}: $v}}) {{ b }} }}"
            assert not is_refused(within, {"v": value})
            assert not is_refused("mutation M($i: I!) { a(input: $i) { b } }", {"i": {name: value}})


OF_INPUT = "mutation M($i: I!) { a(input: $i) { b } }"


@pytest.mark.parametrize("number", [NUMBER, "4242 4242 4242 4242", PHONE])
def test_input_names_of_keys_and_addresses_admit_no_card_number(number: str) -> None:
    assert is_refused(f'mutation {{ a(input: {{email: "{number}"}}) {{ b }} }}', {})
    address, key = f"{number}@x.example", {"idempotencyKey": {"x": number}}
    for input in ({"email": number}, {"note": address}, {number: "x"}, key):
        assert is_refused(OF_INPUT, {"i": input}), input
    # A variable's own name does not count, nor does one used for two inputs.
    both = "mutation M($email: S!) { a(input: {email: $email, note: $email}) { b } }"
    assert is_refused(both, {"email": address})
    own_name = "mutation M($idempotencyKey: S!) { a(note: $idempotencyKey) { b } }"
    assert is_refused(own_name, {"idempotencyKey": number})
    listed = "mutation M($k: [S!]) { a(idempotencyKey: [$k]) { b } }"
    assert is_refused(listed, {"k": [number]})


def test_ids_keys_and_zips_are_accepted() -> None:
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
    """Return inputs of `pay`, each with the number in another of its strings."""
    money = {"amount": "100.00", "currency": "USD"}
    whole: dict[str, Any] = {
        "expectedAmount": money,
        "source": {"newCard": {"confirmationToken": "ctoken_abcdefgh12345678"}},
        "idempotencyKey": "a-key-of-a-page-0001",
    }
    return [
        whole | {"clientId": written},
        whole | {"invoiceId": written},
        whole | {"expectedAmount": money | {"amount": written}},
        whole | {"expectedAmount": money | {"currency": written}},
        whole | {"source": {"paymentMethodId": written}},
        whole | {"source": {"newCard": {"confirmationToken": written}}},
        whole | {written: "x"},
    ]


async def test_card_number_in_any_input_is_refused_and_not_stored(
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


async def test_idempotency_key_is_stored_only_as_a_hash(
    portal: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    """A key may be digits alone. One that is a card's number is stored nowhere."""
    caplog.set_level(logging.DEBUG)
    await portal.invoice(10_000)
    input = portal.input(10_000, portal.card(), idempotencyKey=OTHER_NUMBER)
    first, second = [await portal.sent(input) for _ in range(2)]
    assert (first["payment"]["status"], first) == ("SUCCEEDED", second)
    assert OTHER_NUMBER not in await everything(portal)
    assert OTHER_NUMBER not in repr(portal.store.journal())
    assert OTHER_NUMBER not in caplog.text


async def everything(portal: Paying) -> str:
    """Return the text of all values in all tables."""
    async with portal.engine.connect() as conn:
        tables = await conn.run_sync(lambda sync: inspect(sync).get_table_names())
        found = [(await conn.execute(text(f'SELECT * FROM "{name}"'))).all() for name in tables]  # noqa: S608 (fixed names)
    return repr(found)
