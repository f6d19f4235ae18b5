"""The scalars of the schema: parsing and serialization."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from graphql import GraphQLScalarType, GraphQLSchema

from tests.oracle.world import refusal

DAY = re.compile(r"\d\d\d\d-\d\d-\d\d", re.ASCII)


def install(schema: GraphQLSchema) -> None:
    """Install parsers and serializers of Date and DateTime, which the schema has by name only."""
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
    """Return a time in seconds and UTC, with fractions dropped."""
    utc = value.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
    return f"{utc.isoformat()}Z"


def decimal(scaled: int, digits: int) -> str:
    """Return scaled / 10^digits with exactly this many decimals."""
    return f"{Decimal(scaled).scaleb(-digits):f}"
