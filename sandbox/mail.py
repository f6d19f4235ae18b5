"""Outgoing mail of the sandbox: it is not delivered, but shown on the page /sandbox/mail."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.pages import file_route
from sandbox.store import Store

# The number of mails shown, the newest first.
SHOWN = 50
# An account that no one has at Stripe.
MAILBOX = "mailbox"


def keep_mail(store: Store, to: str, subject: str, text: str) -> None:
    store.new(MAILBOX, "mail", "mail", to=to, subject=subject, text=text)


def routes(store: Store) -> list[Route]:
    async def mails(_: Request) -> Response:
        newest = store.all("mail", MAILBOX)[: -SHOWN - 1 : -1]
        return JSONResponse(newest, headers={"Cache-Control": "no-store"})

    return [
        Route("/mail", file_route("mail.html")),
        Route("/mail.js", file_route("mail.js")),
        Route("/mails", mails),
    ]
