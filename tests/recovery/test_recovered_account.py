"""A recovery brings payments, refunds, disputes and cards back as they were before the loss."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, make_url

from billing.entry.commands import EntryContext, practice_entries
from billing.entry.merging import ClientMerge, merge_clients
from billing.payment_methods.detach import detach_cards
from billing.payments.refund import refund_payment
from billing.recovery.recover import NotAssigned, assign
from identity.tokens import Subject
from models import Client, LedgerEntry, Payment, PaymentState
from models.ids import new_id
from sandbox import intents, reversals
from sandbox.faults import Fault
from server.cli.client_erasure import erase
from server.settings import Settings
from tests.support import postgres
from tests.support.backups import after_restore, backed_up
from tests.support.card_forms import keep, remove
from tests.support.payments import ASKS, DECLINED, GOOD, Paying, paying
from tests.support.portal import KEY
from tests.support.recoveries import assert_whole, differences, picture, recover, refused
from tests.support.reversals import at_stripe, dues, paid, refunded_there

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
OTHER, THIRD = "5555555555554444", "378282246310005"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def later_on(portal: Paying) -> None:
    """Let some hours pass, after which the page needs another token."""
    portal.clock.time += dt.timedelta(hours=7)
    portal.bearer = await portal.token()


@pytest.mark.twins(1)
async def test_everything_since_the_backup_is_as_it_was(portal: Paying, tmp_path: Path) -> None:
    _, old_intent = await paid(portal, 3_000)
    invoices = [await portal.invoice(minor) for minor in (10_000, 5_000, 2_000, 4_000)]
    await keep(portal, THIRD)
    await portal.credit(1_500)
    backup = await backed_up(portal.url, tmp_path)

    # One invoice is paid alone, by credit too, and then the balance. A part of that is given back,
    # and paid again after a declined card.
    await later_on(portal)
    card = portal.card(saveCard=True, makeDefault=True)
    await succeeds(portal, 3_500, card, invoiceId=f"inv_{invoices[1]}")
    await later_on(portal)
    payment_id = await succeeds(portal, 16_000, portal.card(OTHER, saveCard=True))
    await later_on(portal)
    await refund_payment(
        portal.payment_context, payment_id, 1_000, invoice_id=invoices[2], key="by mistake"
    )
    await later_on(portal)
    assert (await portal.pay(1_000, portal.card(DECLINED)))["__typename"] == "CardDeclined"
    again = await succeeds(portal, 1_000, portal.card())
    # The payment before the backup is refunded in the dashboard, and the next one disputed.
    await later_on(portal)
    refunded_there(portal, old_intent, 500)
    await later_on(portal)
    dispute = at_stripe(portal, reversals.open_dispute, intent_of(portal, again))
    await portal.hears_all()
    await later_on(portal)
    at_stripe(portal, reversals.close_dispute, dispute["id"], won=False)
    await keep(portal, "6011111111111117")
    await portal.hears_all()
    before = await picture(portal)
    assert len(before["payment_method"]) == 4
    assert (len(before["refund"]), len(before["dispute"])) == (2, 1)

    async with after_restore(portal, backup) as restored:
        report = await recover(restored)
        assert (report.adopted, report.problems) == (4, [])
        assert await picture(restored) == before
        await assert_whole(restored)
        # The operator's key still means the refund that it has begun.
        known = await refund_payment(restored.payment_context, payment_id, key="by mistake")
        assert known.amount_minor == 1_000
        assert len(restored.store.all("refund")) == 2
        await assert_whole(restored)


async def succeeds(portal: Paying, amount: int, card: dict[str, Any], **more: Any) -> str:
    """Pay, and return the payment's row id."""
    done = await portal.pay(amount, card, **more)
    assert done["__typename"] == "PaySucceeded"
    return str(done["payment"]["id"]).removeprefix("pmt_")


def intent_of(portal: Paying, payment: str) -> str:
    (intent,) = (
        one["id"]
        for one in portal.store.all("payment_intent")
        if one["metadata"]["payment"] == payment.removeprefix("pmt_")
    )
    return str(intent)


async def test_card_that_was_removed_since_the_backup_stays_removed(
    portal: Paying, tmp_path: Path
) -> None:
    async with portal.engine.begin() as conn:
        from sqlalchemy import update

        from models import Practice

        await conn.execute(update(Practice).values(clients_remove_cards=True))
    kept = [(await keep(portal, number))["paymentMethod"]["id"] for number in (GOOD, OTHER)]
    backup = await backed_up(portal.url, tmp_path)
    new = (await keep(portal, THIRD))["paymentMethod"]["id"]
    for card in (kept[1], new):
        assert (await remove(portal, card))["__typename"] == "CardRemoved"
    await detach_cards(portal.payment_context)
    before = await picture(portal)
    async with after_restore(portal, backup) as restored:
        await recover(restored)
        assert (await picture(restored))["payment_method"] == before["payment_method"]
        await assert_whole(restored)


