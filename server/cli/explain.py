"""The command `portal explain`: the plan tree or the SQL statement of a document, and the
database's plan.
"""

import datetime as dt
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues

from execution.authentication import Authenticator
from execution.executor import plan_tree
from execution.pipeline import GraphQLService
from execution.preparation import prepare_operation
from execution.prepared_operation import PreparedOperation
from execution.read_audit import RequestReads, record_at_once
from execution.read_audit_rules import reads_of
from graph.schema import schema
from identity.viewer import Viewer
from models import Scope, ViewerKind, database
from planner.deferred import Unplannable
from planner.operation import (
    Operation,
    coerce_variables,
    parse_document,
    select_operation,
    validate_operation,
)
from planner.tree_text import tree_text
from resolvers.request_context import RequestContext
from server.cli.operators import operator
from server.command_errors import CommandError
from server.settings import Settings

NOBODY = str(uuid.UUID(int=0))


class NotExplained(CommandError):
    """The document is refused, or has no statement of its own."""


async def explain_operation(
    settings: Settings,
    query: str,
    variables: str,
    operation: str | None,
    token: str | None,
    *,
    analyze: bool,
) -> str:
    """Return the statement, its parameters and its plan, for a token's bearer or for any client."""
    reads = database.reads(settings.database_url, timeout_s=settings.statement_timeout_s)
    try:
        now = dt.datetime.now(dt.UTC)
        viewer = await bearer(Authenticator(reads, settings.token_keys), token, now)
        service = GraphQLService(schema(), reads, settings.introspection, settings.signer)
        read = parse_variables(variables)
        prepared = operation_of(service, query, operation)
        coerced = coerced_variables(service, prepared, read)
        sql, values = await planned_statement(service, prepared, coerced, viewer, now)
    finally:
        await reads.close()
    if token is not None:
        await record_read(settings.database_url, viewer, reads_of(prepared.reads, coerced), now)
    with database.within_practice(viewer.practice_id):
        plan = await query_plan(settings.database_url, sql, values, analyze=analyze)
    return "\n\n".join([sql, f"Parameters: {values!r}", plan])


async def bearer(authenticator: Authenticator, token: str | None, now: dt.datetime) -> Viewer:
    if token is None:
        scopes = frozenset(Scope)
        return Viewer(ViewerKind.CLIENT, NOBODY, NOBODY, NOBODY, NOBODY, scopes, "USD", "UTC", now)
    viewer = await authenticator.viewer(token, now)
    if viewer is None:
        raise NotExplained("The token is unknown, expired or revoked.")
    return viewer


def parse_variables(variables: str) -> dict[str, Any]:
    try:
        read = orjson.loads(variables)
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise NotExplained("--variables takes a JSON object.")
    return read


async def record_read(
    url: str, viewer: Viewer, reads: RequestReads | None, now: dt.datetime
) -> None:
    """Record the operator's read with the rights of another person's token."""
    fields = reads.fields if reads else ()
    by = operator(viewer.practice_id, "portal explain", fields)
    async with database.open_engine(url) as engine:
        # The use of the token is recorded even if no client's data was requested.
        seen = reads or RequestReads(None, (), of_all=True)
        await record_at_once(engine, viewer, seen, by, now)


def explain_tree(query: str, variables: str, operation: str | None) -> str:
    """Return the plan tree of a document as text. It needs no database."""
    document, node = parse_operation(query, operation)
    built = schema()
    valid = validate_operation(built._schema, document, node)
    if not isinstance(valid, Operation):
        raise NotExplained(messages(valid))
    values = coerce_variables(built._schema, valid, parse_variables(variables))
    if not isinstance(values, VariableValues):
        raise NotExplained(messages(values))
    try:
        return tree_text(plan_tree(built, valid, values))
    except Unplannable as error:
        raise NotExplained(f"This document has no plan: {error}.") from None


def parse_operation(query: str, name: str | None) -> tuple[DocumentNode, OperationDefinitionNode]:
    """Return a document, and the operation of this name in it."""
    document = parse_document(query)
    node = select_operation(document, name) if isinstance(document, DocumentNode) else document
    if not isinstance(node, OperationDefinitionNode) or not isinstance(document, DocumentNode):
        raise NotExplained(messages(node))
    return document, node


def operation_of(service: GraphQLService, query: str, name: str | None) -> PreparedOperation:
    """Return the operation of a document."""
    prepared = prepare_operation(service.schema._schema, *parse_operation(query, name))
    if not isinstance(prepared, PreparedOperation):
        raise NotExplained(messages(prepared))
    return prepared


def coerced_variables(
    service: GraphQLService, prepared: PreparedOperation, variables: Mapping[str, Any]
) -> VariableValues:
    """Return the variables of a document after coercion."""
    values = coerce_variables(service.schema._schema, prepared.operation, variables)
    if not isinstance(values, VariableValues):
        raise NotExplained(messages(values))
    return values


async def planned_statement(
    service: GraphQLService,
    prepared: PreparedOperation,
    variables: VariableValues,
    viewer: Viewer,
    now: dt.datetime,
) -> tuple[str, list[Any]]:
    """Return the statement and its parameters, as in a request with this document."""
    context = RequestContext(viewer, now, variables.coerced, signer=service.executor.signer)
    found = await service.executor.bind_plan(prepared.operation, variables, context)
    if found is None:
        raise NotExplained(
            "This document has no statement: it is refused, or only queries the schema."
        )
    plan, parameters = found
    return plan.sql, parameters


def messages(errors: Any) -> str:
    return "\n".join(error.message for error in errors)


async def query_plan(url: str, sql: str, values: Sequence[Any], *, analyze: bool) -> str:
    """Return the database's plan for the statement."""
    engine = database.engine(url, confined=True)
    is_sqlite, parameters = engine.dialect.name == "sqlite", tuple(values)
    command = "EXPLAIN (ANALYZE, BUFFERS)" if analyze else "EXPLAIN"
    async with engine.connect() as conn:
        if is_sqlite:
            command = "EXPLAIN QUERY PLAN"
        rows = (await conn.exec_driver_sql(f"{command} {sql}", parameters)).all()
        lines = tree(rows) if is_sqlite else [row[0] for row in rows]
        if is_sqlite and analyze:
            # SQLite measures nothing itself.
            began = time.perf_counter()
            (await conn.exec_driver_sql(sql, parameters)).all()
            lines.append(f"run in {(time.perf_counter() - began) * 1000:.1f} ms")
    await engine.dispose()
    return "\n".join(lines)


def tree(rows: Sequence[Any]) -> list[str]:
    """Return SQLite's plan, from (id, parent, unused, text) rows, indented by parents."""
    depth = {0: -1}
    lines = []
    for id_, parent, _, text in rows:
        depth[id_] = depth.get(parent, -1) + 1
        lines.append("  " * depth[id_] + text)
    return lines
