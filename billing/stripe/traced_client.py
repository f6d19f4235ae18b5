"""The HTTP client of Stripe's SDK, with a span for each call."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from models.tracing import SpanKind, span

# The parts of routes. Ids have digits.
PLAIN = re.compile("[a-z_]*")


class TracedClient(stripe.HTTPXClient):
    """A client whose calls are spans, which have no parameter of a call."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        with span(f"stripe {method.upper()} {route_of_call(url)}", SpanKind.CLIENT) as opened:
            answer = await super().request_async(method, url, headers, post_data)
            if opened is not None:
                opened.note({"http.response.status_code": answer[1]})
        return answer


def route_of_call(url: str) -> str:
    """Return the path of a call, with `:id` for each id."""
    parts = urlsplit(url).path.split("/")
    return "/".join(part if part == "v1" or PLAIN.fullmatch(part) else ":id" for part in parts)
