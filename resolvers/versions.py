"""What has changed since a version of the practice's."""

import re
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, null, select, true

from models import PracticeVersion, ViewerKind
from resolvers.planner.jsontext import literal_text
from resolvers.planner.later import Refusal, bound, derive
from resolvers.sight import Sight

WRITTEN = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)


def of_practice(practice: Any, sight: Sight) -> ColumnElement[Any]:
    """The practice's version now, for a dashboard; whoever else asks is told none."""
    if sight.kind is not ViewerKind.DASHBOARD:
        return cast(null(), Text)
    table = sight(PracticeVersion)
    last = select(cast(table.c.version, Text)).where(sight.only(table))
    # Nothing was ever changed.
    return func.coalesce(last.scalar_subquery(), literal_text("0"))


def since(table: Any, version: Any) -> ColumnElement[bool]:
    """Rows that were changed after a version; all where there is none."""
    if version is None:
        return true()
    changed: ColumnElement[bool] = table.c.version > bound(derive(number, version), BigInteger())
    return changed


def number(version: str) -> int:
    if not WRITTEN.fullmatch(version):
        raise Refusal("BAD_INPUT", "changedSince takes what Practice.version gave")
    return int(version)
