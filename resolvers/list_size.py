"""Sizes of lists, by which the cost of an item is multiplied."""

from dataclasses import dataclass

from graphql import GraphQLField, get_named_type, get_nullable_type, is_composite_type, is_list_type

from planner.pagination import DEFAULT_SIZE
from planner.sources import ConnectionField, ConnectionItems, NodesByIds, ToMany, source_of
from resolvers import nodes

# Assumed items of a list without pages, such as lines of an invoice or cards of a client.
UNPAGED = 10


@dataclass(frozen=True)
class ListSize:
    """The number of objects in a list.

    `arguments` are those that ask for a number, or that are lists with an item for each object.
    Without them the list has `assumed` objects. It never has more than `most`.
    """

    assumed: int
    most: int | None = None
    arguments: tuple[str, ...] = ()


def list_size(definition: GraphQLField) -> ListSize | None:
    """Return the size of a list of objects, or of the page of a connection; None for other fields.

    The items of a connection are sized by the field that returns the connection.
    """
    match source_of(definition):
        case ConnectionField(most=most):
            return ListSize(DEFAULT_SIZE, most, ("first", "last"))
        case NodesByIds():
            return ListSize(nodes.MOST, nodes.MOST, ("ids",))
        case ToMany(most=most):
            return ListSize(most or UNPAGED)
        case ConnectionItems():
            return None
    type_ = get_nullable_type(definition.type)
    is_list = is_list_type(type_) and is_composite_type(get_named_type(type_))
    return ListSize(UNPAGED) if is_list else None
