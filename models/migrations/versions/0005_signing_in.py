"""Signing in by e-mail; tokens that end when they aren't used."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from models.row import ID, Instant

revision = "0005"
down_revision = "0004"

FOLDED_EMAIL = sa.text("lower(ltrim(rtrim(email)))")
IS_SIGN_IN = sa.text("is_sign_in")
WAITING = sa.text("done_at IS NULL")
WHOSE = ("client", "contact")


def upgrade() -> None:
    requests()
    links()
    failures()
    op.add_column("token", sa.Column("last_used_at", Instant(), nullable=True))
    given_out: sa.Column[bool] = sa.Column(
        "is_sign_in", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("token", given_out)
    for whose in WHOSE:
        columns: list[Any] = ["practice_id", f"{whose}_id"]
        partial(f"ix_token_sign_in_{whose}", "token", columns, IS_SIGN_IN)
        # The rows that are there are folded as the index is made.
        op.create_index(f"ix_{whose}_folded_email", whose, [FOLDED_EMAIL])


def requests() -> None:
    op.create_table(
        "sign_in_request",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_hash", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("is_allowed", sa.Boolean(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_request")),
    )
    partial("ix_sign_in_request_waiting", "sign_in_request", ["due_at"], WAITING)
    for column in ("email_hash", "address_hash"):
        name = f"ix_sign_in_request_{column}_created_at"
        op.create_index(name, "sign_in_request", [column, "created_at"])


def links() -> None:
    op.create_table(
        "sign_in_link",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(client_id IS NULL) <> (contact_id IS NULL)", name=op.f("ck_sign_in_link_one_subject")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"],
            ["practice.id"],
            name=op.f("fk_sign_in_link_practice_id"),
            ondelete="RESTRICT",
        ),
        *(part for whose in WHOSE for part in one_of(whose)),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_sign_in_link")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sign_in_link_secret_hash")),
    )


def one_of(whose: str) -> list[Any]:
    """Whose link it is, of whom there is one."""
    columns = ["practice_id", f"{whose}_id"]
    name = "_".join(columns)
    return [
        sa.ForeignKeyConstraint(
            columns,
            [f"{whose}.practice_id", f"{whose}.id"],
            name=op.f(f"fk_sign_in_link_{name}"),
            ondelete="RESTRICT",
        ),
        sa.UniqueConstraint(*columns, name=op.f(f"uq_sign_in_link_{name}")),
    ]


def failures() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column("id", ID, nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("failed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_failure")),
    )
    name = "ix_sign_in_failure_address_hash_failed_at"
    op.create_index(name, "sign_in_failure", ["address_hash", "failed_at"])


def partial(name: str, table: str, columns: list[Any], where: Any) -> None:
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for whose in WHOSE:
        op.drop_index(f"ix_{whose}_folded_email", whose)
        op.drop_index(f"ix_token_sign_in_{whose}", "token")
    op.drop_column("token", "is_sign_in")
    op.drop_column("token", "last_used_at")
    for table in ("sign_in_failure", "sign_in_link", "sign_in_request"):
        op.drop_table(table)
