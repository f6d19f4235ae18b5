"""Spans of work, for traces. There are none unless `server/traces.py` sets a tracer.

The attributes of spans are this project's own words, numbers and ids of rows: no text of a request,
no name, no address.
"""

import enum
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Attribute = str | int | float


class SpanKind(enum.Enum):
    """The side of a call that a span is of."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Span(Protocol):
    """A span that is not over."""

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Mapping[str, Attribute]) -> None: ...

    def fail(self, reason: str) -> None: ...


class Tracer(Protocol):
    """A maker of spans. `parent` is the header `traceparent` of a caller."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute],
        parent: str | None = None,
    ) -> AbstractContextManager[Span | None]: ...


class Tracing:
    """The tracer of this process, if any."""

    tracer: Tracer | None = None


TRACING = Tracing()
NO_SPAN: AbstractContextManager[None] = nullcontext()


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: Attribute
) -> AbstractContextManager[Span | None]:
    """Return the context of a span. Work without a tracer has none."""
    if TRACING.tracer is None:
        return NO_SPAN
    return TRACING.tracer.span(name, kind, attributes)
