"""An operation that may be asked, and what is to be known of it beside its plan."""

from dataclasses import dataclass

from graph.scopes import Needed
from resolvers.planner.operation import Operation
from resolvers.record import ReadScope


@dataclass(frozen=True)
class Readied:
    """A valid operation, the scopes that it needs, and the personal data that it asks for."""

    operation: Operation
    needed: Needed
    reads: ReadScope | None
