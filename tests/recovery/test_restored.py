"""A restored database is not served, and recovers what clients have paid since the backup."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from billing.payments import confirm, daily_comparison, reconcile
from billing.recovery.identity import accept_identity, read_identity
from models import Payment, PaymentState, Practice, Receipt
from models.serving_role import refuse_unfit_role
from sandbox.faults import Fault
from server.recovery_check import refuse_lost_payments
from tests.support.backups import after_restore, backed_up
from tests.support.payments import ACCOUNT, Paying, paying
from tests.support.recoveries import all_rows, assert_whole, recover, refused
from tests.support.reversals import dues, paid

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def forget_restore(portal: Paying) -> None:
    """Make the restored database look as if it had never been copied, as a file copied by hand."""
    async with portal.engine.begin() as conn:
        await accept_identity(conn, await read_identity(conn))


async def serials(portal: Paying) -> set[int]:
    return {receipt.serial for receipt in await portal.all(Receipt)}


# -- payments --------------------------------------------------------------------------------------


@pytest.mark.twins(1)
async def test_payment_after_the_backup_is_not_paid_twice(portal: Paying, tmp_path: Path) -> None:
    await paid(portal, 3_000)
    invoices = [await portal.invoice(10_000), await portal.invoice(5_000)]
    assert await refused(portal) is None
    backup = await backed_up(portal.url, tmp_path)
    done = await portal.pay(10_000, portal.card(), invoiceId=f"inv_{invoices[0]}")
    given_out = await serials(portal)
    async with after_restore(portal, backup) as later:
        assert "restored from a backup" in (await refused(later) or "")
        assert (await recover(later)).adopted == 1
        await assert_whole(later)
        await refuse_unfit_role(later.engine)
        assert sorted(await dues(later)) == [0, 0, 5_000]
        again = await later.pay(10_000, later.card(), invoiceId=f"inv_{invoices[0]}")
        assert again["code"] == "NOTHING_TO_PAY"
        (adopted,) = [one for one in await later.all(Payment) if one.id in done["payment"]["id"]]
        assert (adopted.state, adopted.invoice_id) == (PaymentState.SUCCEEDED, invoices[0])
        assert (adopted.card_last4, adopted.amount_minor) == ("4242", 10_000)
        # No number that was given out before is given out again.
        known = {one.serial for one in await later.all(Receipt) if one.payment_id != adopted.id}
        assert (await serials(later) - known).isdisjoint(given_out)
        before = await all_rows(later)
        report = await recover(later)
        assert (report.was_needed, report.adopted, report.moved) == (False, 0, ())
        assert await all_rows(later) == before
        assert (await later.pay(5_000, later.card()))["__typename"] == "PaySucceeded"
        assert max(await serials(later)) > max(given_out)


async def test_newer_payments_at_stripe_tell_of_a_restore_by_themselves(
    portal: Paying, tmp_path: Path
) -> None:
    backup = await backed_up(portal.url, tmp_path)
    await paid(portal, 10_000)
    async with after_restore(portal, backup) as later:
        await forget_restore(later)
        assert "Stripe has 1 payments" in (await refused(later) or "")
        report = await recover(later)
        assert (report.was_needed, report.adopted) == (True, 1)
        # The invoice was issued after the backup, so its money waits for it.
        (problem,) = report.problems
        assert "paid invoices that the backup has not" in problem.reason
        await assert_whole(later)
        await later.invoice(10_000)
        assert (await later.pay(0, {"credit": True}))["__typename"] == "PaySucceeded"


async def test_payment_that_was_begun_at_the_backup_is_not_given_up(
    portal: Paying, tmp_path: Path
) -> None:
    await portal.invoice(10_000)
    portal.api.faults.append(Fault("POST payment_intents$", status=503, times=4))
    begun = await portal.pay(10_000, portal.card())
    assert begun["__typename"] == "PayProcessing"
    payment_id = begun["payment"]["id"]
    backup = await backed_up(portal.url, tmp_path)
    source = portal.card()["newCard"]["confirmationToken"]
    await confirm.advance(
        portal.payment_context, portal.practice_id, payment_id.removeprefix("pmt_"), source
    )
    assert len(portal.charges()) == 1
    async with after_restore(portal, backup) as later:
        await forget_restore(later)
        assert "Stripe has 1 payments" in (await refused(later) or "")
        # Even a server that was started meanwhile, and gave the payment up, loses nothing.
        later.clock.time += dt.timedelta(seconds=90)
        await reconcile.reconcile_untouched(later.payment_context)
        assert [one.state for one in await later.all(Payment)] == [PaymentState.CANCELED]
        assert (await recover(later)).adopted == 1
        await assert_whole(later)
        assert await dues(later) == [0]
        assert (await later.refresh(payment_id))["__typename"] == "PaySucceeded"


CRASHES = {
    "before its PaymentIntent": Fault("POST payment_intents$", status=503, times=4),
    "before its PaymentIntent is known": Fault(
        "POST payment_intents$", drop=True, after=True, times=4
    ),
    "before the charge is known": Fault("POST payment_intents/.*/confirm", drop=True, after=True),
}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.rest
async def test_crash_is_not_taken_for_a_restore(portal: Paying, crash: str) -> None:
    await portal.invoice(10_000)
    portal.api.faults.append(replace(CRASHES[crash]))
    assert (await portal.pay(10_000, portal.card()))["__typename"] == "PayProcessing"
    assert await refused(portal) is None
    portal.clock.time += dt.timedelta(seconds=90)
    await reconcile.reconcile_untouched(portal.payment_context)
    assert await refused(portal) is None
    await assert_whole(portal)


@pytest.mark.rest
async def test_server_that_was_started_without_an_answer_stops_payments_later(
    portal: Paying, tmp_path: Path
) -> None:
    await portal.invoice(10_000)
    backup = await backed_up(portal.url, tmp_path)
    await portal.pay(10_000, portal.card())
    async with after_restore(portal, backup) as later:
        await forget_restore(later)
        later.api.faults.append(Fault("GET payment_intents$", status=503, times=4))
        accounts = [(later.practice_id, ACCOUNT)]
        (sentence,) = await refuse_lost_payments(later.payment_context, accounts)
        assert "gave no answer" in sentence
        with pytest.raises(daily_comparison.PaymentsLost):
            await compare(later)
        done = await later.pay(10_000, later.card())
        assert done["code"] == "ONLINE_PAYMENTS_OFF"
        assert "has not ended" in (await refused(later) or "")
        assert len(later.charges()) == 1
        assert (await recover(later)).adopted == 1
        await assert_whole(later)
        await compare(later)


async def compare(portal: Paying) -> None:
    async with portal.engine.connect() as conn:
        practice = (await conn.execute(select(Practice.__table__))).one()
    await daily_comparison.compare_one(portal.payment_context, practice)
