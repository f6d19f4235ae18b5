"""Mutations are checked whole before their first field acts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from models import Payment
from sandbox.api import Fault
from tests.support.payments import Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal whose client owes an invoice that no test pays."""
    async with new_database() as url, paying(url) as portal:
        await portal.invoice(10_000)
        yield portal


@pytest.fixture(scope="module")
async def paid(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal in which each test pays its own invoice."""
    async with new_database() as url, paying(url) as portal:
        yield portal


async def beside(portal: Paying, rest: str, declared: str = "", **variables: Any) -> dict[str, Any]:
    """Send a valid payment with further text in its operation, and return the response."""
    pay = "a: pay(input: $input) { __typename }"
    given = {"input": portal.input(10_000, portal.card())} | variables
    response = await portal.ask(
        f"mutation ($input: PayInput! {declared}) {{ {pay} {rest} }}", portal.bearer, **given
    )
    answer: dict[str, Any] = response.json()
    return answer


async def codes(portal: Paying, answer: dict[str, Any]) -> list[str]:
    """Return the error codes of a request that was refused whole, without any effect."""
    assert "data" not in answer, answer
    assert await portal.count(Payment) == 0
    assert portal.store.all("payment_intent") == []
    return [error["extensions"]["code"] for error in answer["errors"]]


REFRESH = "b: refreshPayment(input: $refresh) { __typename }"
OTHER = 'refreshPayment(input: {paymentId: "pmt_none"})'
REFRESHED = '$refresh: RefreshPaymentInput = {paymentId: "pmt_none"}'


@pytest.mark.parametrize(
    ("rest", "declared", "variables", "code"),
    [
        # Literals, checked by validation.
        ('b: pay(input: {source: {}, idempotencyKey: "0123456789abcdef",'
         ' expectedAmount: {amount: "1.00", currency: "USD"}}) { __typename }',
         "", {}, "GRAPHQL_VALIDATION_FAILED"),
        ('b: cancelPayment(input: {}) { __typename }', "", {}, "GRAPHQL_VALIDATION_FAILED"),
        ('b: cancelPayment(input: {paymentId: null}) { __typename }',
         "", {}, "GRAPHQL_VALIDATION_FAILED"),
        # Variables with a default may be null, which is found when they are read.
        (REFRESH, REFRESHED, {"refresh": None}, "BAD_USER_INPUT"),
        ("b: refreshPayment(input: {paymentId: $id}) { __typename }",
         '$id: ID = "pmt_none"', {"id": None}, "BAD_USER_INPUT"),
        # Directives, on a mutation's field and within its selection.
        (f"b: {OTHER} @skip(if: $skip) {{ __typename }}",
         "$skip: Boolean = false", {"skip": None}, "BAD_USER_INPUT"),
        (f"b: {OTHER} {{ __typename @include(if: $skip) }}",
         "$skip: Boolean = false", {"skip": None}, "BAD_USER_INPUT"),
        (f"b: {OTHER} {{ ... on PaySucceeded {{ payment {{ id @include(if: $skip) }} }} }}",
         "$skip: Boolean = false", {"skip": None}, "BAD_USER_INPUT"),
        # Arguments that reading the results would refuse.
        (f"b: {OTHER} {{ ... on PaySucceeded {{ client {{ invoices(first: 0) {{ totalCount }}"
         " } } }", "", {}, "BAD_PAGE"),
        (f"b: {OTHER} {{ ... on PaySucceeded {{ client {{ invoices(first: $n) {{ totalCount }}"
         " } } }", "$n: Int", {"n": 5_000}, "BAD_PAGE"),
        (f'b: {OTHER} {{ ... on PaySucceeded {{ client {{ invoices(after: "x") {{ nodes {{ id }} }}'
         " } } }", "", {}, "BAD_CURSOR"),
        (f"b: {OTHER} {{ ... on PaySucceeded {{ client {{ accountHistory(dateRange:"
         ' {gte: "2026-02-01", lte: "2026-01-01"}) { totalCount } } } }', "", {}, "BAD_RANGE"),
    ],
)  # fmt: skip
async def test_nothing_is_charged_if_another_part_of_the_operation_is_invalid(
    portal: Paying, rest: str, declared: str, variables: dict[str, Any], code: str
) -> None:
    assert set(await codes(portal, await beside(portal, rest, declared, **variables))) == {code}


async def test_operation_with_two_payments_is_refused(portal: Paying) -> None:
    second = portal.input(10_000, portal.card())
    again = "b: pay(input: $again) { __typename }"
    answer = await beside(portal, again, "$again: PayInput!", again=second)
    assert await codes(portal, answer) == ["ONE_PAYMENT"]


async def test_repeated_field_pays_once_and_a_skipped_one_does_not_pay(paid: Paying) -> None:
    again = "b: pay(input: $input) @skip(if: true) { __typename }"
    merged = "a: pay(input: $input) { ... on UserError { code } }"
    await paid.invoice(10_000)
    answer = await beside(paid, f"{again} {merged}")
    assert answer == {"data": {"a": {"__typename": "PaySucceeded"}}}


async def test_valid_arguments_within_the_results_are_accepted(paid: Paying) -> None:
    asked = "client { invoices(first: 1) { totalCount } }"
    await paid.invoice(10_000)
    answer = await beside(paid, f"b: {OTHER} {{ __typename ... on PaySucceeded {{ {asked} }} }}")
    assert answer["data"] == {
        "a": {"__typename": "PaySucceeded"},
        "b": {"__typename": "InvalidInput"},
    }


async def test_failed_field_leaves_the_results_of_earlier_fields(paid: Paying) -> None:
    """Only the failed field is null, so that the client learns of the payment."""
    paid.api.faults.append(Fault("setup_intents", 503, times=9))
    await paid.invoice(10_000)
    answer = await beside(paid, "b: prepareCard(input: {}) { __typename }")
    assert answer["data"] == {"a": {"__typename": "PaySucceeded"}, "b": None}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["b"], "UNAVAILABLE")
