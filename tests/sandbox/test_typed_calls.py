"""Parameters of Stripe calls have the SDK's types, checked by mypy."""

import re
from pathlib import Path

import pytest
from mypy import api

from tests.support.process_pool import PROJECT

STRIPE = PROJECT / "billing" / "stripe"
CALLS = STRIPE / "api.py"
# Wrong calls to plant: the text to replace, and its replacement.
PLANTED = {
    "a parameter that Stripe has not": ('"payment_method_types"', '"payment_method_kinds"'),
    "a value of another type": ("to_stripe(amount_minor, currency)", "currency"),
    "a value that Stripe has not": ('"usage": "on_session"', '"usage": "in_session"'),
    "a parameter of another call": ('"use_stripe_sdk": True', '"save_card": True'),
    "a parameter that is missing": ('"currency": order.currency.lower(),', ""),
}


def told_of(text: str, folder: Path) -> str:
    """Return mypy's errors in this text of the calls' module, under the project's settings."""
    file = folder / "calls_of_stripe.py"
    file.write_text(text)
    settings = ["--config-file", str(PROJECT / "pyproject.toml"), "--no-error-summary"]
    told, failed, _ = api.run([*settings, str(file)])
    assert not failed, failed
    return told


@pytest.fixture(scope="module")
def calls() -> str:
    return CALLS.read_text()


def test_every_call_has_parameters_of_the_sdk() -> None:
    """`make check` has mypy check them."""
    sources = "".join(path.read_text() for path in sorted(STRIPE.glob("*.py")))
    sent = re.findall(r"params: (\w+) = ", sources)
    assert len(sent) >= 20
    assert all(name.endswith("Params") for name in sent)


@pytest.mark.rest
def test_calls_as_they_are_pass(calls: str, tmp_path: Path) -> None:
    assert told_of(calls, tmp_path) == ""


@pytest.mark.rest
@pytest.mark.parametrize("fault", PLANTED)
def test_wrong_call_is_found(calls: str, tmp_path: Path, fault: str) -> None:
    right, wrong = PLANTED[fault]
    assert right in calls
    assert re.search(
        r"\[(typeddict|dict)-\S+\]$", told_of(calls.replace(right, wrong, 1), tmp_path)
    )
