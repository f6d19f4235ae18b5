"""Bodies of requests: limits of their size, and of the memory for all of them."""

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from server.http.headers import request_header

# The largest body of a client without a token.
STRANGERS_BODY = 2**14
MAX_BODY = 2**20
# The memory for larger bodies in transfer: of all senders, and of one.
ALL_LARGE_BODIES, LARGE_BODIES = 16 * 2**20, 4 * 2**20
GZIP = 16 + zlib.MAX_WBITS
CODINGS = ("gzip", "x-gzip")


class BodyRefused(Exception):
    """A body that is refused. The text gives the reason."""


class EndedEarly(BodyRefused):
    def __init__(self) -> None:
        super().__init__("the body ended early")


class TooLarge(BodyRefused):
    def __init__(self, most: int) -> None:
        without = " without a token" if most == STRANGERS_BODY else ""
        super().__init__(f"a body has at most {most} bytes{without}")


class NoMemoryLeft(BodyRefused):
    def __init__(self) -> None:
        super().__init__("too many large bodies at once: send the same again in a moment")


class UnknownCoding(BodyRefused):
    def __init__(self) -> None:
        super().__init__("send the body as it is, or with Content-Encoding: gzip")


class NotGzip(BodyRefused):
    def __init__(self) -> None:
        super().__init__("the body is not gzip, though Content-Encoding says so")


class RequestBody:
    """The body of a request, which is read in steps."""

    def __init__(self, request: Request) -> None:
        self.receive, self.content = request.receive, bytearray()
        length = request_header(request.scope, b"content-length") or ""
        self.declared = int(length) if length.isdecimal() and len(length) < 19 else None
        coding = request_header(request.scope, b"content-encoding")
        self.is_packed = coding is not None and is_gzip(coding)
        self.is_whole = False

    async def read(self, most: int) -> bool:
        """Read to the end and return True, or return False once the body is known to
        exceed `most`.
        """
        if self.declared is not None and self.declared > most:
            return False
        while not self.is_whole and len(self.content) <= most:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise EndedEarly
            self.content += message.get("body", b"")
            self.is_whole = not message.get("more_body", False)
        return self.is_whole and len(self.content) <= most

    def decoded(self, most: int) -> bytes:
        """Return the body's bytes, decompressed. Raise TooLarge if they are more than `most`."""
        content = bytes(self.content)
        if not self.is_packed:
            return content
        unpacking = zlib.decompressobj(GZIP)
        try:
            unpacked = unpacking.decompress(content, most + 1)
        except zlib.error:
            raise NotGzip from None
        if len(unpacked) > most:
            raise TooLarge(most)
        if not unpacking.eof or unpacking.unused_data:
            raise NotGzip
        return unpacked


def is_gzip(coding: str) -> bool:
    """Return whether a body is compressed. Raise UnknownCoding for other codings than gzip."""
    name = coding.strip().lower()
    if name not in (*CODINGS, "identity"):
        raise UnknownCoding
    return name in CODINGS


class LargeBodies:
    """The memory that is reserved for large bodies while they are received."""

    def __init__(self, most: int = ALL_LARGE_BODIES, most_of_one: int = LARGE_BODIES) -> None:
        self.most, self.most_of_one = most, most_of_one
        self.reserved: Counter[str] = Counter()

    @contextmanager
    def room(self, sender: str, body: RequestBody, largest: int = MAX_BODY) -> Iterator[None]:
        """Reserve memory for a sender's body. Raise NoMemoryLeft if there is none."""
        size = largest if body.declared is None else min(body.declared, largest)
        if (
            self.reserved.total() + size > self.most
            or self.reserved[sender] + size > self.most_of_one
        ):
            raise NoMemoryLeft
        self.reserved[sender] += size
        try:
            yield
        finally:
            self.reserved[sender] -= size
            if not self.reserved[sender]:
                del self.reserved[sender]
