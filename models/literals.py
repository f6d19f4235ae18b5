"""Literal values in statements. A parameter would imply that a request supplies the value."""

import enum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, literal_column


def constant(value: int | enum.StrEnum) -> ColumnElement[Any]:
    """Return a number or a member of an enum as a literal of the statement."""
    if isinstance(value, enum.StrEnum):
        return literal_column(f"'{value.value}'", Text)
    return literal_column(str(value), Integer)
