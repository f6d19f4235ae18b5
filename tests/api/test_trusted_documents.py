"""Trusted documents over HTTP: asked by id, prepared before the first request, or the only ones."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from execution import prepare_ahead
from execution.introspection import Introspection
from execution.planning_thread import PlanningThread
from execution.trusted_documents import TrustedDocumentsMode
from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry, Scope
from server.document_manifest import PAGE_MANIFEST
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
GRAPHQL_JSON = "application/graphql-response+json"
NAME = "query Name($with: Boolean = true) { client { name @include(if: $with) } }"
INVOICES = "query Invoices($first: Int) { client { invoices(first: $first) { totalCount } } }"
PAGES = """query Pages($n: Int) {
    clients(first: $n) { nodes { invoices(first: $n) { nodes { id } } } } }"""
PLACE = "query Place($id: ID!) { node(id: $id) { ... on Practice { name } } }"
NODE = "query Node($id: ID!) { node(id: $id) { ... on Client { name } } }"
TWO = "query First { client { id } } query Second { client { name } }"
SIGN_OUT = "mutation Out { signOut { __typename } }"
OTHER = "{ client { id name } }"
ANSWER = {"data": {"client": {"name": "Ana Prieto"}}}
RELAY = {"name": NAME, "two.documents~1": TWO, "x-ours:pages": PAGES, "__proto__": INVOICES}
RELAY |= {"7c1f": NODE, "9d20": PLACE}


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def apollos(*texts: str) -> dict[str, Any]:
    """Return a manifest in Apollo's format."""
    operations = [
        {"id": hash_of(text), "name": text.split("(")[0].split()[1], "body": text}
        | {"type": text.split()[0]}
        for text in texts
    ]
    return {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": operations,
    }


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("manifests")
    files = {"relay.json": RELAY, "apollo.json": apollos(NAME, SIGN_OUT)}
    for name, manifest in files.items():
        (folder / name).write_text(json.dumps(manifest))
    return [str(folder / name) for name in files]


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase, manifests: list[str]) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, trusted_documents_file=manifests) as it:
        yield it


@pytest.fixture(scope="module")
async def closed(new_database: NewDatabase, manifests: list[str]) -> AsyncIterator[Portal]:
    """Yield a portal that answers its documents only, with the portal page."""
    only = {"trusted_documents": TrustedDocumentsMode.ONLY, "portal_page": True}
    with pytest.MonkeyPatch.context() as patch:
        # Plans of the whole page take some seconds.
        patch.setattr(prepare_ahead, "MOST_S", 0.1)
        async with (
            new_database() as url,
            served(url, trusted_documents_file=manifests, **only) as it,
        ):
            yield it


