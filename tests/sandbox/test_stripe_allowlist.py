"""Allow-list of the parameters that may be sent to Stripe."""

from typing import Any

import pytest

from models.ids import new_id
from tests.support.stripe_allowlist import hold

PAYMENT, PRACTICE = new_id(), new_id()
GOOD: dict[str, Any] = {
    "method": "POST",
    "path": "payment_intents",
    "key": f"{PAYMENT}-create",
    "params": {
        "amount": "10000",
        "currency": "usd",
        "metadata": {"payment": PAYMENT, "practice": PRACTICE},
    },
}


def test_parameters_of_a_payment_are_on_the_list() -> None:
    hold([GOOD])


@pytest.mark.parametrize(
    "more",
    [
        {"description": "Session with Dr. Lee"},
        {"statement_descriptor": "THERAPY"},
        {"metadata": {"payment": PAYMENT, "invoice": "INV-2026-0042"}},
        {"metadata": {"payment": "Ana Prieto"}},
        {"receipt_email": "ana@example.com"},
    ],
)
def test_other_parameters_are_not_on_the_list(more: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="not on the list"):
        hold([GOOD | {"params": GOOD["params"] | more}])


def test_other_calls_are_not_on_the_list() -> None:
    with pytest.raises(AssertionError, match="not on the list"):
        hold([GOOD | {"path": "charges"}])
