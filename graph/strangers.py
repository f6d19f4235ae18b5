"""Requests without a token: which documents are taken, and what they may cost.

Anybody can send them. So a document has to be small and to ask only what is open to all, which is
checked before anything expensive is done with it. Their documents and plans are remembered apart
from everybody else's, a thread of their own works on them, and they wait in a bounded queue.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)

from graph.card_numbers import card_number_in_variables
from graph.introspection import INTROSPECTION, TYPENAME, Introspection, introspection_off
from graph.limits import Key, Limits, Measure, too_deep, too_large
from graph.preparation import Ready, read
from graph.readied import Readied
from models.database import SERVER, RateLimited
from resolvers.allowances import Allowance
from resolvers.planner.operation import (
    Errors,
    check_texts,
    has_too_many_tokens,
    named,
    refusal,
    root_fields,
)
from resolvers.planner.plans import Plans
from resolvers.planner.recent import Recent
from resolvers.planner.rules import RULES, RULES_FOR_SMALL_DOCUMENTS
from resolvers.queues import BoundedQueue
from resolvers.viewer import NOBODY

# Characters and tokens of a document. Signing in takes some 60 tokens, introspection 200.
MAX_LENGTH, MAX_TOKENS, MAX_INTROSPECTION_TOKENS = 4_096, 100, 400
# Strings, numbers and keys in a request's variables.
MAX_VALUES = 100
# Characters of documents and of plans that are remembered.
DOCUMENTS, PLANS = 2**17, 2**20
# Requests that are answered at once, that are there in all, and that one network address has there.
AT_ONCE, MOST, MOST_OF_ONE_ADDRESS, WAIT_S = 4, 64, 16, 5
# Documents that were not seen before: of one network address at once, and after how long one more.
NEW_DOCUMENTS, NEW_DOCUMENT_EVERY_S = 20, 3

TOO_MANY_DOCUMENTS = (
    "too many different documents without a token: send one text each time, with variables"
)


class Unauthenticated(Exception):
    """Only a viewer may ask this."""


async def at_once(_: Any, work: Callable[..., Any], *given: Any) -> Any:
    """Do work here: so small a document is measured sooner than another thread is woken."""
    return work(*given)


class Strangers:
    """Reads what is sent without a token. `ready` validates an operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        plans: Plans,
        ready: Ready,
        public: frozenset[str],
        introspection: Introspection,
    ) -> None:
        self.schema, self.plans, self.ready = schema, plans, ready
        self.public, self.introspection = public, introspection
        is_told = introspection is Introspection.EVERYONE
        self.most_tokens = MAX_INTROSPECTION_TOKENS if is_told else MAX_TOKENS
        self.readied: Recent[tuple[str, str | None], Readied | Errors | None] = Recent(
            DOCUMENTS, lambda key, _: 1_000 + len(key[0])
        )
        self.rules = RULES if is_told else RULES_FOR_SMALL_DOCUMENTS
        self.new_documents = Allowance(NEW_DOCUMENTS, NEW_DOCUMENT_EVERY_S)
        self.limits = Limits(schema, at_once, DOCUMENTS)
        self.queue = BoundedQueue(
            at_once=AT_ONCE, most=MOST, most_of_one=MOST_OF_ONE_ADDRESS, wait_s=WAIT_S
        )

    def place(self, address_hash: str | None) -> AbstractAsyncContextManager[None]:
        """Wait for a place for a request of a network address; QueueFull if there is none."""
        return self.queue.place(address_hash or "")

    async def prepared(
        self, query: str, name: str | None, variables: Mapping[str, Any], address_hash: str | None
    ) -> Readied | Errors:
        """Return the operation, or why it is refused; raise Unauthenticated if it needs a token."""
        if len(query) > MAX_LENGTH or len(name or "") > MAX_LENGTH:
            raise Unauthenticated
        key = query, name
        if key not in self.readied.items and address_hash is not None:
            self.count(address_hash)
        found = await self.readied.awaited(
            key, lambda: self.plans.apart(SERVER, self.read, query, name)
        )
        if found is None:
            raise Unauthenticated
        if not isinstance(found, Readied):
            return found
        return self.wrong(found, variables) or await self.too_large(key, found, variables) or found

    def wrong(self, found: Readied, variables: Mapping[str, Any]) -> Errors:
        """Return why no operation takes these variables."""
        try:
            check_texts(variables, MAX_VALUES)
        except GraphQLError as error:
            return [error]
        return card_number_in_variables(variables, found.operation.document)

    async def too_large(self, key: Key, found: Readied, variables: Mapping[str, Any]) -> Errors:
        """Return the limits that the operation passes with these variables."""
        document, node = found.operation.document, found.operation.node
        return await self.limits.refuse(key, document, node, variables, NOBODY)

    def count(self, address_hash: str) -> None:
        """Count a new document of a network address; raise RateLimited if it has sent too many."""
        if wait_s := self.new_documents.take(address_hash):
            raise RateLimited(TOO_MANY_DOCUMENTS, wait_s, {})

    def read(self, query: str, name: str | None) -> Readied | Errors | None:
        """Parse, check and validate a document; None if it needs a token."""
        document = read(query, self.most_tokens)
        if not isinstance(document, DocumentNode):
            return None if has_too_many_tokens(document) else document
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode) and not self.is_public(
                root_fields(document, operation), operation.operation
            ):
                return None
        node = named(document, name)
        if not isinstance(node, OperationDefinitionNode):
            return node
        return self.refused(document, node) or self.ready(document, node, self.rules)

    def is_public(self, asked: set[str], operation: OperationType) -> bool:
        """Return whether anybody may ask the fields of an operation's root."""
        told = self.introspection is not Introspection.VIEWERS
        changes = operation is OperationType.MUTATION
        return asked <= {TYPENAME, *(self.public if changes else INTROSPECTION if told else ())}

    def refused(self, document: DocumentNode, node: OperationDefinitionNode) -> Errors:
        """Return why a document is refused before it is validated."""
        introspects = not root_fields(document, node).isdisjoint(INTROSPECTION)
        if introspects and self.introspection is Introspection.NOBODY:
            return introspection_off()
        try:
            size = Measure(self.schema, document, {}).whole(node)
        except RecursionError:
            return too_deep()
        if size.changes > 1:
            return [refusal("NOT_ALONE", "without a token an operation makes one change")]
        return too_large(size)
