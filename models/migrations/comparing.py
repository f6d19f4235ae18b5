"""Comparisons for a new revision that Alembic lacks: checks, and indexes over expressions.

The mapped classes are compared with a SQLite database at the last revision. The written operations
hold for PostgreSQL too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateIndexOp, MigrateOperation, UpgradeOps
from alembic.util import DispatchPriority
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Index,
    Inspector,
    Table,
    inspect,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex

from models.append_only import is_append_only
from models.checks import Word
from models.row import ID, ByCode, Instant, Row
from models.row_security import policy

DIALECTS: dict[str, Any] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]
# As a condition stands in a table's definition.
AS_DDL = {"literal_binds": True, "include_table": False}
OF_SQLITE = re.compile(r"\b(typeof|GLOB|json_type|json_valid|date|datetime)\b")
INDEX = text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table")
# The tables with a trigger for DELETE.
PROTECTED = text(
    "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name = tbl_name || '_delete'"
)


@dataclass(frozen=True)
class Check:
    """A check by its name; its conditions by dialect."""

    table: str
    name: str
    sqlite: str | None
    postgresql: str | None


class SetCheck(MigrateOperation):
    """A check that is added."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def reverse(self) -> "DropCheck":
        return DropCheck(self.check)


class DropCheck(MigrateOperation):
    """A check that is taken away."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def reverse(self) -> SetCheck:
        return SetCheck(self.check)


class SetPolicy(MigrateOperation):
    """A new table's policy of row-level security."""

    def __init__(self, table: str) -> None:
        self.table = table

    def reverse(self) -> "DropPolicy":
        return DropPolicy(self.table)


class DropPolicy(MigrateOperation):
    """A policy that is removed."""

    def __init__(self, table: str) -> None:
        self.table = table

    def reverse(self) -> SetPolicy:
        return SetPolicy(self.table)


class SetAppendOnly(MigrateOperation):
    """The triggers of a table that becomes append-only."""

    def __init__(self, table: str) -> None:
        self.table = table

    def reverse(self) -> "DropAppendOnly":
        return DropAppendOnly(self.table)


class DropAppendOnly(MigrateOperation):
    """The triggers of a table that is append-only no more."""

    def __init__(self, table: str) -> None:
        self.table = table

    def reverse(self) -> SetAppendOnly:
        return SetAppendOnly(self.table)


class Execute(MigrateOperation):
    """A statement, and the one that undoes it."""

    def __init__(self, sql: str, undo: str) -> None:
        self.sql, self.undo = sql, undo

    def reverse(self) -> "Execute":
        return Execute(self.undo, self.sql)


# -- comparing -------------------------------------------------------------------------------------


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def compare_revisions(context: AutogenContext, upgrade: UpgradeOps, _: Any) -> None:
    """Add operations for the differences: removals first, additions last."""
    assert context.connection is not None
    if context.connection.dialect.name != "sqlite":
        return
    there = inspect(context.connection)
    tables = set(there.get_table_names())
    for table in context.sorted_tables:
        if table.name in tables:
            compare_checks(upgrade, table, there)
            compare_indexes(upgrade, table, context.connection)
        elif policy(table.name, table.columns):
            upgrade.ops.append(SetPolicy(table.name))
    compare_triggers(context, upgrade, context.connection)


def compare_triggers(context: AutogenContext, upgrade: UpgradeOps, connection: Connection) -> None:
    """Compare which tables are append-only."""
    before = {name for name in connection.scalars(PROTECTED) if name in Row.metadata.tables}
    after = {table.name for table in context.sorted_tables if is_append_only(table)}
    for name in sorted(before - after):
        upgrade.ops.insert(0, DropAppendOnly(name))
    upgrade.ops.extend(SetAppendOnly(name) for name in sorted(after - before))


def compare_checks(upgrade: UpgradeOps, table: Table, there: Inspector) -> None:
    before = {str(one["name"]): one["sqltext"] for one in there.get_check_constraints(table.name)}
    columns = {column["name"] for column in there.get_columns(table.name)}
    after = {check.name: check for check in checks(table, columns)}
    for name, condition in before.items():
        if name not in after or sql_in_one_line(after[name].sqlite) != sql_in_one_line(condition):
            old = Check(table.name, name, condition, on_both_databases_before(condition))
            upgrade.ops.insert(0, DropCheck(old))
    for name, check in after.items():
        if check.sqlite is not None and sql_in_one_line(check.sqlite) != sql_in_one_line(
            before.get(name)
        ):
            upgrade.ops.append(SetCheck(check))


def checks(table: Table, columns: set[str]) -> Iterator[Check]:
    """Give the checks of a table, those of an enum's new column apart: they come with its type."""
    found: dict[str, dict[str, str]] = {}
    for one in table.constraints:
        if not isinstance(one, CheckConstraint):
            continue
        type_bound = getattr(one, "_type_bound", False)
        if type_bound and not {column.name for column in one.columns} <= columns:
            continue
        said = found.setdefault(check_name(one), {})
        for name, dialect in DIALECTS.items():
            if dialect_of(one) in (None, name):
                said[name] = str(one.sqltext.compile(dialect=dialect, compile_kwargs=AS_DDL))
    for name, said in found.items():
        yield Check(table.name, name, said.get("sqlite"), said.get("postgresql"))


