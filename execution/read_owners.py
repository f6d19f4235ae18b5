"""The clients with the data that was read: the owners of ids, with the readers' visibility.

The ids of many reads are looked up together, by one statement for each kind of id and of viewer.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Dialect,
    SQLColumnExpression,
    Text,
    cast,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.viewer import NOWHERE, Viewer
from models import ContactRight, LedgerEntry, Payment, Session, ViewerKind
from models.literals import constant
from models.row import ID
from planner.deferred import Deferred, VariablePath, Variables, bind
from planner.plan import Plan, compile_plan
from resolvers.filters import Texts
from resolvers.ids import bare
from resolvers.list_parameter import ListParameter
from resolvers.nodes import FOUND
from resolvers.visibility import Visibility

# A placeholder for an id: all clients of a contact.
OWN = "own"
UUID_LENGTH, DAY_LENGTH = 36, 10
# SQLite stores days as texts, and a cast to a date would make numbers of them.
Day = Date().with_variant(Text(), "sqlite")


@dataclass(frozen=True)
class Question:
    """A look-up of owners, by a viewer: of one object's owner, or of all the viewer's clients.

    `day` is the day of the read in the practice's time zone.
    """

    viewer: Viewer
    day: dt.date
    id: str = OWN

    @property
    def kind(self) -> tuple[ViewerKind, str]:
        return self.viewer.kind, self.id.partition("_")[0]

    @property
    def item(self) -> str:
        """Return the question as an item of the statement's parameter: three ids and the day,
        concatenated.
        """
        row_id = NOWHERE if self.id == OWN else bare(self.id)
        return f"{self.viewer.practice_id}{self.viewer.subject_id or NOWHERE}{row_id}{self.day}"


class ReadOwners:
    """Answers questions, and caches the statements for them."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.plans: dict[tuple[ViewerKind, str], Plan] = {}

    async def find(
        self, conn: AsyncConnection, questions: Iterable[Question]
    ) -> Mapping[Question, set[str]]:
        """Return the clients for each question; none for objects that the viewer does not see."""
        found: dict[Question, set[str]] = {}
        of_kinds: dict[tuple[ViewerKind, str], list[Question]] = {}
        for question in dict.fromkeys(questions):
            found[question] = set()
            if is_oneself(question):
                found[question].add(question.viewer.subject_id or "")
            else:
                of_kinds.setdefault(question.kind, []).append(question)
        for kind, asked in of_kinds.items():
            plan = self.plans.setdefault(kind, owner_statement(*kind, self.dialect))
            items = Variables({"items": [question.item for question in asked]})
            values = plan.values(items)
            rows: Any = await conn.exec_driver_sql(plan.sql, tuple(values))
            for place, client_id in rows:
                found[asked[int(place) - self.first]].add(client_id)
        return found

    @property
    def first(self) -> int:
        """Return the position of the first item of a list."""
        return 1 if self.dialect.name == "postgresql" else 0


def is_oneself(question: Question) -> bool:
    """Return whether a client reads only their own data."""
    viewer = question.viewer
    own = (OWN, f"cli_{viewer.subject_id}")
    return viewer.kind is ViewerKind.CLIENT and question.id in own


def owner_statement(viewer: ViewerKind, kind: str, dialect: Dialect) -> Plan:
    """Return the statement that finds the positions of items and the clients that own them."""
    visible = Visibility(viewer, digits=0, lateral=dialect.name == "postgresql")
    listed = ListParameter(bind(Deferred(VariablePath(("items",))), Texts()), visible)
    ids = (
        cast(listed.text(1 + part * UUID_LENGTH, UUID_LENGTH), ID).label(name)
        for part, name in enumerate(("practice_id", "subject_id", "row_id"))
    )
    day = cast(listed.text(1 + 3 * UUID_LENGTH, DAY_LENGTH), Day).label("day")
    # The offset keeps the casts inside. In a table with a policy PostgreSQL may not use an index
    # for a comparison with a cast: its error could tell of rows that the policy hides.
    parts = select(listed.place.label("place"), *ids, day).offset(constant(0)).subquery("item")
    # Each item contains its viewer: the predicates compare with columns instead of parameters.
    visible.practice_id, visible.subject_id = parts.c.practice_id, parts.c.subject_id
    visible.day = parts.c.day
    found = [
        select(parts.c.place, cast(client_id, Text)).where(*where)
        for client_id, where in owners(kind, parts.c.row_id, visible)
    ]
    for each in found:
        visible.check(each)
    statement: Any = found[0] if len(found) == 1 else union_all(*found)
    return compile_plan(statement, dialect)


Owner = tuple[SQLColumnExpression[str], Sequence[SQLColumnExpression[bool]]]


def owners(kind: str, row_id: ColumnElement[str], visible: Visibility) -> list[Owner]:
    """Return columns of client ids, each with the conditions for its rows."""
    if kind == OWN:
        right = visible(ContactRight)
        return [(right.c.client_id, [visible.predicate_for(right)])]
    if kind == "aht":
        # An entry of the account history is a row of one of these tables.
        tables: list[Any] = [visible(LedgerEntry), visible(Session), visible.for_documents(Payment)]
        return [
            (one.c.client_id, [one.c.id == row_id, visible.predicate_for(one)]) for one in tables
        ]
    rows = FOUND[kind][1](row_id, visible)
    client_id = rows.table.c.id if kind == "cli" else rows.table.c.client_id
    return [(client_id, [*rows.where, visible.predicate_for(rows.table)])]
