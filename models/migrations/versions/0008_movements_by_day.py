"""Movements by their day: a month of the practice's money is read without the years before it."""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = ("ledger_entry", "allocation")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(f"ix_{table}_practice_id_date", table, ["practice_id", "date"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_practice_id_date", table)
