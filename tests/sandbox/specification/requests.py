"""Requests compared with the specification's parameters, and with the SDK's types of parameters."""

import re
import sys
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import stripe.params
from stripe import StripeContext
from stripe._request_options import RequestOptions
from typing_extensions import get_type_hints, is_typeddict

from sandbox.calls import Call
from tests.sandbox.specification.document import Schema, document
from tests.sandbox.specification.schemas import Judge

Entry = Mapping[str, Any]
FORM = "application/x-www-form-urlencoded"
# The SDK's types of parameters, by call.
TYPED = {
    "GET /v1/account": "AccountRetrieveCurrentParams",
    "GET /v1/charges": "ChargeListParams",
    "GET /v1/charges/{charge}": "ChargeRetrieveParams",
    "GET /v1/confirmation_tokens/{confirmation_token}": "ConfirmationTokenRetrieveParams",
    "GET /v1/customers": "CustomerListParams",
    "POST /v1/customers": "CustomerCreateParams",
    "GET /v1/customers/{customer}": "CustomerRetrieveParams",
    "DELETE /v1/customers/{customer}": "CustomerDeleteParams",
    "GET /v1/customers/{customer}/payment_methods": "CustomerPaymentMethodListParams",
    "GET /v1/disputes": "DisputeListParams",
    "GET /v1/disputes/{dispute}": "DisputeRetrieveParams",
    "GET /v1/events": "EventListParams",
    "GET /v1/events/{id}": "EventRetrieveParams",
    "GET /v1/payment_intents": "PaymentIntentListParams",
    "POST /v1/payment_intents": "PaymentIntentCreateParams",
    "GET /v1/payment_intents/{intent}": "PaymentIntentRetrieveParams",
    "POST /v1/payment_intents/{intent}/cancel": "PaymentIntentCancelParams",
    "POST /v1/payment_intents/{intent}/confirm": "PaymentIntentConfirmParams",
    "GET /v1/payment_methods": "PaymentMethodListParams",
    "GET /v1/payment_methods/{payment_method}": "PaymentMethodRetrieveParams",
    "POST /v1/payment_methods/{payment_method}/detach": "PaymentMethodDetachParams",
    "GET /v1/refunds": "RefundListParams",
    "POST /v1/refunds": "RefundCreateParams",
    "GET /v1/refunds/{refund}": "RefundRetrieveParams",
    "GET /v1/setup_intents": "SetupIntentListParams",
    "POST /v1/setup_intents": "SetupIntentCreateParams",
    "GET /v1/setup_intents/{intent}": "SetupIntentRetrieveParams",
    "POST /v1/setup_intents/{intent}/cancel": "SetupIntentCancelParams",
    "GET /v1/webhook_endpoints": "WebhookEndpointListParams",
    "POST /v1/webhook_endpoints": "WebhookEndpointCreateParams",
}


def name_of(call: Call) -> str:
    return f"{call.method} {call.path}"


def request_problems(call: Call, entry: Entry) -> Iterator[str]:
    """List the deviations of a request from the specification and from the SDK's types."""
    if entry["version"] != document()["version"]:
        yield f"the API version {entry['version']} is not the specification's"
    value = read(parameters(call), entry["params"])
    yield from judge(call).problems(value)
    yield from misfits(getattr(stripe.params, TYPED[name_of(call)]), value)


# -- the specification -----------------------------------------------------------------------------


def operation(call: Call) -> Schema:
    found: Schema = document()["paths"][call.path][call.method.lower()]
    return found


@cache
def judge(call: Call) -> Judge:
    return Judge(parameters(call))


@cache
def parameters(call: Call) -> Schema:
    """Return all parameters of a call as one closed object."""
    spec = operation(call)
    if call.method == "POST":
        body: Schema = spec["requestBody"]["content"][FORM]["schema"]
        return {"properties": {}} | body
    asked = [one for one in spec.get("parameters", []) if one["in"] == "query"]
    return {
        "type": "object",
        "properties": {one["name"]: one["schema"] for one in asked},
        "required": [one["name"] for one in asked if one.get("required")],
    }


def read(schema: Schema, value: Any) -> Any:
    """Read a form's text by its schema, since Stripe's forms have neither numbers nor booleans."""
    if "anyOf" in schema:
        return read(fitting(schema["anyOf"], value), value)
    if isinstance(value, Mapping):
        inner, other = schema.get("properties", {}), schema.get("additionalProperties") or {}
        return {name: read(inner.get(name, other), one) for name, one in value.items()}
    if isinstance(value, list):
        return [read(schema.get("items", {}), one) for one in value]
    if schema.get("type") == "integer" and re.fullmatch("-?[0-9]+", value):
        return int(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def fitting(among: list[Schema], value: Any) -> Schema:
    """Return the alternative that fits a form's value."""
    if isinstance(value, dict | list):
        kind = "object" if isinstance(value, dict) else "array"
        return next((one for one in among if one.get("type") == kind), among[0])
    texts = [one for one in among if one.get("type") not in ("object", "array")]
    is_number = re.fullmatch("-?[0-9]+", value) is not None
    typed = [one for one in texts if (one.get("type") == "integer") == is_number]
    return (typed or texts or among)[0]


# -- the SDK ---------------------------------------------------------------------------------------


@cache
def fields(typed: type) -> dict[str, Any]:
    """Return the parameters of one of the SDK's types, without the options of a request."""
    module = sys.modules[typed.__module__]
    names = vars(typing) | {"StripeContext": StripeContext} | vars(module)
    hints = get_type_hints(typed, globalns=names)
    return {
        name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__
    }


def misfits(hint: Any, value: Any, where: str = "the SDK") -> Iterator[str]:
    """List the places where a value is not of the SDK's type."""
    if is_typeddict(hint):
        yield from misfits_of_fields(hint, value, where)
    elif get_origin(hint) in (Union, UnionType):
        every = [list(misfits(one, value, where)) for one in get_args(hint)]
        if all(every):
            yield min(every, key=len)[0]
    elif get_origin(hint) is Literal:
        if value not in get_args(hint):
            yield f"{where}: {value!r} is none of {get_args(hint)}"
    elif get_origin(hint) in (list, dict):
        yield from misfits_inside(hint, value, where)
    elif type(value) is not hint:
        yield f"{where}: {value!r} is no {hint}"


def misfits_of_fields(typed: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: {value!r} is no object"
        return
    known = fields(typed)
    for name in typed.__required_keys__ - value.keys():
        yield f"{where}: {name} is missing"
    for name, one in value.items():
        if name not in known:
            yield f"{where}: {name} is no parameter of {typed.__name__}"
        else:
            yield from misfits(known[name], one, f"{where}.{name}")


def misfits_inside(hint: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, get_origin(hint)):
        yield f"{where}: {value!r} is no {hint}"
        return
    for one in value.values() if isinstance(value, Mapping) else value:
        yield from misfits(get_args(hint)[-1], one, where)
