"""The files of the books: the columns of each add up, and the files add up to each other."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import update

from billing.payments.refund import refund_payment
from identity.tokens import Subject
from models import READ_SCOPES, EntryKind, Invoice
from sandbox import reversals
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe, paid

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ALL = READ_SCOPES


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    """Yield a portal with invoices that are paid, refunded, disputed, corrected and void."""
    async with new_database() as url, paying(url) as it:
        payment_id, _ = await paid(it, 10_000, 5_000)
        await refund_payment(it.payment_context, payment_id, 7_000)
        corrected, void = await it.invoice(4_000), await it.invoice(3_000)
        for kind, amount, invoice in (
            (EntryKind.WRITE_OFF, -700, corrected),
            (EntryKind.ADJUSTMENT, 200, corrected),
            (EntryKind.CHARGE, -3_000, void),
        ):
            await it.enter(kind, amount, it.client_id, reference="2", invoice_id=invoice)
        await it.credit(1_000)
        await it.invoice(9_000, it.other_id)
        it.bearer = await it.token(Subject(it.practice_id, client_id=it.other_id))
        assert (await it.pay(9_000, it.card()))["__typename"] == "PaySucceeded"
        (intent,) = [one["id"] for one in it.store.all("payment_intent") if one["amount"] == 9_000]
        at_stripe(it, reversals.open_dispute, intent, 2_500)
        await it.hears(*(one for one in it.store.all("event") if "dispute" in one["type"]))
        async with it.engine.begin() as conn:
            voided = update(Invoice).where(Invoice.id == void)
            await conn.execute(voided.values(is_void=True, voided_on=it.clock().date()))
        yield it


async def file(portal: Paying, path: str) -> list[dict[str, str]]:
    token = await portal.token(Subject(portal.practice_id), scopes=ALL)
    headers = {"Authorization": f"Bearer {token}"}
    response = await portal.http.get(f"/export/{path}", headers=headers)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def minor(text: str) -> int:
    return int(text.replace(".", ""))


async def test_columns_of_each_invoice_add_up_to_what_is_due(portal: Paying) -> None:
    rows = await file(portal, "invoices.csv")
    columns = ("total", "voided", "written_off", "adjusted", "paid", "due")
    found = sorted(tuple(minor(row[name]) for name in columns) for row in rows)
    assert found == [
        (3_000, 3_000, 0, 0, 0, 0),
        (4_000, 0, 700, 200, 0, 3_500),
        (5_000, 0, 0, 0, 0, 5_000),
        (9_000, 0, 0, 0, 6_500, 2_500),
        (10_000, 0, 0, 0, 8_000, 2_000),
    ]
    for total, voided, written_off, adjusted, paid_, due in found:
        assert total - voided - written_off + adjusted - paid_ == due


async def test_ledger_adds_up_to_the_balances_and_the_revenue(portal: Paying) -> None:
    ledger = await file(portal, "ledger.csv")
    for client in await file(portal, "clients.csv"):
        own = [row for row in ledger if row["client_id"] == client["id"]]
        assert sum(minor(row["amount"]) for row in own) == minor(client["balance"])
        assert {row["client_name"] for row in own} <= {client["name"]}
    day = portal.clock().date()
    (quarter,) = await file(portal, f"revenue.csv?from={day}&to={day}&groupBy=QUARTER")
    sums = {"invoiced": 28_000, "collected": 24_000, "refunded": 7_000, "written_off": 700}
    sums |= {"charged_back": 2_500, "outstanding_at_end": 13_000}
    assert {name: minor(quarter[name]) for name in sums} == sums
    assert await file(portal, "ledger.csv?to=2000-01-01") == []


async def test_columns_of_each_payment_add_up_to_its_lines_of_the_ledger(portal: Paying) -> None:
    ledger = await file(portal, "ledger.csv?kind=PAYMENT&kind=REFUND&kind=DISPUTE")
    payments = await file(portal, "payments.csv")
    found = sorted(
        (row["status"], *(minor(row[name]) for name in ("amount", "refunded", "disputed")))
        for row in payments
    )
    assert found == [("DISPUTED", 9_000, 0, 2_500), ("SUCCEEDED", 15_000, 7_000, 0)]
    day = portal.clock().date().isoformat()
    for row in payments:
        lines = [line for line in ledger if line["payment_id"] == row["id"]]
        kept = minor(row["amount"]) - minor(row["refunded"]) - minor(row["disputed"])
        assert kept == -sum(minor(line["amount"]) for line in lines)
        (payment,) = [line for line in lines if line["kind"] == "PAYMENT"]
        assert row["paid_on"] == payment["paid_on"] == payment["posted_on"] == day


async def test_revenue_needs_a_range(portal: Paying) -> None:
    token = await portal.token(Subject(portal.practice_id), scopes=ALL)
    headers = {"Authorization": f"Bearer {token}"}
    response = await portal.http.get("/export/revenue.csv", headers=headers)
    assert response.status_code == 400
