"""A cache of prepared requests, by their exact body and the viewer's permissions.

Limits, scopes, validation and the plan depend only on the body and on these permissions. So a
repeated body needs none of these steps again, and goes on with the statement.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import ref

from graphql.execution.values import VariableValues

from execution.prepared_operation import PreparedOperation, PreparedRequest
from execution.read_audit import RequestReads
from identity.viewer import Viewer
from models.measures import CACHE_LOOKUPS
from planner.cache import FairCache
from planner.plan import Plan

# Characters of statements and of request bodies. A body is weighted by SPREAD, since its parsed
# variables are kept with it and parsed JSON takes about that many times the memory of its text.
REMEMBERED, SPREAD = 2**25, 25
# Bodies that came once and are remembered by their hash.
SEEN_ONCE = 10_000

# A request's body, and the properties of the viewer that its preparation depends on.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class CachedRequest:
    """The parts of a prepared request that were not in its body.

    An operation takes more memory than its text, and another cache decides how long it is kept.
    Once it is evicted, the request is prepared again.
    """

    prepared: ref[PreparedOperation]
    variables: VariableValues
    reads: RequestReads | None
    scans: Mapping[str, float]
    plan: Plan


class RequestCache:
    """Prepared requests of viewers. Requests without a token are never in it.

    A request is kept when its body comes for the second time: most bodies come once.
    """

    def __init__(self) -> None:
        self.items: FairCache[Key, CachedRequest] = FairCache(REMEMBERED, weight)
        # Hashes of the last bodies that came, the oldest first.
        self.seen: OrderedDict[int, None] = OrderedDict()

    def recall(self, body: bytes, viewer: Viewer) -> PreparedRequest | None:
        """Return the prepared request with this body, if it was answered by a plan before."""
        known = self.items.recall((body, *viewer.rights), viewer.owner)
        prepared = known.prepared() if known else None
        CACHE_LOOKUPS.add("requests", "hit" if prepared else "miss")
        if known is None or prepared is None:
            return None
        return PreparedRequest(prepared, known.variables, known.reads, known.scans, known.plan)

    def keep(self, body: bytes, viewer: Viewer, request: PreparedRequest, plan: Plan) -> None:
        """Cache a request that was answered by this plan, if its body came before."""
        key = body, *viewer.rights
        if not self.came_before(hash(key)):
            return
        self.items.forget(key)
        settled = plan.specialize(request.variables.coerced)
        prepared = ref(request.prepared)
        known = CachedRequest(prepared, request.variables, request.reads, request.scans, settled)
        self.items.keep(key, known, viewer.owner)

    def came_before(self, key_hash: int) -> bool:
        if key_hash in self.seen:
            return True
        self.seen[key_hash] = None
        if len(self.seen) > SEEN_ONCE:
            self.seen.popitem(last=False)
        return False


def weight(key: Key, known: CachedRequest) -> int:
    return 1_000 + SPREAD * len(key[0]) + len(known.plan.sql)
