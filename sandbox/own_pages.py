"""The protection of the sandbox's own pages from other websites.

They have no sign-in: any client that reaches them may read the mail with its links, and refund
payments. A page on another port of this machine counts as another website, too.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# The browser's statement that a request comes from a page of this server, or from no page.
OWN = ("same-origin", "none")


class OwnPages:
    """Middleware that refuses requests that a browser makes for another website."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = self.app if is_own(headers) else PlainTextResponse("Another site asked.\n", 403)
        await answer(scope, receive, send)


def is_own(headers: Headers) -> bool:
    """Return whether no page of another website can read the response.

    If a link on another website opens a page, the browser shows it to its user, not to that
    website.
    """
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host")
    is_opened = headers.get("sec-fetch-mode") == "navigate"
    return is_opened or headers.get("sec-fetch-site", OWN[0]) in OWN
