"""From what a viewer sends to an operation that may be asked, or to the reasons against it."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType

from graph.card_numbers import card_number_in_literals, card_number_in_variables
from graph.introspection import INTROSPECTION, Introspection, introspection_off
from graph.limits import REMEMBERED, Apart, Key, Limits, length, too_long
from graph.readied import Readied
from resolvers.planner.operation import MAX_TOKENS, Errors, named, parsed, root_fields
from resolvers.planner.recent import Recent
from resolvers.viewer import Viewer

# Validates an operation of a document, by the rules that are given, or by all.
Ready = Callable[..., Readied | Errors]


class Preparation:
    """Reads documents of viewers, and remembers them.

    A new document is parsed, measured and validated beside the event loop (`apart`). What is
    remembered is charged to its owner, so that nobody's documents displace everybody's.
    """

    def __init__(
        self, schema: GraphQLSchema, apart: Apart, ready: Ready, introspection: Introspection
    ) -> None:
        self.apart, self.ready, self.introspection = apart, ready, introspection
        self.limits = Limits(schema, apart)
        self.documents: Recent[str, DocumentNode | Errors] = Recent(
            REMEMBERED, lambda query, _: length((query, None))
        )
        self.readied: Recent[Key, Readied | Errors] = Recent(REMEMBERED, length)

    async def prepared(
        self, query: str, name: str | None, variables: Mapping[str, Any], viewer: Viewer
    ) -> Readied | Errors:
        """Return the operation that a request asks, or why it is refused."""
        if long := too_long(query):
            return long
        document = await self.documents.awaited(
            query, lambda: self.apart(viewer.caller, read, query), viewer.owner
        )
        if not isinstance(document, DocumentNode):
            return document
        node = named(document, name)
        if not isinstance(node, OperationDefinitionNode):
            return node
        if self.introspection is Introspection.NOBODY and introspects(document, node):
            return introspection_off()
        changes = node.operation is OperationType.MUTATION
        if changes and (card := card_number_in_variables(variables, document)):
            return card
        key = query, name
        if refused := await self.limits.refuse(key, document, node, variables, viewer):
            return refused
        return await self.readied.awaited(
            key, lambda: self.apart(viewer.caller, self.ready, document, node), viewer.owner
        )

    def clear(self) -> None:
        """Forget all documents."""
        for kept in (self.documents, self.readied, self.limits.numbers, self.limits.refusals):
            kept.clear()


def read(query: str, most_tokens: int = MAX_TOKENS) -> DocumentNode | Errors:
    """Parse a document; one that changes something has no card's number in its literals."""
    document = parsed(query, most_tokens)
    if not isinstance(document, DocumentNode):
        return document
    changes = any(
        isinstance(one, OperationDefinitionNode) and one.operation is OperationType.MUTATION
        for one in document.definitions
    )
    return (card_number_in_literals(document) if changes else []) or document


def introspects(document: DocumentNode, node: OperationDefinitionNode) -> bool:
    return not root_fields(document, node).isdisjoint(INTROSPECTION)
