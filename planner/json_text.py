"""JSON that the database writes as text: the concatenation of values and the text around them.

json_build_object is not used, since it looks up types in the catalog for every row.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    get_named_type,
    get_nullable_type,
    is_enum_type,
)
from sqlalchemy import (
    Alias,
    BinaryExpression,
    Case,
    Cast,
    Column,
    ColumnClause,
    ColumnElement,
    Exists,
    FromClause,
    Integer,
    ScalarSelect,
    String,
    Table,
    Text,
    TypeCoerce,
    UnaryExpression,
    column,
    func,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.functions import FunctionElement

from planner.sql_text import exact_decimal, hexadecimal, json_bool, json_string, rfc3339, sha256

# Marks a null for a non-null type. JSON text never contains a control character unescaped. A result
# with the marker is discarded, and the reference executor reports the error.
NULL_VIOLATION = "\x01"

Piece = str | ColumnElement[Any]

# SQLite counts each || as a level of depth, with a limit of 1000, so long chains are parenthesized.
CHAIN = 60


class Concatenation(FunctionElement[str]):
    """The concatenation of texts and SQL expressions. NULL if any of them is NULL."""

    type = Text()
    inherit_cache = False

    def __init__(self, pieces: Iterable[Piece]) -> None:
        flat = merge_pieces(pieces)
        # The strings, with None for each expression. SQLAlchemy traverses the expressions.
        self.strings = [piece if isinstance(piece, str) else None for piece in flat]
        super().__init__(*(piece for piece in flat if not isinstance(piece, str)))

    @property
    def pieces(self) -> list[Piece]:
        expressions = iter(self.clauses)
        return [next(expressions) if text is None else text for text in self.strings]


@compiles(Concatenation)
def compile_joined(element: Concatenation, compiler: SQLCompiler, **kw: Any) -> str:
    pieces = [
        sql_string(p) if isinstance(p, str) else compiler.process(p, **kw) for p in element.pieces
    ]
    while len(pieces) > CHAIN:
        pieces = [
            "(" + " || ".join(pieces[i : i + CHAIN]) + ")" for i in range(0, len(pieces), CHAIN)
        ]
    return " || ".join(pieces)


def merge_pieces(pieces: Iterable[Piece]) -> Sequence[Piece]:
    """Merge adjacent strings, and replace nested concatenations by their pieces."""
    out: list[Piece] = []
    for outer in pieces:
        for piece in outer.pieces if isinstance(outer, Concatenation) else (outer,):
            if isinstance(piece, str) and out and isinstance(out[-1], str):
                out[-1] += piece
            else:
                out.append(piece)
    return out or [""]


# -- subqueries as columns -------------------------------------------------------------------------


def hoist_subqueries(
    text: Concatenation, table: FromClause, columns: "InnerColumns"
) -> Concatenation:
    """Return the text over columns that an inner SELECT fetches from the table.

    The inner SELECT evaluates the subqueries and the text between them. SQLite's parser stack has a
    hundred entries, one for each syntax element open around a subquery. A subquery in a column of
    its own has the fewest around it, and runs once.
    """
    pieces: list[Piece] = []
    for has_subquery, run in groupby(text.pieces, key=has_subqueries):
        if has_subquery:
            pieces += [fetch_columns(piece, table, columns) for piece in run]
        else:
            pieces.append(columns.write(Concatenation(run)))
    return Concatenation(pieces)


def has_subqueries(piece: Piece) -> bool:
    return not isinstance(piece, str) and any(map(is_subquery, visitors.iterate(piece)))


def is_subquery(element: Any) -> bool:
    return isinstance(element, ScalarSelect | Exists)


def fetch_columns(piece: Any, table: FromClause, columns: "InnerColumns") -> Any:
    """Return an expression over the table and subqueries as one over fetched columns."""

    def swap(element: Any, **_: Any) -> ColumnElement[Any] | None:
        own = isinstance(element, ColumnClause) and element.table is table
        return columns.write(element) if own or is_subquery(element) else None

    return visitors.replacement_traverse(piece, {}, swap)


class InnerColumns:
    """The columns of an inner SELECT, and the outer SELECT's references to them."""

    def __init__(self) -> None:
        self.written: list[ColumnElement[Any]] = []
        self.read: dict[Any, ColumnElement[Any]] = {}

    def write(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """Add the expression to the inner SELECT once, and return the outer SELECT's reference."""
        if expression not in self.read:
            name = f"c{len(self.written)}"
            self.written.append(expression.label(name))
            self.read[expression] = column(name, expression.type)
        return self.read[expression]


def sql_string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- the text around values ------------------------------------------------------------------------


def leaf(
    type_: GraphQLOutputType, value: ColumnElement[Any], *, exact: bool = False
) -> ColumnElement[str]:
    """Return a scalar or enum of the given GraphQL type as JSON text, which is never NULL.

    The text of an object consists of leaves, so it is never NULL either. With `exact`, a null is
    written even if the type is non-null.
    """
    check_nullability(type_, value)
    text = Concatenation(present(type_, value))
    if isinstance(type_, GraphQLNonNull) and is_not_null(value):
        return text
    return or_violation(text) if isinstance(type_, GraphQLNonNull) and not exact else or_null(text)


class NotNull(FunctionElement[Any]):
    """A value that is never NULL, although its expression does not show that."""

    inherit_cache = False

    def __init__(self, value: ColumnElement[Any]) -> None:
        self.type = value.type
        # The surrounding expression must not regroup it, as it could not regroup a function call.
        super().__init__(value.self_group(against=operators.mul))


@compiles(NotNull)
def compile_not_null(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **kw)


def is_not_null(value: Any) -> bool:
    """Return whether the expression shows that the value is never NULL."""
    match value:
        case NotNull():
            return True
        case Column():
            return not value.nullable and is_of_table(value)
        case ColumnClause():
            return value.is_literal
        case Concatenation():
            return all(isinstance(piece, str) or is_not_null(piece) for piece in value.pieces)
        case Cast() | TypeCoerce():
            return is_not_null(value.clause)
        case UnaryExpression() | Grouping():
            return is_not_null(value.element)
        case BinaryExpression():
            return is_not_null(value.left) and is_not_null(value.right)
        case Case():
            results = [result for _, result in value.whens]
            return value.else_ is not None and all(map(is_not_null, [*results, value.else_]))
        case exact_decimal() | hexadecimal() | rfc3339() | sha256():
            return all(map(is_not_null, value.clauses))
    return False


def is_of_table(column: Column[Any]) -> bool:
    """Return whether a column belongs to a table. A subquery's column may always be NULL."""
    return isinstance(column.table, Alias) and isinstance(column.table.element, Table)


def present(type_: GraphQLOutputType, value: ColumnElement[Any]) -> list[Piece]:
    """Return the text of a value that is not NULL."""
    named = get_named_type(type_)
    if isinstance(get_nullable_type(type_), GraphQLList):
        return [as_text(value)]  # JSON text already
    if named.name in NUMBERS:
        return [as_text(value)]
    if named.name == "Boolean":
        return [json_bool(value)]
    if named.name == "String":
        return [json_string(value)]
    if is_enum_type(named) or named.name in PLAIN:
        return ['"', as_text(value), '"']
    raise TypeError(f"no JSON text for {named.name}")


NUMBERS = frozenset({"Int", "Long"})
# Scalars with text that never needs escaping.
PLAIN = frozenset({"ID", "Date", "Decimal", "CurrencyCode", "CountryCode", "DateTime", "URL"})


def check_nullability(type_: GraphQLOutputType, value: ColumnElement[Any]) -> None:
    """Raise TypeError if a field promises more than its column holds, a bug found at start-up.

    Any other expression was written for the field and is trusted.
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


def or_violation(text: ColumnElement[str]) -> ColumnElement[str]:
    """Return a marker instead of NULL, which would turn all surrounding text into NULL."""
    return func.coalesce(text, literal_text(NULL_VIOLATION))


def json_list(texts: ColumnElement[str]) -> ColumnElement[str]:
    """Return aggregated items as a list, which is empty if there were no rows."""
    return Concatenation(["[", func.coalesce(texts, literal_text("")), "]"])


def literal_text(text: str) -> ColumnElement[str]:
    return Concatenation([text])


def as_text(value: ColumnElement[Any]) -> ColumnElement[str]:
    return value if isinstance(value.type, String) else sql_cast(value, Text)
