"""Preparation of a viewer's document: parsing, limits and validation."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType

from execution.card_number_filter import card_number_in_literals, card_number_in_variables
from execution.introspection import INTROSPECTION, Introspection
from execution.limits import REMEMBERED, Key, Limits, RunInThread, length, too_long
from execution.prepared_operation import PreparedOperation
from execution.read_audit_rules import read_scope
from execution.refusal_events import introspection_off
from execution.scopes import required_scopes
from execution.selected_fields import SelectedDocument
from identity.viewer import Viewer
from planner.cache import FairCache
from planner.operation import (
    MAX_TOKENS,
    Errors,
    Operation,
    parse_document,
    select_operation,
    validate_operation,
)
from planner.validation_rules import RULES, Rules

# The root fields that the log names.
MOST_ROOT_FIELDS = 5

# Validates an operation of a document, by the given rules or by all rules.
Validate = Callable[..., PreparedOperation | Errors]


class Preparation:
    """Parses documents of viewers and caches the results.

    A new document is parsed, measured and validated outside the event loop (`run_in_thread`). Each
    cache entry is charged to its owner, so that no viewer evicts the documents of all others.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        run_in_thread: RunInThread,
        validate: Validate,
        introspection: Introspection,
    ) -> None:
        self.run_in_thread, self.validate, self.introspection = (
            run_in_thread,
            validate,
            introspection,
        )
        self.limits = Limits(schema, run_in_thread)
        self.documents: FairCache[str, DocumentNode | Errors] = FairCache(
            REMEMBERED, lambda query, _: length((query, None))
        )
        self.operations: FairCache[Key, PreparedOperation | Errors] = FairCache(REMEMBERED, length)

    async def prepare(
        self, query: str, name: str | None, variables: Mapping[str, Any], viewer: Viewer
    ) -> PreparedOperation | Errors:
        """Return the operation of a request, or the errors that refuse it."""
        key = query, name
        known = self.operations.recall(key, viewer.owner)
        if isinstance(known, PreparedOperation):
            operation = known.operation
            refusal = await self.refuse(key, operation.document, operation.node, variables, viewer)
            return refusal or known
        return await self.prepare_new(key, variables, viewer)

    async def prepare_new(
        self, key: Key, variables: Mapping[str, Any], viewer: Viewer
    ) -> PreparedOperation | Errors:
        """Return the operation of a request that has no valid one in the cache."""
        query, name = key
        if long := too_long(query):
            return long
        document = await self.documents.awaited(
            query, lambda: self.run_in_thread(viewer.caller, parse_and_check, query), viewer.owner
        )
        if not isinstance(document, DocumentNode):
            return document
        node = select_operation(document, name)
        if not isinstance(node, OperationDefinitionNode):
            return node
        if self.is_introspection_refused(SelectedDocument(self.limits.schema, document), node):
            return introspection_off()
        if refused := await self.refuse(key, document, node, variables, viewer):
            return refused
        return await self.operations.awaited(
            key,
            lambda: self.run_in_thread(viewer.caller, self.validate, document, node),
            viewer.owner,
        )

    def is_introspection_refused(
        self, selected: SelectedDocument, node: OperationDefinitionNode
    ) -> bool:
        """Return whether an operation queries the schema and nobody may."""
        return self.introspection is Introspection.NOBODY and not (
            selected.root_fields(node).isdisjoint(INTROSPECTION)
        )

    async def refuse(
        self,
        key: Key,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: Mapping[str, Any],
        viewer: Viewer,
    ) -> Errors:
        """Return the errors that refuse an operation because of its size or variables."""
        changes = node.operation is OperationType.MUTATION
        if changes and (card := card_number_in_variables(variables, document)):
            return card
        return await self.limits.refuse(key, document, node, variables, viewer)

    def prepare_ahead(self, query: str, prepared: PreparedOperation) -> None:
        """Keep an operation for good before it is requested, unless requests for it are refused."""
        operation = prepared.operation
        if self.is_introspection_refused(prepared.selected, operation.node):
            return
        keys = [(query, name) for name in names_of(operation)]
        self.limits.measure_ahead(keys, operation)
        self.documents.pin(query, operation.document)
        for key in keys:
            self.operations.pin(key, prepared)

    def clear(self) -> None:
        """Forget all documents that were not prepared ahead."""
        for kept in (self.documents, self.operations, self.limits.numbers, self.limits.refusals):
            kept.clear()


def prepare_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    node: OperationDefinitionNode,
    rules: Rules = RULES,
) -> PreparedOperation | Errors:
    """Return an operation of a document after validation."""
    operation = validate_operation(schema, document, node, rules)
    if not isinstance(operation, Operation):
        return operation
    selected = SelectedDocument(schema, document)
    fields = list(selected.operation(node).everything())
    return PreparedOperation(
        operation,
        selected,
        required_scopes(schema, fields),
        read_scope(operation, fields),
        operation_label(selected, node),
    )


def operation_label(selected: SelectedDocument, node: OperationDefinitionNode) -> str:
    """Return the kind of a valid operation and its root fields, such as `query client,viewer`."""
    names = sorted(selected.root_fields(node))[:MOST_ROOT_FIELDS]
    return f"{node.operation.value} {','.join(names)}"


def names_of(operation: Operation) -> list[str | None]:
    """Return the names by which a request may select an operation: none if it is the only one."""
    name = operation.node.name
    is_only = select_operation(operation.document, None) is operation.node
    return [*([name.value] if name else []), *([None] if is_only else [])]


def parse_and_check(query: str, most_tokens: int = MAX_TOKENS) -> DocumentNode | Errors:
    """Parse a document. Refuse a mutation with a card number among its literals."""
    document = parse_document(query, most_tokens)
    if not isinstance(document, DocumentNode):
        return document
    changes = any(
        isinstance(one, OperationDefinitionNode) and one.operation is OperationType.MUTATION
        for one in document.definitions
    )
    return (card_number_in_literals(document) if changes else []) or document
