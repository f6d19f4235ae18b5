"""The interface of the rules that say which rows a viewer may read."""

from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, Select


class RowPolicy(Protocol):
    """The rules for one kind of viewer, and the tables of one statement that they apply to.

    Sources ask the policy for tables, and the planner adds a table's predicate where it selects
    from the table. `lateral` says that the database has lateral joins.
    """

    @property
    def lateral(self) -> bool: ...

    def predicate_for(self, table: FromClause) -> ColumnElement[bool]:
        """Return the condition for the rows of a table that the viewer may read."""

    def check(self, statement: Select[Any]) -> None:
        """Raise AssertionError if the statement reads a table without its predicate."""
