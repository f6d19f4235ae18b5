"""Mail that somebody would get: it goes nowhere, and the page /sandbox/mail shows it."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.pages import file
from sandbox.store import Store

# The newest are shown.
SHOWN = 50
# Of nobody's account at Stripe.
MAILBOX = "mailbox"


def keep(store: Store, to: str, subject: str, text: str) -> None:
    store.new(MAILBOX, "mail", "mail", to=to, subject=subject, text=text)


def routes(store: Store) -> list[Route]:
    async def mails(_: Request) -> Response:
        newest = store.all("mail", MAILBOX)[: -SHOWN - 1 : -1]
        return JSONResponse(newest, headers={"Cache-Control": "no-store"})

    return [
        Route("/mail", file("mail.html")),
        Route("/mail.js", file("mail.js")),
        Route("/mails", mails),
    ]
