"""Relay's connection, for any node type, and the arguments that every one of them has."""

from typing import Annotated, Generic, TypeVar

import strawberry

from resolvers.planner.sources import Items, Part, Value, field

T = TypeVar("T")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = field(
        Value(lambda page: page.has_next), description="Whether more follow after this page."
    )
    has_previous_page: bool = field(
        Value(lambda page: page.has_previous),
        description="Whether there are more before this page.",
    )
    start_cursor: str | None = field(
        Value(lambda page: page.start),
        description="The first item's cursor; null on an empty page.",
    )
    end_cursor: str | None = field(
        Value(lambda page: page.end), description="The last item's cursor; null on an empty page."
    )


@strawberry.type(description="An item of a list, with its place in the list's order.")
class Edge(Generic[T]):
    cursor: str = field(
        Value(lambda edge: edge.cursor),
        description="For `after` and `before`; good for this list in this order.",
    )
    node: T = field(Part(lambda edge: edge.row), description="The item.")


PAGE = (
    "A page of a list. `first` goes forward from `after`, `last` back from `before`, never both;"
    " 25 items unless said, 100 at most. A page is cut at a place in the order, not at a count:"
    " what arrives between two requests moves nothing."
)


@strawberry.type(description=PAGE)
class Connection(Generic[T]):
    edges: list[Edge[T]] = field(
        Items(lambda page: page.edge), description="The items, each with its cursor."
    )
    nodes: list[T] = field(Items(lambda page: page.node), description="The items.")
    page_info: PageInfo = field(Part(lambda page: page), description="Where this page stands.")
    total_count: int = field(
        Value(lambda page: page.total),
        description="How many items the whole list has, whatever the page shows.",
    )


First = Annotated[
    int | None, strawberry.argument(description="At most so many items, from the start or `after`.")
]
After = Annotated[str | None, strawberry.argument(description="Only items after this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="At most so many items, from the end or `before`.")
]
Before = Annotated[str | None, strawberry.argument(description="Only items before this cursor.")]
