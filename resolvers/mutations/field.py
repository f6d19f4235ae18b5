"""The sources of mutation fields, and the fields that one operation may combine."""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.builder import MutationCall
from planner.operation import Errors, graphql_error
from planner.sources import MutationField


@dataclass(frozen=True)
class PortalMutation(MutationField):
    """The result of a mutation field, with the rules for its use.

    `is_public`: the field needs no token. `alone`: the result is read as another viewer, so the
    operation may have no other field. `moves_money`: an operation may have only one such field.
    """

    is_public: bool = False
    alone: bool = False
    moves_money: bool = False


def check_together(calls: Sequence[MutationCall]) -> Errors:
    """Return the errors of fields that cannot be combined in one operation."""
    sources = [call.source for call in calls if isinstance(call.source, PortalMutation)]
    if len(calls) > 1 and any(source.alone for source in sources):
        message = "a field that changes the viewer must be the only field of its operation"
        return [graphql_error("NOT_ALONE", message)]
    if sum(source.moves_money for source in sources) > 1:
        return [
            graphql_error(
                "ONE_PAYMENT",
                "an operation may move money only once: send each pay in its own operation",
            )
        ]
    return []
