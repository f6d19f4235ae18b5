"""What paying online keeps: of a payment, what it was asked with; and the inbox of the webhook."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from models.row import Instant

revision = "0002"
down_revision = "0001"

COLUMNS: dict[str, Any] = {
    "save_card": sa.Boolean(),
    "make_default": sa.Boolean(),
    "consent_version": sa.Text(),
    "address_hash": sa.Text(),
    "changed_at": Instant(),
    "checked_at": Instant(),
}
ACTIVE = sa.text("state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')")
DECLINED = sa.text("state = 'FAILED' AND address_hash IS NOT NULL")
WAITING = sa.text("handled_at IS NULL")


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("payment", sa.Column(name, type_, nullable=True))
    op.create_index(
        "ix_payment_active",
        "payment",
        ["checked_at"],
        postgresql_where=ACTIVE,
        sqlite_where=ACTIVE,
    )
    op.create_index(
        "ix_payment_declined",
        "payment",
        ["practice_id", "address_hash", "changed_at"],
        postgresql_where=DECLINED,
        sqlite_where=DECLINED,
    )
    op.create_table(
        "stripe_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("intent_id", sa.Text(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("checked_at", Instant(), nullable=False),
        sa.Column("handled_at", Instant(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_event")),
    )
    op.create_index(
        "ix_stripe_event_waiting",
        "stripe_event",
        ["checked_at"],
        postgresql_where=WAITING,
        sqlite_where=WAITING,
    )


def downgrade() -> None:
    op.drop_table("stripe_event")
    op.drop_index("ix_payment_declined", "payment")
    op.drop_index("ix_payment_active", "payment")
    for name in reversed(COLUMNS):
        op.drop_column("payment", name)
