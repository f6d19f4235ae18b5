"""Who asks: what a token's look-up tells of its bearer."""

import datetime as dt
import uuid
from dataclasses import dataclass
from functools import cached_property

from billing.till import day
from models import Scope, ViewerKind
from models.database import Caller


@dataclass(frozen=True)
class Viewer:
    """`subject_id` is the client's or the contact's id; a dashboard has none.

    `sole_client_id` is the one client that a client or contact sees, if it is one; `is_sign_in`:
    the token came of signing in, with the mailbox `email`.
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
        """Who is charged for what is remembered of the viewer's requests: a person, not a token."""
        return self.subject_id or self.token_id

    def day(self, moment: dt.datetime) -> dt.date:
        """The practice's day."""
        return day(moment, self.time_zone)

    @cached_property
    def caller(self) -> Caller:
        """Whose statements are counted together."""
        if self.token_id == NOWHERE:
            return Caller(self.practice_id)
        return Caller(self.practice_id, self.token_id, self.kind is ViewerKind.DASHBOARD)


NOWHERE = str(uuid.UUID(int=0))
# Nobody: the client that no practice has, who sees no row of any.
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
