"""The double against Stripe's specification: its tables, and every call in every state.

These tests do not call Stripe itself; `tests/sandbox/test_stripe.py` does.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from billing.stripe.release import API_VERSION
from sandbox import methods, objects, parameters, reversals, seeds, setups
from sandbox.calls import CALLS, Call
from sandbox.errors import StripeError
from sandbox.version import VERSION
from tests.sandbox.specification import held
from tests.sandbox.specification.document import Schema, document
from tests.sandbox.specification.requests import TYPED, name_of, operation
from tests.sandbox.specification.requests import parameters as specified
from tests.sandbox.specification.schemas import KEPT
from tests.support.payments import ACCOUNT, ASKS, DECLINED, GOOD
from tests.support.stripe_double import USD, Double

# -- tables of calls and objects -------------------------------------------------------------------


def test_double_has_the_release_of_the_specification() -> None:
    assert document()["version"] == VERSION == API_VERSION


def unlike(kind: parameters.ParameterKind, spec: Schema) -> bool:
    """Return whether a parameter's type in a table is none of the specification's."""
    if "anyOf" in spec:
        return all(unlike(kind, one) for one in spec["anyOf"])
    match kind:
        case parameters.Integer():
            return bool(spec.get("type") != "integer")
        case parameters.Boolean():
            return bool(spec.get("type") != "boolean")
        case parameters.Choice():
            allowed = spec.get("enum", kind.among if spec.get("type") == "string" else ())
            return not set(kind.among) <= set(allowed)
        case parameters.Text():
            return spec.get("type") != "string" or kind.longest > spec.get("maxLength", 5000)
        case parameters.ListOf():
            return spec.get("type") != "array" or unlike(kind.of, spec["items"])
        case parameters.Metadata():
            return not isinstance(spec.get("additionalProperties"), dict)
        case parameters.Group():
            return bool(list(faults_of(kind.of, spec)))
    raise AssertionError(kind)


def faults_of(table: parameters.Parameters, spec: Schema) -> Iterator[str]:
    known, required = spec.get("properties", {}), spec.get("required", [])
    for name, kind in table.items():
        if name not in known:
            yield f"{name} is not in the specification"
        elif unlike(kind, known[name]):
            yield f"{name} is of another type"
        elif kind.required and name not in required:
            yield f"{name} is not required"
    yield from (f"{name} is required" for name in required if name not in table)


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_table_of_parameters_is_the_specifications(call: Call) -> None:
    assert list(faults_of(call.parameters, specified(call))) == []
    assert operation(call)["responses"]["200"]
    assert name_of(call) in TYPED


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"amout": parameters.Integer()}, "amout is not in the specification"),
        ({"amount": parameters.Boolean()}, "amount is of another type"),
        ({"customer": parameters.Text(required=True)}, "customer is not required"),
        ({"currency": None}, "currency is required"),
        ({"setup_future_usage": parameters.Choice(among=("later",))}, "setup_future_usage is"),
        ({"expand": parameters.ListOf(of=parameters.Integer())}, "expand is of another type"),
    ],
)
def test_wrong_table_is_found(change: dict[str, Any], fault: str) -> None:
    create = CALLS[0]
    assert name_of(create) == "POST /v1/payment_intents"
    table = {name: kind for name, kind in {**create.parameters, **change}.items() if kind}
    assert any(one.startswith(fault) for one in faults_of(table, specified(create)))


TEMPLATES: dict[str, Callable[[], objects.Object]] = {
    "payment_intent": objects.payment_intent,
    "setup_intent": objects.setup_intent,
    "charge": objects.charge,
    "payment_method": objects.payment_method,
    "confirmation_token": objects.confirmation_token,
    "customer": objects.customer,
    "refund": objects.refund,
    "dispute": objects.dispute,
    "balance_transaction": objects.balance_transaction,
    "payment_method_card": lambda: objects.card("visa", "4242", 12, 2031, None),
    "billing_details": objects.billing_details,
    "account": lambda: objects.account("acct_x"),
    "webhook_endpoint": objects.webhook_endpoint,
}
# Fields that the store adds to each object, and the times of balance transactions.
STORED = {"id", "object", "created", "livemode", "available_on"}
# Fields that Stripe includes only if a call expands them.
HIDDEN: dict[str, set[str]] = {"charge": {"refunds"}, "customer": {"cash_balance"}}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_template_has_every_nullable_field(kind: str) -> None:
    """Stripe omits a field only if the field is neither required nor nullable."""
    schema = document()["schemas"][kind]
    nullable = {name for name, one in schema["properties"].items() if one.get("nullable")}
    wanted = (nullable | set(schema.get("required", ()))) - STORED - HIDDEN.get(kind, set())
    assert wanted - TEMPLATES[kind]().keys() == set()


def test_every_keyword_of_the_schemas_is_handled() -> None:
    understood = {*KEPT, "$ref", "additionalProperties", "anyOf", "items", "nullable", "properties"}
    # Keywords about the display of a value, without a constraint.
    understood |= {"format", "x-expansionResources", "x-resourceId", "x-stripeBypassValidation"}

    def keywords(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from node
            for name, inner in node.items():
                if name == "properties":
                    for one in inner.values():
                        yield from keywords(one)
                elif name in ("items", "anyOf", "additionalProperties"):
                    for one in inner if isinstance(inner, list) else [inner]:
                        yield from keywords(one)

    found = {word for schema in document()["schemas"].values() for word in keywords(schema)}
    assert found <= understood


# -- every call in every state ---------------------------------------------------------------------


async def lived(double: Double) -> None:
    """Bring the account's objects into all of their states."""
    customer = await double.made("customers", **{"metadata[client]": "x"})
    saving = {"customer": customer, "setup_future_usage": "on_session"}
    await double.intent()
    await double.paid(**saving)
    await double.paid(DECLINED)
    await double.paid("4000000000000259")
    await double.ask("POST", f"payment_intents/{await double.intent()}/cancel")
    for succeed in (True, False):
        waits = await double.paid(ASKS)
        double.act("authenticate", account=ACCOUNT, id=waits, succeed=succeed)
    await double.paid(ASKS)
    for number in (GOOD, DECLINED, ASKS):
        await set_up(double, customer, number)
    await double.ask("POST", f"setup_intents/{await double.made('setup_intents')}/cancel")
    await given_back(double)
    await disputed(double)
    saved = [one for one in double.store.all("payment_method") if one["customer"] == customer]
    await double.ask("POST", f"payment_methods/{saved[0]['id']}/detach")
    double.act("renew", account=ACCOUNT, id=saved[1]["id"], month=1, year=2040)
    double.act("delete_customer", account=ACCOUNT, id=customer)
    await double.made("webhook_endpoints", **WEBHOOK_ENDPOINT, connect="true")
    another = await double.made("customers")
    await double.paid(customer=another, setup_future_usage="on_session")
    double.act("strangers", account=ACCOUNT)


