"""A validated operation, with its scopes and its reads of personal data."""

from dataclasses import dataclass

from graph.scopes import Needed
from resolvers.planner.operation import Operation
from resolvers.record import ReadScope


@dataclass(frozen=True)
class Readied:
    """A valid operation, the scopes that it needs, and the personal data that it reads."""

    operation: Operation
    needed: Needed
    reads: ReadScope | None
