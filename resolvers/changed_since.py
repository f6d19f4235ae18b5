"""Changes since a version of the practice's data."""

import re
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, null, select, true

from models import PracticeVersion, ViewerKind
from planner.deferred import FieldError, bind, map_deferred
from planner.json_text import literal_text
from resolvers.visibility import Visibility

WRITTEN = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)


def of_practice(practice: Any, visible: Visibility) -> ColumnElement[Any]:
    """Return the practice's current version for a dashboard, and null for other viewers."""
    if visible.kind is not ViewerKind.DASHBOARD:
        return cast(null(), Text)
    table = visible(PracticeVersion)
    last = select(cast(table.c.version, Text)).where(visible.predicate_for(table))
    # Without a row, nothing has ever changed.
    return func.coalesce(last.scalar_subquery(), literal_text("0"))


def since(table: Any, version: Any) -> ColumnElement[bool]:
    """Select rows that changed after a version; all rows without a version."""
    if version is None:
        return true()
    changed: ColumnElement[bool] = table.c.version > bind(
        map_deferred(number, version), BigInteger()
    )
    return changed


def number(version: str) -> int:
    if not WRITTEN.fullmatch(version):
        raise FieldError("BAD_INPUT", "changedSince must be a value of Practice.version")
    return int(version)
