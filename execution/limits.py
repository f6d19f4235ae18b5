"""Limits on the size of an operation, checked before validation (`execution/size.py`)."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from execution.selected_fields import SelectedDocument
from execution.size import Measure, Size
from identity.viewer import Viewer
from planner.cache import FairCache
from planner.operation import ENDLESS, Errors, Operation, limited

# Characters of a document. A query for the whole billing page has about a thousand.
MAX_LENGTH = 100_000
MAX_FIELDS = 500
MAX_DEPTH = 20
MAX_LISTS = 4
# Nested objects of other rows: the parser stack of SQLite before 3.46 has no room for more.
MAX_NESTING = 5
# SELECTs in the statement, which determine the time to plan it.
MAX_SELECTS = 400
MAX_ALIASES = 200
MAX_DIRECTIVES = 100
# Mutation fields, which run one after another: each may wait for Stripe.
MAX_CHANGES = 10
# Objects in a response. A page of 500 with an object in each item has 1,000.
MAX_COST = 25_000

# Characters of documents in the cache.
REMEMBERED = 2**18
Key = tuple[str, str | None]
# Runs work of a caller outside the event loop.
RunInThread = Callable[..., Awaitable[Any]]

ADVICE = {
    "fields": (MAX_FIELDS, "Request fewer fields, or split the operation."),
    "depth": (MAX_DEPTH, "Request the inner objects by their ids, in another operation."),
    "lists": (MAX_LISTS, "Request the inner lists by their parents' ids, in another operation."),
    "nesting": (
        MAX_NESTING,
        "Request the inner objects by their ids, in another operation.",
    ),
    "selects": (MAX_SELECTS, "Request fewer lists and objects, or split the operation."),
    "aliases": (MAX_ALIASES, "Split the operation."),
    "directives": (MAX_DIRECTIVES, "Omit unwanted fields instead of skipping them."),
    "changes": (MAX_CHANGES, "Send the mutation fields in several operations."),
    "cost": (MAX_COST, "Request smaller pages with `first` or `last`."),
}


class Limits:
    """Refuses operations that are too large, and caches the measurements."""

    def __init__(
        self, schema: GraphQLSchema, run_in_thread: RunInThread, size: int = REMEMBERED
    ) -> None:
        self.schema, self.run_in_thread = schema, run_in_thread
        self.numbers: FairCache[Key, frozenset[str]] = FairCache(size, length)
        self.refusals: FairCache[tuple[Key, Any], Errors] = FairCache(
            size, lambda key, _: length(key[0])
        )

    async def refuse(
        self,
        key: Key,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: Any,
        viewer: Viewer,
    ) -> Errors:
        """Return the errors that refuse the operation with these variables.

        Only variables for page sizes matter. A new document is measured outside the event loop.
        """
        measure = Measure(SelectedDocument(self.schema, document), variables)
        try:
            numbers = await self.numbers.awaited(
                key,
                lambda: self.run_in_thread(viewer.caller, page_sizes, measure, node),
                viewer.owner,
            )
            values = tuple((name, measure.number_of(name)) for name in sorted(numbers))
            return await self.refusals.awaited(
                (key, values),
                lambda: self.run_in_thread(viewer.caller, limit_errors, measure, node),
                viewer.owner,
            )
        except RecursionError:
            return too_deep()

    def measure_ahead(self, keys: Iterable[Key], operation: Operation) -> None:
        """Measure a valid operation before it is requested, and keep the result for good.

        If variables set page sizes, it is measured with each of their values when they come.
        """
        measure = Measure(SelectedDocument(self.schema, operation.document), {})
        numbers = page_sizes(measure, operation.node)
        errors = limit_errors(measure, operation.node)
        for key in keys:
            self.numbers.pin(key, numbers)
            if not numbers:
                self.refusals.pin((key, ()), errors)


def length(key: Key, _: Any = None) -> int:
    """Return the weight of a document in the cache."""
    return 1_000 + len(key[0])


def too_long(query: str) -> Errors:
    """Refuse a text that is too long, before parsing."""
    if len(query) <= MAX_LENGTH:
        return []
    return [limited("length", len(query), MAX_LENGTH, "Split the document.")]


def limit_errors(measure: Measure, node: OperationDefinitionNode) -> Errors:
    return too_large(measure.whole(node))


def too_deep() -> Errors:
    return [limited("depth", ENDLESS, MAX_DEPTH, "Nest fewer fragments in fragments.")]


def page_sizes(measure: Measure, node: OperationDefinitionNode) -> frozenset[str]:
    """Return the names of the variables that set page sizes."""
    measure.operation(node)
    measure.measured.clear()
    return frozenset(measure.numbers)


def too_large(size: Size) -> Errors:
    """Return an error for each exceeded limit."""
    return [
        limited(name, getattr(size, name), most, advice)
        for name, (most, advice) in ADVICE.items()
        if getattr(size, name) > most
    ]
