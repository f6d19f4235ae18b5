"""Amounts, the rows of the type Money."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, Text

from planner.deferred import bind
from planner.sql_text import exact_decimal
from resolvers.request_context import from_request
from resolvers.visibility import Visibility


@dataclass(frozen=True)
class Amount:
    """An amount in minor units of the practice's currency."""

    minor: SQLColumnExpression[int]


def amount(column: str) -> Callable[[Any], Amount]:
    """Return a function from a row to the amount in this column."""
    return lambda row: Amount(row.c[column])


def major_units(amount: Amount, visible: Visibility) -> ColumnElement[str]:
    return exact_decimal(amount.minor, visible.digits)


def currency(_: Amount, __: Visibility) -> ColumnElement[str]:
    return bind(from_request(lambda request: request.viewer.currency), Text())
