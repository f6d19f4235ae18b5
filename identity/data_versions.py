"""The versions of the data that a viewer's answers depend on, found together with the token."""

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal_column, select

from models import ContactRight, DataScope, DataVersion, ViewerKind
from models.versioned_tables import SHARED
from planner.sql_text import comma_separated

# In place of the version of a client that has none. No version has this character.
MISSING = "?"


def versions_of(token: Any, kind: ViewerKind, scope: DataScope) -> ColumnElement[str]:
    """Return the versions as one text. It is NULL or has a MISSING if one of them is missing."""
    if scope is DataScope.PRACTICE or kind.is_program:
        return version(token, token.c.practice_id)
    shared = version(token, literal_column(f"'{SHARED}'"))
    if kind is ViewerKind.CLIENT:
        return shared + version(token, token.c.client_id)
    return shared + version(token, token.c.contact_id) + versions_of_clients(token)


def version(token: Any, part: ColumnElement[str]) -> ColumnElement[str]:
    """Return the version of a part of the practice's data."""
    known = DataVersion.__table__.alias()
    condition = and_(known.c.practice_id == token.c.practice_id, known.c.part == part)
    return select(known.c.version).where(condition).correlate(token).scalar_subquery()


def versions_of_clients(token: Any) -> ColumnElement[str]:
    """Return the versions of all clients for whom a contact has or had rights.

    A right that ends on a day is still among them: the day is a parameter of the statements.
    """
    right = ContactRight.__table__.alias()
    known = DataVersion.__table__.alias()
    same = and_(known.c.practice_id == right.c.practice_id, known.c.part == right.c.client_id)
    missing = literal_column(f"'{MISSING}'", Text)
    each = (
        select(func.coalesce(known.c.version, missing).label("version"))
        .select_from(right.outerjoin(known, same))
        .where(right.c.practice_id == token.c.practice_id, right.c.contact_id == token.c.contact_id)
        .order_by(right.c.client_id)
        .correlate(token)
        .subquery()
    )
    together = select(comma_separated(each.c.version)).scalar_subquery()
    return func.coalesce(cast(together, Text), literal_column("''", Text))
