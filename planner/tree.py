"""The plan tree: the fields of one operation, and for each field the way to read its value.

A tree has no SQL. Fragments are expanded, `@skip` and `@include` are decided, and arguments are
coerced: a variable's value is `Deferred` while a plan is made. `planner/builder.py` makes a tree
from a document, `planner/emitter.py` makes the statement from a tree, and `planner/tree_text.py`
prints it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import FieldNode, GraphQLError, GraphQLOutputType

from planner.sources import (
    ConnectionField,
    ConnectionItems,
    Embedded,
    EmbeddedList,
    MutationField,
    NodeById,
    NodeKind,
    PageFact,
    RowsOf,
    Value,
    ViewerField,
)

Arguments: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class OperationPlan:
    """An operation: its kind, its name, and the fields of its root type."""

    kind: str
    name: str | None
    root: "ObjectPlan"


@dataclass(frozen=True)
class ObjectPlan:
    """An object of one type, with its selected fields in the order of the response.

    `refusal` is the error of a directive that cannot be read. Such an object has no fields.
    """

    type_name: str
    fields: Sequence["FieldPlan"]
    refusal: GraphQLError | None = None


@dataclass(frozen=True)
class FieldPlan:
    """A field: its key in the response, its name in the schema, and its value.

    `node` is its first occurrence in the document, the location of its errors.
    """

    key: str
    name: str
    value: "ValuePlan"
    node: FieldNode


# -- leaves ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TypeNamePlan:
    """The name of the object's type, for `__typename`."""

    type_name: str


@dataclass(frozen=True)
class LeafPlan:
    """A scalar or enum, an SQL expression over the row."""

    source: Value[Any] | ViewerField[Any]
    type: GraphQLOutputType


@dataclass(frozen=True)
class PageFactPlan:
    """A scalar of a connection, such as `hasNextPage`."""

    fact: PageFact
    type: GraphQLOutputType


@dataclass(frozen=True)
class RefusalPlan:
    """A field with an argument that is refused. The reference executor reports the error."""

    code: str
    message: str


@dataclass(frozen=True)
class ResolverPlan:
    """A field without a source, such as `__schema`. Only the reference executor resolves it."""


# -- objects of the same row -----------------------------------------------------------------------


@dataclass(frozen=True)
class EmbeddedPlan:
    """An object read from the same row."""

    source: Embedded[Any]
    arguments: Arguments
    object: ObjectPlan


@dataclass(frozen=True)
class EmbeddedListPlan:
    """A list of objects read from the same row. Each has the same fields."""

    source: EmbeddedList[Any]
    object: ObjectPlan


# -- objects of other rows -------------------------------------------------------------------------


@dataclass(frozen=True)
class RowPlan:
    """An object of another row: a subquery or, on PostgreSQL, a lateral join."""

    rows: RowsOf[Any]
    arguments: Arguments
    object: ObjectPlan
    is_nullable: bool


@dataclass(frozen=True)
class NodePlan:
    """An object of an interface. The arguments decided its type and the look-up of its row."""

    source: NodeById
    arguments: Arguments
    rows: RowsOf[Any]
    object: ObjectPlan


@dataclass(frozen=True)
class RowListPlan:
    """A list with an object for each row: a subquery with an aggregate."""

    rows: RowsOf[Any]
    arguments: Arguments
    object: ObjectPlan


@dataclass(frozen=True)
class NodeListPlan:
    """A list of objects of an interface, with the fields of each possible type by its id prefix."""

    rows: RowsOf[Any]
    arguments: Arguments
    kinds: Mapping[str, tuple[NodeKind, ObjectPlan]]


# -- pages -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageBounds:
    """The paging arguments of a connection."""

    first: Any = None
    after: Any = None
    last: Any = None
    before: Any = None

    @property
    def is_backward(self) -> bool:
        return self.last is not None

    @property
    def from_start(self) -> bool:
        """Return whether the page begins with the first row of the list."""
        return self.after is None and self.last is None


@dataclass(frozen=True)
class PageUse:
    """The use of a page by the selected fields. It decides the rows and columns of the SELECT.

    `reads_rows`: some field is read from the page's rows. Without one there is no SELECT over them.
    `peeks`: the page's position is selected. One more row is read to find out whether more exist.
    `is_ranked`: the rows are numbered. `counted_key` is the response key of the first list of
    items. Its rows can be counted in a response.
    """

    reads_rows: bool
    peeks: bool
    is_ranked: bool
    counted_key: str | None


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection: a SELECT of a page's rows, and the fields that are read from it."""

    source: ConnectionField[Any]
    arguments: Arguments
    bounds: PageBounds
    use: PageUse
    object: ObjectPlan


@dataclass(frozen=True)
class PageItemsPlan:
    """A list with an object for each row of the page: `nodes` or `edges`."""

    source: ConnectionItems[Any]
    object: ObjectPlan


# -- mutations -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResultPlan:
    """The result of a mutation field, with the fields of each possible type by its name.

    The field's outcome decides the type. It is known once the mutation has run.
    """

    source: MutationField
    results: Mapping[str, ObjectPlan]


ValuePlan: TypeAlias = (
    TypeNamePlan
    | LeafPlan
    | PageFactPlan
    | RefusalPlan
    | ResolverPlan
    | EmbeddedPlan
    | EmbeddedListPlan
    | RowPlan
    | NodePlan
    | RowListPlan
    | NodeListPlan
    | ConnectionPlan
    | PageItemsPlan
    | ResultPlan
)
