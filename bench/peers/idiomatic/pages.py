"""Ranges of days and pages of lists: arguments and results of the types' fields."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import strawberry
from graphql import GraphQLError

from bench.peers.idiomatic.context import Context
from bench.peers.idiomatic.lists import Listed

T = TypeVar("T")
DEFAULT_SIZE, MOST, MOST_OF_PRACTICE = 25, 100, 500


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.input
class DateRange:
    """A range of days with both ends inclusive; either may be missing."""

    gte: dt.date | None = None
    lte: dt.date | None = None

    @property
    def days(self) -> dict[str, dt.date]:
        """Return the ends as parameters; missing ends are the first and the last possible day."""
        return {"first_day": self.gte or dt.date.min, "last_day": self.lte or dt.date.max}


def days(range_: DateRange | None) -> dict[str, dt.date]:
    return (range_ or DateRange()).days


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Connection(Generic[T]):
    nodes: list[T]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field
    async def total_count(self) -> int:
        return await self.counted()


async def page(
    context: Context,
    listed: Listed,
    first: int | None,
    node: Callable[[Any, Context], T],
    values: Mapping[str, Any],
    most: int = MOST,
) -> Connection[T]:
    """Return the first page of the list; one more row is read to find whether there are more."""
    size, sight = DEFAULT_SIZE if first is None else first, context.sight
    if not 1 <= size <= most:
        raise GraphQLError(f"a page of this list has 1 to {most} items, not {size}")

    async def counted() -> int:
        (row,) = await sight.rows(listed.count, **values)
        return int(row[0])

    read = sight.rows if listed.is_of_columns else sight.entities
    rows = await read(listed.page, size=size + 1, **values)
    end = cursor(rows[:size][-1], listed) if rows else None
    info = PageInfo(has_next_page=len(rows) > size, end_cursor=end)
    nodes = [node(row, context) for row in rows[:size]]
    return Connection(nodes=nodes, page_info=info, counted=counted)


def cursor(row: Any, listed: Listed) -> str:
    """Return the row's position in the list's order, in hexadecimal."""
    name, *keys = listed.order
    return "~".join([name, *(str(getattr(row, key)) for key in keys)]).encode().hex()
