"""Entity tags of answers to queries by GET, and requests for an answer only if it differs.

`Cache-Control: no-store` keeps answers out of HTTP caches. A program that holds an answer in its
own memory may still ask whether it is the same (RFC 9110, 13.1.2).
"""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from planner.fallback_executor import Answer
from server.http.headers import request_header

DIGEST_BYTES = 16
WEAK = "W/"


def entity_tag(answer: Answer, request: Request) -> str | None:
    """Return the tag of an answer, or None if it has none.

    The digest is keyed with the credentials: without them, a tag in a log tells nothing about its
    answer. The tag is weak, since an answer has it compressed and uncompressed.
    """
    credentials = request_header(request.scope, b"authorization")
    if request.method != "GET" or not answer.has_data or credentials is None:
        return None
    key = hashlib.blake2b(credentials.encode("latin-1")).digest()
    digest = hashlib.blake2b(answer.body, key=key, digest_size=DIGEST_BYTES).hexdigest()
    return f'{WEAK}"{digest}"'


def is_known(tag: str, request: Request) -> bool:
    """Return whether the sender has the answer with this tag already."""
    known = ",".join(request.headers.getlist("if-none-match"))
    each = (one.strip() for one in known.split(","))
    return any(one == "*" or one.removeprefix(WEAK) == tag.removeprefix(WEAK) for one in each)


def not_modified(response: Response) -> Response:
    """Return the response without content that stands for one that is known."""
    kept = Response(status_code=304)
    left_out = (b"content-length", b"content-type", b"content-encoding")
    kept.raw_headers = [pair for pair in response.raw_headers if pair[0] not in left_out]
    return kept
