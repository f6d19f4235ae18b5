"""Documents and plans that the applications of one process share.

Each test has an application of its own, and the same documents are sent to hundreds of them. Each
application has its own caches, as a server has. An entry that a cache lacks is taken from another
application, so a document is parsed, validated and planned once for each kind of database. Any
patch, and the end of any patch, discards the shared entries, since patched code may have made them.

`tests/unit/test_startup_check.py` checks the schema, so no application of this process does.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import pytest

from execution import row_counts
from execution.pipeline import GraphQLService
from execution.prepared_operation import PreparedOperation
from planner.cache import FairCache
from server import app as server

# Entries, by the objects that they depend on.
Made = defaultdict[Any, dict[Any, Any]]


class SharingCache(FairCache[Any, Any]):
    """A cache that takes missing entries from other applications' caches."""

    def __init__(self, own: FairCache[Any, Any], made: Made, name: Any) -> None:
        super().__init__(own.size, own.weigh)
        self.made, self.name = made, name

    async def awaited(self, key: Any, make: Callable[[], Awaitable[Any]], owner: str = "") -> Any:
        async def found() -> Any:
            made = self.made[self.name]
            if key not in made:
                made[key] = await make()
            return own_copy(made[key])

        return await super().awaited(key, found, owner)


def own_copy(value: Any) -> Any:
    """Return an operation that lives as long as the cache keeps it; any other value as it is."""
    return replace(value) if isinstance(value, PreparedOperation) else value


@contextmanager
def shared_plans() -> Iterator[None]:
    """Have the applications of this process share documents and plans."""
    made: Made = defaultdict(dict)
    count = row_counts.count
    patched = WeakSet[pytest.MonkeyPatch]()
    undo = pytest.MonkeyPatch.undo

    def service(schema: Any, reads: Any, introspection: Any, *given: Any, **more: Any) -> Any:
        new = GraphQLService(schema, reads, introspection, *given, **more)
        for name, holder in (
            ("plans", new.executor),
            ("documents", new.preparation),
            ("operations", new.preparation),
            ("numbers", new.preparation.limits),
            ("refusals", new.preparation.limits),
            ("plans", new.anonymous.executor),
            ("operations", new.anonymous),
            ("numbers", new.anonymous.limits),
            ("refusals", new.anonymous.limits),
        ):
            depends_on = (schema, reads.dialect.name, introspection, type(holder), name)
            setattr(holder, name, SharingCache(getattr(holder, name), made, depends_on))
        return new

    def shared_count(dialect: Any) -> Any:
        plans = made["counts"]
        if dialect.name not in plans:
            plans[dialect.name] = count(dialect)
        return plans[dialect.name]

    def discarding(method: Callable[..., None]) -> Callable[..., None]:
        def patched_and_discarded(
            patch: pytest.MonkeyPatch, target: Any, *given: Any, **more: Any
        ) -> None:
            method(patch, target, *given, **more)
            # The plugin for coroutines replaces each test and each fixture.
            if not isinstance(target, pytest.Item | pytest.FixtureDef):
                patched.add(patch)
                made.clear()

        return patched_and_discarded

    def undone(patch: pytest.MonkeyPatch) -> None:
        undo(patch)
        if patch in patched:
            patched.discard(patch)
            made.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "GraphQLService", service)
        patch.setattr(server, "check_schema", lambda schema, *, lateral: None)
        patch.setattr(row_counts, "count", shared_count)
        patch.setattr(pytest.MonkeyPatch, "undo", undone)
        for name in ("setattr", "delattr"):
            patch.setattr(pytest.MonkeyPatch, name, discarding(getattr(pytest.MonkeyPatch, name)))
        yield