async def set_up(double: Double, customer: str, number: str) -> None:
    usage = {"usage": "on_session", "payment_method_types[0]": "card"}
    id_ = await double.made("setup_intents", customer=customer, **usage)
    with double.store.transaction():
        card = methods.create_card(double.store, ACCOUNT, number, 12, 2031, "Ana Prieto", "04101")
        try:
            made = setups.confirm_setup(double.store, ACCOUNT, id_, card)
        except StripeError:
            return
    if made["status"] == "requires_action":
        double.act("authenticate_setup", account=ACCOUNT, id=id_, succeed=False)


async def given_back(double: Double) -> None:
    for status in ("succeeded", "pending", "pending", "pending"):
        double.act("set", name=reversals.REFUNDS, value=status)
        await double.ask("POST", "refunds", {"payment_intent": await double.paid()})
    ends = ("fail_refund", "settle_refund", "fail_refund", "cancel_refund")
    for one, end in zip(double.store.all("refund"), ends, strict=True):
        double.act(end, account=ACCOUNT, id=one["id"])
    double.act("set", name=reversals.REFUNDS, value="succeeded")
    await double.ask("POST", "refunds", {"payment_intent": await double.paid(), "amount": "1"})


async def disputed(double: Double) -> None:
    for path in (
        ("warning_needs_response", "warning_under_review", "warning_closed"),
        ("warning_needs_response", "needs_response", "under_review", "lost"),
        ("needs_response", "won"),
        ("prevented",),
    ):
        intent = await double.paid()
        facts = {"account": ACCOUNT, "intent": intent, "status": path[0], "again": True}
        made = double.act("dispute", amount=9_900, currency="eur", **facts)
        for status in path[1:]:
            double.act("decide_dispute", account=ACCOUNT, id=made["id"], status=status)


