"""The numbers of a practice's documents: their beginning, their start, and the days until due."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from billing.entry import commands
from billing.entry.commands import practice_entries
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.number_series import NumberSeries
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.entry.practices import change_practice
from models import DocumentKind, Invoice, PaymentMethodKind, Receipt
from tests.support.entries import PRACTICE, EntryDesk, entry_desk

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(7_000)
INVOICE, RECEIPT = DocumentKind.INVOICE, DocumentKind.RECEIPT


@pytest.fixture(scope="module")
async def shared_desk(new_database: NewDatabase) -> AsyncIterator[EntryDesk]:
    async with new_database() as url, entry_desk(url) as desk:
        yield desk


@pytest.fixture
async def desk(shared_desk: EntryDesk) -> EntryDesk:
    return await EntryDesk(shared_desk.engine, next(SEEDS)).open()


async def set_series(desk: EntryDesk, *series: NumberSeries) -> list[bool]:
    async with practice_entries(desk.context, desk.practice_id) as entries:
        return [await entries.set_series(one) for one in series]


async def number(desk: EntryDesk, given: str | None = None) -> str:
    invoice = await desk.row(Invoice, await desk.invoice(100, number=given))
    return str(invoice["number"])


async def test_numbers_begin_and_start_as_the_practice_sets_them(desk: EntryDesk) -> None:
    series = NumberSeries(INVOICE, "KT", 1001), NumberSeries(RECEIPT, "R")
    assert await set_series(desk, *series) == [True, True]
    assert [await number(desk) for _ in range(2)] == ["KT-2026-1001", "KT-2026-1002"]
    payment_id = await desk.enter(record_payment, OutsidePayment(PaymentMethodKind.CASH, 100))
    (receipt,) = await desk.rows(Receipt, payment_id=payment_id)
    assert receipt["number"] == "R-2026-0001"
    # A start that was passed changes nothing, and neither does the same series again.
    assert await set_series(desk, *series, NumberSeries(INVOICE, start=5)) == [False] * 3
    assert await number(desk) == "KT-2026-1003"
    assert await set_series(desk, NumberSeries(INVOICE, "INV")) == [True]
    assert await number(desk) == "INV-2026-1004"


async def test_number_of_another_system_is_not_given_out_again(desk: EntryDesk) -> None:
    assert await number(desk, "KT-2026-0002") == "KT-2026-0002"
    assert await number(desk, "kt-2026-0009") == "kt-2026-0009"
    assert await number(desk) == "INV-2026-0003"
    await set_series(desk, NumberSeries(INVOICE, "KT"))
    assert [await number(desk) for _ in range(2)] == ["KT-2026-0004", "KT-2026-0005"]
    await number(desk, "KT-2025-0041")
    assert await number(desk) == "KT-2026-0042"
    await number(desk, "Z-2020-0900")
    await set_series(desk, NumberSeries(INVOICE, "Z"))
    assert await number(desk) == "Z-2026-0901"


async def test_two_kinds_of_documents_have_different_prefixes(desk: EntryDesk) -> None:
    with pytest.raises(EntryError) as caught:
        await set_series(desk, NumberSeries(RECEIPT, "INV"))
    assert (caught.value.code, caught.value.field) == (
        EntryErrorCode.INVALID_VALUE,
        "receipt_prefix",
    )
    await set_series(desk, NumberSeries(INVOICE, "A"), NumberSeries(RECEIPT, "INV"))
    with pytest.raises(EntryError):
        await set_series(desk, NumberSeries(INVOICE, "INV"))


async def test_invoice_without_a_due_date_is_due_after_the_practices_days(desk: EntryDesk) -> None:
    before = await desk.invoice(100)
    details = replace(PRACTICE, days_until_due=30)
    await commands.enter_for_practice(desk.context, desk.practice_id, change_practice, details)
    issued_on = dt.date(2026, 2, 1)
    for invoice_id, due_on in (
        (before, None),
        (await desk.invoice(100, issued_on=issued_on), dt.date(2026, 3, 3)),
        (await desk.invoice(100, issued_on=issued_on, due_on=issued_on), issued_on),
        # Nothing is due of a negative invoice.
        (await desk.invoice(-100, issued_on=issued_on), None),
    ):
        assert (await desk.row(Invoice, invoice_id))["due_on"] == due_on
