"""Documents and plans that the applications of one process share, as one server's requests do.

Each test has an application of its own, and the same documents are sent to hundreds of them. Here
they have the caches of one server for all: a document is parsed, validated and planned once for
each kind of database. Any patch, and the end of any patch, empties the caches, since the patched
code might have been at work.

`tests/unit/test_startup_check.py` checks the schema, so no application of this process does.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest

from execution import row_counts
from execution.pipeline import GraphQLService
from planner.cache import FairCache
from planner.plan import Plan
from server import app as server

# How much larger the caches are than those of one server.
TIMES = 50


class SharedPlans:
    """The caches of all applications, by what their contents depend on."""

    def __init__(self) -> None:
        self.caches: defaultdict[Any, dict[str, FairCache[Any, Any]]] = defaultdict(dict)
        self.counts: dict[str, Plan] = {}

    def clear(self) -> None:
        """Forget all documents and plans, in the applications that run too."""
        self.counts.clear()
        for caches in self.caches.values():
            for cache in caches.values():
                cache.clear()

    def service(self, schema: Any, reads: Any, introspection: Any, *given: Any, **more: Any) -> Any:
        """Return a service with the shared caches."""
        made = GraphQLService(schema, reads, introspection, *given, **more)
        caches = self.caches[schema, reads.dialect.name, introspection]
        for name, owner, attribute in (
            ("plans", made.executor, "plans"),
            ("documents", made.preparation, "documents"),
            ("operations", made.preparation, "operations"),
            ("numbers", made.preparation.limits, "numbers"),
            ("refusals", made.preparation.limits, "refusals"),
            ("strangers' plans", made.anonymous.executor, "plans"),
            ("strangers' operations", made.anonymous, "operations"),
            ("strangers' numbers", made.anonymous.limits, "numbers"),
            ("strangers' refusals", made.anonymous.limits, "refusals"),
        ):
            own: FairCache[Any, Any] = getattr(owner, attribute)
            own.size *= TIMES
            setattr(owner, attribute, caches.setdefault(name, own))
        return made

    def count(self, dialect: Any) -> Plan:
        """Return the statement that counts rows, compiled once for each kind of database."""
        if dialect.name not in self.counts:
            self.counts[dialect.name] = row_counts_count(dialect)
        return self.counts[dialect.name]


row_counts_count = row_counts.count


@contextmanager
def shared_plans() -> Iterator[None]:
    """Have the applications of this process share documents and plans."""
    shared = SharedPlans()

    patched = WeakSet[pytest.MonkeyPatch]()
    undo = pytest.MonkeyPatch.undo

    def clearing(method: Callable[..., None]) -> Callable[..., None]:
        def patched_and_cleared(
            patch: pytest.MonkeyPatch, target: Any, *given: Any, **more: Any
        ) -> None:
            method(patch, target, *given, **more)
            # The plugin for coroutines replaces each test and each fixture.
            if not isinstance(target, pytest.Item | pytest.FixtureDef):
                patched.add(patch)
                shared.clear()

        return patched_and_cleared

    def undone(patch: pytest.MonkeyPatch) -> None:
        undo(patch)
        if patch in patched:
            patched.discard(patch)
            shared.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "GraphQLService", shared.service)
        patch.setattr(server, "check_schema", lambda schema, *, lateral: None)
        patch.setattr(row_counts, "count", shared.count)
        patch.setattr(pytest.MonkeyPatch, "undo", undone)
        for name in ("setattr", "delattr"):
            patch.setattr(pytest.MonkeyPatch, name, clearing(getattr(pytest.MonkeyPatch, name)))
        yield
