"""Text forms of values: for each type one function per database.

Tests compare each function with Python's own, including all digits of amounts and all string
escapes.
"""

from typing import Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Integer,
    SQLColumnExpression,
    Text,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def number_literal(value: int) -> ColumnElement[int]:
    """Return a number as a literal of the statement: a parameter would depend on the request."""
    return literal_column(str(value), Integer)


class json_string(FunctionElement[str]):
    """A string as JSON, with quotes and escapes."""

    type = Text()
    inherit_cache = False


@compiles(json_string, "postgresql")
def json_string_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(to_json(CAST({compiler.process(element.clauses, **kw)} AS TEXT)) AS TEXT)"


@compiles(json_string, "sqlite")
def json_string_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # json_quote(NULL) is the text null. Each use of a parameter needs a rendering of its own.
    text, again = (compiler.process(element.clauses, **kw) for _ in range(2))
    return f"CASE WHEN {text} IS NOT NULL THEN json_quote({again}) END"


class json_bool(FunctionElement[str]):
    """A boolean as JSON; NULL stays NULL."""

    type = Text()
    inherit_cache = False


@compiles(json_bool, "postgresql")
def json_bool_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS TEXT)"


@compiles(json_bool, "sqlite")
def json_bool_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"


class exact_decimal(FunctionElement[str]):
    """decimal(integer, digits): the exact value of integer / 10^digits, with that many decimals."""

    type = Text()
    inherit_cache = False

    def __init__(self, scaled: SQLColumnExpression[int], digits: int) -> None:
        self.digits = digits
        super().__init__(scaled)


@compiles(exact_decimal, "postgresql")
def exact_decimal_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # The type numeric is exact, and a product has the scale of its factors.
    scaled = compiler.process(element.clauses, **kw)
    unit = f" * 0.{'1':0>{element.digits}}" if element.digits else ""
    return f"CAST(({scaled}){unit} AS TEXT)"


@compiles(exact_decimal, "sqlite")
def exact_decimal_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    """Use integer arithmetic only, with a separate sign. Evaluate a complex expression once."""
    scaled = compiler.process(element.clauses, **kw)
    if element.digits == 0:
        return f"CAST({scaled} AS TEXT)"
    if isinstance(next(iter(element.clauses)), ColumnClause):
        return decimal_sql(scaled, element.digits)
    return f"(SELECT {decimal_sql('scaled', element.digits)} FROM (SELECT {scaled} AS scaled))"


def decimal_sql(scaled: str, digits: int) -> str:
    unit = 10**digits
    return (
        f"(CASE WHEN {scaled} < 0 THEN '-' ELSE '' END || CAST(abs({scaled}) / {unit} AS TEXT)"
        f" || '.' || substr(CAST(abs({scaled}) % {unit} + {unit} AS TEXT), 2))"
    )


class rfc3339(FunctionElement[str]):
    """A point in time as RFC 3339 text in UTC, to the second."""

    type = Text()
    inherit_cache = False


@compiles(rfc3339, "postgresql")
def rfc3339_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    moment = compiler.process(element.clauses, **kw)
    return f"""to_char(({moment}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


@compiles(rfc3339, "sqlite")
def rfc3339_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {compiler.process(element.clauses, **kw)})"


class hexadecimal(FunctionElement[str]):
    """A text as the hexadecimal digits of its UTF-8 encoding."""

    type = Text()
    inherit_cache = False


@compiles(hexadecimal, "postgresql")
def hexadecimal_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"encode(convert_to({compiler.process(element.clauses, **kw)}, 'UTF8'), 'hex')"


@compiles(hexadecimal, "sqlite")
def hexadecimal_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **kw)}))"


class sha256(FunctionElement[str]):
    """The SHA-256 hash of a text's UTF-8 encoding, in hexadecimal."""

    type = Text()
    inherit_cache = False


@compiles(sha256, "postgresql")
def sha256_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"


@compiles(sha256, "sqlite")
def sha256_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite has no such function: it is added to each connection (models/database/).
    return f"sha256({compiler.process(element.clauses, **kw)})"


class comma_separated(FunctionElement[str]):
    """An aggregate of texts, separated by commas, in the order of the rows."""

    type = Text()
    inherit_cache = False


@compiles(comma_separated, "postgresql")
def comma_separated_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **kw)}, ',')"


@compiles(comma_separated, "sqlite")
def comma_separated_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **kw)}, ',')"
