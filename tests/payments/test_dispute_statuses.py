"""The status of a disputed payment: in the list of payments and in the account history."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from billing.payments.refund import refund_payment
from models import Dispute
from models.ids import new_id
from sandbox import reversals
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.reversals import at_stripe, minor, paid

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


STATUSES = """{ client {
  payments { nodes { status disputedAmount { minorUnits } } }
  disputed: payments(status: [DISPUTED]) { totalCount nodes { status } }
  chargedBack: payments(status: [CHARGED_BACK]) { totalCount nodes { status } }
  succeeded: payments(status: [SUCCEEDED]) { totalCount nodes { status } }
  any: payments(status: [SUCCEEDED, DISPUTED, CHARGED_BACK]) { totalCount }
  accountHistory(kind: [PAYMENT]) { nodes { status payment { status } } }
} }"""
# The status in the account history of payments whose money moved.
IN_HISTORY = {"SUCCEEDED": "PAID", "DISPUTED": "DISPUTED", "CHARGED_BACK": "CHARGED_BACK"}


async def statuses(portal: Paying) -> list[tuple[str, int]]:
    """Return the status and the disputed amount of each payment, newest first.

    The list filtered by each status has the payments with this status, and so has the history.
    """
    portal.bearer = await portal.token()
    found = (await portal.ask(STATUSES, portal.bearer)).json()["data"]["client"]
    shown = [(one["status"], minor(one, "disputedAmount")) for one in found["payments"]["nodes"]]
    kinds = {"disputed": "DISPUTED", "chargedBack": "CHARGED_BACK", "succeeded": "SUCCEEDED"}
    for name, status in kinds.items():
        same = [{"status": one} for one, _ in shown if one == status]
        assert found[name] == {"totalCount": len(same), "nodes": same}
    assert found["any"]["totalCount"] == len(shown)
    for entry in found["accountHistory"]["nodes"]:
        assert entry["status"] == IN_HISTORY[entry["payment"]["status"]]
    assert len(found["accountHistory"]["nodes"]) == len(shown)
    return shown


async def test_status_follows_the_dispute(portal: Paying) -> None:
    _, first = await paid(portal, 10_000)
    _, second = await paid(portal, 6_000)
    assert await statuses(portal) == [("SUCCEEDED", 0), ("SUCCEEDED", 0)]
    disputed = at_stripe(portal, reversals.open_dispute, first, 4_000)
    await portal.hears_all()
    assert await statuses(portal) == [("SUCCEEDED", 0), ("DISPUTED", 4_000)]
    at_stripe(portal, reversals.close_dispute, disputed["id"], won=True)
    lost = at_stripe(portal, reversals.open_dispute, second)
    await portal.hears_all()
    assert await statuses(portal) == [("DISPUTED", 6_000), ("SUCCEEDED", 0)]
    at_stripe(portal, reversals.close_dispute, lost["id"], won=False)
    await portal.hears_all()
    assert await statuses(portal) == [("CHARGED_BACK", 6_000), ("SUCCEEDED", 0)]


async def test_open_dispute_comes_before_a_lost_one(portal: Paying) -> None:
    payment_id, _ = await paid(portal, 10_000)
    own = {"practice_id": portal.practice_id, "client_id": portal.client_id}
    at = {"disputed_at": portal.clock(), "created_at": portal.clock(), "changed_at": portal.clock()}
    for state, amount in (("WON", 1), ("LOST", 3_000), ("OPEN", 500)):
        facts = {"id": new_id(), "stripe_id": f"du_{state}", "stripe_account": ACCOUNT}
        row = own | at | facts | {"payment_id": payment_id, "state": state}
        await portal.insert(Dispute, row | {"amount_minor": amount})
    assert await statuses(portal) == [("DISPUTED", 3_500)]


async def test_disputed_payment_that_was_refunded_is_disputed_in_the_history(
    portal: Paying,
) -> None:
    payment_id, intent = await paid(portal, 10_000)
    await refund_payment(portal.payment_context, payment_id, 6_000)
    disputed = at_stripe(portal, reversals.open_dispute, intent, 4_000)
    await portal.hears_all()
    assert await statuses(portal) == [("DISPUTED", 4_000)]
    at_stripe(portal, reversals.close_dispute, disputed["id"], won=True)
    await portal.hears_all()
    assert await statuses(portal) == [("SUCCEEDED", 0)]
