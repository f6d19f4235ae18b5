"""The API's address, /v1/…: keys, idempotency, faults on demand, and which call is whose."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from sandbox import intents, methods, reversals, setups
from sandbox.errors import StripeError, invalid
from sandbox.store import Object, Store

OWN = "own"
Call = Callable[[Store, str, str, Object], Object]


@dataclass
class Fault:
    """What goes wrong with the next calls that match: `before` or `after` they are done.

    `matches` is a regular expression over "POST payment_intents/…/confirm". `status` is answered
    instead (500, 429), after `delay_s`.
    """

    matches: str
    status: int | None = None
    after: bool = False
    delay_s: float = 0.0
    times: int = 1


@dataclass
class Api:
    """Stripe's API over a store. `latency_s`: how long each call takes."""

    store: Store
    latency_s: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    running: set[tuple[str, str]] = field(default_factory=set)

    async def __call__(self, request: Request) -> Response:
        path, account = request.path_params["path"], request.headers.get("stripe-account", OWN)
        body = (await request.body()).decode()
        params = read(body if request.method == "POST" else request.url.query)
        called = f"{request.method} {path}"
        try:
            check_key(request.headers.get("authorization", ""))
            fault = self.next_fault(called)
            await asyncio.sleep(self.latency_s)
            if fault is not None and not fault.after:
                await go_wrong(fault)
            key = request.headers.get("idempotency-key") if request.method == "POST" else None
            status, text = await self.answered(account, called, body, params, key)
            if fault is not None and fault.after:
                await go_wrong(fault)
        except StripeError as error:
            status, text = error.status, json.dumps({"error": error.error})
        return Response(text, status, {"Request-Id": "req_sandbox"}, "application/json")

    async def answered(
        self, account: str, called: str, body: str, params: Object, key: str | None
    ) -> tuple[int, str]:
        """The answer; the one that was given before, where the key has one."""
        if (account, key or "") in self.running:
            raise StripeError(
                409, "idempotency_error", "The key is in use.", code="idempotency_key_in_use"
            )
        if key:
            self.running.add((account, key))
        try:
            return self.once(account, called, body, params, key)
        finally:
            self.running.discard((account, key or ""))

    def once(
        self, account: str, called: str, body: str, params: Object, key: str | None
    ) -> tuple[int, str]:
        asked = hashlib.sha256(f"{called}?{body}".encode()).hexdigest()
        with self.store.transaction():
            method, _, path = called.partition(" ")
            self.store.write_down(account, method, path, key, params)
            if key and (before := self.store.answer(account, key)):
                if before[0] != asked:
                    message = (
                        "Keys for idempotent requests can only be used with the same parameters."
                    )
                    raise StripeError(400, "idempotency_error", message)
                return before[1], before[2]
            status, text = done(self.store, account, called, params)
            # What was wrong with the parameters Stripe doesn't remember.
            if key and status in (200, 402):
                self.store.keep_answer(account, key, asked, status, text)
            return status, text

    def next_fault(self, called: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.matches, called):
                fault.times -= 1
                return fault
        return None


async def go_wrong(fault: Fault) -> None:
    await asyncio.sleep(fault.delay_s)
    if fault.status == 429:
        raise StripeError(429, "invalid_request_error", "Too many requests.", code="rate_limit")
    if fault.status is not None:
        raise StripeError(fault.status, "api_error", "Something went wrong.")


def check_key(authorization: str) -> None:
    key = authorization.removeprefix("Bearer ")
    if "_live_" in key:
        raise StripeError(401, "invalid_request_error", "A live key has no business in a sandbox.")
    if not key.startswith(("sk_test_", "rk_test_")):
        raise StripeError(401, "invalid_request_error", "Invalid API Key provided.")


def done(store: Store, account: str, called: str, params: Object) -> tuple[int, str]:
    """The call, done: what it changed stays, also where the bank declines."""
    try:
        return 200, json.dumps(dispatched(store, account, called, params))
    except StripeError as error:
        return error.status, json.dumps({"error": error.error})


def dispatched(store: Store, account: str, called: str, params: Object) -> Object:
    for pattern, call in CALLS.items():
        if found := re.fullmatch(pattern, called):
            answer = call(store, account, *found.groups(), params)
            return methods.expanded(store, account, answer, params)
    raise invalid(f"Unrecognized request URL ({called}).")


def new_customer(store: Store, account: str, params: Object) -> Object:
    metadata = params.get("metadata", {})
    return store.new(account, "customer", "cus", metadata=metadata)


def get(kind: str) -> Callable[[Store, str, str, Object], Object]:
    return lambda store, account, id_, _: store.find(account, kind, id_)


def token(store: Store, account: str, id_: str, _: Object) -> Object:
    found = intents.token_of(store, account, id_)
    method = methods.shown(store.find(account, "payment_method", found["method"]))
    preview = {name: method[name] for name in ("type", "card", "billing_details")}
    return found | {"payment_method_preview": preview}


def a_list(kind: str) -> Callable[[Store, str, Object], Object]:
    return lambda store, account, params: reversals.listed(store, account, kind, params)


def own_account(_: Store, account: str, __: Object) -> Object:
    return {"id": f"acct_{account}", "object": "account"}


CALLS: dict[str, Callable[..., Object]] = {
    "POST payment_intents": intents.create,
    r"POST payment_intents/(\w+)/confirm": intents.confirm,
    r"POST payment_intents/(\w+)/cancel": intents.cancel,
    r"GET payment_intents/(\w+)": get("payment_intent"),
    "GET payment_intents": a_list("payment_intent"),
    "POST setup_intents": setups.create,
    r"POST setup_intents/(\w+)/cancel": setups.cancel,
    r"GET setup_intents/(\w+)": get("setup_intent"),
    r"GET confirmation_tokens/(\w+)": token,
    "POST customers": new_customer,
    r"GET customers/(\w+)": get("customer"),
    r"GET payment_methods/(\w+)": methods.get,
    r"POST payment_methods/(\w+)/detach": methods.detach,
    "POST refunds": reversals.refund,
    "GET refunds": a_list("refund"),
    "GET disputes": a_list("dispute"),
    "GET account": own_account,
}


# -- Stripe's forms --------------------------------------------------------------------------------


def read(form: str) -> Object:
    """Brackets as objects and lists: `metadata[payment]=…`, `expand[0]=…`."""
    made: Object = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        parts = re.findall(r"[^\[\]]+", name)
        inside = made
        for part in parts[:-1]:
            inside = inside.setdefault(part, {})
        inside[parts[-1]] = value
    return {name: lists(value) for name, value in made.items()}


def lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {name: lists(inner) for name, inner in value.items()}
    is_list = bool(items) and all(name.isdigit() for name in items)
    return [items[name] for name in sorted(items, key=int)] if is_list else items