async def post(portal: Portal, body: Any, token: str | None = None, **more: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await portal.http.post("/graphql", json=body, headers={**headers, **more})


async def get(portal: Portal, token: str | None = None, **given: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await portal.http.get("/graphql", params=given, headers=headers)


def told(response: httpx.Response) -> tuple[int, str]:
    (error,) = response.json()["errors"]
    assert "data" not in response.json()
    return response.status_code, error["extensions"]["code"]


def persisted(hash_: Any, version: Any = 1) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": version, "sha256Hash": hash_}}}


# -- by id -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["name", hash_of(NAME), f"sha256:{hash_of(NAME)}"])
async def test_document_is_asked_by_its_id_or_its_hash(portal: Portal, id_: str) -> None:
    token = await portal.token()
    for _ in range(3):
        assert (await post(portal, {"documentId": id_}, token)).json() == ANSWER
        assert (await get(portal, token, documentId=id_)).json() == ANSWER
        assert (await post(portal, persisted(id_), token)).json() == ANSWER
        extensions = json.dumps(persisted(id_)["extensions"])
        assert (await get(portal, token, extensions=extensions)).json() == ANSWER
    without = {"documentId": id_, "variables": {"with": False}, "operationName": "Name"}
    assert (await post(portal, without, token)).json() == {"data": {"client": {}}}
    by_url = await get(portal, token, documentId=id_, variables='{"with":false}')
    assert by_url.json() == {"data": {"client": {}}}


async def test_operation_of_a_document_is_selected_by_its_name(portal: Portal) -> None:
    token, two = await portal.token(), {"documentId": "two.documents~1"}
    assert (await post(portal, two | {"operationName": "Second"}, token)).json() == ANSWER
    for name in (None, "Name", "second", "__proto__"):
        wrong = await post(portal, two | {"operationName": name}, token)
        assert told(wrong) == (200, "OPERATION_RESOLUTION_FAILURE")


async def test_id_and_text_agree(portal: Portal) -> None:
    token = await portal.token()
    for ids in ({"documentId": "name"}, persisted(hash_of(NAME)), persisted("name")):
        assert (await post(portal, {"query": NAME, **ids}, token)).json() == ANSWER
        other = await post(portal, {"query": OTHER, **ids}, token)
        assert told(other) == (400, "DOCUMENT_MISMATCH")
    both = {"documentId": f"sha256:{hash_of(NAME)}", **persisted(hash_of(NAME))}
    assert (await post(portal, both, token)).json() == ANSWER
    assert told(await post(portal, both | persisted(hash_of(TWO)), token)) == (
        400,
        "DOCUMENT_MISMATCH",
    )


async def test_hash_of_an_unknown_text_is_checked_and_not_stored(portal: Portal) -> None:
    """Apollo's clients send both after their hash was unknown."""
    token, asked = await portal.token(), persisted(hash_of(OTHER))
    for _ in range(2):
        unknown = await post(portal, asked, token)
        assert told(unknown) == (200, "PERSISTED_QUERY_NOT_FOUND")
        assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
        answer = await post(portal, asked | {"query": OTHER}, token)
        assert answer.json()["data"]["client"]["name"] == "Ana Prieto"
    wrong = await post(portal, asked | {"query": f"{OTHER} "}, token)
    assert told(wrong) == (400, "DOCUMENT_MISMATCH")


async def test_status_of_an_unknown_id_follows_the_media_type(portal: Portal) -> None:
    token = await portal.token()
    for unknown in ({"documentId": "nothing"}, persisted("nothing")):
        assert told(await post(portal, unknown, token))[0] == 200
        response = await post(portal, unknown, token, accept=GRAPHQL_JSON)
        assert told(response) == (400, "PERSISTED_QUERY_NOT_FOUND")
        assert response.headers["content-type"].startswith(GRAPHQL_JSON)
        assert response.headers["cache-control"] == "no-store"
    assert told(await get(portal, token, documentId="nothing"))[1] == "PERSISTED_QUERY_NOT_FOUND"


async def test_mutation_by_get_changes_nothing(portal: Portal) -> None:
    token = await portal.token()
    response = await get(portal, token, documentId=hash_of(SIGN_OUT))
    assert told(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"
    assert (await post(portal, {"documentId": "name"}, token)).json() == ANSWER


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"documentId": None},
        {"documentId": 7},
        {"documentId": ["name"]},
        {"documentId": {"id": "name"}},
        {"documentId": True},
        {"documentId": "name", "query": 7},
        {"query": NAME, "documentId": 7},
        {"extensions": {"persistedQuery": "name"}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"sha256Hash": "name"}}},
        persisted(7),
        persisted(None),
        persisted("name", 2),
        persisted("name", "1"),
        persisted("name", True),
        {"extensions": ["persistedQuery"]},
    ],
)
async def test_id_of_another_type_is_refused(portal: Portal, body: dict[str, Any]) -> None:
    for token in (None, await portal.token()):
        assert told(await post(portal, body, token)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "id_",
    [
        *("", " name", "NAME", "constructor", "__class__", "x-ours:", "x-ours:other", "\x00", "ñ"),
        *("sha256:", f"sha256:{hash_of(OTHER)}", f"SHA256:{hash_of(NAME)}", hash_of(NAME).upper()),
        *("n" * 10_000, "../apollo.json", f"sha256:sha256:{hash_of(NAME)}"),
    ],
)
async def test_unknown_id_is_refused(portal: Portal, id_: str) -> None:
    token = await portal.token()
    response = await post(portal, {"documentId": id_}, token)
    assert told(response) == (200, "PERSISTED_QUERY_NOT_FOUND")
    assert len(response.content) < 200


async def test_id_twice_in_a_url_is_refused(portal: Portal) -> None:
    response = await portal.http.get("/graphql?documentId=name&documentId=name")
    assert told(response) == (400, "BAD_REQUEST")


