"""The field of a mutation."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import strawberry

from planner.sources import field
from resolvers.mutations.field import PortalMutation
from resolvers.mutations.result import MutationContext, Outcome

Input = TypeVar("Input")


def mutation(
    act: Callable[[MutationContext, Input], Awaitable[Outcome]],
    input: type[Input],
    input_description: str,
    *,
    description: str,
    is_public: bool = False,
    alone: bool = False,
    moves_money: bool = False,
) -> Any:
    """Return the field of a mutation with one argument, `input`."""
    source = PortalMutation(act, is_public=is_public, alone=alone, moves_money=moves_money)
    argument = strawberry.argument(description=input_description)
    return field(source, description=description, arguments={"input": Annotated[input, argument]})
