"""Revisions after the last one, for tests and trials: a column is added, filled and constrained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import migrations

EXPAND = '''"""Add the length of a client's name, and fill it beside the server."""

import sqlalchemy as sa
from alembic import op

from models.migrations.steps import Backfill, ConcurrentIndex

revision = "trial1"
down_revision = "{last}"
branch_labels = depends_on = None

STEPS = (
    Backfill("client", {{"name_length": "length(name)"}}, "name_length IS NULL", size={size}),
    ConcurrentIndex("ix_trial", "client", "practice_id, name_length"),
)


def upgrade() -> None:
    op.add_column("client", sa.Column("name_length", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_index("ix_trial", "client")
    op.drop_column("client", "name_length")
'''
CHECK = '''"""Check that each client has a length, and check all rows beside the server."""

from alembic import op

from models.migrations.steps import Validation

revision = "trial2"
down_revision = "trial1"
branch_labels = depends_on = None

STEPS = (Validation("client", "ck_trial"),)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        check = "CHECK (name_length IS NOT NULL) NOT VALID"
        op.execute(f"ALTER TABLE client ADD CONSTRAINT ck_trial {check}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE client DROP CONSTRAINT ck_trial")
'''
CONTRACT = '''"""Let no client be without a length: PostgreSQL takes the valid check for granted."""

from alembic import op

revision = "trial3"
down_revision = "trial2"
branch_labels = depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE client ALTER COLUMN name_length SET NOT NULL")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE client ALTER COLUMN name_length DROP NOT NULL")
'''
# The same in one transaction, as a migration must not be written.
HEEDLESS = '''"""Add, fill, index and constrain the column at once."""

from alembic import op

revision = "trial1"
down_revision = "{last}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE client ADD COLUMN name_length integer")
    op.execute("UPDATE client SET name_length = length(name)")
    op.execute("CREATE INDEX ix_trial ON client (practice_id, name_length)")
    op.execute("ALTER TABLE client ALTER COLUMN name_length SET NOT NULL")
'''


@contextmanager
def newer_release(folder: Path, *, size: int = 2_000, heedless: bool = False) -> Iterator[None]:
    """Have this process's migrations be those of a newer release while the context lasts."""
    last = migrations.head()
    texts = [HEEDLESS] if heedless else [EXPAND, CHECK, CONTRACT]
    for number, text in enumerate(texts, 1):
        written = text.format(last=last, size=size) if number == 1 else text
        (folder / f"trial{number}.py").write_text(written)
    migrations.FOLDERS.append(folder)
    try:
        yield
    finally:
        migrations.FOLDERS.remove(folder)
