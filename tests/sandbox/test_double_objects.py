"""Objects of the double: customers, cards, refunds, disputes, objects of other integrations, and
lists.
"""

from contextlib import nullcontext
from typing import Any

import pytest

from sandbox import methods, pages, reversals
from sandbox.errors import StripeError
from tests.support.payments import ACCOUNT, ASKS
from tests.support.stripe_double import USD, Double, told

DAY_S = 24 * 60 * 60


# -- customers and cards ---------------------------------------------------------------------------


async def saved_card(double: Double) -> tuple[str, str]:
    """Return a customer and its saved card."""
    customer = await double.made("customers")
    await double.paid(customer=customer, setup_future_usage="on_session")
    (card,) = (one for one in double.store.all("payment_method") if one["customer"] == customer)
    return customer, card["id"]


async def test_deleted_customer_is_marked_and_can_not_be_used(double: Double) -> None:
    customer, card = await saved_card(double)
    waiting = await double.intent(customer=customer)
    double.act("delete_customer", account=ACCOUNT, id=customer)
    status, answer = await double.ask("GET", f"customers/{customer}")
    assert (status, answer) == (200, {"id": customer, "object": "customer", "deleted": True})
    missing = 400, "resource_missing", "customer"
    assert (
        told(await double.ask("POST", "payment_intents", USD | {"customer": customer})) == missing
    )
    assert told(await double.ask("POST", "setup_intents", {"customer": customer})) == missing
    cards = await double.ask("GET", f"customers/{customer}/payment_methods")
    assert told(cards)[1] == "resource_missing"
    assert told(await double.ask("GET", "payment_methods", {"customer": customer})) == missing
    path = f"payment_intents/{waiting}/confirm"
    assert told(await double.ask("POST", path, {"payment_method": card})) == missing
    # The customer's cards are detached, without an event.
    assert (await double.ask("GET", f"payment_methods/{card}"))[1]["customer"] is None
    types = [event["type"] for event in double.store.all("event")]
    assert "payment_method.detached" not in types
    double.hold()


async def test_detached_card_can_not_be_used(double: Double) -> None:
    customer, card = await saved_card(double)
    assert (await double.ask("POST", f"payment_methods/{card}/detach"))[0] == 200
    assert (await double.ask("POST", f"payment_methods/{card}/detach"))[0] == 400
    path = f"payment_intents/{await double.intent(customer=customer)}/confirm"
    assert (await double.ask("POST", path, {"payment_method": card}))[0] == 400
    double.hold()


@pytest.mark.parametrize("name", ["amount", "currency"])
async def test_confirmation_token_for_another_charge_is_refused(double: Double, name: str) -> None:
    charge: dict[str, Any] = {"amount": 10_000, "currency": "usd"}
    other: dict[str, Any] = {"amount": 1_000_000, "currency": "isk"}
    path = f"payment_intents/{await double.intent()}/confirm"
    token = double.token(**charge | {name: other[name]})
    assert told(await double.ask("POST", path, {"confirmation_token": token})) == (400, None, name)
    token = double.token(**charge)
    assert (await double.ask("POST", path, {"confirmation_token": token}))[0] == 200
    double.hold()


@pytest.mark.parametrize(
    ("amount", "currency", "error"),
    [
        ("100", "usd", pages.Wrong),
        (1.5, "usd", pages.Wrong),
        (True, "usd", pages.Wrong),
        (100, None, pages.Wrong),
        (49, "usd", StripeError),
        (500, "isk", None),
        (550, "isk", StripeError),
        (550, "ugx", StripeError),
        (1_501, "kwd", StripeError),
        (1_500, "kwd", None),
        (100_000_000, "usd", StripeError),
    ],
)
async def test_confirmation_token_needs_an_amount_that_stripe_charges(
    double: Double, amount: Any, currency: str | None, error: type[Exception] | None
) -> None:
    with pytest.raises(error) if error else nullcontext():
        double.token(amount=amount, currency=currency)


async def test_card_without_a_fingerprint(double: Double) -> None:
    double.act("set", name=methods.FINGERPRINTS, value=False)
    _, card = await saved_card(double)
    assert (await double.ask("GET", f"payment_methods/{card}"))[1]["card"]["fingerprint"] is None
    double.hold()


async def test_failed_3d_secure_has_stripes_type_and_code(double: Double) -> None:
    intent = await double.paid(ASKS)
    double.act("authenticate", account=ACCOUNT, id=intent, succeed=False)
    failed = (await double.ask("GET", f"payment_intents/{intent}"))[1]["last_payment_error"]
    assert (failed["type"], failed["code"]) == (
        "invalid_request_error",
        "payment_intent_authentication_failure",
    )
    assert failed["payment_method"]["object"] == "payment_method"