def on_both_databases_before(condition: str) -> str | None:
    """Return an old condition of SQLite's where PostgreSQL says the same."""
    return None if OF_SQLITE.search(condition) else condition


def compare_indexes(upgrade: UpgradeOps, table: Table, connection: Any) -> None:
    """Compare a table's indexes over expressions by the statements that make them."""
    rows = connection.execute(INDEX, {"table": table.name})
    before: dict[str, str | None] = {row.name: row.sql for row in rows}
    after = {str(index.name): index for index in table.indexes}
    for name, index in after.items():
        if not over_expression(index):
            continue
        made = sql_in_one_line(str(CreateIndex(index).compile(dialect=connection.dialect)))
        if name in before and sql_in_one_line(before[name]) != made:
            upgrade.ops.insert(0, Execute(f"DROP INDEX {name}", sql_in_one_line(before[name])))
        if sql_in_one_line(before.get(name)) != made:
            upgrade.ops.append(CreateIndexOp.from_index(index))
    for name, sql in before.items():
        # An index that SQLAlchemy can't read, and that no class has.
        if sql is not None and name not in after and "(" in sql.partition("(")[2]:
            upgrade.ops.insert(0, Execute(f"DROP INDEX {name}", sql_in_one_line(sql)))


def over_expression(index: Index) -> bool:
    return any(not isinstance(part, Column) for part in index.expressions)


def sql_in_one_line(sql: str | None) -> str:
    """Return a statement in one line."""
    return " ".join((sql or "").split())


def check_name(check: CheckConstraint) -> str:
    """Return a check's name as the database has it."""
    return str(DIALECTS["sqlite"].identifier_preparer.format_constraint(check))


def dialect_of(check: CheckConstraint) -> str | None:
    """Return the only dialect that says a check."""
    only = getattr(check, "_ddl_if", None)
    return str(only.dialect) if only is not None else None


# -- writing ---------------------------------------------------------------------------------------


@renderers.dispatch_for(SetCheck)
def write_set(context: AutogenContext, operation: SetCheck) -> str:
    context.imports.add("from models.migrations.checks import set_check")
    check = operation.check
    said = f"sqlite={check.sqlite!r}, postgresql={check.postgresql!r}"
    return f"set_check({check.table!r}, {check.name!r}, {said})"


@renderers.dispatch_for(DropCheck)
def write_drop(context: AutogenContext, operation: DropCheck) -> str:
    context.imports.add("from models.migrations.checks import drop_check")
    return f"drop_check({operation.check.table!r}, {operation.check.name!r})"


@renderers.dispatch_for(SetPolicy)
def write_set_policy(context: AutogenContext, operation: SetPolicy) -> str:
    context.imports.add("from models.migrations.policies import set_policy")
    return f"set_policy({operation.table!r})"


@renderers.dispatch_for(DropPolicy)
def write_drop_policy(context: AutogenContext, operation: DropPolicy) -> str:
    context.imports.add("from models.migrations.policies import drop_policy")
    return f"drop_policy({operation.table!r})"


@renderers.dispatch_for(SetAppendOnly)
def write_set_append_only(context: AutogenContext, operation: SetAppendOnly) -> str:
    context.imports.add("from models.migrations.protection import set_append_only")
    return f"set_append_only({operation.table!r})"


@renderers.dispatch_for(DropAppendOnly)
def write_drop_append_only(context: AutogenContext, operation: DropAppendOnly) -> str:
    context.imports.add("from models.migrations.protection import drop_append_only")
    return f"drop_append_only({operation.table!r})"


@renderers.dispatch_for(Execute)
def write_execute(_: AutogenContext, operation: Execute) -> str:
    return f"op.execute({operation.sql!r})"


def write_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False] | None:
    """Write our own types and a new table's checks in our own words; all else as Alembic does."""
    if kind == "type":
        name, module = type_name(item)
        if name is None:
            return False
        context.imports.add(f"from {module} import {name.removesuffix('()')}")
        return name
    return write_check(item, context) if kind == "check" else False


def type_name(type_: Any) -> tuple[str | None, str]:
    if isinstance(type_, Word):
        return "Word()", "models.checks"
    if isinstance(type_, Instant):
        return "Instant()", "models.row"
    shared = {id(ID): "ID", id(ByCode): "ByCode"}
    return shared.get(id(type_)), "models.row"


def write_check(item: CheckConstraint, context: AutogenContext) -> str | Literal[False] | None:
    """Write both conditions of a new table's check, where the first of the two stands."""
    table = Row.metadata.tables[item.table.name]
    found = {check.name: check for check in checks(table, set(table.columns.keys()))}
    one = found[check_name(item)]
    if one.sqlite == one.postgresql:
        return False
    if str(item.sqltext) != (one.sqlite or one.postgresql):
        return None
    context.imports.add("from models.checks import check")
    short = one.name.removeprefix(f"ck_{one.table}_")
    return f"*check({short!r}, {one.sqlite!r}, {one.postgresql!r})"
