"""Changes since a version of the practice's data."""

import re

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    Text,
    cast,
    func,
    null,
    select,
    true,
)

from models import Practice, PracticeVersion
from planner.deferred import FieldError, MaybeDeferred, bind, map_deferred
from planner.json_text import literal_text
from planner.tables import RowOf
from resolvers.visibility import Visibility

WRITTEN = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)


def of_practice(_: RowOf[Practice], visible: Visibility) -> ColumnElement[str]:
    """Return the practice's current version for the practice's programs, and null for people."""
    if not visible.kind.is_program:
        return cast(null(), Text)
    table = visible(PracticeVersion)
    last = select(cast(table.c.version, Text)).where(visible.predicate_for(table))
    # Without a row, nothing has ever changed.
    return func.coalesce(last.scalar_subquery(), literal_text("0"))


def since(
    column: SQLColumnExpression[int | None], version: MaybeDeferred[str] | None
) -> ColumnElement[bool]:
    """Select rows that changed after a version; all rows without a version."""
    if version is None:
        return true()
    return column > bind(map_deferred(number, version), BigInteger())


def number(version: str) -> int:
    if not WRITTEN.fullmatch(version):
        raise FieldError("BAD_INPUT", "changedSince must be a value of Practice.version")
    return int(version)
