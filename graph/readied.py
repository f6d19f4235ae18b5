"""An operation that may be asked, and what is to be known of it beside its plan."""

from dataclasses import dataclass

from graph.scopes import Needed
from resolvers.planner.operation import Operation
from resolvers.record import Looks


@dataclass(frozen=True)
class Readied:
    """A valid operation, the scopes that it needs, and what it looks at."""

    operation: Operation
    needed: Needed
    looks: Looks | None
