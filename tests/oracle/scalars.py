"""The scalars of the contract, read and written."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from graphql import GraphQLScalarType, GraphQLSchema

from tests.oracle.world import refusal

DAY = re.compile(r"\d\d\d\d-\d\d-\d\d", re.ASCII)


def install(schema: GraphQLSchema) -> None:
    """Has the schema, which knows them by name only, read and write Dates and DateTimes."""
    day, moment = schema.type_map["Date"], schema.type_map["DateTime"]
    assert isinstance(day, GraphQLScalarType)
    assert isinstance(moment, GraphQLScalarType)
    day.coerce_input_value, day.coerce_output_value = to_day, from_day
    moment.coerce_output_value = from_moment


def to_day(value: Any) -> dt.date:
    if not isinstance(value, str) or not DAY.fullmatch(value):
        raise refusal("BAD_USER_INPUT")
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise refusal("BAD_USER_INPUT") from None


def from_day(value: Any) -> str:
    return str(value.isoformat())


def from_moment(value: Any) -> str:
    """To the second, what is left of it dropped."""
    utc = value.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
    return f"{utc.isoformat()}Z"


def decimal(scaled: int, digits: int) -> str:
    """scaled / 10^digits with just so many decimals."""
    return f"{Decimal(scaled).scaleb(-digits):f}"