def addresses(double: Double, call: Call) -> list[str]:
    """Return the paths of a call: of every object that it can be about, and of an unknown one."""
    path = call.path.removeprefix("/v1/")
    if "{" not in path:
        return [path]
    before, _, after = path.partition("{")
    kind = before.rstrip("/").removesuffix("s")
    ids = [one["id"] for one in double.store.all(kind, ACCOUNT)]
    return [f"{before}{id_}{after.partition('}')[2]}" for id_ in [*ids, f"{kind}_none"]]


EXPANDED = {
    "payment_intent": ("payment_method", "latest_charge", "customer"),
    "setup_intent": ("payment_method", "customer"),
    "charge": ("payment_intent",),
    "refund": ("charge.payment_intent", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "payment_method": ("customer",),
}


WEBHOOK_ENDPOINT = {"url": "https://portal.example/stripe/webhook", "enabled_events[0]": "*"}


def parameters_of(double: Double, call: Call) -> list[dict[str, str]]:
    """Return the parameters to try: the required ones, and those with expansions."""
    paths = EXPANDED.get(call.resource, ()) if "expand" in call.parameters else ()
    inside = "data." if call.is_list else ""
    expand = {f"expand[{index}]": f"{inside}{path}" for index, path in enumerate(paths)}
    needed = {"limit": "100"} if call.is_list else {}
    if name_of(call) == "POST /v1/payment_intents":
        needed = USD
    if name_of(call) == "POST /v1/refunds":
        needed = {"charge": double.store.all("charge", ACCOUNT)[0]["id"]}
    if name_of(call) == "POST /v1/webhook_endpoints":
        needed = WEBHOOK_ENDPOINT
    return [needed, needed | expand]


@pytest.fixture(scope="module")
async def life() -> bytes:
    """Return an account's serialized store, with objects in every state."""
    made = Double()
    await lived(made)
    made.hold()
    kept = made.store.connection.serialize()
    made.store.close()
    return kept


@pytest.mark.share(3)
@pytest.mark.parametrize("call", CALLS, ids=name_of)
async def test_every_call_matches_the_specification_in_every_state(
    double: Double, life: bytes, call: Call
) -> None:
    double.store.connection.deserialize(life)
    double.store.connection.execute("DELETE FROM journal")
    statuses = set()
    for path in addresses(double, call):
        for params in parameters_of(double, call):
            statuses.add((await double.ask(call.method, path, params))[0])
    assert statuses <= {200, 400, 402, 404}
    assert 200 in statuses or call.path.endswith("confirm")
    assert "{" not in call.path or statuses & {400, 404}
    held.hold(double.store.journal(), [])


async def test_events_match_the_specification(double: Double) -> None:
    await lived(double)
    double.act("deauthorise", account=ACCOUNT)
    types = {event["type"] for event in double.store.all("event")}
    assert {
        "account.application.deauthorized",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.failed",
        "customer.deleted",
        "payment_intent.requires_action",
        "payment_method.automatically_updated",
        "refund.failed",
        "setup_intent.setup_failed",
    } <= types
    double.hold()


async def test_seeds_of_a_demo_match_the_specification(double: Double) -> None:
    with double.store.transaction():
        seeds.seed_customer(double.store, ACCOUNT, "cus_sandbox_1")
        name = "Ana Prieto", "04101"
        card = "pm_sandbox_1", "cus_sandbox_1", GOOD, (12, 2031), *name
        seeds.seed_saved_card(double.store, ACCOUNT, *card)
        for status in ("succeeded", "processing"):
            facts = f"pi_sandbox_{status}", {"payment": "01"}, 5_000, "USD"
            seeds.seed_intent(double.store, ACCOUNT, *facts, status=status, created=1_700_000_000)
    for path in ("payment_intents", "charges", "payment_methods"):
        assert (await double.ask("GET", path))[1]["data"] != []
    assert (await double.ask("GET", "customers/cus_sandbox_1"))[0] == 200
    charge = double.store.all("charge")[0]
    assert charge["created"] == 1_700_000_000
    double.hold()
