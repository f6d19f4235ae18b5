"""Rows to be inserted, in chronological order, and the numbers of documents."""

import datetime as dt
import heapq
import random
from collections.abc import Iterable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from models import DocumentCounter, DocumentKind, Invoice, Receipt, Row, Statement, Superbill
from models.ids import uuid7
from models.row import written

DOCUMENTS: dict[type[Row], tuple[DocumentKind, str]] = {
    Invoice: (DocumentKind.INVOICE, "INV"),
    Statement: (DocumentKind.STATEMENT, "STM"),
    Superbill: (DocumentKind.SUPERBILL, "SB"),
    Receipt: (DocumentKind.RECEIPT, "RCP"),
}


class Entered(NamedTuple):
    """A row, with the time at which it was written."""

    at: dt.datetime
    row: type[Row]
    values: dict[str, Any]


class Chance:
    """A random generator that repeats its values for the same path."""

    def __init__(self, *path: object) -> None:
        # The values must be repeatable; they need not be secret.
        self.random = random.Random("/".join(map(str, path)))  # noqa: S311

    def id(self, at: dt.datetime) -> str:
        return uuid7(round(at.timestamp() * 1000), self.random.getrandbits(74))

    def happens(self, probability: float) -> bool:
        return self.random.random() < probability

    def digits(self, length: int) -> str:
        return "".join(self.random.choices("0123456789", k=length))


def with_all_columns(row: type[Row], **values: Any) -> dict[str, Any]:
    """Return all columns, absent ones as None: rows that are inserted together need the same
    columns.
    """
    return blank(row) | values


@cache
def blank(row: type[Row]) -> dict[str, Any]:
    return dict.fromkeys(written(row))


def numbered(
    practice_id: str, at: dt.datetime, lives: Iterable[Iterator[Entered]]
) -> Iterator[Entered]:
    """Yield the rows of all clients in chronological order, with documents numbered in that order.

    A client's next row is only made after the previous one has its number, so it can quote the
    number.
    """
    last = dict.fromkeys(DocumentKind, 0)
    for entry in heapq.merge(*lives, key=attrgetter("at")):
        if entry.row in DOCUMENTS:
            kind, prefix = DOCUMENTS[entry.row]
            last[kind] += 1
            year = entry.values["issued_on"].year
            entry.values.update(serial=last[kind], number=f"{prefix}-{year}-{last[kind]:04}")
        yield entry
    for kind, number in last.items():
        values = {"practice_id": practice_id, "kind": kind, "last": number}
        yield Entered(at, DocumentCounter, values)
