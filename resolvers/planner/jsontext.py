"""JSON written by the database as text: one construct, and how each kind of value is written.

Concatenation, not json_build_object, which looks types up in the catalog for every row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from graphql import GraphQLList, GraphQLNonNull, GraphQLOutputType, get_named_type, is_enum_type
from sqlalchemy import Column, ColumnElement, Integer, String, Text, func
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# In no JSON text: control characters are escaped. An answer with it in it has a null where the
# schema has none, and is thrown away: the reference executor then says what GraphQL says.
BROKEN = "\x01"

Piece = str | ColumnElement[Any]

# SQLite counts each || as a level of depth and stops at 1000, so a long chain is put in brackets.
CHAIN = 60


class Joined(FunctionElement[str]):
    """Pieces of text and SQL expressions, one after the other. NULL if one of them is."""

    type = Text()
    inherit_cache = False

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = merged(pieces)
        super().__init__(*(p for p in self.pieces if not isinstance(p, str)))


@compiles(Joined)
def write_joined(element: Joined, compiler: SQLCompiler, **kw: Any) -> str:
    pieces = [
        sql_string(p) if isinstance(p, str) else compiler.process(p, **kw) for p in element.pieces
    ]
    while len(pieces) > CHAIN:
        pieces = [
            "(" + " || ".join(pieces[i : i + CHAIN]) + ")" for i in range(0, len(pieces), CHAIN)
        ]
    return " || ".join(pieces)


def merged(pieces: Iterable[Piece]) -> Sequence[Piece]:
    """Neighbouring strings become one, and what is joined already is taken apart."""
    out: list[Piece] = []
    for outer in pieces:
        for piece in outer.pieces if isinstance(outer, Joined) else (outer,):
            if isinstance(piece, str) and out and isinstance(out[-1], str):
                out[-1] += piece
            else:
                out.append(piece)
    return out or [""]


def sql_string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- what stands around values ---------------------------------------------------------------------


def leaf(type_: GraphQLOutputType, value: ColumnElement[Any], *, exact: bool) -> ColumnElement[str]:
    """A scalar or enum of the given GraphQL type as JSON text, which is never NULL.

    So no object's text is, no list can lose an item, and no object can vanish.
    """
    check(type_, value)
    text = Joined(present(type_, value))
    if exact or not isinstance(type_, GraphQLNonNull):
        return or_null(text)
    return text if isinstance(value, Column) else or_broken(text)


def present(type_: GraphQLOutputType, value: ColumnElement[Any]) -> list[Piece]:
    """The text of a value that isn't NULL."""
    named = get_named_type(type_)
    if isinstance(getattr(type_, "of_type", type_), GraphQLList):
        return [as_text(value)]  # JSON text already
    if named.name in NUMBERS:
        return [as_text(value)]
    if named.name == "Boolean":
        return [truth(value)]
    if named.name == "String":
        return [escaped(value)]
    if is_enum_type(named) or named.name in PLAIN:
        return ['"', as_text(value), '"']
    raise TypeError(f"no JSON text for {named.name}")


NUMBERS = frozenset({"Int", "Long"})
# Scalars whose text can't need escaping.
PLAIN = frozenset({"ID", "Date", "Decimal", "CurrencyCode", "CountryCode", "DateTime"})


def check(type_: GraphQLOutputType, value: ColumnElement[Any]) -> None:
    """Stops a field that promises more than its column holds: a bug, found when the server starts.

    A value that isn't a column itself has been worked out for the field, and is trusted.
    """
    if not isinstance(value, Column):
        return
    if isinstance(type_, GraphQLNonNull) and value.nullable:
        raise TypeError(f"{value} may be null, {type_} may not")
    wide = isinstance(value.type, Integer) and value.type.__visit_name__ == "big_integer"
    if wide and get_named_type(type_).name == "Int":
        raise TypeError(f"{value} has 64 bits, an Int 32")


def or_null(text: ColumnElement[str]) -> ColumnElement[str]:
    return func.coalesce(text, literal_text("null"))


def or_broken(text: ColumnElement[str]) -> ColumnElement[str]:
    return func.coalesce(text, literal_text(BROKEN))


