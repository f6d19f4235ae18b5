"""Relay connections for any node type, and the arguments that all connections share."""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar, Unpack

import strawberry

from graph.fields import field
from planner.pagination import EdgeRow, Page
from planner.sources import (
    MAX_SIZE,
    ConnectionField,
    ConnectionItems,
    Embedded,
    PageFact,
    PageValue,
    RowsOf,
    Value,
)
from resolvers.field_facts import NO_SCOPE, Cost, StatedFacts, needs

T = TypeVar("T")
R = TypeVar("R")


@needs(NO_SCOPE)
@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = field(
        PageValue(PageFact.HAS_NEXT),
        description="Whether there are more items after this page.",
        cost=Cost(selects=3),
    )
    has_previous_page: bool = field(
        PageValue(PageFact.HAS_PREVIOUS),
        description="Whether there are more items before this page.",
    )
    start_cursor: str | None = field(
        PageValue(PageFact.START_CURSOR),
        description="The cursor of the first item; null if the page is empty.",
        scopes=NO_SCOPE,
        cost=Cost(selects=3),
    )
    end_cursor: str | None = field(
        PageValue(PageFact.END_CURSOR),
        description="The cursor of the last item; null if the page is empty.",
        scopes=NO_SCOPE,
        cost=Cost(selects=3),
    )


@needs(NO_SCOPE)
@strawberry.type(description="An item of a list, with its cursor.")
class Edge(Generic[T]):
    cursor: str = field(
        Value[EdgeRow](lambda edge: edge.cursor),
        description="A value for `after` and `before`; valid for this list in this order.",
        scopes=NO_SCOPE,
    )
    node: T = field(Embedded[EdgeRow](lambda edge: edge.row), description="The item.")


PAGE = (
    "A page of a list. `first` pages forward from `after`, `last` backward from `before`; they"
    " cannot be combined. The default page size is 25; the maximum is 100, unless the field says"
    " otherwise. A cursor marks a position in the sort order, not an offset: items that are added"
    " between two requests do not shift the pages."
)


def edges_field(**facts: Unpack[StatedFacts]) -> Any:
    source = ConnectionItems[Page](lambda page: page.edge)
    return field(source, description="The items with their cursors.", **facts)


def nodes_field(**facts: Unpack[StatedFacts]) -> Any:
    source = ConnectionItems[Page](lambda page: page.node)
    return field(source, description="The items.", **facts)


def total_count_field(**facts: Unpack[StatedFacts]) -> Any:
    return field(
        PageValue(PageFact.TOTAL),
        description="The number of items in the whole list, regardless of the page.",
        **facts,
    )


@needs(NO_SCOPE)
@strawberry.type(description=PAGE)
class Connection(Generic[T]):
    edges: list[Edge[T]] = edges_field()
    nodes: list[T] = nodes_field()
    page_info: PageInfo = field(
        Embedded[Page](lambda page: page), description="The position of this page in the list."
    )
    total_count: int = total_count_field(cost=Cost(selects=2))


First = Annotated[
    int | None,
    strawberry.argument(
        description="The maximum number of items, counted from the start of the list or from"
        " `after`."
    ),
]
After = Annotated[str | None, strawberry.argument(description="Only items after this cursor.")]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="The maximum number of items, counted back from the end of the list or from"
        " `before`."
    ),
]
Before = Annotated[str | None, strawberry.argument(description="Only items before this cursor.")]
PAGE_ARGUMENTS = {"first": First, "after": After, "last": Last, "before": Before}


def connection(
    rows: RowsOf[R],
    *,
    description: str,
    filters: Mapping[str, Any] | None = None,
    most: int = MAX_SIZE,
    tells_start: bool = False,
    **facts: Unpack[StatedFacts],
) -> Any:
    """Return a field with the pages of a list. `filters` are the types of its other arguments."""
    source = ConnectionField(rows, most=most, tells_start=tells_start)
    arguments = {**(filters or {}), **PAGE_ARGUMENTS}
    return field(source, description=description, arguments=arguments, **facts)
