"""What was asked before, word for word, by a viewer with the same rights.

Whatever turns a request away (limits, scopes, what is wrong with it) depends on its words and on
these rights alone. So one that was answered by a statement is answered by it again, and nothing
else is done but to look the token up, which the same statement does.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

from billing.money import digits
from graph.readied import Readied
from graph.row_costs import RowCosts, Scans
from models.database import StatementTooDeep
from resolvers.bearers import Bearer, Bearers
from resolvers.planner.jsontext import BROKEN
from resolvers.planner.later import Asked, Refusal
from resolvers.planner.plan import Planned
from resolvers.planner.plans import Plans
from resolvers.planner.recent import Recent
from resolvers.record import RequestReads
from resolvers.viewer import Viewer

# Characters of statements, and of what was asked: that has its variables beside it, and what JSON
# says takes so many times its text.
REMEMBERED, SPREAD = 2**25, 25

# A request's body, and what of the viewer decides how it is answered.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Answered:
    """How a request was answered, and what it reads of personal data.

    The operation takes more memory than its text, and others decide how long it is kept: once it
    is forgotten a request goes the whole way again.
    """

    planned: Planned
    ready: ref[Readied]
    reads: RequestReads | None
    scans: Scans


class Repeats:
    """Answers what was answered before."""

    def __init__(self, plans: Plans, bearers: Bearers, row_costs: RowCosts) -> None:
        self.plans, self.bearers, self.row_costs = plans, bearers, row_costs
        self.answered: Recent[Key, Answered] = Recent(REMEMBERED, weight)

    def keep(self, body: bytes, viewer: Viewer, answered: Answered) -> None:
        planned = answered.planned
        plan = planned.plan.settled(planned.variables)
        settled = replace(answered, planned=replace(planned, plan=plan))
        key = body, *rights(viewer)
        self.answered.forget(key)
        self.answered.keep(key, settled, viewer.owner)

    async def answer(
        self, body: bytes, bearer: Bearer, now: dt.datetime
    ) -> tuple[bytes, RequestReads | None] | None:
        """Return the answer's JSON and what the request reads; nothing where the request is to go
        the whole way."""
        key = body, *rights(bearer.viewer)
        answered = self.answered.recall(key, bearer.viewer.owner)
        if answered is None or answered.ready() is None:
            return None
        # Another viewer of the same rights may be of a larger practice.
        if answered.scans and await self.row_costs.refuse(answered.scans, bearer.viewer):
            return None
        planned, plans = answered.planned, self.plans
        asked = Asked(bearer.viewer, now, planned.variables, plans.online, plans.signer)
        try:
            values = planned.plan.values(asked)
            text = await self.bearers.told(bearer, (planned.plan.sql, values), now)
        except (Refusal, StatementTooDeep):
            return None
        if text is None or BROKEN in text:
            return None
        return text.encode(), answered.reads


def rights(viewer: Viewer) -> tuple[Any, ...]:
    """All of a viewer that plans, and refusals, depend on."""
    return viewer.kind, viewer.sole_client_id is None, digits(viewer.currency), viewer.scopes


def weight(key: Key, answered: Answered) -> int:
    return 1_000 + SPREAD * len(key[0]) + len(answered.planned.plan.sql)
