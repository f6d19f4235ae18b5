"""Each guard around a payment is needed: without it, an interleaving goes wrong.

tests/mutants/test_paying_mutants.py does the same for the steps of the payment itself.
"""

import asyncio
import dataclasses
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from billing.payment_methods import commands, detach
from billing.payments import confirm, customers, refund, states
from billing.payments import reversals as payments_reversals
from billing.payments.context import PaymentContext, read_payment
from billing.stripe import Stripe, Unknown, api, calls, webhook_signatures
from models import Payment, PaymentState, Practice, Refund, RefundState, StripeEvent
from sandbox import intents, reversals
from sandbox.api import Fault
from server.sandbox import SECRET
from tests.support import card_forms
from tests.support.payments import ACCOUNT, ASKS, Paying, paying
from tests.support.reversals import at_stripe, dues, paid
from tests.support.triggers import remove_triggers

OTHER = f"{ACCOUNT}other"

pytestmark = [pytest.mark.campaign, pytest.mark.rest]


@pytest.fixture
async def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paying]:
    monkeypatch.setattr("billing.payments.background.INBOX_EVERY_S", 1e6)
    monkeypatch.setattr("billing.payments.reconcile.EVERY_S", 1e6)
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0,))
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as it:
        yield it


@dataclasses.dataclass
class Hold:
    """The first call of one of Stripe's methods, held before or after it is done."""

    monkeypatch: pytest.MonkeyPatch
    reached: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    go_on: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def on(self, name: str, *, before: bool) -> None:
        call = getattr(Stripe, name)

        async def held(*given: Any, **named: Any) -> Any:
            is_first = not self.reached.is_set()
            answer = None if before and is_first else await call(*given, **named)
            if is_first:
                self.reached.set()
                await self.go_on.wait()
            return await call(*given, **named) if before and is_first else answer

        self.monkeypatch.setattr(Stripe, name, held)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    return Hold(monkeypatch)


def refunded(portal: Paying) -> int:
    """Return the amount that Stripe refunded."""
    return sum(one["amount"] for one in portal.store.all("refund"))


# -- the operator's key ----------------------------------------------------------------------------


async def resumed_after_a_lost_answer(portal: Paying) -> int:
    """Lose the response to a refund, let an event report the refund, then resume it."""
    payment_id, _ = await paid(portal, 10_000)
    portal.api.faults.append(Fault("POST refunds", drop=True, after=True))
    with pytest.raises(Unknown):
        await refund.refund_payment(portal.payment_context, payment_id, 2_500, key="complaint")
    await payments_reversals.reverse(portal.payment_context, portal.practice_id, payment_id)
    await refund.refund_payment(portal.payment_context, payment_id, 2_500, key="complaint")
    return refunded(portal)


async def test_refund_is_resumed_by_its_key(portal: Paying) -> None:
    assert await resumed_after_a_lost_answer(portal) == 2_500


