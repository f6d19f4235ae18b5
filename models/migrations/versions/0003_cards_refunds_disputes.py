"""Cards on their way to be kept; refunds and disputes, and which rows are theirs."""

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from models.row import ID, Instant

revision = "0003"
down_revision = "0002"

REASONS = (
    *("GENERIC", "INSUFFICIENT_FUNDS", "EXPIRED_CARD", "INCORRECT_CVC", "INCORRECT_ZIP"),
    "AUTHENTICATION_FAILED",
)
REFUND_RAISES = (
    "CONSTRAINT ck_ledger_entry_refund_raises CHECK (kind <> 'REFUND' OR amount_minor > 0)"
)
COMPARISON = ("compared_at", "compare_after")
IS_ADJUSTMENT = "dispute_id IS NULL OR kind = 'ADJUSTMENT'"
ADJUSTS = f"CONSTRAINT ck_ledger_entry_dispute_is_an_adjustment CHECK ({IS_ADJUSTMENT})"


def upgrade() -> None:
    for name in COMPARISON:
        op.add_column("practice", sa.Column(name, Instant(), nullable=True))
    # Both databases know this, and SQLite needs no new table for it.
    op.execute("ALTER TABLE stripe_event RENAME COLUMN intent_id TO object_id")
    cards()
    refunds()
    disputes()
    points_to("allocation", "refund")
    points_to("ledger_entry", "dispute")
    of_dispute = sa.text("dispute_id IS NOT NULL")
    partial("ix_ledger_entry_dispute", "ledger_entry", ["practice_id", "dispute_id"], of_dispute)


