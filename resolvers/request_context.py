"""The parts of a request that the values of a statement depend on."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from billing.documents.links import Links, Signer
from billing.payments.status import SANDBOX, Online
from identity.viewer import Viewer
from models.database import Caller
from planner.deferred import Deferred

T = TypeVar("T")


@dataclass(frozen=True)
class RequestContext:
    """The viewer, the time (in UTC), the variables and the server's own settings."""

    viewer: Viewer
    now: dt.datetime
    variables: Mapping[str, Any]
    online: Online = SANDBOX
    signer: Signer | None = None
    # The result of each field of a mutation, by response key.
    outcomes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        """Return the caller to charge. Results of mutations are read regardless of the budget."""
        caller = self.viewer.caller
        return replace(caller, reads_outcome=True) if self.outcomes else caller

    @cached_property
    def today(self) -> dt.date:
        """Return the current day in the practice's time zone."""
        return self.viewer.day(self.now)

    @cached_property
    def links(self) -> Links:
        """Return the document links of this viewer, which expire after some minutes."""
        assert self.signer is not None
        return self.signer.links(self.viewer.token_id, self.now)


def from_request(read: Callable[[RequestContext], T]) -> Deferred[T]:
    """Return a value that each request provides."""
    return Deferred(read)