# -- refunds and disputes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "status"),
    [("settle_refund", "succeeded"), ("fail_refund", "failed"), ("cancel_refund", "canceled")],
)
async def test_pending_refund_ends_days_later(double: Double, end: str, status: str) -> None:
    intent = await double.paid()
    double.act("set", name=reversals.REFUNDS, value="pending")
    refund = await double.made("refunds", payment_intent=intent, amount="4000")
    created = int(double.time)
    double.time += 7 * DAY_S
    double.act(end, account=ACCOUNT, id=refund)
    _, found = await double.ask("GET", f"refunds/{refund}")
    assert (found["status"], found["created"]) == (status, created)
    # The charge counts the refund only if it succeeded.
    _, charge = await double.ask("GET", f"charges/{found['charge']}")
    assert charge["amount_refunded"] == (4_000 if status == "succeeded" else 0)
    double.hold()


async def test_succeeded_refund_may_fail_later(double: Double) -> None:
    refund = await double.made("refunds", payment_intent=await double.paid())
    double.time += 7 * DAY_S
    double.act("fail_refund", account=ACCOUNT, id=refund)
    assert (await double.ask("GET", f"refunds/{refund}"))[1]["status"] == "failed"


async def test_charge_may_have_several_disputes_of_other_amounts(double: Double) -> None:
    intent = await double.paid()
    facts = {"account": ACCOUNT, "intent": intent}
    inquiry = double.act("dispute", **facts, status="warning_needs_response")
    other = double.act("dispute", **facts, amount=8_131, currency="eur", again=True)
    _, page = await double.ask("GET", "disputes", {"payment_intent": intent})
    assert [one["id"] for one in page["data"]] == [other["id"], inquiry["id"]]
    assert [(one["amount"], one["currency"]) for one in page["data"]] == [
        (8_131, "eur"),
        (10_000, "usd"),
    ]
    # An inquiry takes no money. It becomes a dispute that does.
    assert inquiry["balance_transactions"] == []
    double.time += 70 * DAY_S
    for status in ("needs_response", "under_review", "won"):
        double.act("decide_dispute", account=ACCOUNT, id=inquiry["id"], status=status)
    _, won = await double.ask("GET", f"disputes/{inquiry['id']}")
    assert [one["amount"] for one in won["balance_transactions"]] == [-10_000, 10_000]
    assert won["status"] == "won"
    double.hold()


async def test_charge_is_dated_when_the_money_moved(double: Double) -> None:
    intent = await double.paid(ASKS)
    double.time += 3_600
    double.act("authenticate", account=ACCOUNT, id=intent, succeed=True)
    moved_at = int(double.time)
    double.time += DAY_S
    _, found = await double.ask("GET", f"payment_intents/{intent}", {"expand[0]": "latest_charge"})
    assert found["created"] == moved_at - 3_600
    assert found["latest_charge"]["created"] == moved_at


# -- objects of other integrations, and lists ------------------------------------------------------


async def test_strangers_objects_have_every_status(double: Double) -> None:
    double.act("strangers", account=ACCOUNT)
    for kind, statuses in (("payment_intent", 7), ("setup_intent", 6), ("dispute", 8)):
        _, page = await double.ask("GET", f"{kind}s", {"limit": "100"})
        assert len({one["status"] for one in page["data"]}) == statuses
    _, page = await double.ask("GET", "refunds", {"limit": "100"})
    assert {one.get("status", "absent") for one in page["data"]} >= {None, "absent", "pending"}
    bare = [one for one in double.store.all("payment_intent") if "amount" not in one]
    assert len(bare) == 7
    double.hold()


async def test_list_is_read_page_by_page(double: Double) -> None:
    made = []
    for _ in range(7):
        double.time += 10
        made.append(await double.intent())
    found: list[str] = []
    params = {"limit": "3"}
    while True:
        _, page = await double.ask("GET", "payment_intents", params)
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        params = {"limit": "3", "starting_after": found[-1]}
    assert found == made[::-1]
    _, page = await double.ask("GET", "payment_intents", {"ending_before": made[4], "limit": "1"})
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([made[5]], True)
    limits = {"created[gt]": str(int(double.time) - 40), "created[lte]": str(int(double.time) - 10)}
    _, page = await double.ask("GET", "payment_intents", limits)
    assert [one["id"] for one in page["data"]] == made[3:6][::-1]
    answer = await double.ask("GET", "payment_intents", {"starting_after": "pi_none"})
    assert told(answer)[1:] == ("resource_missing", "starting_after")
    double.hold()


async def test_events_are_listed_for_thirty_days(double: Double) -> None:
    await double.paid()
    await double.made("customers")

    async def types(**params: str) -> list[str]:
        _, page = await double.ask("GET", "events", {"limit": "100"} | params)
        return [event["type"] for event in page["data"]]

    assert await types(type="charge.*") == ["charge.succeeded"]
    named = {"types[0]": "customer.created", "types[1]": "payment_intent.succeeded"}
    assert await types(**named) == ["customer.created", "payment_intent.succeeded"]
    assert len(await types(delivery_success="false")) == 4
    assert await types(delivery_success="true") == []
    many = {f"types[{n}]": "charge.succeeded" for n in range(21)}
    assert told(await double.ask("GET", "events", many)) == (400, None, "types")
    double.time += 30 * DAY_S + 1
    assert await types() == []
    double.hold()