async def test_lone_surrogate_is_refused(portal: Portal) -> None:
    """It has no hash in UTF-8."""
    body = b'{"query": "{ a(b: \\"\\ud800\\") }", "documentId": "name"}'
    response = await portal.http.post(
        "/graphql", content=body, headers={"content-type": "application/json"}
    )
    assert told(response) == (400, "BAD_REQUEST")


async def test_name_that_is_part_of_every_object_is_an_id(portal: Portal) -> None:
    response = await post(portal, {"documentId": "__proto__"}, await portal.token())
    assert response.json() == {"data": {"client": {"invoices": {"totalCount": 0}}}}


async def test_without_documents_apollos_clients_are_told_to_send_texts(
    new_database: NewDatabase,
) -> None:
    async with new_database() as url, served(url) as portal:
        token = await portal.token()
        response = await post(portal, persisted(hash_of(NAME)), token)
        assert told(response) == (200, "PERSISTED_QUERY_NOT_SUPPORTED")
        assert response.json()["errors"][0]["message"] == "PersistedQueryNotSupported"
        unknown = await post(portal, {"documentId": "name"}, token)
        assert told(unknown) == (200, "PERSISTED_QUERY_NOT_FOUND")


# -- as any other document -------------------------------------------------------------------------


async def test_limits_and_scopes_hold(portal: Portal) -> None:
    pages = {"documentId": "x-ours:pages", "variables": {"n": 500}}
    dashboard = await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)
    assert told(await post(portal, pages, dashboard)) == (200, "LIMIT_EXCEEDED")
    small = await post(portal, pages | {"variables": {"n": 2}}, dashboard)
    assert len(small.json()["data"]["clients"]["nodes"]) == 2
    scopes = READ_SCOPES - {Scope.PHI_READ}
    without = await portal.token(Subject(portal.practice_id), scopes=scopes)
    response = await post(portal, {"documentId": "7c1f", "variables": {"id": "cli_"}}, without)
    assert told(response) == (200, "SCOPE_REQUIRED")
    assert told(await post(portal, {"documentId": "name"})) == (401, "UNAUTHENTICATED")
    assert told(await post(portal, {"documentId": "name"}, "cbp_none")) == (401, "UNAUTHENTICATED")


async def test_cost_is_told(portal: Portal) -> None:
    body = {"documentId": "name", "extensions": {"cost": True}}
    response = (await post(portal, body, await portal.token())).json()
    assert response["data"] == ANSWER["data"]
    assert response["extensions"]["cost"]["requested"] == 1


async def test_read_audit_is_the_same(portal: Portal) -> None:
    await entries(portal)
    for body in ({"query": NODE}, {"documentId": "7c1f"}):
        before = len(await entries(portal))
        given = {"id": f"cli_{portal.client_id}"}
        await post(portal, body | {"variables": given}, await portal.token())
        (entry,) = (await entries(portal))[before:]
        assert (entry.operation, entry.fields) == ("Node", ["Client.name"])
        assert (entry.action, entry.client_id) == ("READ", portal.client_id)


async def entries(portal: Portal) -> list[Any]:
    """Return the entries of the access log, the oldest first."""
    await portal.application.state.read_audit.flush()
    table = AccessEntry.__table__
    async with portal.engine.connect() as conn:
        return list((await conn.execute(table.select().order_by(table.c.id))).all())


@pytest.mark.parametrize(
    ("told_to", "codes"),
    [
        (Introspection.EVERYONE, [None, None]),
        (Introspection.VIEWERS, ["UNAUTHENTICATED", None]),
        (Introspection.NOBODY, ["INTROSPECTION_OFF", "INTROSPECTION_OFF"]),
    ],
)
async def test_introspection_is_permitted_by_its_setting(
    new_database: NewDatabase, tmp_path: Path, told_to: Introspection, codes: list[str | None]
) -> None:
    (tmp_path / "schema.json").write_text('{"s": "{ __schema { queryType { name } } }"}')
    given: dict[str, Any] = {
        "introspection": told_to,
        "trusted_documents": TrustedDocumentsMode.ONLY,
        "trusted_documents_file": [str(tmp_path / "schema.json")],
    }
    async with new_database() as url, served(url, **given) as portal:
        for token, code in zip((None, await portal.token()), codes, strict=True):
            for _ in range(2):
                response = await post(portal, {"documentId": "s"}, token)
                if code is None:
                    assert response.json()["data"]["__schema"]["queryType"] == {"name": "Query"}
                else:
                    assert told(response)[1] == code


