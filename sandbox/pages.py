"""The server side of the Stripe.js replacement: it turns a card into a confirmation token, and
passes or fails 3-D Secure.

Its routes are mounted at /sandbox, only while the sandbox is in use.
"""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox import currencies, intents, setups, tokens
from sandbox.cards import CARDS
from sandbox.errors import StripeError, invalid
from sandbox.methods import create_card
from sandbox.store import PAGE, Object, Store, public_view

FILES = Path(__file__).parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}
MAX_BODY = 2**16
# The prefix of a payment's id in the portal's API; the metadata holds the rest of the id.
PREFIX = "pmt_"
PAID = "payment_intent"


class Wrong(Exception):
    """An invalid body. The text gives the reason."""


def routes(store: Store) -> list[Route]:
    async def new_token(request: Request) -> Response:
        asked = await body(request)
        with store.transaction():
            return JSONResponse({"id": token(store, PAGE, asked)})

    async def keep(request: Request) -> Response:
        """Keep a card by a SetupIntent, as `stripe.confirmSetup` does."""
        asked = await body(request)
        with store.transaction():
            account, id_ = by_secret(store, asked, "setup_intent")
            check_usage(store.find(account, "setup_intent", id_), asked)
            method = new_method(store, account, asked)
            # The changes by a declined card stay, as at Stripe.
            return respond(lambda: setups.confirm_setup(store, account, id_, method))

    async def retrieve(request: Request) -> Response:
        """Show a SetupIntent, as `stripe.retrieveSetupIntent` does."""
        account, id_ = by_secret(store, await body(request), "setup_intent")
        return JSONResponse(public_view(store.find(account, "setup_intent", id_)))

    async def next_action(request: Request) -> Response:
        """Pass or fail 3-D Secure, as `stripe.handleNextAction` does."""
        asked = await body(request)
        succeed = is_yes(asked)
        with store.transaction():
            kind = "setup_intent" if str(asked.get("clientSecret")).startswith("seti_") else PAID
            account, id_ = by_secret(store, asked, kind)
            authenticated = (
                intents.authenticate_intent if kind == PAID else setups.authenticate_setup
            )
            made = authenticated(store, account, id_, succeed=succeed)
        return JSONResponse(public_view(made))

    async def authenticate(request: Request) -> Response:
        asked = await body(request)
        succeed = is_yes(asked)
        with store.transaction():
            found = intent_of_payment(store, request.path_params["payment"])
            if found is None:
                raise Wrong("no payment with this id has reached the sandbox")
            account, id_ = found
            intent = intents.authenticate_intent(store, account, id_, succeed=succeed)
        return JSONResponse({"status": intent["status"]})

    return [
        Route("/stripe.js", file_route("stripe.js")),
        Route("/confirmation_tokens", with_json_errors(new_token), methods=["POST"]),
        Route("/setup_intents/confirm", with_json_errors(keep), methods=["POST"]),
        Route("/setup_intents/retrieve", with_json_errors(retrieve), methods=["POST"]),
        Route("/next_action", with_json_errors(next_action), methods=["POST"]),
        Route("/payments/{payment}/authenticate", with_json_errors(authenticate), methods=["POST"]),
    ]


def file_route(name: str) -> Callable[[Request], Any]:
    """Return the handler that serves a file for browsers."""

    async def answered(_: Request) -> Response:
        return FileResponse(FILES / name, headers=HEADERS)

    return answered


def with_json_errors(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Return a handler that turns errors into JSON."""

    async def answered(request: Request) -> Response:
        try:
            response: Response = await answer(request)
        except StripeError as error:
            response = error_response(error)
        except Wrong as error:
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


def is_yes(asked: Object) -> bool:
    succeed = asked.get("succeed")
    if not isinstance(succeed, bool):
        raise Wrong('send {"succeed": true} or {"succeed": false}')
    return succeed


def respond(do: Callable[[], Object]) -> Response:
    """Return the response with the object, or with the bank's refusal."""
    try:
        made = do()
    except StripeError as error:
        return error_response(error)
    return JSONResponse(public_view(made))


def error_response(error: StripeError) -> Response:
    return JSONResponse({"error": error.error}, error.status)


def check_usage(setup: Object, asked: Object) -> None:
    """Refuse a form that was created for another usage than the SetupIntent's."""
    usage = asked.get("setupFutureUsage", setup["usage"])
    if usage != setup["usage"]:
        raise invalid(
            f"The provided setup_future_usage ({usage}) does not match the usage"
            f" ({setup['usage']}) of the SetupIntent.",
            None,
            "setup_future_usage",
        )


def token(store: Store, account: str, asked: Object) -> str:
    """Create a confirmation token of a test card, and return its id."""
    method = new_method(store, account, asked)
    return str(tokens.new(store, account, method, form_charge(asked))["id"])


def form_charge(asked: Object) -> Object:
    """Return the amount and the currency that the form was created for, if given."""
    if "amount" not in asked:
        return {}
    amount, currency = asked["amount"], asked.get("currency")
    if type(amount) is not int or not isinstance(currency, str):
        raise Wrong("amount is an integer, and currency comes with it, as usd")
    currencies.check_amount(amount, currency)
    return {"amount": amount, "currency": currency}


def new_method(store: Store, account: str, asked: Object) -> Object:
    """Create the PaymentMethod of the card in a form."""
    number = str(asked.get("number", "")).replace(" ", "")
    if number not in CARDS:
        raise Wrong("only Stripe's published test numbers are taken, as 4242 4242 4242 4242")
    month, year = asked.get("expMonth"), asked.get("expYear")
    if not isinstance(month, int) or not isinstance(year, int) or not 1 <= month <= 12:
        raise Wrong("expMonth is 1 to 12, expYear has four digits")
    today = dt.datetime.now(dt.UTC)
    if not (today.year, today.month) <= (year, month) <= (today.year + 50, 12):
        raise Wrong("the card has expired, or never will")
    name, zip_ = form_text(asked, "name"), form_text(asked, "zip")
    more = {fact: form_text(asked, fact) for fact in ("country", "wallet")}
    return create_card(store, account, number, month, year, name, zip_, **more)


def form_text(asked: Object, name: str) -> str | None:
    value = asked.get(name)
    return value if isinstance(value, str) and value else None


def by_secret(store: Store, asked: Object, kind: str) -> tuple[str, str]:
    """Return the account and id of the intent with the client secret in the body."""
    rows = store.connection.execute(
        "SELECT account, id FROM object WHERE kind = ?"
        " AND json_extract(body, '$.client_secret') = ?",
        (kind, form_text(asked, "clientSecret")),
    )
    found: tuple[str, str] | None = rows.fetchone()
    if found is None:
        raise Wrong("nothing has this clientSecret")
    return found


def intent_of_payment(store: Store, payment: str) -> tuple[str, str] | None:
    """Return the account and id of the intent with this payment in its metadata."""
    rows = store.connection.execute(
        "SELECT account, id FROM object WHERE kind = 'payment_intent'"
        " AND json_extract(body, '$.metadata.payment') = ?",
        (payment.removeprefix(PREFIX),),
    )
    found: tuple[str, str] | None = rows.fetchone()
    return found
