"""Requests without a token: small documents of public fields only, with limits of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, get_introspection_query, parse, validate

from execution.anonymous import (
    MAX_LENGTH,
    MAX_TOKENS,
    MOST,
    MOST_OF_ONE_ADDRESS,
    NEW_DOCUMENT_EVERY_S,
    NEW_DOCUMENTS,
)
from execution.bounded_queue import BoundedQueue, QueueFull
from execution.introspection import Introspection
from execution.pipeline import GraphQLService
from execution.prepared_operation import PreparedOperation
from execution.rate_limit import Allowance
from graph.schema import schema
from identity.tokens import Subject, new_secret
from planner import operation, validation_rules
from planner.cache import FairCache
from planner.validation_rules import MAX_OVERLAPS, RULES, FewOverlapsRule
from tests.security.fuzz.corpus import many
from tests.security.fuzz.strangers import SHAPES
from tests.support.demo_server import PROJECT
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
TEXTS = PROJECT / "web" / "portal" / "queries"
ASK = 'requestSignInLink(input: {email: "nobody@example.com"}) { nonce }'
LISTS = "query B { client { " + "invoices { nodes { id } } " * 250 + "} }"


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as portal:
        yield portal


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the calls of graphql-core, by name, and admit any number of new documents."""
    monkeypatch.setattr(Allowance, "take", lambda *_: 0)
    done: list[str] = []

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            done.append(name)
            return function(*given, **named)

        return called

    parser = operation.DocumentParser
    monkeypatch.setattr(parser, "parse_document", watched("parse", parser.parse_document))
    monkeypatch.setattr(validation_rules, "validate", watched("validate", validate))
    return done


def graph_of(portal: Portal) -> GraphQLService:
    service: GraphQLService = portal.http._transport.app.state.service  # type: ignore[attr-defined]
    return service


def told(response: httpx.Response) -> tuple[int, str]:
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


async def named(portal: Portal, query: str, name: str, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"query": query, "operationName": name}
    return await portal.http.post("/graphql", json=body, headers=headers)


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        # Too long to be parsed.
        (f"mutation A {{ {ASK} }} {LISTS}", []),
        (f"mutation A {{ {ASK} }} #" + "x" * MAX_LENGTH, []),
        # Too many tokens.
        ("mutation A { " + many(f"a#: {ASK}", 40) + " }", ["parse"]),
        ("mutation A { requestSignInLink(input: {}) { " + "nonce " * MAX_TOKENS + "} }", ["parse"]),
        # A field that needs a token, in any operation of the document.
        (f"mutation A {{ {ASK} }} query B {{ client {{ id }} }}", ["parse"]),
        (f"mutation A {{ {ASK} signOut {{ signedOut }} }}", ["parse"]),
        (f"mutation A {{ {ASK} ...F }} fragment F on Mutation {{ signOut {{ signedOut }} }}",
         ["parse"]),
        ("query A { client { id } }", ["parse"]),
        ("query A { __schema { queryType { name } } }", ["parse"]),
        ("subscription A { paid }", ["parse"]),
    ],
)  # fmt: skip
async def test_document_with_other_fields_is_not_validated(
    portal: Portal, work: list[str], query: str, asked: list[str]
) -> None:
    # Another text each time, so that nothing is cached.
    response = await named(portal, f"{query} # {portal.url} {len(query)}", "A")
    assert told(response) == (401, "UNAUTHENTICATED")
    assert work == asked


async def test_long_operation_name_is_refused(portal: Portal, work: list[str]) -> None:
    response = await named(portal, f"mutation A {{ {ASK} }}", "A" * 9_000)
    assert told(response) == (401, "UNAUTHENTICATED")
    assert work == []


