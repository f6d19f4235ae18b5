"""Tables under an alias, with the columns of their row class for mypy.

SQLAlchemy's own collection of columns accepts every name. Here `invoice.c` has the type of the
class `Invoice`, so that mypy checks each column's name and type.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, cast

from sqlalchemy import Alias, ColumnElement, SQLColumnExpression

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import NamedFromClause

    class TableAlias(NamedFromClause[Any], Generic[R_co]):
        """A table, or a subquery with declared columns, under an alias."""

        @property
        def c(self) -> type[R_co]: ...

else:
    TableAlias = Alias


class RowOf(Protocol[R_co]):
    """A row with the columns of a class: a table, or an object with computed values besides."""

    @property
    def c(self) -> type[R_co]: ...


# A condition for the rows of a table.
Condition: TypeAlias = Callable[[TableAlias[R]], SQLColumnExpression[bool]]


def as_columns(expressions: Iterable[SQLColumnExpression[T]]) -> Sequence[ColumnElement[T]]:
    """Return the columns of aliases as the elements that they are.

    For mypy, the attributes of a row class are those of an ORM's entity.
    """
    return cast("Sequence[ColumnElement[T]]", expressions)


def as_column(expression: SQLColumnExpression[T]) -> ColumnElement[T]:
    """Return a column of an alias as the element that it is."""
    return cast("ColumnElement[T]", expression)
