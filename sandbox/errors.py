"""Stripe's errors, as its API writes them.

Types, codes and statuses follow docs.stripe.com/api/errors and docs.stripe.com/error-codes. A fact
that is None is left out: the specification has no null in an error.
"""

from typing import Any

# The names that Stripe's sentences have for its kinds of objects.
LABELS = {
    "payment_method": "PaymentMethod",
    "setup_intent": "setupintent",
    "confirmation_token": "confirmationtoken",
}
DOCS = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """An error with its HTTP status and its object."""

    def __init__(self, status: int, type_: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = error(type_, message, **more)


def error(type_: str, message: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    """Return an error's object, also as used in `last_payment_error` and `last_setup_error`."""
    doc_url = DOCS + code.replace("_", "-") if code else None
    facts = {"code": code, "doc_url": doc_url, "message": message, **more, "type": type_}
    return {name: value for name, value in facts.items() if value is not None}


def invalid(
    message: str, code: str | None = None, param: str | None = None, **more: Any
) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code=code, param=param, **more)


def no_such_object(kind: str, id_: str, param: str | None = None) -> StripeError:
    """Return the error for an id that the account doesn't have.

    An id in the address gives a 404, an id in a parameter a 400.
    """
    message = f"No such {LABELS.get(kind, kind)}: '{id_}'"
    facts = {"code": "resource_missing", "param": param or "id"}
    return StripeError(400 if param else 404, "invalid_request_error", message, **facts)
