"""Stripe's errors, as its API writes them."""

from typing import Any


class StripeError(Exception):
    """`status` of HTTP, and the error's object."""

    def __init__(self, status: int, type_: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": type_, "message": message, **more}


def invalid(
    message: str, code: str | None = None, param: str | None = None, **more: Any
) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code=code, param=param, **more)


def missing(kind: str, id_: str) -> StripeError:
    message = f"No such {kind}: '{id_}'"
    return StripeError(404, "invalid_request_error", message, code="resource_missing", param="id")
