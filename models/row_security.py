"""Row-level security of PostgreSQL: the policies of the tables, and the serving role's grants.

Each table with rows of practices has a policy. A transaction sees and writes the rows of the
practice that it names, all rows if it names every practice, and no rows if it names nothing.

Policies hold for the serving role. They do not hold for the owner of the tables, the role that
runs migrations.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql

from models.append_only import is_append_only
from models.database.confinement import EVERY_PRACTICE, SETTING

POLICY = "of_practice"
NAMED = f"current_setting('{SETTING}', true)"
# No practice has this id.
NOBODY = "00000000-0000-0000-0000-000000000000"
# The practice, and NULL for every practice.
CONFINED_TO = f"nullif(coalesce(nullif({NAMED}, ''), '{NOBODY}'), '{EVERY_PRACTICE}')::uuid"

QUOTED = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


def policy(table: str, columns: Iterable[Column[Any]]) -> tuple[str, ...]:
    """Return the statements that give a table its policy; none, if it has no practice's rows."""
    named = (column.name for column in columns if is_practice(table, column))
    return next((by_practice(table, name) for name in named), ())


def by_practice(table: str, column: str) -> tuple[str, str]:
    """Return the statements that give a table its policy, by the column that names the practice.

    The setting is read by a subquery, which is run once a statement. PostgreSQL assumes that a
    value is hardly ever NULL, so a condition of this form leaves its estimates as they are.
    """
    is_seen = f"({column} = (SELECT {CONFINED_TO})) IS NOT FALSE"
    condition = f"nullif({is_seen}, false) IS NOT NULL"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY {POLICY} ON {table} USING ({condition})",
    )


def is_practice(table: str, column: Column[Any]) -> bool:
    """Return whether a column says of which practice each row is.

    An event of Stripe is of none until it is looked into.
    """
    is_named_so = column.name == ("id" if table == "practice" else "practice_id")
    return is_named_so and not column.nullable


def confined(metadata: MetaData) -> list[Table]:
    """Return the tables that have a policy."""
    tables = metadata.sorted_tables
    return [table for table in tables if policy(table.name, table.columns)]


# -- what the server's role may do -----------------------------------------------------------------

REVISION = "alembic_version"
ALL, ADD = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}), frozenset({"SELECT", "INSERT"})
# Rights to a whole table that nobody but the owner has, if it is only read or added to. The right
# to UPDATE may be one to a column alone.
NEVER = "DELETE, TRUNCATE, TRIGGER"


def rights(metadata: MetaData) -> dict[str, frozenset[str]]:
    """Return the privileges of the serving role on each table, by the table's name."""
    found = {table.name: ADD if is_append_only(table) else ALL for table in metadata.sorted_tables}
    return {**found, REVISION: frozenset({"SELECT"})}


def grants(metadata: MetaData, role: str) -> Iterator[str]:
    """Give the statements by which a role may serve, and do no more than that."""
    name = QUOTED(role)
    for table, right in rights(metadata).items():
        yield f"REVOKE ALL ON {table} FROM {name}"
        yield f"GRANT {', '.join(sorted(right))} ON {table} TO {name}"
