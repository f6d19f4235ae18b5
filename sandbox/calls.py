"""The calls of the double: each with its parameters, its permission and its function.

Paths and names of parameters are spelled as in the specification. A test compares every table with
the specification, which only the tests have: it finds unknown parameters, and missing required
ones.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sandbox import (
    access,
    customers,
    intents,
    methods,
    reversals,
    setups,
    tokens,
    webhook_endpoints,
)
from sandbox.errors import StripeError
from sandbox.lists import MOST, list_page
from sandbox.parameters import (
    Boolean,
    Choice,
    Group,
    Integer,
    ListOf,
    Metadata,
    ParameterKind,
    Parameters,
    Text,
)
from sandbox.store import Object, Store

EXPAND: dict[str, ParameterKind] = {"expand": ListOf(of=Text())}
TYPES: dict[str, ParameterKind] = {
    "payment_method_types": ListOf(of=Choice(among=("card",))),
    "automatic_payment_methods": Group(
        of={
            "allow_redirects": Choice(among=("always", "never")),
            "enabled": Boolean(required=True),
        }
    ),
}
PAGE: dict[str, ParameterKind] = {
    "ending_before": Text(),
    "limit": Integer(least=1, most=MOST),
    "starting_after": Text(),
}
CREATED: dict[str, ParameterKind] = {
    "created": Group(
        of={name: Integer(least=0) for name in ("gt", "gte", "lt", "lte")}, or_integer=True
    )
}
# The number of event names that one call may list.
MOST_TYPES = 20
USAGES = ("off_session", "on_session")
REASONS = ("abandoned", "duplicate", "requested_by_customer")


@dataclass(frozen=True, eq=False)
class Call:
    """A call of Stripe's API. `resource` names its permission and its kind of object."""

    method: str
    path: str
    resource: str
    run: Callable[..., Object]
    parameters: Parameters

    @property
    def permission(self) -> str:
        return f"{self.resource}_{'read' if self.method == 'GET' else 'write'}"

    @property
    def is_list(self) -> bool:
        return "limit" in self.parameters

    def ids(self, method: str, path: str) -> tuple[str, ...] | None:
        """Return the ids in the address of a request, or None if it belongs to another call."""
        pattern = re.sub(r"\{\w+\}", r"([^/]+)", self.path)
        match = re.fullmatch(pattern, f"/v1/{path}") if method == self.method else None
        return match.groups() if match else None


def getter(kind: str) -> Callable[[Store, str, str, Object], Object]:
    return lambda store, account, id_, _: store.find(account, kind, id_)


def a_list(kind: str, path: str) -> Callable[[Store, str, Object], Object]:
    return lambda store, account, params: list_page(store, account, kind, params, path)


def cards(store: Store, account: str, params: Object) -> Object:
    """Return the PaymentMethods of the account, or of an existing customer."""
    if "customer" in params:
        customers.check_customer(store, account, params["customer"])
    return list_page(store, account, "payment_method", params, "/v1/payment_methods")


def list_customer_cards(store: Store, account: str, customer: str, params: Object) -> Object:
    """Return the PaymentMethods of a customer."""
    customers.check_customer(store, account, customer)
    path = f"/v1/customers/{customer}/payment_methods"
    return list_page(store, account, "payment_method", params | {"customer": customer}, path)


def call(
    method: str, path: str, resource: str, run: Callable[..., Object], **parameters: ParameterKind
) -> Call:
    return Call(method, path, resource, run, parameters)


def listing(path: str, resource: str, kind: str, **parameters: ParameterKind) -> Call:
    table = PAGE | EXPAND | parameters
    return Call("GET", path, resource, a_list(kind, path), table)


post, read = partial(call, "POST"), partial(call, "GET")

