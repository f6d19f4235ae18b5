"""What a page does with Stripe's own form in real life: a card becomes a confirmation token, and a
cardholder passes 3-D Secure or doesn't. Mounted at /sandbox, and only where there is a sandbox.
"""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import intents
from sandbox.cards import CARDS, fingerprint
from sandbox.errors import StripeError
from sandbox.store import PAGE, Object, Store

MAX_BODY = 2**16
# A payment's id as the portal's API shows it, of which its metadata has the rest.
PREFIX = "pmt_"


class Wrong(Exception):
    """A body that can't be followed; the text says why."""


def routes(store: Store) -> list[Route]:
    async def new_token(request: Request) -> Response:
        asked = await body(request)
        with store.transaction():
            number = str(asked.get("number", "")).replace(" ", "")
            return JSONResponse({"id": token(store, PAGE, number, asked)})

    async def authenticate(request: Request) -> Response:
        asked = await body(request)
        if not isinstance(asked.get("succeed"), bool):
            raise Wrong('send {"succeed": true} or {"succeed": false}')
        with store.transaction():
            found = of_payment(store, request.path_params["payment"])
            if found is None:
                raise Wrong("no payment with this id has reached the sandbox")
            intent = intents.authenticate(store, *found, succeed=asked["succeed"])
        return JSONResponse({"status": intent["status"]})

    return [
        Route("/confirmation_tokens", told(new_token), methods=["POST"]),
        Route("/payments/{payment}/authenticate", told(authenticate), methods=["POST"]),
    ]


def told(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """What is wrong, as JSON."""

    async def answered(request: Request) -> Response:
        try:
            response: Response = await answer(request)
        except (Wrong, StripeError) as error:
            response = JSONResponse({"error": {"message": str(error)}}, 400)
        return response

    return answered


async def body(request: Request) -> Object:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise Wrong("too large")
    try:
        asked = json.loads(bytes(content))
    except (ValueError, RecursionError):
        raise Wrong("the body is JSON") from None
    if not isinstance(asked, dict):
        raise Wrong("the body is a JSON object")
    return asked


def token(store: Store, account: str, number: str, asked: Object) -> str:
    """A confirmation token's id, of a card that Stripe publishes for tests."""
    if number not in CARDS:
        raise Wrong("only Stripe's published test numbers are taken, as 4242 4242 4242 4242")
    month, year = asked.get("expMonth"), asked.get("expYear")
    if not isinstance(month, int) or not isinstance(year, int) or not 1 <= month <= 12:
        raise Wrong("expMonth is 1 to 12, expYear has four digits")
    today = dt.datetime.now(dt.UTC)
    if not (today.year, today.month) <= (year, month) <= (today.year + 50, 12):
        raise Wrong("the card has expired, or never will")
    method = card(store, account, number, month, year, text(asked, "name"), text(asked, "zip"))
    facts = {"method": method["id"], "payment_intent": None}
    return str(store.new(account, "confirmation_token", "ctoken", **facts)["id"])


def text(asked: Object, name: str) -> str | None:
    value = asked.get(name)
    return value if isinstance(value, str) and value else None


def card(
    store: Store,
    account: str,
    number: str,
    month: int,
    year: int,
    name: str | None,
    zip_: str | None,
    **facts: Any,
) -> Object:
    """A PaymentMethod; the number is known to this double alone."""
    return store.new(
        account,
        "payment_method",
        "pm",
        **{
            "type": "card",
            "customer": None,
            "billing_details": {"name": name, "address": {"postal_code": zip_}},
            "card": {
                "brand": CARDS[number].brand,
                "last4": number[-4:],
                "exp_month": month,
                "exp_year": year,
                "fingerprint": fingerprint(number),
                "number": number,
            },
            **facts,
        },
    )


def of_payment(store: Store, payment: str) -> tuple[str, str] | None:
    """The account and id of the intent whose metadata names the payment."""
    rows = store.connection.execute(
        "SELECT account, id FROM object WHERE kind = 'payment_intent'"
        " AND json_extract(body, '$.metadata.payment') = ?",
        (payment.removeprefix(PREFIX),),
    )
    found: tuple[str, str] | None = rows.fetchone()
    return found
