"""Triggers of append-only tables in migrations."""

from alembic import op

from models.append_only import protect, unprotect


def set_append_only(table: str) -> None:
    """Create the triggers of a table. Its indexes must be there."""
    protect(op.get_bind(), table)


def drop_append_only(table: str) -> None:
    """Remove the triggers of a table."""
    unprotect(op.get_bind(), table)
