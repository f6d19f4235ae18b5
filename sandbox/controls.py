"""The control addresses for tests: faults, and changes that Stripe makes by itself.

`POST /controls/faults` sets the faults of the next calls, `POST /controls/actions/NAME` runs one of
the actions, with its arguments as a JSON object, `POST /controls/clock` moves the clock, and `GET
/controls/state` shows everything.
"""

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import (
    access,
    charges,
    customers,
    deliveries,
    intents,
    methods,
    reversals,
    setups,
    strangers,
)
from sandbox.api import Api
from sandbox.errors import StripeError
from sandbox.faults import Fault
from sandbox.store import Object, Store

KINDS = (
    "balance_transaction",
    "charge",
    "customer",
    "dispute",
    "event",
    "payment_intent",
    "payment_method",
    "refund",
    "setup_intent",
)
# The first parameter of each action is the store. For actions in an account the second is the
# account.
ACTIONS: dict[str, Callable[..., Any]] = {
    "authenticate": intents.authenticate_intent,
    "authenticate_setup": setups.authenticate_setup,
    "authorise": access.authorise,
    "book_charge": charges.book_late,
    "cancel_refund": reversals.cancel_refund,
    "deauthorise": access.deauthorise,
    "decide_dispute": reversals.decide,
    "delete_customer": customers.delete,
    "detach": lambda store, account, id_: methods.detach_method(store, account, id_, {}),
    "dispute": reversals.open_dispute,
    "fail_refund": reversals.fail_refund,
    "refund": lambda store, account, **params: reversals.create_refund(store, account, params),
    "renew": methods.renew,
    "restrict": access.restrict,
    "revoke": access.revoke_key,
    "set": lambda store, name, value: store.set(name, value),
    "settle_refund": reversals.settle_refund,
    "strangers": strangers.settle_in,
    "withhold": deliveries.withhold,
}


def routes(store: Store, api: Api) -> list[Route]:
    async def state(request: Request) -> Response:
        """Show all objects and the journal, or the objects of one kind (`?only=charge`)."""
        if only := request.query_params.get("only"):
            return JSONResponse({only: store.all(only)})
        found = {kind: store.all(kind) for kind in KINDS}
        return JSONResponse(found | {"journal": store.journal()})

    async def faults(request: Request) -> Response:
        asked = await request.json()
        api.latency_s = asked.get("latency_s", api.latency_s)
        api.lock_wait_s = asked.get("lock_wait_s", api.lock_wait_s)
        api.faults[:] = [Fault(**fault) for fault in asked.get("faults", [])]
        return JSONResponse({})

    async def clock(request: Request) -> Response:
        """Move the double's clock ahead of the machine's."""
        later_s = float((await request.json())["later_s"])
        store.now = lambda: time.time() + later_s
        return JSONResponse({})

    async def action(request: Request) -> Response:
        name, facts = request.path_params["name"], await request.json()
        try:
            return JSONResponse({"made": act(store, name, facts)})
        except StripeError as error:
            return JSONResponse({"error": error.error}, error.status)

    return [
        Route("/controls/state", state),
        Route("/controls/clock", clock, methods=["POST"]),
        Route("/controls/faults", faults, methods=["POST"]),
        Route("/controls/actions/{name}", action, methods=["POST"]),
    ]


def act(store: Store, name: str, facts: Object) -> Any:
    """Do one of the actions; `id` is the object's, as Stripe has it."""
    facts = {"id_" if key == "id" else key: value for key, value in facts.items()}
    with store.transaction():
        return ACTIONS[name](store, **facts)
