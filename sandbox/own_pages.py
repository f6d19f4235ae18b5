"""The sandbox's own pages answer no other website's.

They have no sign-in: whoever reaches them may read the mail with its links, and refund payments. A
page of another port of this machine is another website, too.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# A browser's word on a request: from a page of this server, or from none at all.
OWN = ("same-origin", "none")


class OwnPages:
    """Middleware that refuses requests which a browser makes for another website."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = self.app if is_own(headers) else PlainTextResponse("Another site asked.\n", 403)
        await answer(scope, receive, send)


def is_own(headers: Headers) -> bool:
    """Return whether no other website's page can read the answer. A browser that opens a page by a
    link from elsewhere shows it to its user, not to that website.
    """
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host")
    is_opened = headers.get("sec-fetch-mode") == "navigate"
    return is_opened or headers.get("sec-fetch-site", OWN[0]) in OWN
