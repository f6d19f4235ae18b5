"""Traces: spans that a receiver of OTLP over HTTP gets, and what happens without the packages."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from execution.pipeline import GraphQLService
from models.tracing import span
from server import traces
from server.command_errors import CommandError
from tests.support.payments import paying
from tests.support.portal import KEY, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "query Zyxmarker { client { name } }"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


class Receiver(ThreadingHTTPServer):
    """A receiver of spans on a port of its own."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in ExportTraceServiceRequest.FromString(request).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.requests.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv(traces.ENDPOINT, address)
        yield server


def attributes(span: Span) -> dict[str, Any]:
    return {
        one.key: one.value.string_value or one.value.int_value or one.value.double_value
        for one in span.attributes
    }


def named(received: Receiver, name: str) -> list[Span]:
    return [span for span in received.spans if span.name == name]


async def test_spans_of_a_request_its_statement_and_calls_of_stripe(
    new_database: NewDatabase, received: Receiver
) -> None:
    async with new_database() as url, paying(url) as portal:
        answer = await portal.ask(NAME, portal.bearer)
        await portal.invoice(10_000)
        assert (await portal.pay(10_000, portal.card()))["__typename"] == "PaySucceeded"
        await portal.hears_all()
    (read,) = named(received, "query client")
    assert attributes(read) == {
        "http.request.method": "POST",
        "http.route": "graphql",
        "http.response.status_code": 200,
        "portal.request_id": answer.headers["x-request-id"],
        "portal.operation": "query client",
        "portal.viewer": "CLIENT",
    }
    assert (read.kind, read.parent_span_id) == (Span.SPAN_KIND_SERVER, b"")
    statements = [span for span in named(received, "statement") if span.trace_id == read.trace_id]
    assert read.span_id in {span.parent_span_id for span in statements}
    (payment,) = named(received, "mutation pay")
    calls = [span for span in received.spans if span.name.startswith("stripe ")]
    mine = {span.name for span in calls if span.trace_id == payment.trace_id}
    assert {
        "stripe POST /v1/payment_intents",
        "stripe POST /v1/payment_intents/:id/confirm",
    } <= mine
    assert {attributes(span)["http.response.status_code"] for span in calls} == {200}
    assert any(span.name == "job event" for span in received.spans)


async def test_no_span_has_a_text_of_a_request_or_a_name(
    new_database: NewDatabase, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("Zyxmarker")

    async with new_database() as url, paying(url) as portal:
        await portal.ask(NAME, portal.bearer)
        await portal.ask(NAME, "cbp_Zyxmarker")
        await portal.http.get("/Zyxmarker?Zyxmarker=Zyxmarker")
        await portal.invoice(10_000)
        await portal.pay(10_000, portal.card())
        monkeypatch.setattr(GraphQLService, "answer", broken)
        assert (await portal.ask("{ client { id } }", portal.bearer)).status_code == 500
        secrets = [portal.bearer, portal.client_id, "Zyxmarker", "Ana", "4242", KEY]
    assert len(received.spans) > 10
    whole = b"".join(received.requests)
    for secret in secrets:
        assert secret.encode() not in whole, secret
    (failed,) = [
        span for span in received.spans if attributes(span).get("portal.code") == "INTERNAL"
    ]
    assert failed.status.code == Status.STATUS_CODE_ERROR


def test_span_that_failed_has_the_class_of_its_error(received: Receiver) -> None:
    with traces.traced(), pytest.raises(ValueError, match="Zyxmarker"), span("work"):
        raise ValueError("Zyxmarker")
    (failed,) = received.spans
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "ValueError")
    assert b"Zyxmarker" not in b"".join(received.requests)


async def test_trace_of_a_trusted_proxy_is_continued(
    new_database: NewDatabase, received: Receiver
) -> None:
    async with new_database() as url, served(url) as portal:
        for client in (("127.0.0.1", 1), ("203.0.113.9", 1)):
            transport = httpx.ASGITransport(portal.application, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="http://portal") as http:
                assert (await http.get("/livez", headers=PARENT)).status_code == 200
    trusted, other = named(received, "livez")
    assert (trusted.trace_id.hex(), trusted.parent_span_id.hex()) == (TRACE, CALLER)
    assert other.trace_id.hex() != TRACE
    assert other.parent_span_id == b""


async def test_receiver_that_is_gone_delays_nothing(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(traces.ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with new_database() as url, paying(url) as portal:
        assert (await portal.ask(NAME, portal.bearer)).status_code == 200


# -- without the packages, or without the setting --------------------------------------------------


def test_missing_packages_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    traces.refuse_without_packages()
    monkeypatch.setenv(traces.ENDPOINT, "http://127.0.0.1:4318")
    traces.refuse_without_packages()
    monkeypatch.setattr(traces, "PACKAGES", ("opentelemetry.nothing",))
    with pytest.raises(CommandError, match=r"install client-billing-portal\[traces\]"):
        traces.refuse_without_packages()


@pytest.mark.rest
def test_nothing_is_imported_without_the_setting(tmp_path: Path) -> None:
    program = """import sys, asyncio
from server.app import app
from server.settings import Settings
async def main():
    made = app(Settings(database_url="sqlite:///x.db", token_key="k" * 32, sandbox=True))
    from server import traces
    with traces.traced():
        pass
asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry")])"""
    environment = {name: value for name, value in os.environ.items() if "OTEL" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
