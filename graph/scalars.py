"""The scalars of the schema. The database writes output values; input values are parsed here."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

CountryCode = NewType("CountryCode", str)
CurrencyCode = NewType("CurrencyCode", str)
Decimal = NewType("Decimal", str)
Long = NewType("Long", int)
URL = NewType("URL", str)

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
DECIMAL = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,3})?", re.ASCII)


def date(value: Any) -> dt.date:
    """Parse a calendar date, in the single form that GraphQL's LocalDate allows."""
    if isinstance(value, str) and DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise unreadable("a Date is a calendar date, for example 2026-03-15")


def date_time(value: Any) -> dt.datetime:
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            pass
    raise unreadable(
        "a DateTime is a point in time with a UTC offset, for example 2026-03-15T09:30:00Z"
    )


def serialize_decimal(value: Any) -> str:
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        return value
    raise unreadable(
        'a Decimal is a string of digits with at most three decimals, for example "125.00"'
    )


def long(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    raise unreadable("a Long is an integer between -2^53 and 2^53")


def url(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise unreadable("a URL is a string")


def code_scalar(length: int) -> Callable[[Any], str]:
    def parsed(value: Any) -> str:
        if isinstance(value, str) and len(value) == length and value.isascii() and value.isupper():
            return value
        raise unreadable(f"a code of {length} capital letters")

    return parsed


def unreadable(what: str) -> GraphQLError:
    return GraphQLError(what, extensions={"code": "BAD_USER_INPUT"})


def as_it_is(value: Any) -> Any:
    """Return a value unchanged: a planned statement has already written it as JSON."""
    return value


def scalar(
    name: str, parse: Callable[[Any], Any], description: str, specified_by: str | None = None
) -> ScalarDefinition:
    return strawberry.scalar(
        name=name,
        serialize=as_it_is,
        parse_value=parse,
        description=description,
        specified_by_url=specified_by,
    )


SCALARS: dict[object, ScalarDefinition] = {
    dt.date: scalar(
        "Date",
        date,
        "A calendar date, for example `2026-03-15`.",
        "https://scalars.graphql.org/andimarek/local-date.html",
    ),
    dt.datetime: scalar(
        "DateTime",
        date_time,
        "A point in time, in UTC and to the second, for example `2026-03-15T09:30:00Z`.",
        "https://scalars.graphql.org/andimarek/date-time.html",
    ),
    Decimal: scalar(
        "Decimal",
        serialize_decimal,
        "An exact decimal number as a string of digits with at most three decimals, for example"
        ' `"125.00"`. NaN, exponents and JSON numbers are not accepted.',
    ),
    Long: scalar(
        "Long",
        long,
        "An integer that may exceed 32 bits, as a JSON number; always between -2^53 and 2^53.",
    ),
    CurrencyCode: scalar(
        "CurrencyCode", code_scalar(3), "An ISO 4217 currency code, for example `USD`."
    ),
    CountryCode: scalar(
        "CountryCode", code_scalar(2), "An ISO 3166-1 alpha-2 country code, for example `US`."
    ),
    URL: scalar(
        "URL",
        url,
        "An absolute URL, as defined by RFC 3986.",
        "https://datatracker.ietf.org/doc/html/rfc3986",
    ),
}
CONFIG = StrawberryConfig(scalar_map=SCALARS)
