"""SDK, API version, Stripe.js, its types and the specification are of one release."""

import re

import stripe

from billing.gateway.train import API_VERSION, STRIPE_JS, TRAIN
from sandbox.version import VERSION
from tests.nursery import PROJECT
from tests.specification.document import document


def test_the_sdk_is_of_the_train() -> None:
    assert stripe._api_version._ApiVersion.CURRENT == API_VERSION
    assert stripe._api_version._ApiVersion.CURRENT_MAJOR == TRAIN


def test_the_specification_is_of_the_train() -> None:
    assert document()["version"] == API_VERSION


def test_the_double_speaks_the_train() -> None:
    assert VERSION == API_VERSION


def test_stripe_js_is_of_the_train() -> None:
    assert f"https://js.stripe.com/{TRAIN}/stripe.js" == STRIPE_JS
    page = PROJECT / "web" / "portal"
    named = [re.findall(r"js\.stripe\.com/\w+", file.read_text()) for file in page.rglob("*.js")]
    assert [name for names in named for name in names] == []