CALLS = (
    # -- payments --
    post(
        "/v1/payment_intents",
        "payment_intent",
        intents.create_intent,
        amount=Integer(required=True),
        currency=Text(required=True, longest=3),
        customer=Text(),
        metadata=Metadata(),
        setup_future_usage=Choice(among=USAGES),
        **TYPES,
        **EXPAND,
    ),
    post(
        "/v1/payment_intents/{intent}/confirm",
        "payment_intent",
        intents.confirm_intent,
        confirmation_token=Text(),
        payment_method=Text(),
        return_url=Text(),
        use_stripe_sdk=Boolean(),
        **EXPAND,
    ),
    post(
        "/v1/payment_intents/{intent}/cancel",
        "payment_intent",
        intents.cancel_intent,
        cancellation_reason=Choice(among=(*REASONS, "fraudulent")),
        **EXPAND,
    ),
    read("/v1/payment_intents/{intent}", "payment_intent", getter("payment_intent"), **EXPAND),
    listing("/v1/payment_intents", "payment_intent", "payment_intent", customer=Text(), **CREATED),
    read("/v1/charges/{charge}", "charge", getter("charge"), **EXPAND),
    listing("/v1/charges", "charge", "charge", customer=Text(), payment_intent=Text(), **CREATED),
    # -- cards --
    post(
        "/v1/setup_intents",
        "setup_intent",
        setups.create_setup,
        customer=Text(),
        metadata=Metadata(),
        usage=Choice(among=USAGES),
        **TYPES,
        **EXPAND,
    ),
    post(
        "/v1/setup_intents/{intent}/cancel",
        "setup_intent",
        setups.cancel_setup,
        cancellation_reason=Choice(among=REASONS),
        **EXPAND,
    ),
    read("/v1/setup_intents/{intent}", "setup_intent", getter("setup_intent"), **EXPAND),
    listing(
        "/v1/setup_intents",
        "setup_intent",
        "setup_intent",
        customer=Text(),
        payment_method=Text(),
        **CREATED,
    ),
    read(
        "/v1/confirmation_tokens/{confirmation_token}",
        "confirmation_token",
        tokens.get_token,
        **EXPAND,
    ),
    read("/v1/payment_methods/{payment_method}", "payment_method", methods.get_method, **EXPAND),
    post(
        "/v1/payment_methods/{payment_method}/detach",
        "payment_method",
        methods.detach_method,
        **EXPAND,
    ),
    read(
        "/v1/payment_methods",
        "payment_method",
        cards,
        customer=Text(),
        type=Text(),
        **PAGE,
        **EXPAND,
    ),
    # -- customers --
    post("/v1/customers", "customer", customers.create_customer, metadata=Metadata(), **EXPAND),
    listing("/v1/customers", "customer", "customer", **CREATED),
    read("/v1/customers/{customer}", "customer", customers.get_customer, **EXPAND),
    call("DELETE", "/v1/customers/{customer}", "customer", customers.delete),
    read(
        "/v1/customers/{customer}/payment_methods",
        "payment_method",
        list_customer_cards,
        type=Text(),
        **PAGE,
        **EXPAND,
    ),
    # -- reversals ---------------------------------------------------------------------------------
    post(
        "/v1/refunds",
        "refund",
        reversals.create_refund,
        amount=Integer(),
        charge=Text(),
        metadata=Metadata(),
        payment_intent=Text(),
        reason=Choice(among=("duplicate", "fraudulent", "requested_by_customer")),
        **EXPAND,
    ),
    read("/v1/refunds/{refund}", "refund", getter("refund"), **EXPAND),
    listing("/v1/refunds", "refund", "refund", charge=Text(), payment_intent=Text(), **CREATED),
    read("/v1/disputes/{dispute}", "dispute", getter("dispute"), **EXPAND),
    listing("/v1/disputes", "dispute", "dispute", charge=Text(), payment_intent=Text(), **CREATED),
    # -- the account --
    read("/v1/events/{id}", "event", getter("event"), **EXPAND),
    listing(
        "/v1/events",
        "event",
        "event",
        delivery_success=Boolean(),
        type=Text(),
        types=ListOf(of=Text(), most=MOST_TYPES),
        **CREATED,
    ),
    read("/v1/account", "account", access.get_own_account, **EXPAND),
    post(
        "/v1/webhook_endpoints",
        "webhook",
        webhook_endpoints.create_webhook_endpoint,
        connect=Boolean(),
        enabled_events=ListOf(of=Text(), required=True),
        metadata=Metadata(),
        url=Text(required=True),
        **EXPAND,
    ),
    listing("/v1/webhook_endpoints", "webhook", "webhook_endpoint"),
)


def find_call(method: str, path: str) -> tuple[Call, tuple[Any, ...]]:
    """Return the call of a request and the ids in its address."""
    for known in CALLS:
        ids = known.ids(method, path)
        if ids is not None:
            return known, ids
    message = f"Unrecognized request URL ({method}: /v1/{path})."
    raise StripeError(404, "invalid_request_error", message)
