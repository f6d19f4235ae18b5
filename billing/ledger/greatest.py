"""The greatest and the least of some values, which SQLite and PostgreSQL name differently."""

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models.literals import constant


class greatest(FunctionElement[Any]):
    """The greatest of some values of one type. Each of them is computed once."""

    inherit_cache = True

    def __init__(self, *values: ColumnElement[Any]) -> None:
        super().__init__(*values)
        self.type = values[0].type


@compiles(greatest, "postgresql")
def greatest_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"


@compiles(greatest, "sqlite")
def greatest_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


class least(FunctionElement[Any]):
    """The least of some values of one type. Each of them is computed once."""

    inherit_cache = True

    def __init__(self, *values: ColumnElement[Any]) -> None:
        super().__init__(*values)
        self.type = values[0].type


@compiles(least, "postgresql")
def least_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"least({compiler.process(element.clauses, **kw)})"


@compiles(least, "sqlite")
def least_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"min({compiler.process(element.clauses, **kw)})"


def at_least_zero(amount: ColumnElement[int]) -> ColumnElement[int]:
    return greatest(amount, constant(0))