# -- prepared before the first request -------------------------------------------------------------


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the work that requests leave to the planning threads."""
    done: list[str] = []
    run = PlanningThread.run

    async def recorded(self: PlanningThread, caller: Any, work: Any, *given: Any) -> Any:
        done.append(getattr(work, "__name__", repr(work)))
        return await run(self, caller, work, *given)

    monkeypatch.setattr(PlanningThread, "run", recorded)
    return done


async def test_first_request_finds_its_document_planned(
    new_database: NewDatabase, manifests: list[str], work: list[str]
) -> None:
    async with new_database() as url, served(url, trusted_documents_file=manifests) as portal:
        token = await portal.token()
        assert (await post(portal, {"documentId": "name"}, token)).json() == ANSWER
        first = {"documentId": "two.documents~1", "operationName": "Second"}
        assert (await post(portal, first, token)).json() == ANSWER
        guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
        node = {"documentId": "7c1f", "variables": {"id": f"cli_{portal.other_id}"}}
        response = await post(portal, node, guardian)
        assert response.json() == {"data": {"node": {"name": "Ben Osei"}}}
        place = {"documentId": "9d20", "variables": {"id": f"pra_{portal.practice_id}"}}
        response = await post(portal, place, guardian)
        assert response.json() == {"data": {"node": {"name": "Harbor Counseling"}}}
        assert work == []
        await post(portal, {"query": OTHER}, token)
        assert "compile" in work


async def test_prepared_documents_stay_when_others_fill_the_caches(
    portal: Portal, work: list[str]
) -> None:
    token = await portal.token()
    service = portal.application.state.service
    service.preparation.clear()
    service.executor.plans.clear()
    assert (await post(portal, {"documentId": "name"}, token)).json() == ANSWER
    assert work == []


# -- only trusted documents ------------------------------------------------------------------------


async def test_other_documents_are_refused(closed: Portal) -> None:
    for token in (None, await closed.token()):
        for query in (OTHER, f"{NAME} ", "{ __schema { types { name } } }", "nonsense", ""):
            for type_ in (GRAPHQL_JSON, "application/json"):
                refused = await post(closed, {"query": query}, token, accept=type_)
                assert told(refused) == (403, "UNTRUSTED_DOCUMENT")
            assert told(await get(closed, token, query=query)) == (403, "UNTRUSTED_DOCUMENT")
        both = persisted(hash_of(OTHER)) | {"query": OTHER}
        assert told(await post(closed, both, token)) == (403, "UNTRUSTED_DOCUMENT")


async def test_trusted_documents_are_answered_by_id_and_by_text(closed: Portal) -> None:
    token = await closed.token()
    for body in ({"documentId": "name"}, {"query": NAME}, persisted(hash_of(NAME))):
        assert (await post(closed, body, token)).json() == ANSWER
    assert (await get(closed, token, query=NAME)).json() == ANSWER


async def test_page_signs_in(closed: Portal) -> None:
    """Its documents are trusted where the page is served, also those without a token."""
    manifest = json.loads(PAGE_MANIFEST.read_text())
    (sign_in,) = [each for each in manifest["operations"] if each["name"] == "SignIn"]
    given = {"input": {"secret": "none", "nonce": "n" * 43}}
    for body in ({"documentId": sign_in["id"]}, {"query": sign_in["body"]}):
        response = await post(closed, body | {"variables": given})
        (result,) = response.json()["data"].values()
        assert result["__typename"] in {"SignInLinkInvalid", "InvalidInput"}, response.text


async def test_files_are_exported(closed: Portal) -> None:
    """Their queries are the server's own."""
    token = await closed.token(Subject(closed.practice_id), scopes=READ_SCOPES)
    headers = {"authorization": f"Bearer {token}"}
    response = await closed.http.get("/export/invoices.csv", headers=headers)
    assert response.status_code == 200
    assert "," in response.text


async def test_graphiql_is_not_served(closed: Portal, portal: Portal) -> None:
    headers = {"accept": "text/html"}
    page = await closed.http.get("/graphql", headers=headers)
    assert (page.status_code, "trusted documents only" in page.text) == (403, True)
    assert page.headers["content-security-policy"] == "default-src 'none'"
    assert (await portal.http.get("/graphql", headers=headers)).status_code == 200
