"""Mutation results without a row are written without a statement, in the same bytes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from execution.executor import Executor
from tests.support.payments import Paying, paying

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
REFUSED = "__typename ... on UserError { code message path }"
OWED = 10_000


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as portal:
        await portal.invoice(OWED)
        yield portal


def asks(portal: Paying) -> list[tuple[str, dict[str, Any]]]:
    """Return mutations that change nothing, whose results need no row."""
    pay = f"mutation ($input: PayInput!) {{ pay(input: $input) {{ {REFUSED} }} }}"
    given = portal.input(OWED, {"credit": False})
    sign_in = 'signIn(input: {secret: "none", nonce: "none"}) { %s }'
    return [
        (pay, {"input": given}),
        (pay, {"input": given | {"idempotencyKey": "short"}}),
        (pay, {"input": given | {"clientId": "quoted \" and \\ back"}}),
        (f"mutation {{ a: {sign_in % 'other: __typename'} }}", {}),
        (f"mutation {{ __typename {sign_in % REFUSED} }}", {}),
        ('mutation { refreshPayment(input: {paymentId: "pmt_none"})'
         " { ... on UserError { path code @skip(if: true) } } }", {}),
        ("mutation { signOut { signedOut } }", {}),
    ]  # fmt: skip


async def test_results_without_a_row_equal_a_statements(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, statements = portal.reads.people, list[str]()
    row = people.row

    async def counted(sql: str, *given: Any) -> Any:
        statements.append(sql)
        return await row(sql, *given)

    monkeypatch.setattr(people, "row", counted)
    alone, counts = [], []
    for query, variables in asks(portal):
        statements.clear()
        alone.append((await portal.ask(query, portal.bearer, **variables)).json())
        counts.append(len(statements))
    monkeypatch.setattr(Executor, "results_without_query", lambda *_: None)
    planned = [
        (await portal.ask(query, portal.bearer, **variables)).json()
        for query, variables in asks(portal)
    ]
    assert alone == planned
    assert [answer.get("errors") for answer in alone] == [None] * len(alone)
    # The token is looked up, and nothing is read afterwards.
    assert counts[0] == counts[-1] == 1


async def test_result_with_a_row_is_read(portal: Paying) -> None:
    query = """mutation ($input: PayInput!) { pay(input: $input) {
      __typename ... on AmountChanged { code payable { amount } expected { minorUnits } } } }"""
    answer = await portal.ask(query, portal.bearer, input=portal.input(1, portal.card()))
    assert answer.json()["data"]["pay"] == {
        "__typename": "AmountChanged",
        "code": "AMOUNT_CHANGED",
        "payable": {"amount": "100.00"},
        "expected": {"minorUnits": 1},
    }
