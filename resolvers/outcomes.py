"""What a mutation comes to: one of its result's types, and the values that its fields tell."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, Boolean, Integer, Text
from sqlalchemy.types import TypeEngine

from billing import refusals as billing
from billing.payments import Online
from billing.till import Till
from identity.door import Door
from models.row import ID
from resolvers.ids import bare
from resolvers.planner.later import Later, Refusal, bound, prefix
from resolvers.viewer import Viewer

# Of a token's text, and of its id.
Recognise = Callable[[str, dt.datetime], Awaitable[Viewer | None]]


@dataclass(frozen=True)
class Acting:
    """Who changes something, when (in UTC), from where, and what with.

    `recognise` finds the bearer of a token, `holder` that of a token's id. `address_hash` tells one
    network from another, and not which it is.
    """

    viewer: Viewer
    now: dt.datetime
    till: Till
    door: Door
    recognise: Recognise
    holder: Recognise
    address_hash: str | None
    payments: Online

    @property
    def today(self) -> dt.date:
        """The practice's day."""
        return self.viewer.day(self.now)


@dataclass(frozen=True)
class Outcome:
    """The name of a type of the contract, and what its fields are read from.

    `viewer`: with whose eyes, where it isn't who asked.
    """

    type: str
    values: Mapping[str, Any] = field(default_factory=dict)
    viewer: Viewer | None = None


class OutcomeRow:
    """An outcome as a plan knows it: its values are the request's, under the field's key."""

    def __init__(self, key: str) -> None:
        self.key = key

    def value(self, name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
        key = self.key
        return bound(Later(lambda asked: asked.outcomes[key].values.get(name)), type_)

    def text(self, name: str) -> BindParameter[Any]:
        return self.value(name, Text())

    def number(self, name: str) -> BindParameter[Any]:
        return self.value(name, Integer())

    def truth(self, name: str) -> BindParameter[Any]:
        return self.value(name, Boolean())

    def id(self, name: str) -> BindParameter[Any]:
        return self.value(name, ID)


# -- refusals --------------------------------------------------------------------------------------


async def refusable(do: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """What it comes to, which may be a refusal."""
    try:
        return await do()
    except billing.Refusal as refusal:
        return refused(refusal)


def refused(refusal: billing.Refusal) -> Outcome:
    values: dict[str, Any] = {"code": refusal.code, "message": str(refusal)}
    if refusal.path is not None:
        # Names of the contract: none needs escaping.
        values["path"] = "[" + ",".join(f'"{name}"' for name in refusal.path) + "]"
    match refusal:
        case billing.AmountChanged():
            values |= {"expected": refusal.expected_minor, "payable": refusal.payable_minor}
        case billing.AmountTooSmall():
            values |= {"minimum": refusal.minimum_minor}
        case billing.AmountTooLarge():
            values |= {"maximum": refusal.maximum_minor}
        case billing.PaymentInProgress():
            values |= {"payment_id": refusal.payment_id}
        case billing.TooManyAttempts():
            values |= {"retry_at": f"{refusal.retry_at:%Y-%m-%dT%H:%M:%SZ}"}
        case billing.SignInCodeInvalid():
            values |= {"tries_left": refusal.tries_left}
        case billing.CardRefused():
            values |= {"reason": refusal.reason}
    return Outcome(type(refusal).__name__, values)


def unavailable() -> Refusal:
    """Stripe is out of reach before anything was begun: no refusal of the contract's fits."""
    return Refusal("UNAVAILABLE", "Stripe doesn't answer, and nothing was begun: try again")


def busy() -> Refusal:
    """Return the refusal where the database was not had in time."""
    return Refusal(
        "UNAVAILABLE", "the database is busy: send the same again in a moment, with the same key"
    )


def read_id(id_: str, kind: str, path: Sequence[str]) -> str:
    """The row's id in an API id of this kind."""
    try:
        if prefix(id_) != kind:
            raise Refusal("BAD_ID", "another kind")
        return bare(id_)
    except Refusal:
        message = f"Not an id of this kind: it would begin with {kind}_."
        raise billing.InvalidInput(message, path) from None
