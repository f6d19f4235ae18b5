"""How far a practice's invoices and payments have changed."""

import sqlalchemy as sa
from alembic import op

from models.row import ID

revision = "0007"
down_revision = "0006"

STAMPED = ("invoice", "payment")


def upgrade() -> None:
    op.create_table(
        "practice_version",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"],
            ["practice.id"],
            name=op.f("fk_practice_version_practice_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("practice_id", name=op.f("pk_practice_version")),
    )
    for table in STAMPED:
        op.add_column(table, sa.Column("version", sa.BigInteger(), nullable=True))
        name = f"ix_{table}_practice_id_version"
        op.create_index(name, table, ["practice_id", "version"])


def downgrade() -> None:
    for table in reversed(STAMPED):
        op.drop_index(f"ix_{table}_practice_id_version", table)
        op.drop_column(table, "version")
    op.drop_table("practice_version")
