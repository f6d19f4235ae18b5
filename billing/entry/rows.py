"""The rows that an entry inserts, changes and deletes, all at one moment."""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from models import Row
from models.ids import IdSequence
from models.row import written

Values = dict[str, Any]


class EntryChange(enum.StrEnum):
    """The effect of an entry on the rows."""

    ENTERED = "ENTERED"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True)
class Insertion:
    """A new row, with a value for each column."""

    table: type[Row]
    values: Values


@dataclass(frozen=True)
class Alteration:
    """New values of the rows with a key, of which there must be some."""

    table: type[Row]
    key: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Deletion:
    """The end of all rows with a key."""

    table: type[Row]
    key: Mapping[str, Any]


Operation = Insertion | Alteration | Deletion


@dataclass(frozen=True)
class Stamp:
    """The moment of an entry: the time, the practice's date, and the ids of new rows."""

    now: dt.datetime
    today: dt.date
    new_id: Callable[[], str]

    @classmethod
    def at(cls, now: dt.datetime, today: dt.date) -> "Stamp":
        return cls(now, today, IdSequence(now))


@dataclass
class Draft:
    """The operations of one entry, in their order. A client's entry has the client's id."""

    practice_id: str
    stamp: Stamp
    client_id: str | None = None
    operations: list[Operation] = field(default_factory=list)

    @property
    def now(self) -> dt.datetime:
        return self.stamp.now

    @property
    def today(self) -> dt.date:
        return self.stamp.today

    def insert(self, table: type[Row], **values: Any) -> Values:
        """Add a row, and return its values. Ids of row, practice and client are filled in."""
        row = dict(blank(table))
        own = {"practice_id": self.practice_id, "client_id": self.client_id}
        row |= {name: value for name, value in own.items() if name in row}
        row |= values
        if "id" in row and row["id"] is None:
            row["id"] = self.stamp.new_id()
        self.operations.append(Insertion(table, row))
        return row

    def alter(self, table: type[Row], key: Mapping[str, Any], **values: Any) -> None:
        own = {"practice_id": self.practice_id} if table.__tablename__ != "practice" else {}
        self.operations.append(Alteration(table, {**own, **key}, values))

    def delete(self, table: type[Row], **key: Any) -> None:
        self.operations.append(Deletion(table, {"practice_id": self.practice_id, **key}))


@cache
def blank(table: type[Row]) -> Values:
    """Return a row without values: rows that are inserted together need the same columns."""
    return dict.fromkeys(written(table))


class Input(Protocol):
    """The input of an entry. `kind` is the name of such records in references to other systems."""

    @property
    def kind(self) -> str: ...
