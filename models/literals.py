"""Values written into a statement: a parameter would say that a request brings them."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, literal_column


def constant(value: int | enum.StrEnum) -> ColumnElement[Any]:
    """A number or an enum's member, in the text of the statement."""
    if isinstance(value, enum.StrEnum):
        return literal_column(f"'{value.value}'", Text)
    return literal_column(str(value), Integer)