def cards() -> None:
    op.create_table(
        "card_setup",
        *row("card_setup"),
        sa.Column("stripe_id", sa.Text(), nullable=False),
        chosen("state", "PREPARED", "KEPT", "REFUSED"),
        chosen("reason", *REASONS, nullable=True),
        sa.Column("payment_method_id", ID, nullable=True),
        sa.Column("was_on_file", sa.Boolean(), nullable=True),
        sa.Column("consent_version", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        of_client("card_setup", "payment_method_id", "payment_method"),
        unique("card_setup", "practice_id", "stripe_id"),
        check("card_setup", "kept_is_a_card", "(state = 'KEPT') = (payment_method_id IS NOT NULL)"),
        check("card_setup", "refused_has_a_reason", "state <> 'REFUSED' OR reason IS NOT NULL"),
    )
    indexed("card_setup", "practice_id", "client_id", "changed_at")
    partial(
        "ix_card_setup_refused",
        "card_setup",
        ["practice_id", "address_hash", "changed_at"],
        sa.text("state = 'REFUSED'"),
    )
    op.create_table(
        "detachment",
        *row("detachment"),
        sa.Column("stripe_id", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("checked_at", Instant(), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        unique("detachment", "practice_id", "stripe_id"),
    )
    partial("ix_detachment_waiting", "detachment", ["checked_at"], sa.text("done_at IS NULL"))


def refunds() -> None:
    op.create_table(
        "refund",
        *row("refund"),
        *reversal("refund"),
        chosen("state", "REQUESTED", "PENDING", "SUCCEEDED", "FAILED"),
        sa.Column("stripe_id", sa.Text(), nullable=True),
        check("refund", "known_has_an_id", "state = 'REQUESTED' OR stripe_id IS NOT NULL"),
    )
    indexed("refund", "practice_id", "payment_id")
    requested = sa.text("state = 'REQUESTED'")
    columns = ["practice_id", "payment_id"]
    partial("uq_refund_requested", "refund", columns, requested, is_unique=True)


def disputes() -> None:
    op.create_table(
        "dispute",
        *row("dispute"),
        *reversal("dispute"),
        chosen("state", "OPEN", "WON", "LOST"),
        sa.Column("stripe_id", sa.Text(), nullable=False),
    )
    indexed("dispute", "practice_id", "payment_id")
    opened = sa.text("state = 'OPEN'")
    partial("ix_dispute_open", "dispute", ["practice_id", "client_id"], opened)


# -- what these tables have in common --------------------------------------------------------------


def row(table: str) -> list[Any]:
    return [
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["practice_id", "client_id"],
            ["client.practice_id", "client.id"],
            name=op.f(f"fk_{table}_practice_id_client_id"),
            ondelete="RESTRICT",
        ),
    ]


def reversal(table: str) -> list[Any]:
    return [
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        of_client(table, "payment_id", "payment"),
        unique(table, "practice_id", "client_id", "id"),
        unique(table, "practice_id", "stripe_id"),
        check(table, "amount_positive", "amount_minor > 0"),
        check(table, "amount_minor_exact", "abs(amount_minor) < 9007199254740992"),
    ]


def of_client(table: str, column: str, target: str) -> Any:
    columns = ("practice_id", "client_id", column)
    return sa.ForeignKeyConstraint(
        columns,
        [f"{target}.{name}" for name in ("practice_id", "client_id", "id")],
        name=op.f(f"fk_{table}_{'_'.join(columns)}"),
        ondelete="RESTRICT",
    )


def unique(table: str, *columns: str) -> Any:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def check(table: str, name: str, condition: str) -> Any:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def chosen(name: str, *members: str, nullable: bool = False) -> Any:
    kind = sa.Enum(*members, name=name, native_enum=False, create_constraint=True, length=32)
    return sa.Column(name, kind, nullable=nullable)


def indexed(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def partial(name: str, table: str, columns: Any, where: Any, *, is_unique: bool = False) -> None:
    op.create_index(
        name, table, columns, unique=is_unique, postgresql_where=where, sqlite_where=where
    )


# -- tables that get a column and a foreign key ----------------------------------------------------


def points_to(table: str, target: str) -> None:
    """A column with a foreign key of its own; a dispute's rows are adjustments, and a refund that
    failed is entered again, below zero."""
    if op.get_context().dialect.name == "sqlite":
        rebuilt(table, lambda made: with_column(made, table, target))
        return
    columns = ["practice_id", "client_id", f"{target}_id"]
    op.add_column(table, sa.Column(columns[-1], ID, nullable=True))
    ends = columns, ["practice_id", "client_id", "id"]
    op.create_foreign_key(
        op.f(foreign_key(table, target)), table, target, *ends, ondelete="RESTRICT"
    )
    if target == "dispute":
        op.drop_constraint(op.f("ck_ledger_entry_refund_raises"), table, type_="check")
        name = op.f("ck_ledger_entry_dispute_is_an_adjustment")
        op.create_check_constraint(name, table, IS_ADJUSTMENT)


def points_no_more(table: str, target: str) -> None:
    if op.get_context().dialect.name == "sqlite":
        rebuilt(table, lambda made: without_column(made, table, target), but=f"{target}_id")
        return
    if target == "dispute":
        op.drop_constraint(op.f("ck_ledger_entry_dispute_is_an_adjustment"), table, type_="check")
        name, condition = (
            op.f("ck_ledger_entry_refund_raises"),
            "kind <> 'REFUND' OR amount_minor > 0",
        )
        op.create_check_constraint(name, table, condition)
    op.drop_constraint(op.f(foreign_key(table, target)), table, type_="foreignkey")
    op.drop_column(table, f"{target}_id")


def foreign_key(table: str, target: str) -> str:
    return f"fk_{table}_practice_id_client_id_{target}_id"


def rebuilt(table: str, change: Callable[[str], str], but: str = "") -> None:
    """SQLite changes no constraints: the table is made anew, and its rows are copied."""
    rows = op.get_bind()
    known = sa.table("sqlite_master", sa.column("sql"), sa.column("type"), sa.column("tbl_name"))
    mine = sa.select(known.c.sql).where(known.c.tbl_name == table, known.c.sql.is_not(None))
    made = rows.scalar(mine.where(known.c.type == "table"))
    indexes = list(rows.scalars(mine.where(known.c.type == "index")))
    names = [one["name"] for one in sa.inspect(rows).get_columns(table) if one["name"] != but]
    op.execute(
        re.sub(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE {table}_new", change(str(made)))
    )
    old, new = (sa.table(name, *map(sa.column, names)) for name in (table, f"{table}_new"))
    op.execute(sa.insert(new).from_select(names, sa.select(*old.c)))
    op.drop_table(table)
    op.rename_table(f"{table}_new", table)
    for index in indexes:
        op.execute(index)


def with_column(made: str, table: str, target: str) -> str:
    """The statement that makes the table, with the column and its constraints."""
    if target == "dispute":
        made = exchanged(made, REFUND_RAISES, ADJUSTS)
    first = made.index("CONSTRAINT ")
    column, body = f"{target}_id VARCHAR(36), ", made[first:].rstrip().removesuffix(")")
    return made[:first] + column + body + reference(table, target) + ")"


def without_column(made: str, table: str, target: str) -> str:
    if target == "dispute":
        made = exchanged(made, ADJUSTS, REFUND_RAISES)
    made = exchanged(made, f"{target}_id VARCHAR(36), ", "")
    return exchanged(made, reference(table, target), "")


def reference(table: str, target: str) -> str:
    return (
        f", CONSTRAINT {foreign_key(table, target)}"
        f" FOREIGN KEY(practice_id, client_id, {target}_id)"
        f" REFERENCES {target} (practice_id, client_id, id) ON DELETE RESTRICT"
    )


def exchanged(made: str, old: str, new: str) -> str:
    assert old in made
    return made.replace(old, new)


def downgrade() -> None:
    op.drop_index("ix_ledger_entry_dispute", "ledger_entry")
    points_no_more("ledger_entry", "dispute")
    points_no_more("allocation", "refund")
    for table in ("dispute", "refund", "detachment", "card_setup"):
        op.drop_table(table)
    op.execute("ALTER TABLE stripe_event RENAME COLUMN object_id TO intent_id")
    for name in COMPARISON:
        op.drop_column("practice", name)
