"""SQLite looks a session's line up: it uses an index of some rows only where a statement says which
ones in the index's own words.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

NAME, TABLE, COLUMNS = "uq_invoice_line_session", "invoice_line", ["practice_id", "session_id"]


def upgrade() -> None:
    replace("is_void = 0")


def downgrade() -> None:
    replace("NOT is_void")


def replace(where: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(NAME, TABLE)
        op.create_index(NAME, TABLE, COLUMNS, unique=True, sqlite_where=sa.text(where))
