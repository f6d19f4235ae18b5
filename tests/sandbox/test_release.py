"""SDK, API version, Stripe.js, its types and the specification belong to one release train."""

import re

import stripe

from billing.stripe.release import API_VERSION, STRIPE_JS, TRAIN
from sandbox.version import VERSION
from tests.sandbox.specification.document import document
from tests.support.process_pool import PROJECT


def test_sdk_has_the_release_train() -> None:
    assert stripe._api_version._ApiVersion.CURRENT == API_VERSION
    assert stripe._api_version._ApiVersion.CURRENT_MAJOR == TRAIN


def test_specification_has_the_release_train() -> None:
    assert document()["version"] == API_VERSION


def test_double_has_the_release_train() -> None:
    assert VERSION == API_VERSION


def test_stripe_js_has_the_release_train() -> None:
    assert f"https://js.stripe.com/{TRAIN}/stripe.js" == STRIPE_JS
    page = PROJECT / "web" / "portal"
    named = [file for file in page.rglob("*.js") if re.search("js.stripe.com/", file.read_text())]
    assert named == []
