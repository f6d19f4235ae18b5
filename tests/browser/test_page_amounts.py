"""The portal page's amounts for Stripe.js equal the gateway's, computed from their
decimal texts.
"""

import json
import subprocess
from typing import Any

import pytest

from bench import nodejs
from billing.money import currency_digits
from billing.stripe.currencies import SUPPORTED, NotChargeable, decimals, to_stripe
from tests.conftest import do_without
from tests.support.demo_server import PROJECT

MODULE = PROJECT / "web" / "portal" / "amounts.js"
HOW_TO_GET = "install Node, or name it in NODE"
# Answers each amount's integer; null if the module refuses the amount.
PROGRAM = """
const answers = JSON.parse(process.argv[1]).map(([money, decimals]) => {
    try { return stripeAmount(money, decimals); } catch { return null; }
});
process.stdout.write(JSON.stringify(answers));
"""
# Stripe's own examples, and the currencies whose units differ from ISO 4217.
WRITTEN = [
    ("USD", "12.50", 1_250),
    ("USD", "0.50", 50),
    ("JPY", "500", 500),
    ("KWD", "1.500", 1_500),
    ("ISK", "500", 50_000),
    ("UGX", "500", 50_000),
    ("MGA", "500.00", 500),
    ("MGA", "500.50", None),
]
# Floats have no exact value for most of these: 1.15 * 100 is 114.99999999999999.
MINORS = [1, 29, 50, 57, 100, 115, 1_005, 1_999, 52_500, 99_999_999]


def computed(amounts: list[tuple[dict[str, str], int]], request: pytest.FixtureRequest) -> Any:
    """Run the page's module in Node over amounts and their decimals at Stripe."""
    programs = [program for _, program in nodejs.said()]
    if not programs:
        do_without(request.config, "node", HOW_TO_GET)
    script = MODULE.read_text() + PROGRAM
    command = [programs[0], "--input-type=module", "-e", script, json.dumps(amounts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def money(currency: str, minor: int) -> dict[str, str]:
    """Return an amount as the API writes it."""
    places = currency_digits(currency)
    text = str(minor).rjust(places + 1, "0")
    amount = f"{text[:-places]}.{text[-places:]}" if places else text
    return {"amount": amount, "currency": currency}


def charged(currency: str, minor: int) -> int | None:
    """Return the gateway's amount for Stripe; None if the amount cannot be charged."""
    try:
        return to_stripe(minor, currency)
    except NotChargeable:
        return None


def test_amounts_are_in_stripes_units(request: pytest.FixtureRequest) -> None:
    given = [
        ({"amount": amount, "currency": currency}, decimals(currency))
        for currency, amount, _ in WRITTEN
    ]
    assert computed(given, request) == [units for *_, units in WRITTEN]


def test_forms_amount_is_the_gateways(request: pytest.FixtureRequest) -> None:
    """In each currency, for each amount that the gateway can charge."""
    pairs = [(currency, minor) for currency in sorted(SUPPORTED) for minor in MINORS]
    units = [charged(currency, minor) for currency, minor in pairs]
    given = [(money(currency, minor), decimals(currency)) for currency, minor in pairs]
    answers = computed(given, request)
    assert all(answer is None or type(answer) is int for answer in answers)
    differing = [
        (pair, unit, answer)
        for pair, unit, answer in zip(pairs, units, answers, strict=True)
        if unit is not None and unit != answer
    ]
    assert differing == []
