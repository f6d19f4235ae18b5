"""Checks of the state after a scenario, by the double's objects and plain rows, without
billing/.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from models import Allocation, Claim, Invoice, LedgerEntry, Payment, PaymentState, Receipt
from tests.support.payments import Paying

AT_REST = {PaymentState.SUCCEEDED, PaymentState.FAILED, PaymentState.CANCELED}


@dataclass
class Bill:
    """A client of one scenario, with the client's request."""

    client_id: str
    bearer: str
    amount: int
    owed: int
    input: dict[str, Any]


async def judge(practice: Paying, bill: Bill) -> None:
    """Compare the double's objects with the rows."""
    intents = await intents_of(practice, bill)
    ids = {intent["id"] for intent in intents}
    charges = [one for one in practice.charges() if one["payment_intent"] in ids]
    paid = {
        one["id"]: one["metadata"]["payment"] for one in intents if one["status"] == "succeeded"
    }
    async with practice.engine.connect() as conn:

        async def total(of: Any, *where: Any) -> int:
            mine = of.class_.client_id == bill.client_id
            found = await conn.scalar(select(func.coalesce(func.sum(of), 0)).where(mine, *where))
            return int(found or 0)

        payments = (
            await conn.execute(select(Payment).where(Payment.client_id == bill.client_id))
        ).all()
        receipts = (
            await conn.execute(select(Receipt).where(Receipt.client_id == bill.client_id))
        ).all()
        ledger = await total(LedgerEntry.amount_minor, LedgerEntry.kind == "PAYMENT")
        given = await total(LedgerEntry.amount_minor, LedgerEntry.kind == "CREDIT")
        spent = await total(Allocation.amount_minor)
        billed = await total(Invoice.total_minor)
        claims = await total(Claim.amount_minor)
    charged = sum(charge["amount"] for charge in charges)
    succeeded = {one.id for one in payments if one.state is PaymentState.SUCCEEDED}
    assert len(charges) <= 1, "charged twice"
    assert charged == -ledger, "the ledger differs from Stripe's charges"
    assert succeeded == set(paid.values()), "a payment's state differs from Stripe's"
    assert sorted(one.payment_id for one in receipts) == sorted(succeeded)
    assert spent <= charged - given, "credit is spent twice"
    assert spent <= billed
    assert {one.state for one in payments} <= AT_REST
    assert not claims, "a claim is left"


async def intents_of(practice: Paying, bill: Bill) -> list[dict[str, Any]]:
    async with practice.engine.connect() as conn:
        statement = select(Payment.id).where(Payment.client_id == bill.client_id)
        ids = set(await conn.scalars(statement))
    found = practice.store.all("payment_intent")
    return [intent for intent in found if intent["metadata"].get("payment") in ids]
