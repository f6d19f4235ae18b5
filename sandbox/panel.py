"""The sandbox's own page: test cards, payments, refunds, disputes, events to resend, and the
portal's calls.

It has no sign-in, so it is served on a local machine only.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import intents, reversals
from sandbox.cards import CARDS, does
from sandbox.errors import invalid
from sandbox.pages import body, file_route, is_yes, with_json_errors
from sandbox.store import Object, Store

# The number of objects shown of each kind, the newest first.
SHOWN = 50


def routes(store: Store) -> list[Route]:
    """Return the routes of the page and its buttons. Objects are found by id in any account."""

    async def state(_: Request) -> Response:
        return JSONResponse(contents(store), headers={"Cache-Control": "no-store"})

    def action(kind: str, act: Callable[[str, Object, Object], Any]) -> Callable[..., Any]:
        async def answered(request: Request) -> Response:
            asked = await body(request)
            with store.transaction():
                account, found = find_owned(store, kind, str(asked.get("id")))
                act(account, found, asked)
            return JSONResponse({})

        return with_json_errors(answered)

    def authenticate(account: str, intent: Object, asked: Object) -> None:
        intents.authenticate_intent(store, account, intent["id"], succeed=is_yes(asked))

    def refund(account: str, intent: Object, asked: Object) -> None:
        amount = {"amount": asked["amount"]} if "amount" in asked else {}
        reversals.create_refund(store, account, {"payment_intent": intent["id"], **amount})

    def dispute(account: str, intent: Object, _: Object) -> None:
        reversals.open_dispute(store, account, intent["id"])

    def close(account: str, found: Object, asked: Object) -> None:
        reversals.close_dispute(store, account, found["id"], won=is_yes(asked))

    def fail(account: str, found: Object, _: Object) -> None:
        reversals.fail_refund(store, account, found["id"])

    def again(_: str, event: Object, __: Object) -> None:
        store.tell_again(event)

    actions = {
        "authenticate": action("payment_intent", authenticate),
        "refund": action("payment_intent", refund),
        "dispute": action("payment_intent", dispute),
        "close": action("dispute", close),
        "fail": action("refund", fail),
        "again": action("event", again),
    }
    return [
        Route("/", file_route("panel.html")),
        *(Route(f"/{name}", file_route(name)) for name in ("panel.js", "panel.css")),
        Route("/state", state),
        *(Route(f"/actions/{name}", act, methods=["POST"]) for name, act in actions.items()),
    ]


def contents(store: Store) -> Object:
    """Return the contents of the page, the newest first."""
    waiting = store.waiting()
    events = [event | {"tries": waiting.get(event["id"])} for event in newest(store, "event")]
    return {
        "cards": [{"number": grouped(number), "does": does(number)} for number in CARDS],
        "payments": [panel_payment(store, intent) for intent in newest(store, "payment_intent")],
        "events": [
            {name: event.get(name) for name in ("id", "type", "created", "tries")}
            | {"about": event["data"]["object"]["id"]}
            for event in events
        ],
        "journal": [sent(entry) for entry in store.journal()[: -SHOWN - 1 : -1]],
    }


def sent(entry: Object) -> Object:
    """Return a call of the journal, with its answer's status."""
    names = ("method", "path", "account", "key", "params", "status")
    return {name: entry[name] for name in names}


def newest(store: Store, kind: str) -> list[Object]:
    return store.all(kind)[: -SHOWN - 1 : -1]


def panel_payment(store: Store, intent: Object) -> Object:
    """Return a PaymentIntent with its refunds and disputes."""
    facts = ("id", "amount", "currency", "status", "created")
    backs = {
        f"{kind}s": [
            {"id": one["id"], "amount": one["amount"], "status": one["status"]}
            for one in store.all(kind)
            if one.get("payment_intent") == intent["id"]
        ]
        for kind in ("refund", "dispute")
    }
    return {name: intent.get(name) for name in facts} | backs


def grouped(number: str) -> str:
    """Return a card number in groups of four."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def find_owned(store: Store, kind: str, id_: str) -> tuple[str, Object]:
    """Return an object and its account."""
    row = store.connection.execute(
        "SELECT account FROM object WHERE kind = ? AND id = ?", (kind, id_)
    ).fetchone()
    if row is None:
        raise invalid(f"There is no {kind} with the id {id_}.")
    return row[0], store.find(row[0], kind, id_)
