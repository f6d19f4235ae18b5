"""Documents as they were given out, and the logos on them."""

import sqlalchemy as sa
from alembic import op

from models.row import ID, Instant

revision = "0004"
down_revision = "0003"

KIND = sa.Enum(
    *("INVOICE", "STATEMENT", "SUPERBILL", "RECEIPT"),
    name="kind",
    native_enum=False,
    create_constraint=True,
    length=32,
)
KEY = ("practice_id", "kind", "document_id", "is_void")


def upgrade() -> None:
    op.create_table(
        "printed_document",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("is_archival", sa.Boolean(), nullable=False),
        sa.Column("printed_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "kind = 'INVOICE' OR NOT is_void", name=op.f("ck_printed_document_void_is_an_invoice")
        ),
        of_practice("printed_document"),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_printed_document")),
    )
    op.create_table(
        "logo",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        of_practice("logo"),
        sa.PrimaryKeyConstraint("practice_id", "since", name=op.f("pk_logo")),
    )


def of_practice(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_practice_id")
    return sa.ForeignKeyConstraint(["practice_id"], ["practice.id"], name=name, ondelete="RESTRICT")


def downgrade() -> None:
    op.drop_table("logo")
    op.drop_table("printed_document")
