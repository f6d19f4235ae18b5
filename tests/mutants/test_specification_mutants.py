"""Deviations from Stripe's specification, planted one at a time: the check finds each."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import methods, objects
from tests.sandbox.specification import held
from tests.sandbox.specification.answers import judge_of
from tests.support.payments import ACCOUNT, GOOD
from tests.support.stripe_double import USD, Double


async def journal_of_a_payment(double: Double) -> list[dict[str, Any]]:
    await double.paid()
    double.hold()
    return double.store.journal()


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"payment_method_type": ["card"]}, "'payment_method_type' was unexpected"),
        ({"amount": "ten"}, "'ten' is not of type 'integer'"),
        ({"setup_future_usage": "later"}, "'later' is not one of"),
        ({"automatic_payment_methods": {"enabled": "yes"}}, "'yes' is not of type 'boolean'"),
    ],
)
async def test_request_invalid_at_stripe_is_found(
    double: Double, params: dict[str, Any], told: str
) -> None:
    journal = await journal_of_a_payment(double)
    journal[0]["params"] |= params
    with pytest.raises(AssertionError, match="request of POST /v1/payment_intents") as red:
        held.hold(journal, [])
    assert told in str(red.value)
    # The SDK's types find it too.
    assert "the SDK" in str(red.value)


async def test_missing_required_parameter_is_found(double: Double) -> None:
    journal = await journal_of_a_payment(double)
    del journal[0]["params"]["currency"]
    with pytest.raises(AssertionError, match="'currency' is a required property"):
        held.hold(journal, [])


async def test_request_of_another_release_is_found(double: Double) -> None:
    journal = await journal_of_a_payment(double)
    journal[0]["version"] = "2026-10-28.endive"
    with pytest.raises(AssertionError, match="endive"):
        held.hold(journal, [])


def without(field: str) -> Callable[[dict[str, Any]], Any]:
    return lambda answer: answer.pop(field)


def become(field: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda answer: answer.update({field: value})


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without("created"), "'created' is a required property"),
        (become("status", "paid"), "'paid' is not one of"),
        (become("statuss", "succeeded"), "'statuss' was unexpected"),
        (become("amount", "10000"), "is not of type 'integer'"),
        (become("latest_charge", {"id": "ch_1"}), "latest_charge: {'id': 'ch_1'} is not valid"),
        (become("last_payment_error", {"code": "x"}), "'type' is a required property"),
    ],
)
async def test_response_unlike_stripes_is_found(
    double: Double, spoil: Callable[[dict[str, Any]], Any], told: str
) -> None:
    journal = await journal_of_a_payment(double)
    spoil(journal[-1]["answer"])
    with pytest.raises(AssertionError, match="answer 200 of POST") as red:
        held.hold(journal, [])
    assert told in str(red.value)


async def test_error_unlike_stripes_is_found(double: Double) -> None:
    await double.ask("GET", "payment_intents/pi_none")
    double.hold()
    journal = double.store.journal()
    journal[0]["answer"]["error"] |= {"type": "missing_error", "codes": ["resource_missing"]}
    with pytest.raises(AssertionError, match="answer 404 of GET") as red:
        held.hold(journal, [])
    assert "'missing_error' is not one of" in str(red.value)
    assert "'codes' was unexpected" in str(red.value)


async def test_event_unlike_stripes_is_found(double: Double) -> None:
    await double.paid()
    event = double.store.all("event")[-1]
    for path, told in ((("data", "object", "status"), "status"), (("created",), "created")):
        spoilt: Any = copy.deepcopy(event)
        inner = spoilt
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        with pytest.raises(AssertionError, match=f"'{told}' is a required property"):
            held.hold([], [spoilt])


async def test_misspelt_parameter_is_found(double: Double) -> None:
    """The double refuses it, and the check reports it too."""
    status, _ = await double.ask("POST", "payment_intents", USD | {"payment_method_type": "card"})
    assert status == 400
    with pytest.raises(AssertionError, match="'payment_method_type' was unexpected"):
        double.hold()


@pytest.mark.parametrize(
    ("template", "spoil", "told"),
    [
        ("charge", without("captured"), "'captured' is a required property"),
        ("payment_intent", become("capture_method", "at_once"), "'at_once' is not one of"),
        ("payment_method", become("card", {"brand": "visa"}), "'last4' is a required property"),
    ],
)
async def test_wrong_template_is_found(
    double: Double,
    monkeypatch: pytest.MonkeyPatch,
    template: str,
    spoil: Callable[[dict[str, Any]], Any],
    told: str,
) -> None:
    whole = getattr(objects, template)

    def spoilt(**facts: Any) -> Any:
        made = whole(**facts)
        spoil(made)
        return made

    monkeypatch.setattr(objects, template, spoilt)
    if template == "payment_method":
        with double.store.transaction():
            card = methods.create_card(double.store, ACCOUNT, GOOD, 12, 2031, None, None)
        await double.ask("GET", f"payment_methods/{card['id']}")
    else:
        await double.paid()
    with pytest.raises(AssertionError) as red:
        double.hold()
    assert told in str(red.value)


def test_field_missing_from_a_template_is_found() -> None:
    made = objects.dispute(id="du_1", object="dispute", created=1, livemode=False, charge="ch_1")
    assert [*judge_of("dispute").problems(made)] == []
    del made["evidence_details"]["submission_count"]
    assert [*judge_of("dispute").problems(made)] != []
