"""Entries of a program while the client is paying by card."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from identity.tokens import Subject
from tests.support.payments import ASKS, Paying, paying
from tests.support.programs import EVERYTHING, key, money, mutation

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
UNDER_WAY = "... on PaymentInProgress { payment { status amount { amount } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as made:
        yield made


async def test_entry_is_refused_with_the_payment_under_way(portal: Paying) -> None:
    invoice_id = await portal.invoice(10_000)
    begun = await portal.pay(10_000, portal.card(ASKS))
    assert begun["__typename"] == "PayRequiresAction"
    token = await portal.token(Subject(portal.practice_id), scopes=EVERYTHING)
    own = {"externalId": key("1"), "amount": money("5.00")}
    entries: dict[str, dict[str, Any]] = {
        "recordPayment": {
            **own,
            "client": {"id": f"cli_{portal.client_id}"},
            "method": "CASH",
        },
        "writeOff": {**own, "invoice": {"id": f"inv_{invoice_id}"}},
        "voidInvoice": {"invoice": {"id": f"inv_{invoice_id}"}},
    }
    for field, given in entries.items():
        answer = (await portal.ask(mutation(field, UNDER_WAY), token, i=given)).json()
        assert answer["data"][field] == {
            "__typename": "PaymentInProgress",
            "code": "PAYMENT_IN_PROGRESS",
            "message": "Another payment is under way: wait until it has ended.",
            "path": None,
            "payment": {"status": "REQUIRES_ACTION", "amount": {"amount": "100.00"}},
        }
    await portal.cancel(begun["payment"]["id"])
    answer = (await portal.ask(mutation("writeOff"), token, i=entries["writeOff"])).json()
    assert answer["data"]["writeOff"]["change"] == "ENTERED"