async def test_without_the_operators_key_it_is_refunded_twice(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = refund.begin_refund

    async def forgetful(
        context: PaymentContext, paid: Any, minor: int | None, _: str | None, invoice: str | None
    ) -> Any:
        return await begin(context, paid, minor, None, invoice)

    monkeypatch.setattr(refund, "begin_refund", forgetful)
    monkeypatch.setattr(refund, "refuse_repeated", lambda *_: None)
    assert await resumed_after_a_lost_answer(portal) == 5_000


# -- idempotency keys ------------------------------------------------------------------------------


async def resumed_in_two_windows(portal: Paying, hold: Hold) -> int:
    """Let two commands find an unfinished refund, and both ask Stripe for it."""
    payment_id, _ = await paid(portal, 10_000)
    portal.api.faults.append(Fault("POST refunds", drop=True))
    with pytest.raises(Unknown):
        await refund.refund_payment(portal.payment_context, payment_id, 2_500, key="complaint")
    hold.on("refund", before=True)
    first = asyncio.create_task(
        refund.refund_payment(portal.payment_context, payment_id, key="complaint")
    )
    await hold.reached.wait()
    await refund.refund_payment(portal.payment_context, payment_id, key="complaint")
    hold.go_on.set()
    await first
    return refunded(portal)


async def test_two_windows_refund_once(portal: Paying, hold: Hold) -> None:
    assert await resumed_in_two_windows(portal, hold) == 2_500


async def test_without_idempotency_keys_two_windows_refund_twice(
    portal: Paying, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        api, "request_options", lambda account, _=None: calls.request_options(account)
    )
    assert await resumed_in_two_windows(portal, hold) == 5_000


# -- order of facts --------------------------------------------------------------------------------


async def failed_while_an_answer_was_late(portal: Paying, hold: Hold) -> RefundState:
    """Let a response that a refund succeeded arrive after the refund failed here."""
    payment_id, _ = await paid(portal, 10_000)
    done = await refund.refund_payment(portal.payment_context, payment_id, 4_000)
    hold.on("refunds", before=False)
    late = asyncio.create_task(
        payments_reversals.reverse(portal.payment_context, portal.practice_id, payment_id)
    )
    await hold.reached.wait()
    at_stripe(portal, reversals.fail_refund, done.stripe_id)
    await payments_reversals.reverse(portal.payment_context, portal.practice_id, payment_id)
    hold.go_on.set()
    await late
    (row,) = await portal.all(Refund)
    return RefundState(row.state)


async def test_failed_refund_stays_failed(portal: Paying, hold: Hold) -> None:
    assert await failed_while_an_answer_was_late(portal, hold) is RefundState.FAILED
    assert await dues(portal) == [0]


async def test_without_an_order_of_facts_a_paid_invoice_is_payable_again(
    portal: Paying, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remove the guards: rows are not read again under the lock, and any state may follow any
    other, in the writer of states and in the database too.
    """
    write = payments_reversals.write_result

    async def at_once(context: PaymentContext, paid: Any, *told: Any) -> bool:
        async def same(*_: Any) -> Any:
            return paid

        monkeypatch.setattr(payments_reversals, "read_payment", same)
        try:
            return await write(context, paid, *told)
        finally:
            monkeypatch.setattr(payments_reversals, "read_payment", read_payment)

    monkeypatch.setattr(payments_reversals, "write_result", at_once)
    monkeypatch.setattr(payments_reversals, "is_final", lambda _: False)
    for module in (payments_reversals, states):
        monkeypatch.setattr(module, "allowed", lambda *_: True)
    await remove_triggers(portal.engine, "refund")
    assert await failed_while_an_answer_was_late(portal, hold) is RefundState.SUCCEEDED
    assert await dues(portal) == [4_000]


# -- the account of each row -----------------------------------------------------------------------


async def moved(portal: Paying, account: str = OTHER) -> None:
    """Give the practice another account at Stripe."""
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=account))


async def charged_in_the_former_account(portal: Paying) -> PaymentState:
    await portal.invoice(10_000)
    payment = (await portal.pay(10_000, portal.card(ASKS)))["payment"]["id"]
    (waiting,) = portal.store.all("payment_intent")
    await moved(portal)
    at_stripe(portal, intents.authenticate_intent, waiting["id"], succeed=True)
    await portal.refresh(payment)
    (row,) = await portal.all(Payment)
    return PaymentState(row.state)


async def test_charge_in_a_former_account_is_found(portal: Paying) -> None:
    assert await charged_in_the_former_account(portal) is PaymentState.SUCCEEDED


async def test_without_the_account_on_its_row_a_charge_is_lost(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = confirm.find_payment

    async def of_the_practice(context: PaymentContext, practice_id: str, payment_id: str) -> Any:
        row = await find(context, practice_id, payment_id)
        async with context.engine.connect() as conn:
            account = await conn.scalar(select(Practice.stripe_account))
        return SimpleNamespace(**dict(row._mapping) | {"stripe_account": account})

    monkeypatch.setattr(confirm, "find_payment", of_the_practice)
    assert await charged_in_the_former_account(portal) is PaymentState.REQUIRES_ACTION


# -- a customer for each account -------------------------------------------------------------------


async def saved_in_two_accounts(portal: Paying) -> int:
    """Move the practice to another account and back, and save a card each time.

    Return the number of the client's customers in the first account.
    """
    for account in (ACCOUNT, OTHER, ACCOUNT):
        await moved(portal, account)
        await portal.invoice(10_000)
        paid = await portal.pay(10_000, portal.card(saveCard=True))
        assert paid["__typename"] == "PaySucceeded"
    return len(portal.store.all("customer", ACCOUNT))


async def test_client_has_one_customer_in_each_account(portal: Paying) -> None:
    assert await saved_in_two_accounts(portal) == 1


async def test_without_a_customer_for_each_account_another_is_made(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def holds(holder: customers.Holder, table: Any) -> Any:
        of_practice = table.practice_id == holder.practice_id
        return of_practice & (table.client_id == holder.client_id)

    monkeypatch.setattr(customers.Holder, "holds", holds)
    assert await saved_in_two_accounts(portal) == 2


# -- timestamps of signatures ----------------------------------------------------------------------


async def replayed(portal: Paying) -> int:
    """Send an old event with a second timestamp in its signature, and return the number of events
    taken.
    """
    body = json.dumps({"id": "evt_1", "type": "charge.succeeded", "data": {"object": {}}}).encode()
    now = int(portal.clock().timestamp())
    signed = hmac.new(SECRET.encode(), f"{now - 900}.".encode() + body, hashlib.sha256).hexdigest()
    header = {"Stripe-Signature": f"t={now - 900},v1={signed},t={now}"}
    await portal.http.post("/stripe/webhook", content=body, headers=header)
    return await portal.count(StripeEvent)


async def test_old_event_with_a_second_timestamp_is_refused(portal: Paying) -> None:
    assert await replayed(portal) == 0


async def test_with_two_timestamps_an_old_event_is_replayed(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_the_last(body: bytes, header: str | None, keys: Any, now: Any) -> None:
        """Check the signature with the first timestamp, and the age with the last."""
        times = [part[2:] for part in (header or "").split(",") if part.startswith("t=")]
        assert f"v1={webhook_signatures.sign(body, times[0], keys[0])}" in (header or "")
        assert abs(now.timestamp() - int(times[-1])) <= webhook_signatures.TOLERANCE.total_seconds()

    monkeypatch.setattr(webhook_signatures, "verify", by_the_last)
    assert await replayed(portal) == 1


# -- detachments -----------------------------------------------------------------------------------


async def attached_after_a_removal(portal: Paying) -> int:
    """Remove a card while Stripe does not answer, and let it be asked again later."""
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(clients_remove_cards=True))
    card = (await card_forms.keep(portal))["paymentMethod"]["id"]
    portal.api.faults.append(Fault("detach", drop=True, times=9))
    await card_forms.remove(portal, card)
    portal.api.faults.clear()
    await detach.detach_cards(portal.payment_context)
    return sum(bool(one["customer"]) for one in portal.store.all("payment_method"))


async def test_removed_card_is_detached_in_the_end(portal: Paying) -> None:
    assert await attached_after_a_removal(portal) == 0


async def test_without_a_written_detachment_a_removed_card_stays_attached(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> None:
        """Write no detachment."""

    monkeypatch.setattr(commands, "record_detachment", nothing)
    monkeypatch.setattr("billing.payment_methods.store.record_detachment", nothing)
    assert await attached_after_a_removal(portal) == 1
