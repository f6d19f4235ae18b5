"""Pages of a list: their start, their end, and their page info."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.oracle.world import World, refusal

HEX = re.compile("([0-9a-f][0-9a-f])+")
ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Order:
    """The order of a list: its name, and the sort keys of an item."""

    name: str
    keys: Callable[[Any], tuple[Any, ...]]
    types: tuple[Callable[[str], Any], ...]
    descending: bool = True

    def going(self, *, descending: bool) -> "Order":
        return replace(self, descending=descending)

    def cursor(self, keys: Sequence[Any]) -> str:
        return "~".join([self.name, *map(str, keys)]).encode().hex()

    def place(self, cursor: str) -> tuple[Any, ...] | None:
        """Return the keys in a cursor of this order, or None."""
        try:
            name, *texts = bytes.fromhex(cursor).decode("ascii").split("~")
            keys = tuple(type_(text) for type_, text in zip(self.types, texts, strict=True))
        except ValueError:
            raise refusal("BAD_CURSOR") from None
        if name != self.name or self.cursor(keys) != cursor:
            raise refusal("BAD_CURSOR")
        return keys


@dataclass(frozen=True)
class Unnamed(Order):
    """An order by a key that may not be in a cursor, which contains the item's id alone."""

    places: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def cursor(self, keys: Sequence[Any]) -> str:
        return super().cursor(keys[-1:])

    def place(self, cursor: str) -> tuple[Any, ...] | None:
        """Return that item's keys, or None if it is invisible."""
        (id_,) = super().place(cursor) or ()
        return self.places.get(id_)


def bare_id(id_: str, kind: str) -> str:
    """Return the row's id in an id of this kind."""
    found, _, bare = id_.partition("_")
    if found != kind or not ID.fullmatch(bare):
        raise refusal("BAD_ID")
    return bare


def identifier(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError(text)
    return text


day: Callable[[str], Any] = dt.date.fromisoformat


class Whole:
    """A type that has its fields as attributes, without a row."""

    world: World


class PageInfo(Whole):
    def __init__(self, world: World, cursors: list[str], *, next_: bool, previous: bool) -> None:
        self.world = world
        self.has_next_page, self.has_previous_page = next_, previous
        self.start_cursor = cursors[0] if cursors else None
        self.end_cursor = cursors[-1] if cursors else None


class Edge(Whole):
    def __init__(self, world: World, cursor: str, node: Any) -> None:
        self.world, self.cursor, self.node = world, cursor, node


class Connection(Whole):
    """A page of items in an order."""

    def __init__(
        self,
        world: World,
        items: Sequence[Any],
        order: Order,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        most: int = 100,
    ) -> None:
        size = page_size(first, last, most)
        self.world = world
        self.total_count = len(items)
        shown = sorted(items, key=order.keys, reverse=order.descending)
        # A cursor of a deleted or filtered item still has a place in the order.
        if after is not None:
            start = order.place(after)
            shown = [item for item in shown if start and follows(order, start, order.keys(item))]
        if before is not None:
            end = order.place(before)
            shown = [item for item in shown if end and follows(order, order.keys(item), end)]
        more, beyond = len(shown) > size, (before if last is not None else after) is not None
        self.nodes = shown[-size:] if last is not None else shown[:size]
        cursors = [order.cursor(order.keys(node)) for node in self.nodes]
        next_, previous = (beyond, more) if last is not None else (more, beyond)
        self.page_info = PageInfo(world, cursors, next_=next_, previous=previous)
        self.edges = [Edge(world, *pair) for pair in zip(cursors, self.nodes, strict=True)]


def follows(order: Order, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether the other place follows the one in the list."""
    return other < one if order.descending else other > one


def page_size(first: int | None, last: int | None, most: int) -> int:
    if first is not None and last is not None:
        raise refusal("BAD_PAGE")
    size = next((asked for asked in (first, last) if asked is not None), 25)
    if not 1 <= size <= most:
        raise refusal("BAD_PAGE")
    return size
