"""Traces by OpenTelemetry: on when OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `traces` is
installed. Without the setting nothing of it is imported.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from models.tracing import TRACING, Attribute, SpanKind
from server.command_errors import CommandError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenSpan

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SERVICE = "OTEL_SERVICE_NAME"
PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
MISSING = (
    f"{ENDPOINT} is set, and the packages for traces are not installed: install"
    " client-billing-portal[traces], or unset it."
)


class TracesUnavailable(CommandError):
    """Traces are asked for, and their packages are not installed."""


def are_on() -> bool:
    return bool(os.environ.get(ENDPOINT))


def refuse_without_packages() -> None:
    """Raise TracesUnavailable if traces are on and a package is missing."""
    if are_on() and not all(map(is_installed, PACKAGES)):
        raise TracesUnavailable(MISSING)


def is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


class OpenTracer:
    """A tracer that sends spans to the endpoint, in batches and in a thread of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.provider, self.propagator = provider, TraceContextTextMapPropagator()
        self.tracer = provider.get_tracer("portal")

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute],
        parent: str | None = None,
    ) -> Iterator[OpenTelemetrySpan]:
        from opentelemetry.trace import SpanKind as OpenKind

        context = self.propagator.extract({"traceparent": parent}) if parent else None
        with self.tracer.start_as_current_span(
            name,
            context,
            OpenKind[kind.name],
            dict(attributes),
            # An error's text may quote a value.
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            made = OpenTelemetrySpan(opened)
            try:
                yield made
            except BaseException as error:
                made.fail(type(error).__name__)
                raise


class OpenTelemetrySpan:
    """A span of OpenTelemetry."""

    def __init__(self, opened: OpenSpan) -> None:
        self.opened = opened

    def rename(self, name: str) -> None:
        self.opened.update_name(name)

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        self.opened.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.opened.set_status(Status(StatusCode.ERROR, reason))


@contextmanager
def traced() -> Iterator[None]:
    """Send the spans of this process while the context lasts, if traces are on."""
    if not are_on():
        yield
        return
    refuse_without_packages()
    provider = make_provider()
    TRACING.tracer = OpenTracer(provider)
    try:
        yield
    finally:
        TRACING.tracer = None
        provider.shutdown()


def make_provider() -> Any:
    """Return the provider of spans. The packages read further variables, `OTEL_…`, themselves."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get(SERVICE, "portal")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
