"""The greatest and the least of some values, which SQLite and PostgreSQL name differently."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models.literals import constant


class Extreme(FunctionElement[Any]):
    """A function of some values of one type that returns one of them. Each is computed once."""

    # The function's name on each database.
    names: ClassVar[Mapping[str, str]]
    inherit_cache = True

    def __init__(self, *values: ColumnElement[Any]) -> None:
        super().__init__(*values)
        self.type = values[0].type


class greatest(Extreme):
    """The greatest of some values."""

    names: ClassVar = {"postgresql": "greatest", "sqlite": "max"}
    inherit_cache = True


class least(Extreme):
    """The least of some values."""

    names: ClassVar = {"postgresql": "least", "sqlite": "min"}
    inherit_cache = True


@compiles(Extreme)
def compile_extreme(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.names[compiler.dialect.name]}({compiler.process(element.clauses, **kw)})"


def at_least_zero(amount: ColumnElement[int]) -> ColumnElement[int]:
    return greatest(amount, constant(0))
