"""The record of access, which the database only adds to."""

import sqlalchemy as sa
from alembic import op

from models.access_entry import APPEND_ONLY
from models.row import ID, Instant

revision = "0006"
down_revision = "0005"

KINDS = ("CLIENT", "CONTACT", "DASHBOARD")


def upgrade() -> None:
    kind = sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=32)
    op.create_table(
        "access_entry",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("token_id", ID, nullable=False),
        sa.Column("kind", kind, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("is_change", sa.Boolean(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        refers("client"),
        refers("token"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_access_entry")),
    )
    columns = ["practice_id", "client_id", "id"]
    op.create_index("ix_access_entry_practice_id_client_id_id", "access_entry", columns)
    for statement in APPEND_ONLY[op.get_context().dialect.name]:
        op.execute(statement)


def refers(target: str) -> sa.ForeignKeyConstraint:
    columns = ["practice_id", f"{target}_id"]
    return sa.ForeignKeyConstraint(
        columns,
        [f"{target}.practice_id", f"{target}.id"],
        name=op.f(f"fk_access_entry_{'_'.join(columns)}"),
        ondelete="RESTRICT",
    )


def downgrade() -> None:
    op.drop_table("access_entry")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
