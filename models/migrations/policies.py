"""Policies of row-level security in migrations; on SQLite there are none."""

from alembic import op

from models.row_security import POLICY, by_practice


def set_policy(table: str, column: str = "practice_id") -> None:
    """Give a table its policy, by the column that names the practice."""
    if op.get_context().dialect.name == "postgresql":
        for statement in by_practice(table, column):
            op.execute(statement)


def drop_policy(table: str) -> None:
    """Take a table's policy away."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"DROP POLICY {POLICY} ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
