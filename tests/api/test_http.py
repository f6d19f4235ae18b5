"""POST /graphql: authentication, and requests refused before GraphQL reads them."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from execution.introspection import Introspection
from identity import tokens
from identity.tokens import Subject, is_well_formed, new_secret
from models import Scope
from models.database import PostgresReads, StatementTimeout
from server.http.bodies import MAX_BODY
from tests.support.portal import KEY, Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "{ client { name } }"
SCHEMA = "{ __schema { queryType { name } } }"


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, allowed_origins=["https://portal.example"]) as it:
        yield it


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    assert error["message"]
    found: str = error["extensions"]["code"]
    return found


# -- authentication --------------------------------------------------------------------------------


async def test_client_reads_own_name(portal: Portal) -> None:
    response = await portal.ask(NAME, await portal.token())
    assert response.status_code == 200
    assert response.json() == {"data": {"client": {"name": "Ana Prieto"}}}
    assert response.headers["cache-control"] == "no-store"


async def test_token_stands_for_its_own_subject(portal: Portal) -> None:
    query = "{ viewer { kind name email scopes expiresAt clients { name } } }"
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    assert (await portal.ask(query, guardian)).json()["data"]["viewer"] == {
        "kind": "CONTACT",
        "name": "Gail Ahn",
        "email": None,
        "scopes": ["BILLING_READ", "DOCUMENTS_READ", "PHI_READ"],
        "expiresAt": "2026-03-15T13:00:00Z",
        "clients": [{"name": "Ana Prieto"}, {"name": "Ben Osei"}],
    }


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "cbp_",
        "Bearer cbp_" + "a" * 49,
        "Bearer \xff",
        "Bearer a b",
    ],
)
async def test_malformed_credential_is_refused(portal: Portal, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    response = await portal.http.post("/graphql", json={"query": NAME}, headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_unknown_token_is_refused(portal: Portal) -> None:
    assert (await portal.ask(NAME, new_secret())).status_code == 401


async def test_expired_token_is_refused(portal: Portal) -> None:
    token, before = await portal.token(), portal.clock.time
    portal.clock.time += dt.timedelta(hours=1)
    try:
        assert (await portal.ask(NAME, token)).status_code == 401
    finally:
        portal.clock.time = before


async def test_revoked_token_is_refused_at_once(portal: Portal) -> None:
    async with portal.engine.begin() as conn:
        subject = Subject(portal.practice_id, client_id=portal.client_id)
        hour = dt.timedelta(hours=1)
        id_, token = await tokens.create_token(
            conn, KEY, subject, "test", frozenset(), portal.clock(), hour
        )
    assert (await portal.ask("{ viewer { kind } }", token)).status_code == 200
    async with portal.engine.begin() as conn:
        assert await tokens.revoke_token(conn, id_, portal.clock())
        assert not await tokens.revoke_token(conn, id_, portal.clock())
    assert (await portal.ask("{ viewer { kind } }", token)).status_code == 401


async def test_database_stores_no_token(portal: Portal) -> None:
    token = await portal.token()
    async with portal.engine.connect() as conn:
        rows = (await conn.exec_driver_sql("SELECT * FROM token")).all()
    assert rows
    assert token not in repr(rows)
    assert token[4:47] not in repr(rows)


def test_mistyped_token_fails_its_checksum() -> None:
    token = new_secret()
    assert is_well_formed(token)
    for place in range(len(token)):
        letter = "b" if token[place] == "a" else "a"
        assert not is_well_formed(token[:place] + letter + token[place + 1 :])


# -- without a token -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        NAME,
        "{ viewer { kind } __typename }",
        "{ nonsense }",
        "{ ...F } fragment F on Query { practice { id } }",
    ],
)
async def test_query_without_a_token_is_refused(portal: Portal, query: str) -> None:
    response = await portal.ask(query)
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == 'Bearer realm="portal"'


async def test_root_typename_needs_no_token(portal: Portal) -> None:
    assert (await portal.ask("{ __typename }")).json() == {"data": {"__typename": "Query"}}


async def test_introspection_follows_its_setting(new_database: NewDatabase) -> None:
    answers = {}
    for mode in Introspection:
        async with new_database() as url, served(url, introspection=mode) as portal:
            token = await portal.token()
            answers[mode] = [
                (await portal.ask(SCHEMA, t)).json().get("data") for t in (None, token)
            ]
    told = {"__schema": {"queryType": {"name": "Query"}}}
    assert answers == {"everyone": [told, told], "viewers": [None, told], "nobody": [None, None]}


async def test_only_allowed_origins_pass_the_preflight(portal: Portal) -> None:
    for origin, allowed in (("https://portal.example", True), ("https://other.example", False)):
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        response = await portal.http.options("/graphql", headers=asked)
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed
        assert "access-control-allow-credentials" not in response.headers


# -- scopes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ('{ client(id: "%s") { id ...N } } fragment N on Client { name }', ["Client.name"]),
        (
            '{ client(id: "%s") { paymentMethods { last4 billingZip } } }',
            ["PaymentMethod.billingZip"],
        ),
        (
            '{ client(id: "%s") { accountHistory { nodes { session { date } } } } }',
            ["AccountHistoryEntry.session", "Session.date"],
        ),
        ('{ client(id: "%s") { email @skip(if: true) } }', ["Client.email"]),
    ],
)
async def test_health_information_needs_its_scope(
    portal: Portal, query: str, fields: list[str]
) -> None:
    scopes = frozenset({Scope.BILLING_READ})
    dashboard = await portal.token(Subject(portal.practice_id), scopes=scopes)
    response = await portal.ask(query % f"cli_{portal.client_id}", dashboard)
    assert "data" not in response.json()
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "SCOPE_REQUIRED", "scope": "phi:read", "fields": fields}


async def test_balance_needs_no_phi_scope(portal: Portal) -> None:
    scopes = frozenset({Scope.BILLING_READ})
    dashboard = await portal.token(Subject(portal.practice_id), scopes=scopes)
    query = f'{{ client(id: "cli_{portal.client_id}") {{ balance {{ amount {{ amount }} }} }} }}'
    balance = {"amount": {"amount": "0.00"}}
    assert (await portal.ask(query, dashboard)).json() == {"data": {"client": {"balance": balance}}}


# -- invalid requests ------------------------------------------------------------------------------

POST = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "type_", "status", "refusal"),
    [
        (b"", "application/json", 400, "BAD_REQUEST"),
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 400, "BAD_REQUEST"),
        (b"null", "application/json", 400, "BAD_REQUEST"),
        (b'{"query": 1}', "application/json", 400, "BAD_REQUEST"),
        (b'{"variables": {}}', "application/json", 400, "BAD_REQUEST"),
        (b'{"query": "{a}", "variables": []}', "application/json", 400, "BAD_REQUEST"),
        (b'{"query": "{a}", "operationName": 7}', "application/json", 400, "BAD_REQUEST"),
        (b'{"query": "\xff"}', "application/json", 400, "BAD_REQUEST"),
        (b'{"query": "\\ud800"}', "application/json", 400, "BAD_REQUEST"),
        (b"[" * 10_000, "application/json", 400, "BAD_REQUEST"),
        (b'{"query": "{a}"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"query": "{a}"}', "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"query={a}", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * (MAX_BODY + 1), "application/json", 413, "TOO_LARGE"),
    ],
)
async def test_invalid_body_is_refused(
    portal: Portal, content: bytes, type_: str, status: int, refusal: str
) -> None:
    response = await portal.http.post("/graphql", content=content, headers={"content-type": type_})
    assert (response.status_code, code(response)) == (status, refusal)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_than_post_and_get_get_405(portal: Portal, method: str) -> None:
    response = await portal.http.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_graphql_response_media_type_has_an_error_status(portal: Portal) -> None:
    newer = {"Accept": "application/graphql-response+json"}
    token = {"Authorization": f"Bearer {await portal.token()}"}
    for query, status in ((NAME, 200), ("{ nonsense }", 400), ("{", 400)):
        body = {"query": query}
        response = await portal.http.post("/graphql", json=body, headers=newer | token)
        assert response.status_code == status
        assert response.headers["content-type"].startswith(newer["Accept"])
        plain = await portal.http.post("/graphql", json=body, headers=token)
        assert plain.status_code == 200
        assert plain.headers["content-type"] == "application/json; charset=utf-8"


async def test_internal_error_is_written_to_the_log_only(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("execution.executor.Executor.answer", fails)
    response = await portal.ask(NAME, await portal.token())
    assert (response.status_code, code(response)) == (500, "INTERNAL")
    assert "secret" not in response.text
    (record,) = caplog.records
    assert record.getMessage().split()[-1] in response.text


async def test_statement_timeout_ends_a_slow_statement(
    portal: Portal, new_database: NewDatabase
) -> None:
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    async with new_database() as url, served(url, statement_timeout_s=0.3) as hasty:
        token = await hasty.token()
        reads = reads_of(hasty)
        with pytest.raises(StatementTimeout):
            await reads.row(slow, [])
        assert (await hasty.ask(NAME, token)).status_code == 200


async def test_canceled_request_leaves_its_connection_usable(portal: Portal) -> None:
    reads = reads_of(portal)
    if isinstance(reads, PostgresReads):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reads.row("SELECT pg_sleep(5)", []), 0.1)
    assert await reads.value("SELECT 1", []) == 1


def reads_of(portal: Portal) -> Any:
    """Return the connections of the portal's server."""
    application = portal.http._transport.app  # type: ignore[attr-defined]
    return application.state.reads


async def test_probes_report_process_and_database(portal: Portal) -> None:
    for path in ("/livez", "/readyz"):
        assert (await portal.http.get(path)).text == "ok\n"
