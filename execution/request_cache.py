"""A cache of answered requests, by their exact body and the viewer's permissions.

Limits, scopes and validation depend only on the body and on these permissions. So a repeated body
is answered by the cached statement alone. The same statement looks up the token.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

from billing.money import currency_digits
from execution.authentication import Authenticator, CachedSession, ViewerChanged
from execution.executor import Executor
from execution.prepared_operation import PreparedOperation
from execution.read_audit import RequestReads
from execution.row_cost import RowCosts, Scans
from identity.viewer import Viewer
from models.database import StatementTooDeep
from models.measures import CACHE_LOOKUPS
from models.request_facts import note_operation
from planner.cache import FairCache
from planner.deferred import FieldError
from planner.json_text import NULL_VIOLATION
from planner.plan import ExecutedPlan
from resolvers.request_context import RequestContext

# Characters of statements and of request bodies. A body is weighted by SPREAD, since its parsed
# variables are kept with it and parsed JSON takes about that many times the memory of its text.
REMEMBERED, SPREAD = 2**25, 25

# A request's body, and the properties of the viewer that determine the response.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class CachedRequest:
    """The plan that answered a request, and the personal data that the request reads.

    An operation takes more memory than its text, and another cache decides how long it is kept.
    Once it is evicted, the request is processed in full again.
    """

    planned: ExecutedPlan
    ready: ref[PreparedOperation]
    reads: RequestReads | None
    scans: Scans


class RequestCache:
    """Answers repeated requests from the cache."""

    def __init__(
        self, executor: Executor, authenticator: Authenticator, row_costs: RowCosts
    ) -> None:
        self.executor, self.authenticator, self.row_costs = executor, authenticator, row_costs
        self.answered: FairCache[Key, CachedRequest] = FairCache(REMEMBERED, weight)

    def keep(self, body: bytes, viewer: Viewer, answered: CachedRequest) -> None:
        planned = answered.planned
        plan = planned.plan.specialize(planned.variables)
        settled = replace(answered, planned=replace(planned, plan=plan))
        key = body, *permission_key(viewer)
        self.answered.forget(key)
        self.answered.keep(key, settled, viewer.owner)

    async def answer(
        self, body: bytes, session: CachedSession, now: dt.datetime
    ) -> tuple[bytes, RequestReads | None] | None:
        """Return the response's JSON and the personal data that the request reads.

        Return None if the request needs full processing.
        """
        key = body, *permission_key(session.viewer)
        answered = self.answered.recall(key, session.viewer.owner)
        ready = answered.ready() if answered else None
        CACHE_LOOKUPS.add("answers", "hit" if ready else "miss")
        if answered is None or ready is None:
            return None
        note_operation(ready.label)
        # Another viewer with the same permissions may belong to a larger practice.
        if answered.scans and await self.row_costs.refuse(answered.scans, session.viewer):
            return None
        planned, executor = answered.planned, self.executor
        context = RequestContext(
            session.viewer, now, planned.variables, executor.online, executor.signer
        )
        try:
            values = planned.plan.values(context)
            text = await self.authenticator.authenticate_with(
                session, (planned.plan.sql, values), now
            )
        except (FieldError, StatementTooDeep, ViewerChanged):
            return None
        if text is None or NULL_VIOLATION in text:
            return None
        return text.encode(), answered.reads


def permission_key(viewer: Viewer) -> tuple[Any, ...]:
    """Return the properties of a viewer that plans and refusals depend on."""
    return (
        viewer.kind,
        viewer.sole_client_id is None,
        currency_digits(viewer.currency),
        viewer.scopes,
    )


def weight(key: Key, answered: CachedRequest) -> int:
    return 1_000 + SPREAD * len(key[0]) + len(answered.planned.plan.sql)
