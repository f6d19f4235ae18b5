"""Append-only tables: triggers by which both databases refuse to change or remove a row.

The mapped classes and the migrations protect a table by the same function. On SQLite, REPLACE
removes rows without firing the trigger for DELETE. So a trigger for INSERT compares the new row's
unique keys, and refuses a row that would take another row's place.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Inspector, Table, inspect, text

MARK = "append_only"
# For the arguments of a table whose rows are only added.
APPEND_ONLY: dict[str, Any] = {"info": {MARK: True}}
FUNCTION = "refuse_change()"
# The changes that have a trigger on SQLite; on PostgreSQL one trigger has all.
REFUSED = ("UPDATE", "DELETE", "INSERT")
# An explicit rowid may take another row's place too. SQLite gives -1 if there is none.
SAME_ROWID = "(NEW.rowid > 0 AND rowid = NEW.rowid)"


def is_append_only(table: Table) -> bool:
    return bool(table.info.get(MARK))


def protect(conn: Connection, table: str) -> None:
    """Create the triggers of a table, or replace them. Its unique keys have to exist."""
    unprotect(conn, table)
    made = on_sqlite(conn, table) if conn.dialect.name == "sqlite" else on_postgresql(table)
    for statement in made:
        conn.exec_driver_sql(statement)


def unprotect(conn: Connection, table: str) -> None:
    """Remove the triggers of a table, if it has any."""
    if conn.dialect.name == "sqlite":
        for change in REFUSED:
            conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger_name(table, change)}")
    else:
        conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger_name(table)} ON {table}")


def suspend(conn: Connection, tables: Sequence[str]) -> None:
    """Let the owner of the tables change their rows, until `resume` in the same transaction.

    On PostgreSQL nobody else writes to the tables until the transaction ends; reads go on. On
    SQLite nobody else writes anyway.
    """
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
        for table in tables:
            conn.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {trigger_name(table)}")
        return
    for table in tables:
        unprotect(conn, table)


def resume(conn: Connection, tables: Sequence[str]) -> None:
    """Refuse all changes of rows again."""
    if conn.dialect.name == "postgresql":
        # A table with triggers that have yet to fire can't be altered.
        conn.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    for table in tables:
        if conn.dialect.name == "postgresql":
            name = trigger_name(table)
            conn.exec_driver_sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
        else:
            protect(conn, table)


def trigger_name(table: str, change: str = "append_only") -> str:
    return f"{table}_{change.lower()}"


def weak_protections(conn: Connection, tables: Sequence[str]) -> list[str]:
    """Return those of the tables whose triggers are not as `protect` creates them."""
    if conn.dialect.name == "postgresql":
        given = {"names": [*tables], "body": BODY}
        whole = set(conn.scalars(WHOLE_TRIGGERS, given))
        return [table for table in tables if table not in whole]
    there = set(conn.scalars(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")))
    return [table for table in tables if not there.issuperset(on_sqlite(conn, table))]


# -- PostgreSQL ------------------------------------------------------------------------------------

BODY = " BEGIN RAISE EXCEPTION '% is append only', TG_TABLE_NAME; END "
# A trigger's type is a sum: 2 for BEFORE, 8 for DELETE, 16 for UPDATE, 32 for TRUNCATE.
WHOLE_TRIGGERS = text(
    """
    SELECT wanted FROM unnest(CAST(:names AS text[])) AS wanted
    JOIN pg_trigger ON tgrelid = to_regclass(wanted) AND tgname = wanted || '_append_only'
    JOIN pg_proc ON pg_proc.oid = tgfoid AND prosrc = :body
    WHERE tgenabled = 'A' AND tgtype = 58 AND tgqual IS NULL
    """
)


def on_postgresql(table: str) -> Iterator[str]:
    name = trigger_name(table)
    yield f"CREATE OR REPLACE FUNCTION {FUNCTION} RETURNS trigger LANGUAGE plpgsql AS $${BODY}$$"
    yield (
        f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}"
    )
    # The trigger also fires in a session that a superuser has set to replicate.
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


# -- SQLite ----------------------------------------------------------------------------------------


def on_sqlite(conn: Connection, table: str) -> Iterator[str]:
    inspector = inspect(conn)
    columns = [column["name"] for column in inspector.get_columns(table)]
    same = [SAME_ROWID, *(key.matches(columns) for key in unique_keys(inspector, table))]
    taken = f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(same)})"  # noqa: S608 - names
    for change in REFUSED:
        when, why = (taken, "UNIQUE constraint failed: ") if change == "INSERT" else ("", "")
        yield (
            f"CREATE TRIGGER {trigger_name(table, change)} BEFORE {change} ON {table}{when}"
            f" BEGIN SELECT RAISE(ABORT, '{why}{table} is append only'); END"
        )


@dataclass(frozen=True)
class UniqueKey:
    """The columns of a unique key, and the condition of a partial one."""

    columns: Sequence[str]
    condition: str | None = None

    def matches(self, columns: Sequence[str]) -> str:
        """Return the condition that a row has the new row's key; `columns` are the table's."""
        same = [f"{name} = NEW.{name}" for name in self.columns]
        if self.condition is not None:
            of_new = re.sub(rf"\b({'|'.join(columns)})\b", r"NEW.\1", self.condition)
            same += [f"({self.condition})", f"({of_new})"]
        return f"({' AND '.join(same)})"


def unique_keys(inspector: Inspector, table: str) -> Iterator[UniqueKey]:
    """Yield the primary key, the unique constraints and the unique indexes of a table."""
    yield UniqueKey(inspector.get_pk_constraint(table)["constrained_columns"])
    for constraint in inspector.get_unique_constraints(table):
        yield UniqueKey(constraint["column_names"])
    for index in inspector.get_indexes(table):
        if index["unique"] and not index.get("duplicates_constraint"):
            condition = index.get("dialect_options", {}).get("sqlite_where")
            columns = [str(name) for name in index["column_names"]]
            yield UniqueKey(columns, str(condition) if condition is not None else None)