@pytest.mark.parametrize("content", [b"[]", b'[{"query": "{ __typename }"}]'])
async def test_batch_is_refused(portal: Portal, work: list[str], content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await portal.http.post("/graphql", content=content, headers=headers)
    assert told(response) == (400, "BAD_REQUEST")
    assert work == []


async def test_persisted_query_is_refused(portal: Portal, work: list[str]) -> None:
    hashed = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    refused = (200, "PERSISTED_QUERY_NOT_SUPPORTED")
    assert told(await portal.http.post("/graphql", json=hashed)) == refused
    by_url = {"extensions": json.dumps(hashed["extensions"])}
    assert told(await portal.http.get("/graphql", params=by_url)) == refused
    assert work == []


@pytest.mark.parametrize("token", ["cbp_none", ""])
async def test_document_with_a_wrong_token_is_not_parsed(
    portal: Portal, work: list[str], token: str
) -> None:
    for wrong in (token or new_secret(), "Basic"):
        response = await portal.ask(f"mutation {{ {ASK} }}", wrong)
        assert told(response) == (401, "UNAUTHENTICATED")
    assert work == []


async def test_second_mutation_field_without_a_token_is_refused(
    portal: Portal, work: list[str]
) -> None:
    response = await portal.ask(f"mutation {{ a: {ASK} b: {ASK} }}")
    assert told(response) == (200, "NOT_ALONE")
    assert "validate" not in work


async def test_card_number_without_a_token_is_refused(portal: Portal) -> None:
    given = '{email: "4242 4242 4242 4242"}'
    literal = await portal.ask(f"mutation {{ requestSignInLink(input: {given}) {{ nonce }} }}")
    query = "mutation ($e: String!) { requestSignInLink(input: {email: $e}) { nonce } }"
    variable = await portal.ask(query, e="4242424242424242")
    assert told(literal) == told(variable) == (200, "CARD_NUMBER")


async def test_portal_pages_sign_in_documents_need_no_token(portal: Portal) -> None:
    request = (TEXTS / "request-sign-in-link.graphql").read_text()
    answer = (await portal.ask(request, input={"email": "ana@example.com"})).json()
    nonce = answer["data"]["requestSignInLink"]["nonce"]
    sign_in = (TEXTS / "sign-in.graphql").read_text()
    answer = (await portal.ask(sign_in, input={"secret": "none", "nonce": nonce})).json()
    assert answer["data"]["signIn"]["__typename"] == "SignInLinkInvalid"
    by_code = (TEXTS / "sign-in-with-code.graphql").read_text()
    answer = (await portal.ask(by_code, input={"code": "000000", "nonce": nonce})).json()
    assert answer["data"]["signInWithCode"]["__typename"] == "SignInCodeInvalid"


async def test_public_introspection_is_within_the_limits(new_database: NewDatabase) -> None:
    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True,
        input_value_deprecation=True, one_of=True,
    )  # fmt: skip
    mode = Introspection.EVERYONE
    async with new_database() as url, served(url, introspection=mode) as portal:
        assert "__schema" in (await portal.ask(query)).json()["data"]


async def test_new_documents_per_address_are_limited(portal: Portal) -> None:
    service, known = graph_of(portal), f"mutation Known {{ {ASK} }}"
    strangers = service.anonymous
    strangers.new_documents.due.clear()
    assert (await portal.ask(known)).status_code == 200
    sent = [await portal.ask(f"mutation New{number} {{ {ASK} }}") for number in range(30)]
    limited = [response for response in sent if response.status_code == 429]
    assert len(limited) == 30 - (NEW_DOCUMENTS - 1)
    assert told(limited[0]) == (429, "RATE_LIMITED")
    assert 0 < int(limited[0].headers["retry-after"]) <= NEW_DOCUMENT_EVERY_S
    # Cached documents, requests with a token, and other addresses are answered.
    assert (await portal.ask(known)).status_code == 200
    assert (await portal.ask("query New { client { id } }", await portal.token())).is_success
    elsewhere = await strangers.prepare("{ __typename }", None, {}, "another address")
    assert isinstance(elsewhere, PreparedOperation)
    strangers.new_documents.due.clear()


def test_allowance_is_restored_one_by_one() -> None:
    moment = [0.0]
    allowance = Allowance(3, 2, now=lambda: moment[0])
    assert [allowance.take("a") for _ in range(5)] == [0, 0, 0, 2, 2]
    assert allowance.take("b") == 0
    moment[0] = 1.5
    assert allowance.take("a") == 1
    moment[0] = 2
    assert [allowance.take("a") for _ in range(2)] == [0, 2]
    moment[0] = 1_000
    assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, 2]


@pytest.mark.parametrize("name", SHAPES)
async def test_hostile_documents_are_refused_or_answered(
    portal: Portal, work: list[str], name: str
) -> None:
    hostile = SHAPES[name](7)
    content, headers = hostile.content, dict(hostile.headers)
    response = await portal.http.post("/graphql", content=content, headers=headers)
    assert response.status_code < 500
    assert "data" in response.json() or response.json()["errors"]
    limits = {"length", "changes", "fields", "depth", "nesting", "overlaps", "values", "selects"}
    for error in response.json().get("errors", []):
        assert error["extensions"].get("limit", "fields") in limits


# -- separation from other requests ----------------------------------------------------------------


async def test_documents_without_a_token_are_cached_separately(
    portal: Portal, work: list[str]
) -> None:
    service = graph_of(portal)
    page = "query Page { client { id } }"
    await portal.ask(page, await portal.token())
    remembered: list[FairCache[Any, Any]] = [
        *(service.preparation.documents, service.preparation.operations),
        *(service.preparation.limits.numbers, service.preparation.limits.refusals),
        *(service.executor.plans,),
    ]
    before = [dict(kept.items) for kept in remembered]
    for number in range(60):
        query = f"mutation M{number} {{ {ASK} }} # {'x' * 3_000}"
        assert (await portal.ask(query)).status_code == 200
    assert [dict(kept.items) for kept in remembered] == before
    strangers = service.anonymous
    for kept in (strangers.operations, strangers.limits.numbers):
        assert 0 < kept.weight <= kept.size
    assert strangers.executor is not service.executor
    assert len(strangers.operations.items) < 50