async def test_payment_at_the_bank_goes_on(portal: Paying, tmp_path: Path) -> None:
    await portal.invoice(10_000)
    await portal.invoice(2_000, portal.other_id)
    backup = await backed_up(portal.url, tmp_path)
    waiting = await portal.pay(10_000, portal.card(ASKS))
    assert waiting["__typename"] == "PayRequiresAction"
    async with after_restore(portal, backup) as restored:
        report = await recover(restored)
        assert (report.adopted, report.problems) == (1, [])
        await assert_whole(restored)
        # Nobody pays the same invoice meanwhile.
        other = await restored.pay(10_000, restored.card())
        assert other["__typename"] == "PaymentInProgress"
        intent = intent_of(restored, waiting["payment"]["id"])
        at_stripe(restored, intents.authenticate_intent, intent, succeed=True)
        done = await restored.refresh(waiting["payment"]["id"])
        assert done["__typename"] == "PaySucceeded"
        assert await dues(restored) == [0]
        await assert_whole(restored)


async def test_payment_that_nobody_confirms_any_more_is_given_up(
    portal: Paying, tmp_path: Path
) -> None:
    await portal.invoice(10_000)
    backup = await backed_up(portal.url, tmp_path)
    portal.api.faults.append(Fault("POST payment_intents/.*/confirm", status=503, times=1))
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PayProcessing"
    async with after_restore(portal, backup) as restored:
        assert (await recover(restored)).problems == []
        (payment,) = await restored.all(Payment)
        assert payment.state is PaymentState.CANCELED
        assert [one["status"] for one in restored.store.all("payment_intent")] == ["canceled"]
        await assert_whole(restored)
        assert (await restored.pay(10_000, restored.card()))["__typename"] == "PaySucceeded"


async def test_payment_of_a_lost_client_is_reported_until_it_is_assigned(
    portal: Paying, tmp_path: Path
) -> None:
    backup = await backed_up(portal.url, tmp_path)
    lost, before = new_id(), portal.client_id
    row = {"practice_id": portal.practice_id, "id": lost, "name": "Cy Ito"}
    async with portal.engine.begin() as conn:
        await conn.execute(insert(Client).values(row | {"created_at": portal.clock()}))
    portal.client_id = lost
    portal.bearer = await portal.token(Subject(portal.practice_id, client_id=lost))
    _, intent = await paid(portal, 10_000)
    portal.client_id = before
    async with after_restore(portal, backup) as restored:
        first, second = await recover(restored), await recover(restored)
        (problem,) = first.problems
        assert (problem.subject, f"cli_{lost}" in problem.reason) == (intent, True)
        assert (second.was_needed, second.problems) == (False, [])
        assert await differences(restored) == ["succeeded at Stripe, and no payment here has it"]
        assert await refused(restored) is None
        await restored.invoice(10_000)
        own_practice = restored.payment_context, restored.practice_id
        await assign(*own_practice, intent, restored.client_id)
        assert await dues(restored) == [0]
        await assert_whole(restored)
        with pytest.raises(NotAssigned):
            await assign(*own_practice, intent, restored.client_id)


# -- merged and erased records ---------------------------------------------------------------------


async def test_merged_and_erased_records_are_left_as_they_are(
    portal: Paying, tmp_path: Path
) -> None:
    await portal.letterhead()
    await paid(portal, 3_000)
    await keep(portal)
    await portal.invoice(1_000, portal.other_id)
    async with practice_entries(entry_context(portal), portal.practice_id) as entries:
        await merge_clients(entries, ClientMerge(portal.other_id, portal.client_id))
    await succeeds(portal, 1_000, portal.card())
    await portal.hears_all()
    is_owned = make_url(portal.url).get_backend_name() == "postgresql"
    owner = postgres.as_owner(portal.url) if is_owned else None
    settings = Settings(database_url=portal.url, database_owner_url=owner, token_key=KEY)
    await erase(settings, portal.client_id, "asked", ["retention"])
    await detach_cards(portal.payment_context)
    await portal.hears_all()
    backup = await backed_up(portal.url, tmp_path)
    before = [await portal.all(table) for table in (Client, LedgerEntry)]
    async with after_restore(portal, backup) as restored:
        report = await recover(restored)
        assert (report.adopted, report.problems) == (0, [])
        await assert_whole(restored)
        assert [await restored.all(table) for table in (Client, LedgerEntry)] == before
    assert {row.name for row in before[0]} == {"Erased client"}


def entry_context(portal: Paying) -> EntryContext:
    return EntryContext(portal.engine, portal.clock)
