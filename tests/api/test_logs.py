"""The log: a line for each request, with the request's id, and no text of a request."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from execution.pipeline import GraphQLService
from planner import fallback_executor
from server.http.observed_requests import ROUTES
from server.logs import LogFormat
from tests.support.document_links import link, made
from tests.support.logs import captured_log
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "query AnaPrieto { client { name } viewer { name } }"
PROXYS = "proxy-7.4_A"
STRANGER = ("203.0.113.9", 40_000)


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        yield it


def lines_of(written: str) -> list[dict[str, Any]]:
    """Return the lines of requests."""
    found = [json.loads(line) for line in written.splitlines()]
    return [line for line in found if line.get("logger") == "portal.requests"]


async def test_each_address_of_the_server_is_named(portal: Portal) -> None:
    application: Any = portal.http._transport.app  # type: ignore[attr-defined]
    served_there = {route.path[1:].partition("/")[0] for route in application.routes}
    assert "record" in served_there
    assert served_there - {""} <= ROUTES


async def test_request_has_one_line(portal: Portal) -> None:
    """A repeated request writes the same line as a new one."""
    token = await portal.token()
    with captured_log() as log:
        answers = [await portal.ask(NAME, token) for _ in range(3)]
    lines = lines_of(log.getvalue())
    assert [line["requestId"] for line in lines] == [
        answer.headers["x-request-id"] for answer in answers
    ]
    assert len({line["requestId"] for line in lines}) == len(lines) == 3
    for line in lines:
        assert line.pop("ms") >= line.pop("statementMs") > 0
        assert re.fullmatch(r"[0-9T:.-]+\+00:00", line.pop("at"))
        del line["requestId"]
        assert line == {
            "level": "info",
            "logger": "portal.requests",
            "method": "POST",
            "route": "graphql",
            "operation": "query client,viewer",
            "viewer": "CLIENT",
            "status": 200,
        }


async def test_text_lines_have_the_same_facts(portal: Portal) -> None:
    with captured_log(LogFormat.TEXT) as log:
        answer = await portal.ask(NAME, await portal.token())
        logging.getLogger("portal").warning("something of %s", "the server")
    line, other = log.getvalue().splitlines()
    id_ = answer.headers["x-request-id"]
    facts = f"requestId={id_} method=POST route=graphql operation=query client,viewer"
    assert line.startswith(f"INFO portal.requests: {facts} viewer=CLIENT status=200 ms=")
    assert other == "WARNING portal: something of the server"


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("{ client { id } }", "UNAUTHENTICATED", 401),
        ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED", 200),
        ("mutation { signOut { signedOut } }", None, 200),
    ],
)
async def test_refused_request_has_its_code(
    portal: Portal, query: str, code: str | None, status: int
) -> None:
    token = None if status == 401 else await portal.token()
    with captured_log() as log:
        assert (await portal.ask(query, token)).status_code == status
    (line,) = lines_of(log.getvalue())
    assert (line.get("code"), line["status"]) == (code, status)


async def test_id_of_a_trusted_proxy_is_kept(portal: Portal) -> None:
    for client, given, is_kept in (
        (("127.0.0.1", 1), PROXYS, True),
        (STRANGER, PROXYS, False),
        (("127.0.0.1", 1), "x" * 65, False),
        (("127.0.0.1", 1), "a b", False),
        (("127.0.0.1", 1), "", False),
    ):
        transport = httpx.ASGITransport(portal.application, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://portal") as http:
            answer = await http.get("/livez", headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) is is_kept, (client, given)
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])


async def test_internal_error_has_the_requests_id(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("what nobody should read")

    token = await portal.token()
    monkeypatch.setattr(GraphQLService, "answer", broken)
    with captured_log() as log:
        answer = await portal.ask(NAME, token)
    id_ = answer.headers["x-request-id"]
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": id_}
    assert f"under the id {id_}" in error["message"]
    (internal, line) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (internal["message"], internal["requestId"]) == (f"internal error {id_}", id_)
    assert "nobody should read" in internal["error"]
    assert (line["code"], line["status"], line["requestId"]) == ("INTERNAL", 500, id_)


async def test_failed_field_has_the_requests_id(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields are completed in another thread, whose log lines have the id too."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("what nobody should read")

    monkeypatch.setattr(fallback_executor, "parse_leaf", broken)
    # An invalid cursor is answered by the fallback.
    query = '{ client { name invoices(first: 1, after: "x") { totalCount } } }'
    with captured_log() as log:
        answer = await portal.ask(query, await portal.token())
    id_ = answer.headers["x-request-id"]
    failed = [
        error["extensions"]
        for error in answer.json()["errors"]
        if error["extensions"]["code"] == "INTERNAL"
    ]
    assert failed
    assert {error["requestId"] for error in failed} == {id_}
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["requestId"] for line in logged} == {id_}
    assert any("a field failed" in line.get("message", "") for line in logged)


async def test_no_secret_and_no_text_of_a_request_is_logged(portal: Portal) -> None:
    """Not even an operation's name, which a client may choose."""
    token = await portal.token()
    path = (await link(portal, await made(portal, "inv"), token))["printUrl"]
    path = path.removeprefix("https://portal.example/api")
    secrets = [token, path.partition("signature=")[2], "AnaPrieto", "Zyxmarker", portal.client_id]
    with captured_log() as log:
        await portal.ask(NAME, token)
        await portal.ask("query Zyxmarker($x: ID!) { node(id: $x) { id } }", token, x="Zyxmarker")
        await portal.ask("query Zyxmarker { Zyxmarker }", token)
        await portal.ask("{ client { name } }", "cbp_" + "Zyxmarker")
        assert (await portal.http.get(path)).status_code == 200
        await portal.http.get(f"/export/invoices.csv?from=Zyxmarker&token={token}")
        await portal.http.get("/Zyxmarker/of?a=Zyxmarker")
        await portal.http.request("ZYXMARKER", "/graphql")
        await portal.http.post("/graphql", content=b"Zyxmarker")
        await portal.http.post("/sign-in/Zyxmarker", json={"secret": "Zyxmarker"})
    written = log.getvalue()
    assert len(lines_of(written)) == 10
    for secret in secrets:
        assert secret.lower() not in written.lower(), secret
    assert len({json.loads(line)["event"] for line in written.splitlines() if '"event"' in line})


@pytest.mark.rest
def test_format_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"DATABASE_URL": "sqlite:///nowhere.db", "TOKEN_KEY": "k" * 32}
    program = "import server.app as a; a.app = a.refuse_other_revision = lambda _: None;"
    program += "a.app_of_environment();"
    program += "import logging; logging.getLogger('portal').warning('hello')"
    for format_, line in (("json", '"message": "hello"}'), ("text", "WARNING portal: hello")):
        given = environment | {"LOG_FORMAT": format_, "SANDBOX": "true"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True
        )
        assert done.stderr.strip().endswith(line)
