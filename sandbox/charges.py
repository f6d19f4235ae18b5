"""Charges: each try of a payment at the bank, including declined ones."""

from typing import Any

from sandbox import objects
from sandbox.errors import error
from sandbox.store import Object, Store, public_view

DECLINED = "Your card was declined."


def create_charge(
    store: Store,
    account: str,
    intent: Object,
    method: Object,
    *,
    code: str | None = None,
    decline_code: str | None = None,
) -> Object:
    """Create the charge of an intent by a card. `code` is the bank's decline."""
    failure = {"failure_code": code, "failure_message": DECLINED, "paid": False}
    return store.new(
        account,
        "charge",
        "ch",
        **objects.charge(
            amount=intent["amount"],
            amount_captured=0 if code else intent["amount"],
            billing_details=method["billing_details"],
            captured=code is None,
            currency=intent["currency"],
            customer=intent["customer"],
            metadata=intent["metadata"],
            outcome=objects.outcome(code, decline_code),
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details=objects.charged_card(method["card"]),
            status="failed" if code else "succeeded",
            **(failure if code else {}),
        ),
    )


def declined(made: Object, method: Object, code: str, decline_code: str | None) -> Object:
    """Return the error of a charge that the bank declined."""
    facts: dict[str, Any] = {"charge": made["id"], "payment_method": public_view(method)}
    return error("card_error", DECLINED, code, decline_code=decline_code, **facts)
