"""Rebuilt tables of SQLite, with the indexes and triggers that Alembic does not copy.

Alembic alters a table of SQLite by copying it into a new one. It copies the columns, constraints
and plain indexes that SQLAlchemy reads. SQLAlchemy does not read triggers and indexes over
expressions.
"""

from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import text

OF_TABLE = text(
    "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"
    " AND type IN ('index', 'trigger')"
)
# In place of a column's number.
EXPRESSION = -2


class RebuildingSqlite(SQLiteImpl):
    """Alembic's way to change SQLite, which keeps expression indexes and triggers."""

    __dialect__ = "sqlite"

    def drop_table(self, table: Any, **given: Any) -> None:
        """Note what goes with the table, for the one that may take its name."""
        dropped: dict[str, list[str]] = self.__dict__.setdefault("dropped", {})
        dropped[table.name] = self.not_copied(table.name)
        super().drop_table(table, **given)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Rename, and make what the table of this name had."""
        # Otherwise SQLite refuses while triggers of other tables name the table that was dropped.
        self.bound.exec_driver_sql("PRAGMA legacy_alter_table=ON")
        super().rename_table(old_table_name, new_table_name, schema)
        self.bound.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
        dropped: dict[str, list[str]] = self.__dict__.setdefault("dropped", {})
        for statement in dropped.pop(str(new_table_name), []):
            self.bound.exec_driver_sql(statement)

    def not_copied(self, table: str) -> list[str]:
        """Return the statements that make a table's expression indexes and triggers."""
        return [
            sql
            for kind, name, sql in self.bound.execute(OF_TABLE, {"table": table}).all()
            if kind == "trigger" or self.has_expression(name)
        ]

    def has_expression(self, index: str) -> bool:
        columns = self.bound.exec_driver_sql(f'PRAGMA index_xinfo("{index}")').all()
        return any(column[1] == EXPRESSION for column in columns)

    @property
    def bound(self) -> Any:
        """The connection; migrations are never only printed here."""
        assert self.connection is not None
        return self.connection
