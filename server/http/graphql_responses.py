"""GraphQL responses: their media type, their status, and their compression."""

import asyncio
import zlib
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from planner.fallback_executor import Answer
from server.http.bodies import GZIP
from server.http.errors import HEADERS
from server.http.headers import request_header
from server.http.media_types import GRAPHQL_JSON, JSON, media_ranges

# Bytes from which an answer is compressed, and from which that is done in a thread.
COMPRESSED_FROM, IN_THREAD_FROM = 1_024, 2**15
# The fastest level: higher ones take up to twice as long for a tenth less.
LEVEL = 1
# Characters of a header that are read.
LONGEST_HEADER = 200


class GraphQLResponse(Response):
    """A response in one of the two media types. Only the newer one has an error status."""

    def __init__(self, answer: Answer, type_: str) -> None:
        self.status_code = 400 if type_ == GRAPHQL_JSON and not answer.has_data else 200
        self.background, self.body = None, answer.body
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), *RAW_HEADERS[type_]]

    async def compress(self, body: bytes) -> None:
        """Send the body compressed with gzip."""
        if len(body) < IN_THREAD_FROM:
            self.body = packed(body)
        else:
            self.body = await asyncio.to_thread(packed, body)
        self.raw_headers[0] = (b"content-length", b"%d" % len(self.body))
        self.raw_headers.append((b"content-encoding", b"gzip"))


def is_compressed(answer: Answer, request: Request) -> bool:
    """Return whether an answer is sent compressed.

    The length of a compressed answer tells about its content, so answers to changes, which may
    contain a new token or a secret of Stripe's, and refusals, which repeat text of the request, are
    not compressed.
    """
    if len(answer.body) < COMPRESSED_FROM or not answer.has_data or answer.is_change:
        return False
    coding = request_header(request.scope, b"accept-encoding")
    return coding is not None and accepts_gzip(coding[:LONGEST_HEADER])


@lru_cache(1_000)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client accepts gzip by name, or any coding."""
    codings = dict(media_ranges(accept_encoding))
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", 0))) > 0


def packed(body: bytes) -> bytes:
    packing = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return packing.compress(body) + packing.flush()


def raw_headers(type_: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of all responses of a media type."""
    headers = HEADERS | {
        "Vary": f"{HEADERS['Vary']}, Accept-Encoding",
        "Content-Type": f"{type_}; charset=utf-8",
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


RAW_HEADERS = {type_: raw_headers(type_) for type_ in (JSON, GRAPHQL_JSON)}
