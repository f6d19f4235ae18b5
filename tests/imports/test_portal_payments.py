"""Payments through the portal that come back in an export: matched, compared, never entered."""

import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.commands import EntryContext, enter_for_client
from demo.card_payments import Card, CardCharge, charge_card
from models import Allocation, CardBrand, LedgerEntry, Payment, PaymentState, Receipt
from tests.support.books import findings
from tests.support.entries import PRACTICE
from tests.support.import_folders import Folder, ImportDesk, import_database, small_folder

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NUMBERS = itertools.count(1)
PAID = {"id": "p9", "client_id": "c1", "paid_on": "2026-03-31", "amount": "60.00", "method": "CARD"}


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    """Return a practice with imported records, whose client c1 has paid 60.00 by card."""
    account = f"acct_{next(NUMBERS)}"
    details = dataclasses.replace(PRACTICE, stripe_account=account)
    desk = await ImportDesk(engine, tmp_path / "export").open(details)
    assert (await desk.load(small_folder())).is_imported
    card = Card(CardBrand.VISA, "4242", 2030, 1, "Ana", "04101")
    charge = CardCharge(card, PaymentState.SUCCEEDED, 6_000, None, None, account, "pi_1")
    context = EntryContext(engine, lambda: desk.now)
    client = await desk.row_of("client", "c1")
    desk.paid = await enter_for_client(context, desk.practice_id, client, charge_card, charge)
    return desk


async def own_payment(desk: ImportDesk) -> dict[str, str]:
    """Return what names the portal's payment, in each of the three ways."""
    (receipt,) = await desk.rows(Receipt, payment_id=desk.paid)
    return {"id": f"pmt_{desk.paid}", "receipt": receipt["number"], "stripe": "pi_1"}


@pytest.mark.parametrize("name", ["id", "receipt", "stripe"])
async def test_portal_payment_is_matched_and_not_entered(desk: ImportDesk, name: str) -> None:
    column = "stripe_id" if name == "stripe" else "portal_payment"
    folder: Folder = {
        "payments": [{**PAID, column: (await own_payment(desk))[name]}],
        "allocations": [{"payment_id": "p9", "invoice_id": "i1", "amount": "60.00"}],
        "totals": [{"client_id": "c1", "balance": "40.00"}],
    }
    before = await desk.rows(LedgerEntry)
    report = await desk.load(folder)
    assert [str(one) for one in report.faults] == []
    assert report.counts["payments"] == {"new": 0, "changed": 0, "same": 1}
    assert await desk.rows(LedgerEntry) == before
    assert len(await desk.rows(Allocation, payment_id=desk.paid)) == 1
    counts = await desk.counts()
    # The next export may name it or not.
    for payments in ([PAID], folder["payments"]):
        assert (await desk.load({**folder, "payments": payments})).is_imported
    assert await desk.counts() == counts
    assert await findings(desk.engine, desk.practice_id) == []


async def test_card_payment_that_looks_like_ours_is_refused(desk: ImportDesk) -> None:
    folder: Folder = {"payments": [PAID]}
    report = await desk.load(folder)
    (fault,) = report.faults
    assert (fault.code, fault.line, fault.column) == ("MAYBE_OURS", 2, "id")
    assert not report.is_imported
    assert (await desk.load(folder, cards_are_not_ours=True)).is_imported
    assert len(await desk.rows(Payment, amount_minor=6_000)) == 2
    assert await findings(desk.engine, desk.practice_id) == []


@pytest.mark.parametrize(
    ("values", "column", "code"),
    [
        ({"amount": "61.00"}, "amount", "PAYMENT_DIFFERS"),
        ({"client_id": "c2"}, "client_id", "PAYMENT_DIFFERS"),
        ({"portal_payment": "RCP-2026-9999"}, "portal_payment", "NO_SUCH_RECORD"),
        ({"portal_payment": f"pmt_{'0' * 8}-0000-7000-8000-{'0' * 12}"}, "portal_payment",
         "NO_SUCH_RECORD"),
    ],
)  # fmt: skip
async def test_record_that_differs_from_the_portals_payment(
    desk: ImportDesk, values: dict[str, str], column: str, code: str
) -> None:
    row = {**PAID, "portal_payment": (await own_payment(desk))["id"], **values}
    report = await desk.load({"payments": [row]})
    assert [(one.column, one.code) for one in report.faults] == [(column, code)]


async def test_payment_after_the_export_is_left_out_of_the_totals(desk: ImportDesk) -> None:
    totals = [{"client_id": "c1", "balance": "100.00"}]
    assert (await desk.load({"totals": totals})).is_imported


async def test_refund_of_a_portal_payment_is_not_entered(desk: ImportDesk) -> None:
    payment = {**PAID, "portal_payment": (await own_payment(desk))["id"]}
    refund = {"id": "r9", "payment_id": "p9", "refunded_on": "2026-03-31", "amount": "5.00"}
    report = await desk.load({"payments": [payment], "refunds": [refund]})
    assert [(one.file, one.code) for one in report.faults] == [("refunds.csv", "REFUND_DIFFERS")]
