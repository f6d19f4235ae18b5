"""Comparison of a server's answers with the expected ones, and a count of the probes."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLSchema, build_client_schema, get_introspection_query

from billing.documents.links import Signer
from execution.authentication import Authenticator
from execution.introspection import Introspection
from execution.pipeline import GraphQLService, Request
from execution.request_viewer import TokenViewer
from graph.schema import schema
from identity.token_keys import TokenKeys
from models import database
from models.measures import CACHE_LOOKUPS
from tests.security.isolation.households import Bearer, Households
from tests.security.isolation.sight import Eyes, Facts
from tests.support.empty_databases import prepare
from tests.support.portal import KEY
from tests.support.practices.bookkeeping import load
from tests.support.practices.random_values import NOW

KEPT = ("answers", "hit")


@dataclass
class Report:
    """The number of probes by field, viewer and owner, and every wrong answer."""

    probes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, what: str, sort: str, whose: str, count: int = 1) -> None:
        self.probes[what, sort, whose] += count

    def check(self, eyes: Eyes, what: str, whose: str, found: Any, expected: Any) -> None:
        """Compare the answer of a field about an owner's row with the expected one."""
        self.add(what, eyes.bearer.sort, whose)
        if in_any_order(found) != in_any_order(expected):
            difference = next(differences(found, expected, ""))
            self.faults.append(f"{eyes.bearer} asks {what}, {whose}: {difference}")

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Assert that every probe inside the context has the expected answer."""
        self.faults.clear()
        yield
        assert not self.faults, f"{len(self.faults)} wrong: " + "\n".join(self.faults[:10])

    @property
    def total(self) -> int:
        return self.probes.total()


def in_any_order(value: Any) -> Any:
    """Return a value with its lists sorted, since the order is irrelevant here."""
    if isinstance(value, dict):
        return {key: in_any_order(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted(map(in_any_order, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def differences(found: Any, expected: Any, path: str) -> Any:
    """Yield the differences between two answers, with their paths."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        for key in found:
            if in_any_order(found[key]) != in_any_order(expected[key]):
                yield from differences(found[key], expected[key], f"{path}.{key}")
        return
    if isinstance(found, list) and isinstance(expected, list):
        shown = [one for one in found if in_any_order(one) not in map(in_any_order, expected)]
        missed = [one for one in expected if in_any_order(one) not in map(in_any_order, found)]
        yield f"{path}: {short(shown)} should not be there, {short(missed)} should"
        return
    yield f"{path}: {short(found)}, not {short(expected)}"


def short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else f"{text[:300]} …"


@dataclass(frozen=True)
class Cursor:
    """The position of a node in a list of its practice, for one owner."""

    practice: str
    owner: str
    node: str
    text: str


class Matrix:
    """The graph over the households' rows, asked with their tokens."""

    def __init__(self, url: str, reads: Any, households: Households) -> None:
        self.url, self.reads, self.households = url, reads, households
        self.facts = {name: Facts(rows) for name, rows in households.rows.items()}
        self.report = Report()
        # The number of answers that were kept, and returned to a second request.
        self.kept = 0
        # Probes that were made, by kind of viewer.
        self.made: set[tuple[str, str]] = set()
        # Ids that were not tried since they would be written: argument, kind of viewer, owner.
        self.left_out: set[tuple[str, str, str]] = set()
        # Cursors by the list's field and order.
        self.cursors: defaultdict[tuple[str, str], list[Cursor]] = defaultdict(list)
        self.bearers = Authenticator(reads, TokenKeys(KEY))
        self.forget()
        self.schema: GraphQLSchema

    def forget(self) -> None:
        """Clear the caches of documents and plans."""
        self.graph = GraphQLService(
            schema(),
            self.reads,
            Introspection.EVERYONE,
            Signer("http://portal", KEY),
            answer_cache_bytes=2**24,
        )

    async def introspect(self) -> None:
        request = Request(get_introspection_query(), None, {})
        answer = await self.graph.answer(request, None, NOW)
        self.schema = build_client_schema(json.loads(answer.body)["data"])

    def eyes(self, bearer: Bearer) -> Eyes:
        return Eyes(self.facts[bearer.practice], bearer)

    async def body(
        self, bearer: Bearer, query: str, variables: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the bytes of both responses to a request that is sent twice.

        The second answer is one that the server has kept, if it keeps any.
        """
        before = CACHE_LOOKUPS.values[KEPT]
        first, second = [await self.sent(bearer, query, variables or {}) for _ in range(2)]
        self.kept += CACHE_LOOKUPS.values[KEPT] - before
        if first != second:
            self.report.faults.append(f"{bearer}: {query[:200]} is answered in two ways")
        return second

    async def sent(self, bearer: Bearer, query: str, variables: Mapping[str, Any]) -> bytes:
        sender = await TokenViewer.of(self.bearers, bearer.secret, NOW)
        return (await self.graph.answer(Request(query, None, variables), sender, NOW)).body

    async def ask(
        self, bearer: Bearer, query: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.body(bearer, query, variables))
        return answer

    async def data(
        self, bearer: Bearer, query: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the data of an answer that may not have errors."""
        answer = await self.ask(bearer, query, variables)
        if "errors" in answer:
            self.report.faults.append(f"{bearer}: {short(answer['errors'])} to {query[:200]}")
        return answer.get("data") or {}


@asynccontextmanager
async def over(url: str, households: Households) -> AsyncIterator[Matrix]:
    """Fill the empty database of this URL with the households, and yield the matrix over it."""
    await prepare(url)
    writing = database.engine(url)
    await load(writing, households.all_rows)
    await writing.dispose()
    reads = database.reads(url, size=2, timeout_s=20)
    matrix = Matrix(url, reads, households)
    await matrix.introspect()
    try:
        yield matrix
    finally:
        await reads.close()
