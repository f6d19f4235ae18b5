"""Requests without a token: the documents that are accepted, and their limits.

Anybody can send such requests. So a document has to be small and may only select public fields;
both are checked before any expensive work. Their documents and plans have caches and a thread of
their own, and the requests wait in a bounded queue.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)

from execution.bounded_queue import BoundedQueue
from execution.card_number_filter import card_number_in_variables
from execution.executor import Executor
from execution.introspection import INTROSPECTION, TYPENAME, Introspection
from execution.limits import Key, Limits, too_deep, too_large
from execution.preparation import Validate, parse_and_check
from execution.prepared_operation import PreparedOperation
from execution.rate_limit import Allowance
from execution.refusal_events import introspection_off
from execution.selected_fields import SelectedDocument
from execution.size import Measure
from identity.viewer import NOBODY
from models.database import SERVER, RateLimited
from planner.cache import FairCache
from planner.operation import (
    Errors,
    check_texts,
    graphql_error,
    has_too_many_tokens,
    select_operation,
)
from planner.validation_rules import RULES, RULES_FOR_SMALL_DOCUMENTS

# Characters and tokens of a document. Signing in takes about 60 tokens, introspection 200.
MAX_LENGTH, MAX_TOKENS, MAX_INTROSPECTION_TOKENS = 4_096, 100, 400
# Strings, numbers and keys in a request's variables.
MAX_VALUES = 100
# Characters of documents and of plans in the caches.
DOCUMENTS, PLANS = 2**17, 2**20
# The share of the time in which new documents may be parsed and validated. The texts for signing in
# are few, and cached.
SHARE = 0.1
# Requests processed at the same time, requests in the queue in total and for one network address,
# and the longest wait.
AT_ONCE, MOST, MOST_OF_ONE_ADDRESS, WAIT_S = 4, 64, 16, 5
# New documents: the burst of one network address, and the interval for one more.
NEW_DOCUMENTS, NEW_DOCUMENT_EVERY_S = 20, 3

TOO_MANY_DOCUMENTS = (
    "too many different documents without a token: send the same text each time, with variables"
)


class Unauthenticated(Exception):
    """A request that needs a token."""


async def run_directly(_: Any, work: Callable[..., Any], *given: Any) -> Any:
    """Run the work directly: measuring so small a document takes less time than waking a thread."""
    return work(*given)


class AnonymousRequests:
    """Prepares documents that are sent without a token. `validate` validates an operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        executor: Executor,
        validate: Validate,
        public: frozenset[str],
        introspection: Introspection,
    ) -> None:
        self.schema, self.executor, self.validate = schema, executor, validate
        self.public, self.introspection = public, introspection
        is_told = introspection is Introspection.EVERYONE
        self.most_tokens = MAX_INTROSPECTION_TOKENS if is_told else MAX_TOKENS
        self.operations: FairCache[tuple[str, str | None], PreparedOperation | Errors | None] = (
            FairCache(DOCUMENTS, lambda key, _: 1_000 + len(key[0]))
        )
        self.rules = RULES if is_told else RULES_FOR_SMALL_DOCUMENTS
        self.new_documents = Allowance(NEW_DOCUMENTS, NEW_DOCUMENT_EVERY_S)
        self.limits = Limits(schema, run_directly, DOCUMENTS)
        self.queue = BoundedQueue(
            at_once=AT_ONCE, most=MOST, most_of_one=MOST_OF_ONE_ADDRESS, wait_s=WAIT_S
        )

    def place(self, address_hash: str | None) -> AbstractAsyncContextManager[None]:
        """Wait for a place for a request of a network address. Raise QueueFull if there is none."""
        return self.queue.place(address_hash or "")

    async def prepare(
        self, query: str, name: str | None, variables: Mapping[str, Any], address_hash: str | None
    ) -> PreparedOperation | Errors:
        """Return the operation, or the errors that refuse it.

        Raise Unauthenticated if it needs a token.
        """
        if len(query) > MAX_LENGTH or len(name or "") > MAX_LENGTH:
            raise Unauthenticated
        key = query, name
        if key not in self.operations.items and address_hash is not None:
            self.count(address_hash)
        prepared = await self.operations.awaited(
            key, lambda: self.executor.run_in_thread(SERVER, self.parse_and_validate, query, name)
        )
        if prepared is None:
            raise Unauthenticated
        if not isinstance(prepared, PreparedOperation):
            return prepared
        return (
            self.variable_errors(prepared, variables)
            or await self.too_large(key, prepared, variables)
            or prepared
        )

    def prepare_ahead(self, query: str, names: Sequence[str | None]) -> None:
        """Prepare an operation before it is requested, and keep it for good, or that it needs a
        token.
        """
        if len(query) > MAX_LENGTH:
            return
        keys = [(query, name) for name in names]
        prepared = self.parse_and_validate(*keys[0])
        for key in keys:
            self.operations.pin(key, prepared)
        if isinstance(prepared, PreparedOperation):
            self.limits.measure_ahead(keys, prepared.operation)

    def variable_errors(self, prepared: PreparedOperation, variables: Mapping[str, Any]) -> Errors:
        """Return errors in variables that no operation accepts."""
        try:
            check_texts(variables, MAX_VALUES)
        except GraphQLError as error:
            return [error]
        return card_number_in_variables(variables, prepared.operation.document)

    async def too_large(
        self, key: Key, prepared: PreparedOperation, variables: Mapping[str, Any]
    ) -> Errors:
        """Return an error for each limit that the operation exceeds with these variables."""
        document, node = prepared.operation.document, prepared.operation.node
        return await self.limits.refuse(key, document, node, variables, NOBODY)

    def count(self, address_hash: str) -> None:
        """Count a new document of a network address. Raise RateLimited if there are too many."""
        if wait_s := self.new_documents.take(address_hash):
            raise RateLimited(TOO_MANY_DOCUMENTS, wait_s, {})

    def parse_and_validate(self, query: str, name: str | None) -> PreparedOperation | Errors | None:
        """Parse, check and validate a document. Return None if it needs a token."""
        document = parse_and_check(query, self.most_tokens)
        if not isinstance(document, DocumentNode):
            return None if has_too_many_tokens(document) else document
        selected = SelectedDocument(self.schema, document)
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode) and not self.is_public(
                selected.root_fields(operation), operation.operation
            ):
                return None
        node = select_operation(document, name)
        if not isinstance(node, OperationDefinitionNode):
            return node
        return self.early_errors(selected, node) or self.validate(document, node, self.rules)

    def is_public(self, asked: set[str], operation: OperationType) -> bool:
        """Return whether all of an operation's root fields are public."""
        told = self.introspection is not Introspection.VIEWERS
        changes = operation is OperationType.MUTATION
        return asked <= {TYPENAME, *(self.public if changes else INTROSPECTION if told else ())}

    def early_errors(self, selected: SelectedDocument, node: OperationDefinitionNode) -> Errors:
        """Return the errors that refuse a document before validation."""
        introspects = not selected.root_fields(node).isdisjoint(INTROSPECTION)
        if introspects and self.introspection is Introspection.NOBODY:
            return introspection_off()
        try:
            size = Measure(selected, {}).whole(node)
        except RecursionError:
            return too_deep()
        if size.changes > 1:
            return [
                graphql_error(
                    "NOT_ALONE", "without a token, an operation may have only one mutation field"
                )
            ]
        return too_large(size)
