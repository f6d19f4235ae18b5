"""Cross-origin access of websites to the API (CORS).

It applies only to the API's own addresses. The pages of this server and the demo's mail contain
tokens and links, so no other page may read them.
"""

import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.headers import request_header
from server.http.media_types import asks_for_html

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1)(:\d+)?"
# The sandbox's addresses correspond to those that a page would request from Stripe.
API = re.compile(
    r"/graphql/?|/export/.+|/documents/.+"
    r"|/sandbox/(confirmation_tokens|setup_intents/.+|next_action|payments/.+)"
)
METHODS = ("GET", "POST")
# The response headers that a page may read.
EXPOSED = ("Content-Disposition", "ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id")
PAGE_METHODS = ("GET", "HEAD")
REMEMBERED_S = 86_400
VARY = (b"vary", b"Origin")


class Origins(CORSMiddleware):
    """CORS for the API.

    An allowed website may send any header: tracing tools and GraphQL clients add their own, and no
    header has a meaning here that another program could not use too.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str], *, local: bool) -> None:
        super().__init__(
            app,
            allow_origins=allowed,
            allow_origin_regex=LOCAL_ORIGINS if local else None,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=REMEMBERED_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shared(scope):
            await self.app(scope, receive, send)
        elif request_header(scope, b"origin") is None:
            await self.app(scope, receive, varying(send))
        else:
            await super().__call__(scope, receive, send)


def varying(send: Send) -> Send:
    """Return a function that sends a response to no website, for caches to tell it apart."""

    async def send_varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), VARY]
        await send(message)

    return send_varying


def is_shared(scope: Scope) -> bool:
    """Return whether other websites' pages may request this."""
    return API.fullmatch(scope["path"]) is not None and not asks_for_page(scope)


def asks_for_page(scope: Scope) -> bool:
    """Return whether a request asks for GraphiQL's page: a GET of /graphql that accepts HTML."""
    is_page = scope["method"] in PAGE_METHODS and scope["path"].startswith("/graphql")
    return is_page and asks_for_html(request_header(scope, b"accept"))
