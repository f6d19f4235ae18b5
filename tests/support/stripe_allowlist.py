"""Allow-list of everything that may be sent to Stripe: opaque ids and an amount.

Stripe signs no agreement about health information. So no name or date of a service, no clinician
and no document's number is sent there. Every call that reaches the double is checked.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EXPAND = {"expand[0]": "payment_method", "expand[1]": "latest_charge.balance_transaction"}
LISTED = {
    "payment_intent": "pi_[0-9a-z]+",
    "created[gte]": "[0-9]+",
    "limit": "[0-9]+",
    "starting_after": r"\w+",
}
PARAMS: dict[str, dict[str, str]] = {
    "POST payment_intents": {
        "amount": "[0-9]+",
        "currency": "[a-z]{3}",
        "payment_method_types[0]": "card",
        "metadata[payment]": UUID,
        "metadata[practice]": UUID,
        "metadata[client]": UUID,
        "metadata[contact]": UUID,
        "metadata[invoice]": UUID,
        "metadata[consent]": "[0-9]{4}-[0-9]{2}",
        "metadata[default]": "yes",
        "customer": "cus_[0-9a-z_]+",
        "setup_future_usage": "on_session",
    },
    r"POST payment_intents/\w+/confirm": {
        "payment_method": "pm_[0-9a-z_]+",
        "confirmation_token": "ctoken_[0-9a-z]+",
        "use_stripe_sdk": "true",
        **EXPAND,
    },
    r"POST payment_intents/\w+/cancel": EXPAND,
    r"GET payment_intents/\w+": EXPAND,
    "GET payment_intents": LISTED | {"expand[0]": "data.latest_charge.balance_transaction"},
    "GET refunds": LISTED,
    "GET events": LISTED | {f"types[{n}]": r"[a-z_.]+" for n in range(20)},
    "GET disputes": LISTED,
    "GET setup_intents": LISTED,
    "GET customers": LISTED,
    "POST refunds": {
        "payment_intent": "pi_[0-9a-z]+",
        "amount": "[0-9]+",
        "metadata[refund]": UUID,
        "metadata[practice]": UUID,
        "metadata[key]": UUID,
        "metadata[invoice]": UUID,
    },
    "POST setup_intents": {
        "customer": "cus_[0-9a-z_]+",
        "usage": "on_session",
        "payment_method_types[0]": "card",
        "metadata[client]": UUID,
        "metadata[contact]": UUID,
        "metadata[practice]": UUID,
        "metadata[setup]": UUID,
        "metadata[consent]": "[0-9]{4}-[0-9]{2}",
    },
    r"POST setup_intents/\w+/cancel": EXPAND,
    r"GET setup_intents/\w+": EXPAND,
    r"GET payment_methods/\w+": {},
    r"POST payment_methods/\w+/detach": {},
    r"GET confirmation_tokens/\w+": {},
    "GET account": {},
    "GET webhook_endpoints": {"limit": "[0-9]+", "starting_after": r"\w+"},
    r"GET customers/\w+": {},
    r"GET customers/\w+/payment_methods": {
        "type": "card",
        "limit": "[0-9]+",
        "starting_after": r"\w+",
    },
    r"DELETE customers/\w+": {},
    "POST customers": {
        "metadata[client]": UUID,
        "metadata[contact]": UUID,
        "metadata[practice]": UUID,
    },
}
# The SDK gives a random key to a call without one.
KEY = re.compile(rf"{UUID}(?:-(?:create|confirm|customer|setup|refund)(?:-\d+)*)?")


def hold(journal: Sequence[dict[str, Any]]) -> None:
    """Fail on the first call, parameter, value or idempotency key that is not on the list."""
    for sent in journal:
        called = f"{sent['method']} {sent['path']}"
        allowed = next((p for call, p in PARAMS.items() if re.fullmatch(call, called)), None)
        assert allowed is not None, f"not on the list: {called}"
        for name, value in flat(sent["params"]):
            known = allowed.get(name)
            assert known is not None, f"not on the list: {name} in {called}"
            assert re.fullmatch(known, str(value)), f"not on the list: {name}={value} in {called}"
        assert sent["key"] is None or KEY.fullmatch(sent["key"]), sent["key"]


def flat(params: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    items = enumerate(params) if isinstance(params, list) else params.items()
    for name, value in items:
        path = f"{inside}[{name}]" if inside else str(name)
        if isinstance(value, dict | list):
            yield from flat(value, path)
        else:
            yield path, value
