"""Recoveries of restored portals, and pictures of what they have to bring back."""

import datetime as dt
from collections import Counter
from typing import Any

from sqlalchemy import select

from billing.audit_log import Actor
from billing.payments import audit
from billing.recovery.recover import recover_all
from billing.recovery.report import Report
from models import (
    ActorKind,
    Allocation,
    Dispute,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Receipt,
    Refund,
    Row,
    StripeCustomer,
)
from server.recovery_check import NotRecovered, refuse_lost_payments, refuse_restored
from tests.support.books import assert_verified
from tests.support.payments import ACCOUNT, Paying

# The columns that a recovery brings back as they were. Ids of rows are not among them, nor are the
# days of entry in the books, nor the numbers of receipts.
BROUGHT_BACK: dict[type[Row], str] = {
    Payment: "id client_id invoice_id method state amount_minor card_brand card_last4"
    " failure_reason stripe_account stripe_id charged_at created_on paid_at save_card make_default"
    " consent_version",
    LedgerEntry: "client_id kind amount_minor description date invoice_id payment_id reference",
    Receipt: "client_id payment_id amount_minor issued_on",
    Refund: "client_id payment_id amount_minor state invoice_id stripe_account stripe_id"
    " refunded_at",
    Dispute: "client_id payment_id amount_minor state stripe_account stripe_id disputed_at",
    PaymentMethod: "client_id stripe_account stripe_id fingerprint brand last4 exp_month exp_year"
    " cardholder_name billing_zip is_default consent_version consented_at",
    StripeCustomer: "client_id stripe_account stripe_id",
}


def operator(practice_id: str) -> Actor:
    return Actor(practice_id, ActorKind.OPERATOR, operation="portal recover", name="Ana")


async def recover(portal: Paying, *, restored: bool = False) -> Report:
    reports = recover_all(portal.payment_context, operator, restored=restored)
    (report,) = [one async for one in reports]
    return report


async def refused(portal: Paying) -> str | None:
    """Return the reason why `portal serve` would not start."""
    try:
        await refuse_restored(portal.engine)
        accounts = [(portal.practice_id, ACCOUNT)]
        assert await refuse_lost_payments(portal.payment_context, accounts) == []
    except NotRecovered as error:
        return str(error)
    return None


async def differences(portal: Paying) -> list[str]:
    """Return what `portal reconcile` says."""
    since = portal.clock() - dt.timedelta(days=90)
    found = await audit.audit(portal.payment_context, portal.practice_id, ACCOUNT, since)
    return [one.why for one in found]


async def assert_whole(portal: Paying) -> None:
    """Assert that the books are whole and agree with Stripe, and that the portal may be served."""
    await assert_verified(portal.engine)
    assert await differences(portal) == []
    assert await refused(portal) is None


async def all_rows(portal: Paying) -> dict[str, list[str]]:
    """Return all rows but the entries of the audit log."""
    tables = [table for table in Row.metadata.sorted_tables if table.name != "access_entry"]
    async with portal.engine.connect() as conn:
        return {
            table.name: sorted(map(repr, (await conn.execute(select(table))).all()))
            for table in tables
        }


async def picture(portal: Paying) -> dict[str, Counter[Any]]:
    """Return what a recovery brings back of the practice's payments and cards."""
    found: dict[str, Counter[Any]] = {}
    for table, columns in BROUGHT_BACK.items():
        names = columns.split()
        found[table.__tablename__] = Counter(
            tuple(getattr(row, name) for name in names)
            for row in await portal.all(table)
            if table is not PaymentMethod or row.removed_at is None
        )
    allocated: Counter[Any] = Counter()
    for row in await portal.all(Allocation):
        allocated[row.invoice_id, row.payment_id, row.is_credit] += row.amount_minor
    return found | {"allocation": allocated}
