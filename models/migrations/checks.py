"""Checks in migrations: each database says them in its own way, under one name."""

from alembic import op
from sqlalchemy import inspect, text


def set_check(table: str, name: str, *, sqlite: str | None, postgresql: str | None) -> None:
    """Add a check to a table; None: this database says nothing under the name."""
    is_sqlite = op.get_context().dialect.name == "sqlite"
    condition = sqlite if is_sqlite else postgresql
    if condition is not None:
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint(op.f(name), text(condition.replace(":", r"\:")))


def drop_check(table: str, name: str) -> None:
    """Take a check from a table, where this database has it."""
    checks = inspect(op.get_bind()).get_check_constraints(table)
    if name in {check["name"] for check in checks}:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(name), type_="check")
