"""The field of a mutation."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import strawberry

from graph.fields import field
from resolvers.field_facts import ReadAudit, Scopes
from resolvers.mutations.field import PortalMutation
from resolvers.mutations.result import MutationContext, Outcome

Input = TypeVar("Input")


def mutation(
    act: Callable[[MutationContext, Input], Awaitable[Outcome]],
    input: type[Input],
    input_description: str,
    *,
    description: str,
    scopes: Scopes,
    is_public: bool = False,
    alone: bool = False,
    moves_money: bool = False,
) -> Any:
    """Return the field of a mutation with one argument, `input`.

    The objects that the input of a mutation with scopes names count as read, even if nothing is
    changed: the result reveals whether an id belongs to a client.
    """
    source = PortalMutation(act, is_public=is_public, alone=alone, moves_money=moves_money)
    argument = strawberry.argument(description=input_description)
    arguments = {"input": Annotated[input, argument]}
    audit = ReadAudit.BY_ID_OR_SOLE_CLIENT if scopes else None
    return field(source, description=description, arguments=arguments, scopes=scopes, audit=audit)
