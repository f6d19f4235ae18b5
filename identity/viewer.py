"""The viewer of a request, as found by the look-up of a token."""

import datetime as dt
import uuid
from dataclasses import dataclass
from functools import cached_property

from billing.money import currency_digits
from billing.payments.context import local_day
from models import Scope, ViewerKind
from models.database import Caller


@dataclass(frozen=True)
class Viewer:
    """The person or program that a token belongs to.

    `subject_id` is the id of the client or contact; a program has none. `sole_client_id` is the
    only client of a client or contact, if there is exactly one. `is_sign_in` says that the token
    comes from signing in with the address `email`.
    """

    kind: ViewerKind
    practice_id: str
    token_id: str
    subject_id: str | None
    sole_client_id: str | None
    scopes: frozenset[Scope]
    currency: str
    time_zone: str
    expires_at: dt.datetime
    is_sign_in: bool = False
    email: str | None = None

    @property
    def owner(self) -> str:
        """Return the owner to charge for cache entries: a person, or a program's token."""
        return self.subject_id or self.token_id

    @property
    def contact_id(self) -> str | None:
        """Return the id of a viewer who is a contact: the holder of cards and payer of payments."""
        return self.subject_id if self.kind is ViewerKind.CONTACT else None

    @cached_property
    def rights(self) -> tuple[ViewerKind, bool, int, frozenset[Scope]]:
        """Return the properties that plans and refusals depend on."""
        has_sole_client = self.sole_client_id is not None
        return self.kind, has_sole_client, currency_digits(self.currency), self.scopes

    def day(self, moment: dt.datetime) -> dt.date:
        """Return the day of a time in the practice's time zone."""
        return local_day(moment, self.time_zone)

    @cached_property
    def caller(self) -> Caller:
        """Return the caller that the viewer's statements are counted for."""
        if self.token_id == NOWHERE:
            return Caller(self.practice_id)
        # An integration reads what it has just written.
        may_lag = self.kind is ViewerKind.DASHBOARD
        return Caller(
            self.practice_id, self.token_id, is_dashboard=self.kind.is_program, may_lag=may_lag
        )


NOWHERE = str(uuid.UUID(int=0))
# A viewer without access to any row, for requests without a token.
NOBODY = Viewer(
    ViewerKind.CLIENT,
    practice_id=NOWHERE,
    token_id=NOWHERE,
    subject_id=NOWHERE,
    sole_client_id=NOWHERE,
    scopes=frozenset(),
    currency="USD",
    time_zone="UTC",
    expires_at=dt.datetime.min.replace(tzinfo=dt.UTC),
)
