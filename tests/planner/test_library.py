"""The planner with a schema, tables and a row policy of its own: it needs nothing of the portal."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest
import strawberry
from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues
from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    insert,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database import engine
from planner.builder import TreeBuilder
from planner.deferred import Deferred, FieldError, bind, placeholders
from planner.emitter import emit
from planner.operation import Operation, coerce_variables, parse_document, validate_operation
from planner.plan import Plan, compile_plan
from planner.selection import Selection, fragments_of
from planner.sources import (
    KEY,
    ConnectionField,
    ConnectionItems,
    PageFact,
    PageValue,
    Rows,
    Source,
    ToMany,
    ToOne,
    Value,
)

TABLES = MetaData()
AUTHORS = Table(
    "author",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("library", Integer, nullable=False),
    Column("name", Text, nullable=False),
)
BOOKS = Table(
    "book",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("library", Integer, nullable=False),
    Column("author_id", Integer, nullable=False),
    Column("title", Text, nullable=False),
)


@dataclass(frozen=True)
class Reading:
    """A request of a reader of one library."""

    library: int
    variables: Mapping[str, Any]


class OwnLibrary:
    """A row policy: a reader sees the rows of their library."""

    def __init__(self, *, lateral: bool) -> None:
        self.lateral = lateral

    def predicate_for(self, table: FromClause) -> ColumnElement[bool]:
        return table.c.library == bind(Deferred(lambda reading: reading.library), Integer())

    def check(self, statement: Select[Any]) -> None: ...


def books_of(author: Any, _: OwnLibrary) -> Rows:
    books = BOOKS.alias()
    return Rows(books, [books.c.author_id == author.c.id], [books.c.title], name="title")


def author_of(book: Any, _: OwnLibrary) -> Rows:
    authors = AUTHORS.alias()
    return Rows(authors, [authors.c.id == book.c.author_id])


def every_author(*_: Any) -> Rows:
    authors = AUTHORS.alias()
    return Rows(authors, [], [authors.c.name])


def planned(source: Source, resolver: Any = None) -> Any:
    return strawberry.field(resolver=resolver, metadata={KEY: source})


def page_arguments(first: int | None = None, after: str | None = None) -> "BookConnection":
    raise NotImplementedError


@strawberry.type
class Author:
    name: str = planned(Value(lambda author: author.c.name))
    books: "BookConnection" = planned(ConnectionField(books_of), page_arguments)


@strawberry.type
class Book:
    title: str = planned(Value(lambda book: book.c.title))
    author: Author | None = planned(ToOne(author_of))


@strawberry.type
class BookConnection:
    nodes: list[Book] = planned(ConnectionItems(lambda page: page.node))
    end: str | None = planned(PageValue(PageFact.END_CURSOR))
    more: bool = planned(PageValue(PageFact.HAS_NEXT))
    total: int = planned(PageValue(PageFact.TOTAL))


@strawberry.type
class Query:
    authors: list[Author] = planned(ToMany(every_author))


LIBRARY = strawberry.Schema(Query)


def plan(text: str, variables: Mapping[str, Any], dialect: Any) -> Plan:
    document = parse_document(text)
    assert isinstance(document, DocumentNode)
    (node,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    operation = validate_operation(LIBRARY._schema, document, node)
    assert isinstance(operation, Operation)
    values = coerce_variables(LIBRARY._schema, operation, variables)
    assert isinstance(values, VariableValues)
    symbols = placeholders(operation.types, values, lambda _: "")
    selection = Selection(LIBRARY._schema, fragments_of(document), symbols)
    tree = TreeBuilder(LIBRARY, selection).operation(node)
    emitted = emit(tree, OwnLibrary(lateral=dialect.name == "postgresql"))
    return compile_plan(emitted.statement, dialect, emitted.unread)


@pytest.fixture(scope="module")
async def libraries(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[AsyncEngine]:
    """Yield a database with the authors and books of two libraries."""
    async with new_database() as url:
        libraries = engine(url)
        async with libraries.begin() as conn:
            await conn.run_sync(TABLES.create_all)
            named = {1: (1, "Ursula"), 2: (1, 'A "quoted" name'), 3: (2, "Another")}
            authors = [{"id": i, "library": lib, "name": name} for i, (lib, name) in named.items()]
            await conn.execute(insert(AUTHORS), authors)
            titles = ((1, 1, "C"), (1, 1, "A"), (1, 1, "B"), (2, 1, "Hidden"), (2, 3, "Theirs"))
            books = [{"library": lib, "author_id": by, "title": t} for lib, by, t in titles]
            await conn.execute(insert(BOOKS), books)
        yield libraries
        await libraries.dispose()


async def answer(libraries: AsyncEngine, text: str, library: int, **variables: Any) -> str:
    made = plan(text, variables, libraries.dialect)
    async with libraries.connect() as conn:
        values = tuple(made.values(Reading(library, variables)))
        return str((await conn.exec_driver_sql(made.sql, values)).scalar_one())


async def test_statement_returns_the_response(libraries: AsyncEngine) -> None:
    query = """query Shelf($first: Int!, $deep: Boolean!) { authors { name ...Shown } }
    fragment Shown on Author { books(first: $first) { total more
        nodes { title author @include(if: $deep) { name } } } }"""
    assert await answer(libraries, query, 1, first=2, deep=False) == (
        r'{"data":{"authors":[{"name":"A \"quoted\" name","books":{"total":0,"more":false,'
        r'"nodes":[]}},{"name":"Ursula","books":{"total":3,"more":true,"nodes":[{"title":"A"},'
        r'{"title":"B"}]}}]}}'
    )
    assert await answer(libraries, query, 2, first=1, deep=True) == (
        '{"data":{"authors":[{"name":"Another","books":{"total":1,"more":false,'
        '"nodes":[{"title":"Theirs","author":{"name":"Another"}}]}}]}}'
    )


def test_value_that_the_plan_refuses(libraries: AsyncEngine) -> None:
    query = "query ($first: Int!) { authors { books(first: $first) { total } } }"
    made = plan(query, {"first": 5}, libraries.dialect)
    assert made.sql == plan(query, {"first": 7}, libraries.dialect).sql
    with pytest.raises(FieldError, match="1 to 100 items, not 0"):
        made.values(Reading(1, {"first": 0}))
