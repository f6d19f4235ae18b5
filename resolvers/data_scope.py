"""The part of a practice's data that a planned statement depends on."""

import re
from functools import cache

from models import DataScope, Row
from models.versioned_tables import VERSIONED
from resolvers.visibility import Visibility


def data_scope(visible: Visibility, sql: str) -> DataScope | None:
    """Return the part of the data, or None if the statement reads anything without a version.

    The statement's text decides, whatever its sources state: a table without triggers that is
    named in it has no version.
    """
    return None if without_version().search(sql) else visible.scope


@cache
def without_version() -> re.Pattern[str]:
    """Return the pattern of the tables and columns whose changes renew no version.

    A key of the response has the same letters, but is in quotation marks.
    """
    tables = Row.metadata.tables.keys() - VERSIONED.keys()
    columns = {name for table in VERSIONED.values() for name in table.unseen}
    return re.compile(rf'(?<!")\b(?:{"|".join(sorted(tables | columns))})\b(?!")')
