"""Amounts, the rows of the type Money."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text

from planner.deferred import Deferred, bind
from planner.sql_text import exact_decimal
from resolvers.visibility import Sight


@dataclass(frozen=True)
class Amount:
    """An amount in minor units of the practice's currency."""

    minor: Any


def amount(column: str) -> Callable[[Any], Amount]:
    """Return a function from a row to the amount in this column."""
    return lambda row: Amount(row.c[column])


def major_units(amount: Amount, sight: Sight) -> ColumnElement[str]:
    return exact_decimal(amount.minor, sight.digits)


def currency(_: Amount, __: Sight) -> ColumnElement[str]:
    return bind(Deferred(lambda context: context.viewer.currency), Text())
