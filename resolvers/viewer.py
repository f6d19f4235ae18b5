"""Who asks: what a token's look-up tells of its bearer."""

import datetime as dt
from dataclasses import dataclass

from billing.till import day
from models import Scope, ViewerKind


@dataclass(frozen=True)
class Viewer:
    """`subject_id` is the client's or the contact's id; a dashboard has none.

    `sole_client_id` is the one client that a client or contact sees, if it is one.
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

    def day(self, moment: dt.datetime) -> dt.date:
        """The practice's day."""
        return day(moment, self.time_zone)
