"""Comparison of one operation's answers: by its plan, by the fallback, and by the oracle."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import get_operation_ast, parse
from graphql.execution.values import VariableValues
from sqlalchemy import make_url

from billing.documents.links import Signer
from execution.executor import Executor
from execution.introspection import Introspection
from execution.limits import too_large
from execution.pipeline import GraphQLService, Request
from execution.prepared_operation import PreparedOperation
from execution.selected_fields import SelectedDocument
from execution.size import Measure
from graph.schema import schema
from identity.viewer import Viewer
from models import ContactRight, Practice, Scope, Token
from models.database import (
    NO_PRACTICE,
    Caller,
    Lane,
    PostgresReads,
    SqliteReads,
    connector_of,
    engine,
)
from models.database.connector import PostgresConnector
from planner.fallback_executor import Answer, error_answer
from planner.operation import coerce_variables
from resolvers.request_context import RequestContext
from tests.oracle import Oracle
from tests.oracle.links import ADDRESS, SECRET
from tests.support.empty_databases import prepare
from tests.support.practices import Practices
from tests.support.practices.bookkeeping import load
from tests.support.practices.random_values import NOW, TODAY

SCHEMA = schema()._schema
SIGNER = Signer(ADDRESS, SECRET)


@dataclass(frozen=True)
class Case:
    """An operation of a viewer; `who` is a name of a token, as `USD client 0`.

    With junk, a value in it is refused wherever its field is reached.
    """

    who: str
    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    has_junk: bool = False


def is_within_limits(case: Case) -> bool:
    """Return whether the operation is within the server's limits, which the oracle does
    not know.
    """
    document = parse(case.query)
    node = get_operation_ast(document, case.operation_name)
    assert node
    return not too_large(
        Measure(SelectedDocument(SCHEMA, document), case.variables).operation(node)
    )


@dataclass(frozen=True)
class Answered:
    """A response in comparable form: its data, and the path and code of each error."""

    data: Any
    errors: Sequence[tuple[Any, str]]

    @classmethod
    def of(cls, response: Mapping[str, Any]) -> "Answered":
        errors = [
            (error.get("path"), error["extensions"]["code"]) for error in response.get("errors", ())
        ]
        # A refused request may have several reasons; the first is enough.
        found = sorted(errors, key=repr) if "data" in response else errors[:1]
        return cls(response.get("data"), found)


class Counted:
    """Mixin for reads that records the statements."""

    statements: list[str]
    # The values of the last statement.
    values: Sequence[Any] = ()

    async def row(self, sql: str, values: Sequence[Any], caller: Caller = NO_PRACTICE) -> Any:
        self.statements.append(sql)
        self.values = values
        return await super().row(sql, values, caller)  # type: ignore[misc]


class CountedSqlite(Counted, SqliteReads):
    pass


class CountedPostgres(Counted, PostgresReads):
    pass


class WatchedExecutor(Executor):
    """Plans that count the answers of the fallback."""

    fallbacks = 0

    async def answer_exactly(self, *given: Any) -> Answer:
        self.fallbacks += 1
        return await super().answer_exactly(*given)


class Comparison:
    """The graph over one database, together with the oracle."""

    def __init__(self, reads: Any, oracle: Oracle, practices: Practices) -> None:
        self.reads, self.oracle, self.practices = reads, oracle, practices
        self.database: str = reads.dialect.name
        self.viewers = {who: self.viewer(token_id) for who, token_id in practices.tokens.items()}
        self.forget()

    def forget(self) -> None:
        """Clear all caches of documents and plans."""
        self.graph = GraphQLService(schema(), self.reads, Introspection.EVERYONE, SIGNER)
        self.plan_anew()

    def plan_anew(self) -> None:
        """Keep the documents, and clear the plans."""
        self.plans = self.graph.executor = WatchedExecutor(self.graph.schema, self.reads, SIGNER)
        self.statements: list[str] = []
        self.reads.statements = self.statements

    async def answer(self, case: Case) -> tuple[Answered, bool]:
        """Return the server's answer, and whether it came from a plan with one statement."""
        self.statements.clear()
        before = self.plans.fallbacks
        request = Request(case.query, case.operation_name, case.variables)
        answer = await self.graph.answer(request, self.viewers[case.who], NOW)
        # The practice's rows are counted now and then, independently of the request.
        counting = self.graph.row_costs.counts.plan.sql
        statements = [sql for sql in self.statements if sql != counting]
        planned = self.plans.fallbacks == before and len(statements) == 1
        body = json.loads(answer.body)
        assert answer.has_data == ("data" in body)
        return Answered.of(body), planned and answer.has_data

    async def fallback(self, case: Case) -> Answered:
        """Return the fallback's answer to the operation that the server answered last."""
        prepared = self.graph.preparation.operations.items[case.query, case.operation_name]
        assert isinstance(prepared, PreparedOperation)
        variable_values = coerce_variables(
            self.graph.schema._schema, prepared.operation, case.variables
        )
        if not isinstance(variable_values, VariableValues):
            return Answered.of(json.loads(error_answer(variable_values).body))
        viewer = self.viewers[case.who]
        context = RequestContext(viewer, NOW, variable_values.coerced, signer=SIGNER)
        read = partial(self.plans.read_for, viewer.caller)
        answer = await Executor.answer_exactly(
            self.plans, prepared.operation, variable_values, case.variables, context, read
        )
        return Answered.of(json.loads(answer.body))

    def foretold(self, case: Case) -> Answered:
        """Return the oracle's answer."""
        token_id = self.practices.tokens[case.who]
        response = self.oracle.answer(
            case.query, case.variables, token_id, NOW, case.operation_name
        )
        return Answered.of(json.loads(json.dumps(response)))

    async def check(self, case: Case, *, fallback: bool = True) -> tuple[Answered, bool]:
        """Assert that all three answers agree; return the answer, and whether it was planned."""
        foretold = self.foretold(case)
        answered, planned = await self.answer(case)
        assert answered == foretold, case
        if fallback and foretold.errors[:1] != [(None, "SCOPE_REQUIRED")]:
            assert await self.fallback(case) == foretold, case
        return foretold, planned

    def viewer(self, token_id: str) -> Viewer:
        """Return the viewer of a token, according to the rows."""
        (token,) = self.found(Token, id=token_id)
        (practice,) = self.found(Practice, id=token["practice_id"])
        linked = [
            row["client_id"]
            for row in self.found(ContactRight, contact_id=token["contact_id"])
            if (row.get("until") or TODAY) >= TODAY
        ]
        sole = token["client_id"] or (linked[0] if len(linked) == 1 else None)
        return Viewer(
            kind=token["kind"],
            practice_id=token["practice_id"],
            token_id=token_id,
            subject_id=token["client_id"] or token["contact_id"],
            sole_client_id=sole,
            scopes=frozenset(Scope(scope) for scope in token["scopes"]),
            currency=practice["currency"],
            time_zone=practice["time_zone"],
            expires_at=token["expires_at"],
            is_sign_in=token["is_sign_in"],
            email=token["email"],
        )

    def found(self, model: Any, **columns: Any) -> list[dict[str, Any]]:
        """Return the rows with these values, as they were inserted."""
        return [row for row in self.practices.rows[model] if columns.items() <= row.items()]


@asynccontextmanager
async def compared(
    url: str, practices: Practices, prepare: Callable[[str], Awaitable[None]] = prepare
) -> AsyncIterator[Comparison]:
    """Fill the empty database of this URL, and yield a comparison over it."""
    await prepare(url)
    writing = engine(url)
    await load(writing, practices.rows)
    oracle = await Oracle.over(writing)
    await writing.dispose()
    connector = connector_of(url)
    reads: CountedSqlite | CountedPostgres
    if isinstance(connector, PostgresConnector):
        reads = CountedPostgres(connector, 20, Lane(2))
    else:
        reads = CountedSqlite(make_url(url).database or "", 20, Lane(1))
    try:
        yield Comparison(reads, oracle, practices)
    finally:
        await reads.close()