async def test_full_queue_gets_503_and_does_not_delay_viewers(portal: Portal) -> None:
    service, query = graph_of(portal), "{ __typename }"
    async with AsyncExitStack() as places:
        queue = service.anonymous.queue
        queue.present.update({f"address {n}": 1 for n in range(MOST)})
        places.callback(queue.present.clear)
        response = await portal.ask(query)
        assert told(response) == (503, "UNAVAILABLE")
        assert int(response.headers["retry-after"]) > 0
        assert (await portal.ask(query, await portal.token())).status_code == 200
    assert (await portal.ask(query)).status_code == 200


async def test_unknown_tokens_wait_in_a_bounded_queue(portal: Portal) -> None:
    known = await portal.token()
    unknown = portal.application.state.endpoint.authenticator.unknown
    await portal.ask("{ __typename }", known)
    unknown.present[""] = unknown.most
    try:
        assert told(await portal.ask("{ __typename }", new_secret())) == (503, "UNAVAILABLE")
        assert (await portal.ask("{ __typename }", known)).status_code == 200
    finally:
        unknown.present.clear()
    assert told(await portal.ask("{ __typename }", new_secret())) == (401, "UNAUTHENTICATED")


async def test_queue_limits_waiters_in_all_and_per_sender() -> None:
    queue = BoundedQueue(at_once=2, most=6, most_of_one=4, wait_s=0.01)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(queue.place("a"))
        # No place is free in time.
        with pytest.raises(QueueFull):
            await queue.place("b").__aenter__()
        assert queue.present == {"a": 2}
        waiting = BoundedQueue(at_once=1, most=6, most_of_one=4, wait_s=60)
        await held.enter_async_context(waiting.place("a"))
        others = [asyncio.create_task(waiting.place("a").__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)
        # One sender may use only its share.
        with pytest.raises(QueueFull):
            await waiting.place("a").__aenter__()
        others += [asyncio.create_task(waiting.place("b").__aenter__()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await waiting.place("c").__aenter__()
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert waiting.present == {"a": 1}
    assert not queue.present
    assert not waiting.present
    assert MOST_OF_ONE_ADDRESS < MOST


# -- documents with a token ------------------------------------------------------------------------


async def test_whole_document_is_measured(portal: Portal, work: list[str]) -> None:
    """Validation reads all operations and fragments, whichever operation is named."""
    token = await portal.token()
    small = "query A { client { id } }"
    lists = "invoices { nodes { id } } " * 170
    for rest in (
        f"query B {{ client {{ {lists} }} }}",
        f"fragment F on Client {{ {lists} }}",
        many(f"query B# {{ client {{ {'id ' * 50} }} }}", 10),
    ):
        response = await named(portal, f"{small} {rest}", "A", token)
        assert told(response) == (200, "LIMIT_EXCEEDED")
        assert response.json()["errors"][0]["extensions"]["limit"] == "fields"
    assert "validate" not in work
    several = f"{small} query B {{ client {{ name }} }}"
    assert "data" in (await named(portal, several, "A", token)).json()


async def test_overlapping_fields_are_limited(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await portal.token()
    response = await portal.ask("{ client { " + "id " * 400 + "} }", token)
    assert told(response) == (200, "LIMIT_EXCEEDED")
    extensions = response.json()["errors"][0]["extensions"]
    assert (extensions["limit"], extensions["most"]) == ("overlaps", MAX_OVERLAPS)
    assert "data" in (await portal.ask("{ client { " + "id " * 90 + "} }", token)).json()


def test_validation_uses_the_overlap_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FewOverlapsRule in RULES
    document = parse("{ a: __typename a: __typename }")
    assert isinstance(document, DocumentNode)
    assert validate(schema()._schema, document, RULES) == []
    monkeypatch.setattr(FewOverlapsRule, "most", 1)
    (error,) = validate(schema()._schema, document, RULES)
    assert error.extensions
    assert error.extensions["limit"] == "overlaps"


async def test_new_documents_of_one_token_evict_only_its_own(portal: Portal) -> None:
    """One token sends thirty new documents of 30 kB; another token's document stays cached."""
    service, page = graph_of(portal), "query Page { client { id name } }"
    other = await portal.token(Subject(portal.practice_id, client_id=portal.other_id))
    hostile = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    for _ in range(2):
        await portal.ask(page, other)
    ready = service.preparation.operations.recall((page, None))
    for number in range(30):
        query = f"query Q{number} {{ viewer {{ kind }} }} # {'x' * 30_000}"
        assert (await portal.ask(query, hostile)).status_code == 200
    assert service.preparation.operations.recall((page, None)) is ready
    for kept in (service.preparation.documents, service.preparation.operations):
        assert kept.weight <= kept.size
    assert any(key[0].startswith(b'{"query":"query Page') for key in service.requests.items.items)


async def test_concurrent_requests_prepare_a_document_once(portal: Portal, work: list[str]) -> None:
    token = await portal.token()
    query = f"query Together {{ client {{ id }} }} # {portal.url}"
    answers = await asyncio.gather(*(portal.ask(query, token) for _ in range(10)))
    assert all(answer.status_code == 200 for answer in answers)
    assert work == ["parse", "validate"]
