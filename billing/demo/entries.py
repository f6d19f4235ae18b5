"""Rows before they are in a database, in the order of time, and the numbers of documents."""

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
    """A row and when it was written."""

    at: dt.datetime
    row: type[Row]
    values: dict[str, Any]


class Chance:
    """What happens by chance, which is the same each time for the same path."""

    def __init__(self, *path: object) -> None:
        # It has to repeat, not to be secret.
        self.random = random.Random("/".join(map(str, path)))  # noqa: S311

    def id(self, at: dt.datetime) -> str:
        return uuid7(round(at.timestamp() * 1000), self.random.getrandbits(74))

    def happens(self, probability: float) -> bool:
        return self.random.random() < probability

    def digits(self, length: int) -> str:
        return "".join(self.random.choices("0123456789", k=length))


def filled(row: type[Row], **values: Any) -> dict[str, Any]:
    """All columns, absent ones as None: rows that are inserted together need the same."""
    return blank(row) | values


@cache
def blank(row: type[Row]) -> dict[str, Any]:
    return dict.fromkeys(written(row))


def numbered(
    practice_id: str, at: dt.datetime, lives: Iterable[Iterator[Entered]]
) -> Iterator[Entered]:
    """The rows of all clients in the order of time, with the documents' numbers in that order.

    A client's next row is made after the one before has its number, so it can be quoted.
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
