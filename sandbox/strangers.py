"""Objects of other programs in the same account, in every status and with the fewest fields.

The specification requires few of an object's fields, so another program's object may lack the
others. Its metadata may use the portal's names.
"""

import secrets
from typing import Any

from sandbox import objects
from sandbox.store import Object, Store

INTENTS = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
    "processing",
    "succeeded",
    "canceled",
)
SETUPS = tuple(status for status in INTENTS if status != "requires_capture")
REFUNDS = ("pending", "requires_action", "succeeded", "failed", "canceled", None)
DISPUTES = (
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
)
AMOUNT, CURRENCY = 2_500, "eur"
METADATA: tuple[Object, ...] = (
    {},
    {"order_id": "6735"},
    {"payment": "41", "practice": "north", "client": "77", "refund": "r-9"},
)


def settle_in(store: Store, account: str) -> int:
    """Create objects of every kind and status, full and minimal; return their number."""
    made = [
        *(
            foreign_payment(store, account, status, metadata)
            for status in INTENTS
            for metadata in METADATA
        ),
        *(bare_object(store, account, "payment_intent", "pi", status=status) for status in INTENTS),
        *(foreign_setup(store, account, status) for status in SETUPS),
        *(bare_setup(store, account, status) for status in SETUPS),
        *(foreign_refund(store, account, status) for status in REFUNDS),
        *(foreign_dispute(store, account, status) for status in DISPUTES),
        bare_object(store, account, "refund", "re", amount=AMOUNT, currency=CURRENCY),
        bare_object(store, account, "customer", "cus"),
        store.new(account, "customer", "cus", **objects.customer(name="A Stranger")),
        other_method(store, account),
    ]
    for one in made:
        store.tell(account, f"{one['object']}.updated", one)
    return len(made)


def bare_object(store: Store, account: str, kind: str, prefix: str, **facts: Any) -> Object:
    """Create an object with only the fields that the specification requires."""
    return store.new(account, kind, prefix, **facts)


def bare_setup(store: Store, account: str, status: str) -> Object:
    return bare_object(
        store,
        account,
        "setup_intent",
        "seti",
        payment_method_types=["us_bank_account"],
        status=status,
        usage="off_session",
    )


def foreign_payment(store: Store, account: str, status: str, metadata: Object) -> Object:
    """Create a PaymentIntent of another program. A paid one has its charge."""
    is_paid = status in ("succeeded", "requires_capture")
    intent = store.new(
        account,
        "payment_intent",
        "pi",
        **objects.payment_intent(
            amount=AMOUNT,
            amount_capturable=AMOUNT if status == "requires_capture" else 0,
            amount_received=AMOUNT if status == "succeeded" else 0,
            capture_method="manual" if status == "requires_capture" else "automatic",
            client_secret=f"pi_secret_{secrets.token_hex(12)}",
            currency=CURRENCY,
            metadata=metadata,
            payment_method_types=["card", "link"],
            status=status,
        ),
    )
    if is_paid:
        made = foreign_charge(store, account, intent["id"], captured=status == "succeeded")
        intent["latest_charge"] = made["id"]
        store.save(account, intent)
    return intent


def foreign_charge(
    store: Store, account: str, intent: str | None, *, captured: bool = True
) -> Object:
    facts = objects.charge(
        amount=AMOUNT,
        amount_captured=AMOUNT if captured else 0,
        captured=captured,
        currency=CURRENCY,
        payment_intent=intent,
    )
    return store.new(account, "charge", "ch", **facts)


def foreign_setup(store: Store, account: str, status: str) -> Object:
    facts = objects.setup_intent(status=status, client_secret="seti_secret_x")  # noqa: S106
    return store.new(account, "setup_intent", "seti", **facts)


def foreign_refund(store: Store, account: str, status: str | None) -> Object:
    """Create a refund of a charge without a PaymentIntent."""
    of = foreign_charge(store, account, None)
    facts = objects.refund(amount=500, currency=CURRENCY, charge=of["id"], status=status)
    return store.new(account, "refund", "re", **facts)


def foreign_dispute(store: Store, account: str, status: str) -> Object:
    of = foreign_charge(store, account, None)
    facts = objects.dispute(amount=AMOUNT, currency=CURRENCY, charge=of["id"], status=status)
    return store.new(account, "dispute", "du", **facts)


def other_method(store: Store, account: str) -> Object:
    """Create a PaymentMethod that is not a card."""
    facts = objects.payment_method(type="link", link={"email": None})
    return store.new(account, "payment_method", "pm", **facts)