def json_list(texts: ColumnElement[str]) -> ColumnElement[str]:
    """The rows' texts as a list. What is around a subquery would cost SQLite's parser room."""
    return Joined(["[", func.coalesce(comma_separated(texts), literal_text("")), "]"])


def literal_text(text: str) -> ColumnElement[str]:
    return Joined([text])


def as_text(value: ColumnElement[Any]) -> ColumnElement[str]:
    return value if isinstance(value.type, String) else sql_cast(value, Text)


# -- values, each in one function a database -------------------------------------------------------


class escaped(FunctionElement[str]):
    """A string as JSON, quotes and escapes included."""

    type = Text()
    inherit_cache = False


@compiles(escaped, "postgresql")
def escaped_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(to_json(CAST({compiler.process(element.clauses, **kw)} AS TEXT)) AS TEXT)"


@compiles(escaped, "sqlite")
def escaped_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # json_quote(NULL) is the text null. Written twice, a parameter would be counted twice.
    text, again = (compiler.process(element.clauses, **kw) for _ in range(2))
    return f"CASE WHEN {text} IS NOT NULL THEN json_quote({again}) END"


class truth(FunctionElement[str]):
    """A boolean as JSON; NULL stays NULL."""

    type = Text()
    inherit_cache = False


@compiles(truth, "postgresql")
def truth_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS TEXT)"


@compiles(truth, "sqlite")
def truth_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"


class decimal(FunctionElement[str]):
    """decimal(integer, digits): integer / 10^digits, exactly, with so many decimals."""

    type = Text()
    inherit_cache = False

    def __init__(self, scaled: ColumnElement[int], digits: int) -> None:
        self.digits = digits
        super().__init__(scaled)


@compiles(decimal, "postgresql")
def decimal_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # The type numeric is exact, and keeps the scale of what it is multiplied by.
    scaled = compiler.process(element.clauses, **kw)
    unit = f" * 0.{'1':0>{element.digits}}" if element.digits else ""
    return f"CAST(({scaled}){unit} AS TEXT)"


@compiles(decimal, "sqlite")
def decimal_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    """Integer arithmetic only, the sign apart; what's more than a column is worked out once."""
    scaled = compiler.process(element.clauses, **kw)
    if element.digits == 0:
        return f"CAST({scaled} AS TEXT)"
    if isinstance(next(iter(element.clauses)), Column):
        return decimal_sql(scaled, element.digits)
    return f"(SELECT {decimal_sql('scaled', element.digits)} FROM (SELECT {scaled} AS scaled))"


def decimal_sql(scaled: str, digits: int) -> str:
    unit = 10**digits
    return (
        f"(CASE WHEN {scaled} < 0 THEN '-' ELSE '' END || CAST(abs({scaled}) / {unit} AS TEXT)"
        f" || '.' || substr(CAST(abs({scaled}) % {unit} + {unit} AS TEXT), 2))"
    )


class instant(FunctionElement[str]):
    """A moment as RFC 3339 text in UTC, to the second."""

    type = Text()
    inherit_cache = False


@compiles(instant, "postgresql")
def instant_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    moment = compiler.process(element.clauses, **kw)
    return f"""to_char(({moment}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


@compiles(instant, "sqlite")
def instant_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {compiler.process(element.clauses, **kw)})"


class hexadecimal(FunctionElement[str]):
    """Text as the hexadecimal digits of its UTF-8."""

    type = Text()
    inherit_cache = False


@compiles(hexadecimal, "postgresql")
def hexadecimal_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"encode(convert_to({compiler.process(element.clauses, **kw)}, 'UTF8'), 'hex')"


@compiles(hexadecimal, "sqlite")
def hexadecimal_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **kw)}))"


class comma_separated(FunctionElement[str]):
    """All rows' texts with commas between them, in the order that the rows come in."""

    type = Text()
    inherit_cache = False


@compiles(comma_separated, "postgresql")
def comma_separated_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **kw)}, ',')"


@compiles(comma_separated, "sqlite")
def comma_separated_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **kw)}, ',')"
