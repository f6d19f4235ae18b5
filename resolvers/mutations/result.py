"""Results of mutations: the name of a result type, and the values of its fields."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing import errors as billing
from billing.payments.context import PaymentContext
from billing.payments.status import Online
from identity.sign_in.context import SignInContext
from identity.viewer import Viewer
from planner.deferred import FieldError
from resolvers.ids import bare, id_prefix

# Finds the viewer of a token's text or of its id.
FindViewer = Callable[[str, dt.datetime], Awaitable[Viewer | None]]


@dataclass(frozen=True)
class MutationContext:
    """The context of a mutation: the viewer, the time (in UTC), and the services to use.

    `viewer_of_token` finds the bearer of a token, and `viewer_of_token_id` the bearer of a token's
    id. `address_hash` distinguishes network addresses without revealing them. `read_ids` collects
    ids of rows that results read although no argument has them.
    """

    viewer: Viewer
    now: dt.datetime
    payment_context: PaymentContext
    sign_in_context: SignInContext
    viewer_of_token: FindViewer
    viewer_of_token_id: FindViewer
    address_hash: str | None
    online: Online
    read_ids: set[str] = field(default_factory=set)

    @property
    def today(self) -> dt.date:
        """Return the current day in the practice's time zone."""
        return self.viewer.day(self.now)


@dataclass(frozen=True)
class Outcome:
    """The name of a result type, and the values that its fields are read from.

    `viewer` is the viewer that the result is read as, if it is not the viewer of the request.
    """

    type: str
    values: Mapping[str, Any] = field(default_factory=dict)
    viewer: Viewer | None = None


# -- refusals --------------------------------------------------------------------------------------


async def catch_user_errors(do: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Run a mutation and return its outcome. A Refusal becomes an outcome too."""
    try:
        return await do()
    except billing.UserError as refusal:
        return error_outcome(refusal)


def error_outcome(refusal: billing.UserError) -> Outcome:
    values: dict[str, Any] = {"code": refusal.code, "message": str(refusal)}
    if refusal.path is not None:
        # Names in the schema never need escaping.
        values["path"] = "[" + ",".join(f'"{name}"' for name in refusal.path) + "]"
    match refusal:
        case billing.AmountChangedError():
            values |= {"expected": refusal.expected_minor, "payable": refusal.payable_minor}
        case billing.AmountTooSmallError():
            values |= {"minimum": refusal.minimum_minor}
        case billing.AmountTooLargeError():
            values |= {"maximum": refusal.maximum_minor}
        case billing.PaymentInProgressError():
            values |= {"payment_id": refusal.payment_id}
        case billing.TooManyAttemptsError():
            values |= {"retry_at": f"{refusal.retry_at:%Y-%m-%dT%H:%M:%SZ}"}
        case billing.SignInCodeInvalidError():
            values |= {"tries_left": refusal.tries_left}
        case billing.CardRefusedError():
            values |= {"reason": refusal.reason}
    return Outcome(type(refusal).__name__.removesuffix("Error"), values)


def stripe_unavailable() -> FieldError:
    """Return the error for an unreachable Stripe, before anything was started.

    No refusal type of the schema describes this case.
    """
    return FieldError("UNAVAILABLE", "Stripe does not respond, and nothing was started: try again")


def database_busy() -> FieldError:
    """Return the error for a database that was not available in time."""
    return FieldError(
        "UNAVAILABLE",
        "the database is busy: send the same request again shortly, with the same key",
    )


def read_id(id_: str, kind: str, path: Sequence[str]) -> str:
    """Return the row id in an API id of this kind."""
    try:
        if id_prefix(id_) != kind:
            raise FieldError("BAD_ID", "another kind")
        return bare(id_)
    except FieldError:
        message = f"Not an id of this type, which begins with {kind}_."
        raise billing.InvalidInputError(message, path) from None
